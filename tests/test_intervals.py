"""Intervals against published values, against their definitions, and by their coverage."""

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demos.intervals import Z95, Difference, Interval, mcnemar, paired_difference, wilson

outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def _pairs(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Outcomes of two policies with these counts."""
    table = [(True, True)] * both + [(True, False)] * only_a + [(False, True)] * only_b
    table += [(False, False)] * neither
    return [a for a, _ in table], [b for _, b in table]


def _tables(n: int) -> Iterator[tuple[int, int, int, int]]:
    for both in range(n + 1):
        for only_a in range(n + 1 - both):
            for only_b in range(n + 1 - both - only_a):
                yield both, only_a, only_b, n - both - only_a - only_b


# Newcombe (1998), Two-sided confidence intervals for the single proportion, Statistics in Medicine 17,
# 857-872, table I, method 3.
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_published(successes: int, n: int, low: float, high: float) -> None:
    interval = wilson(successes, n)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500), st.data(), st.floats(0.5, 4))
def test_wilson_solves_its_equation(n: int, data: st.DataObject, z: float) -> None:
    """Its ends are the rates p from which the observed one is z standard deviations of p away."""
    successes = data.draw(st.integers(0, n))
    interval = wilson(successes, n, z)
    assert 0 <= interval.low <= successes / n <= interval.high <= 1
    for p in (interval.low, interval.high):
        assert (successes / n - p) ** 2 == pytest.approx(z * z * p * (1 - p) / n, abs=1e-9)


@given(st.integers(1, 300), st.data())
def test_wilson_is_symmetric(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    one, other = wilson(successes, n), wilson(n - successes, n)
    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low))


@pytest.mark.parametrize("n", [1, 2, 10, 1000])
def test_wilson_at_the_ends(n: int) -> None:
    bound = Z95**2 / (n + Z95**2)
    assert wilson(0, n) == Interval(0.0, pytest.approx(bound))
    assert wilson(n, n) == Interval(pytest.approx(1 - bound), 1.0)


def test_wilson_covers() -> None:
    """Exactly computed for n = 50: 95 % on average over the rates, never far below."""
    n = 50
    intervals = [wilson(k, n) for k in range(n + 1)]
    covered: list[float] = []
    for p in (i / 200 for i in range(1, 200)):
        inside = (k for k in range(n + 1) if intervals[k].low <= p <= intervals[k].high)
        covered.append(sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in inside))
    assert sum(covered) / len(covered) == pytest.approx(0.95, abs=0.01)
    assert min(covered) > 0.83


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"got {successes} of {n}"):
        wilson(successes, n)


# (1, 1, 7, 12) is the bronchial example of Fagerland, Lydersen and Laake (2014), Recommended tests and
# confidence intervals for paired binomial proportions, Statistics in Medicine 33, 2850-2875, whose table
# gives -0.507 to -0.026 by Newcombe's method. The others have a negative, a corrected and no correlation.
@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((1, 1, 7, 12), -0.507, -0.026),
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((14, 5, 0, 22), 0.0115, 0.2265),
        ((54, 0, 0, 0), -0.0664, 0.0664),
    ],
)
def test_paired_difference_as_published(table: tuple[int, int, int, int], low: float, high: float) -> None:
    found = paired_difference(*_pairs(*table))
    assert found.mean == pytest.approx((table[1] - table[2]) / sum(table))
    assert (found.n, found.only_a, found.only_b) == (sum(table), table[1], table[2])
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-4)


@given(outcomes)
def test_paired_difference_is_antisymmetric(pairs: list[tuple[bool, bool]]) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    one, other = paired_difference(a, b), paired_difference(b, a)
    assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low))
    assert (one.only_a, one.only_b, one.n) == (other.only_b, other.only_a, other.n)
    assert one.p == other.p


@given(outcomes, st.randoms())
def test_the_order_of_the_scenes_does_not_matter(pairs: list[tuple[bool, bool]], random: object) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)  # pyright: ignore[reportAttributeAccessIssue]
    assert paired_difference(*zip(*pairs, strict=True)) == paired_difference(*zip(*shuffled, strict=True))


@given(outcomes)
def test_negating_every_outcome_mirrors_the_difference(pairs: list[tuple[bool, bool]]) -> None:
    one = paired_difference([x for x, _ in pairs], [y for _, y in pairs])
    other = paired_difference([not x for x, _ in pairs], [not y for _, y in pairs])
    assert (one.mean, one.low, one.high) == pytest.approx((-other.mean, -other.high, -other.low))


def test_paired_difference_covers() -> None:
    """Exactly computed for n = 20: 95 % where many outcomes differ, more where few do, never far below."""
    n = 20
    known = {table: paired_difference(*_pairs(*table)) for table in _tables(n)}

    def coverage(*p: float) -> float:
        total = 0.0
        for table, found in known.items():
            if found.low <= p[1] - p[2] <= found.high:
                ways = math.factorial(n) / math.prod(map(math.factorial, table))
                total += ways * math.prod(q**k for q, k in zip(p, table, strict=True))
        return total

    assert coverage(0.25, 0.25, 0.25, 0.25) == pytest.approx(0.95, abs=0.01)
    assert coverage(0.3, 0.3, 0.1, 0.3) == pytest.approx(0.955, abs=0.01)
    assert coverage(0.1, 0.4, 0.05, 0.45) == pytest.approx(0.955, abs=0.01)
    assert coverage(0.6, 0.1, 0.1, 0.2) > 0.96
    assert coverage(0.85, 0.05, 0.05, 0.05) > 0.98


def test_pairing_is_worth_it() -> None:
    """The same two rates differ more surely when the successes are the same scenes."""
    agreeing = paired_difference(*_pairs(50, 10, 0, 40))
    unrelated = paired_difference(*_pairs(30, 30, 20, 20))
    assert agreeing.mean == unrelated.mean == pytest.approx(0.1)
    assert agreeing.low > 0 > unrelated.low
    assert agreeing.p < 0.01 < unrelated.p


@pytest.mark.parametrize(("a", "b"), [([], []), ([True], []), ([True], [True, False])])
def test_paired_difference_needs_the_same_scenes(a: list[bool], b: list[bool]) -> None:
    with pytest.raises(ValueError, match=f"got {len(a)} and {len(b)} outcomes"):
        paired_difference(a, b)


def test_one_scene_says_nearly_nothing() -> None:
    found = paired_difference([True], [False])
    assert (found.mean, found.only_a, found.only_b, found.p) == (1.0, 1, 0, 1.0)
    assert found.low < 0 and found.high == 1


@pytest.mark.parametrize("wrong", [{"n": 0}, {"only_a": 10}, {"only_b": -1}, {"low": 0.5}, {"high": 1.5}])
def test_an_impossible_difference_is_refused(wrong: dict[str, float]) -> None:
    right = {"mean": 0.2, "low": 0.0, "high": 0.4, "n": 10, "only_a": 3, "only_b": 1}
    Difference(**right)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="difference: got"):
        Difference(**(right | wrong))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    # (1, 7) is the example above: 2 (C(8,0) + C(8,1)) / 2^8.
    [(0, 0, 1.0), (1, 7, 18 / 256), (5, 0, 2 / 32), (4, 4, 1.0), (3, 4, 1.0)],
)
def test_mcnemar_by_hand(only_a: int, only_b: int, p: float) -> None:
    assert mcnemar(only_a, only_b) == mcnemar(only_b, only_a) == p


def test_mcnemar_of_large_counts() -> None:
    assert 0 < mcnemar(0, 1000) < 1e-300
    assert mcnemar(4800, 5200) == pytest.approx(2 * (1 - _phi(399 / 100)), rel=0.02)


def test_mcnemar_refuses_negative_counts() -> None:
    with pytest.raises(ValueError, match="got -1 and 2"):
        mcnemar(-1, 2)


def _phi(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2
