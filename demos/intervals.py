"""What a count of successes says about a rate, and two counts on the same scenes about their difference.

Everything is 95 % by default and made of Wilson's interval, which stays inside [0, 1] and keeps its coverage
at small counts and near 0 and 1, where "mean plus or minus two standard errors" does neither.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.96
"""Standard normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Interval:
    """Both ends of a confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How two success rates on the same scenes differ: that of `a` minus that of `b`.

    Attributes:
        mean: The difference of the rates, in [-1, 1].
        low: Lower end of its interval.
        high: Upper end of its interval.
        n: Scenes, each attempted by both.
        only_a: Scenes where only `a` succeeded.
        only_b: Scenes where only `b` succeeded.
    """

    mean: float
    low: float
    high: float
    n: int
    only_a: int
    only_b: int

    def __post_init__(self) -> None:
        if self.n < 1 or min(self.only_a, self.only_b) < 0 or self.only_a + self.only_b > self.n:
            got = f"{self.only_a} and {self.only_b} of {self.n}"
            raise ValueError(f"difference: got {got} scenes, expected counts whose sum is at most n")
        if not -1 <= self.low <= self.mean <= self.high <= 1:
            got = f"{self.mean} in [{self.low}, {self.high}]"
            raise ValueError(f"difference: got {got}, expected -1 <= low <= mean <= high <= 1")

    @property
    def p(self) -> float:
        """Exact p value of McNemar's test that the two rates are equal."""
        return mcnemar(self.only_a, self.only_b)


def wilson(successes: int, n: int, z: float = Z95) -> Interval:
    """Wilson's score interval of a success rate.

    Wilson, E. B. (1927): Probable inference, the law of succession, and statistical inference. Journal of
    the American Statistical Association 22, 209-212. Without continuity correction.

    Args:
        successes: How many of the trials succeeded.
        n: Trials.
        z: Quantile of the standard normal distribution that sets the confidence.

    Raises:
        ValueError: No trials, or more successes than trials.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"wilson: got {successes} of {n}, expected 0 to n successes of 1 or more trials")
    rate = successes / n
    shrink = 1 + z * z / n
    centre = (rate + z * z / (2 * n)) / shrink
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / shrink
    # In exact arithmetic these are 0 and 1 and no bounds are needed.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return Interval(min(low, rate), max(high, rate))


def paired_difference(a: Sequence[bool], b: Sequence[bool], z: float = Z95) -> Difference:
    """The difference of two success rates measured on the same scenes, with its interval.

    Method 10 of Newcombe, R. G. (1998): Improved confidence intervals for the difference between binomial
    proportions based on paired data. Statistics in Medicine 17, 2635-2650. Wilson's intervals of the two
    rates are squared and added, less what the correlation of the two outcomes explains. Where few outcomes
    differ the interval is cautious: it covers more than it says.

    Args:
        a: Whether the first succeeded, scene by scene.
        b: Whether the second succeeded, on the same scenes in the same order.
        z: Quantile of the standard normal distribution that sets the confidence.

    Raises:
        ValueError: No scenes, or lists of different lengths.
    """
    if len(a) != len(b) or not a:
        got = f"{len(a)} and {len(b)} outcomes"
        raise ValueError(f"paired_difference: got {got}, expected the same scenes, 1 or more")
    n = len(a)
    both = sum(bool(x) and bool(y) for x, y in zip(a, b, strict=True))
    only_a = sum(map(bool, a)) - both
    only_b = sum(map(bool, b)) - both
    rate_a, rate_b = (both + only_a) / n, (both + only_b) / n
    of_a, of_b = wilson(both + only_a, n, z), wilson(both + only_b, n, z)
    phi = _correlation(both, only_a, only_b, n)
    mean = (only_a - only_b) / n
    down = _square_and_add(rate_a - of_a.low, of_b.high - rate_b, phi)
    up = _square_and_add(of_a.high - rate_a, rate_b - of_b.low, phi)
    return Difference(mean, max(-1.0, mean - down), min(1.0, mean + up), n, only_a, only_b)


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided p value that, of the scenes where one alone succeeded, each was as likely to.

    McNemar, Q. (1947): Note on the sampling error of the difference between correlated proportions or
    percentages. Psychometrika 12, 153-157; its exact form is the sign test.

    Args:
        only_a: Scenes where only the first succeeded.
        only_b: Scenes where only the second succeeded.
    """
    if min(only_a, only_b) < 0:
        raise ValueError(f"mcnemar: got {only_a} and {only_b} scenes, expected 0 or more of each")
    n = only_a + only_b
    # Integers throughout: the tail of a large count would vanish in floating point.
    ways = tail = 1
    for k in range(min(only_a, only_b)):
        ways = ways * (n - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / 2**n)


def _correlation(both: int, only_a: int, only_b: int, n: int) -> float:
    """Newcombe's phi of the 2x2 table: a positive one is corrected for continuity, towards 0."""
    neither = n - both - only_a - only_b
    margins = (both + only_a) * (only_b + neither) * (both + only_b) * (only_a + neither)
    if margins == 0:  # One of the two always or never succeeded.
        return 0.0
    cross = both * neither - only_a * only_b
    return (max(cross - n / 2, 0.0) if cross > 0 else cross) / math.sqrt(margins)


def _square_and_add(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))
