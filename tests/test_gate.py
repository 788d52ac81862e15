"""The gate: every verdict, from scores made by hand."""

import json
from dataclasses import replace

import pytest

from finetune.gate import MARGIN, Cell, Verdict, judge
from robocat.agreement import Agreement
from robocat.scores import Scores, Trial
from sim.names import UnknownName

NEW: Cell = ("kuka_iiwa14", "lift")
OLD: list[Cell] = [("panda", "lift"), ("panda", "reach")]
SCENES = 100


def _scores(model: str, new: int, old: tuple[int, int] = (80, 90), shift: int = 0) -> Scores:
    """So many successes of a hundred on the new cell and the old ones, on scenes counted from `shift`."""
    trials: list[Trial] = []
    for cell, successes in zip([NEW, *OLD], (new, *old), strict=True):
        trials += [Trial(*cell, "red", shift + seed, "goal", seed < successes, 9) for seed in range(SCENES)]
    return Scores(model, 1, model, tuple(trials), 1.0, {})


def _judged(candidate: Scores, parent: Scores) -> Verdict:
    return judge(candidate, parent, _scores("control-1", 30), [NEW], OLD)


@pytest.mark.parametrize(
    ("new", "old", "accepted", "reasons"),
    [
        (60, (80, 90), True, ("better", "not worse")),
        (20, (80, 90), False, ("not better", "not worse")),  # equal
        (10, (80, 90), False, ("not better", "not worse")),  # worse
        (23, (80, 90), False, ("not better", "not worse")),  # within noise
        (60, (60, 70), False, ("better", "worse")),  # the old tasks are lost beyond doubt
        (60, (79, 89), True, ("better", "not worse")),  # a little, within noise
        (60, (90, 95), True, ("better", "not worse")),
        (20, (60, 70), False, ("not better", "worse")),
        (60, (95, 77), True, ("better", "not worse")),  # one goes up and one down: their mean counts
    ],
)
def test_verdicts(new: int, old: tuple[int, int], accepted: bool, reasons: tuple[str, str]) -> None:
    verdict = _judged(_scores("generalist-1", new, old), _scores("generalist-0", 20))
    assert verdict.accepted == accepted
    said = [f"{reasons[0]} on kuka_iiwa14 lift: {(new - 20) / 100:+.3f} (", f"{reasons[1]} on 2 old cells: "]
    for reason, start in zip(verdict.reasons, said, strict=True):
        assert reason.startswith(start) and "\n" not in reason


def test_a_loss_beyond_the_margin_is_no_noise() -> None:
    """With so few scenes that the interval still holds zero, a loss of more than the margin is refused."""
    scores: list[Scores] = []
    for generation in (0, 1):
        new = [Trial(*NEW, "red", seed, "g", generation == 1, 9) for seed in range(40)]
        old = [Trial(*OLD[0], "red", seed, "g", generation == 0 or seed > 0, 9) for seed in range(12)]
        scores.append(Scores(f"generalist-{generation}", generation, "x", (*new, *old), 1.0, {}))
    parent, candidate = scores
    verdict = judge(candidate, parent, parent, [NEW], OLD[:1])
    assert verdict.old_mean.high >= 0 > -MARGIN > verdict.old_mean.mean
    assert not verdict.accepted


def test_the_control_is_shown_but_does_not_decide() -> None:
    verdict = _judged(_scores("generalist-1", 60), _scores("generalist-0", 20))
    assert verdict.versus_parent.mean == pytest.approx(0.4)
    assert verdict.versus_control.mean == pytest.approx(0.3)
    worse = judge(_scores("generalist-1", 60), _scores("generalist-0", 20), _scores("c", 99), [NEW], OLD)
    assert worse.accepted and worse.versus_control.high < 0


def test_each_old_cell_is_shown() -> None:
    verdict = _judged(_scores("generalist-1", 60, (85, 88)), _scores("generalist-0", 20))
    assert [cell for cell, _ in verdict.old] == OLD
    assert [each.mean for _, each in verdict.old] == pytest.approx([0.05, -0.02])
    assert verdict.old_mean.mean == pytest.approx(0.015)
    assert verdict.old_mean.n == 2 * SCENES


def test_what_is_new_counts_together_and_is_shown_apart() -> None:
    """What decides is all of it, but no part may pay for another."""
    one, other = _scores("generalist-1", 60, (90, 85)), _scores("generalist-0", 20, (80, 85))
    verdict = judge(one, other, _scores("control-1", 30), [NEW, OLD[0]], OLD[1:])
    assert verdict.versus_parent.mean == pytest.approx((0.4 + 0.1) / 2)
    assert verdict.versus_parent.n == 2 * SCENES
    assert [cell for cell, *_ in verdict.new] == [NEW, OLD[0]]
    assert [each.mean for _, each, _ in verdict.new] == pytest.approx([0.4, 0.1])
    assert [each.mean for *_, each in verdict.new] == pytest.approx([0.3, 0.1])
    assert verdict.reasons[0].startswith("better on kuka_iiwa14 lift, panda lift: +0.250")
    assert verdict.accepted
    lost = _scores("generalist-1", 60, (70, 85))
    verdict = judge(lost, other, _scores("control-1", 30), [NEW, OLD[0]], OLD[1:])
    assert verdict.versus_parent.low > 0 and not verdict.accepted


def test_scenes_must_be_the_same() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        _judged(_scores("generalist-1", 60, shift=1000), _scores("generalist-0", 20))


def test_cells_must_have_been_tried() -> None:
    one, other = _scores("generalist-1", 60), _scores("generalist-0", 20)
    with pytest.raises(UnknownName, match="'sawyer lift'"):
        judge(one, other, other, [("sawyer", "lift")], OLD)


def test_record_is_json() -> None:
    verdict = _judged(_scores("generalist-1", 60), _scores("generalist-0", 20))
    record = json.loads(json.dumps(verdict.record()))
    assert record["accepted"] is True and len(record["reasons"]) == 2
    assert [(each["arm"], each["task"]) for each in record["new"]] == [NEW]
    assert record["new"][0]["versus_control"]["mean"] == pytest.approx(0.3)
    assert record["versus_parent"]["mean"] == pytest.approx(0.4)
    assert [(each["arm"], each["task"]) for each in record["old"]] == OLD
    assert record["old_mean"]["n"] == 2 * SCENES
    assert record["judged"] == []


def test_what_a_model_got_wrong_stands_beside_the_gain_and_decides_nothing() -> None:
    scores = _scores("generalist-1", 60), _scores("generalist-0", 20), _scores("control-1", 30)
    plain, wrong = judge(*scores, [NEW], OLD), Agreement(n=9, done=4, said=5, both=3)
    judged = judge(*scores, [NEW], OLD, judged={NEW: wrong})
    assert judged == replace(plain, judged=((NEW, wrong),))
    record = json.loads(json.dumps(judged.record()))["judged"]
    assert [(each["arm"], each["task"], each["said"], each["both"]) for each in record] == [(*NEW, 5, 3)]
