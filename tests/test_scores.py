"""The record of an evaluation: what it says, what it refuses, and that a file gives it back."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demos.intervals import paired_difference, wilson
from demos.rate import Rate
from robocat.scores import Scores, Trial
from sim.names import UnknownName

CELLS = (("panda", "reach"), ("panda", "lift"), ("ur5e", "reach"))
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
trials = st.lists(
    st.builds(Trial, names, names, names, st.integers(0, 10**6), names, st.booleans(), st.integers(0, 99)),
    max_size=6,
    unique_by=lambda trial: trial.scene,
)


def _trial(**changes: Any) -> Trial:
    right: dict[str, Any] = {
        "arm": "panda",
        "task": "lift",
        "variation": "red",
        "seed": 1,
        "goal": "g",
        "success": True,
    }
    return Trial(**(right | {"steps": 9} | changes))


def _scores(name: str = "generalist-0", seed: int = 0, **changes: Any) -> Scores:
    """Ten trials of each cell, succeeding at random."""
    rng = np.random.default_rng(seed)
    made = tuple(
        Trial(arm, task, "red", 500 + i, f"goal-{i}", bool(rng.random() < 0.6), int(rng.integers(1, 60)))
        for arm, task in CELLS
        for i in range(10)
    )
    right: dict[str, Any] = {
        "model": name,
        "generation": 0,
        "checkpoint": "models/x",
        "trials": made,
        "seconds": 1.5,
    }
    return Scores(**(right | {"versions": {"torch": "2"}} | changes))


def test_rates_count_the_trials() -> None:
    scores = _scores()
    assert scores.cells() == list(CELLS)
    for arm, task in CELLS:
        won = [trial.success for trial in scores.trials if (trial.arm, trial.task) == (arm, task)]
        rate = scores.cell(arm, task)
        assert (rate.successes, rate.n, rate.mean) == (sum(won), 10, sum(won) / 10)
        assert (rate.low, rate.high) == (wilson(sum(won), 10).low, wilson(sum(won), 10).high)


def test_tasks_pool_their_arms() -> None:
    scores = _scores()
    panda, ur5e = scores.cell("panda", "reach"), scores.cell("ur5e", "reach")
    tasks = scores.by_task()
    assert list(tasks) == ["reach", "lift"]
    assert tasks["reach"] == Rate.of(panda.successes + ur5e.successes, 20)
    assert scores.by_task(["ur5e"]) == {"reach": ur5e}
    assert scores.by_task([]) == {}


def test_mean_gives_every_arm_the_same_weight() -> None:
    more = tuple(_trial(arm="ur5e", task="reach", seed=seed, success=False) for seed in range(100))
    scores = _scores(trials=_scores().trials + more)
    panda, ur5e = scores.cell("panda", "reach").mean, scores.cell("ur5e", "reach").mean
    assert scores.mean("reach") == pytest.approx((panda + ur5e) / 2)
    assert scores.mean() == pytest.approx((panda + ur5e + scores.cell("panda", "lift").mean) / 3)


def test_pairing_matches_scenes_whatever_their_order() -> None:
    one, other = _scores(seed=1), _scores("generalist-1", seed=2)
    backwards = _scores("generalist-1", trials=other.trials[::-1])
    for arm, task in CELLS:
        a = [trial.success for trial in one.trials if (trial.arm, trial.task) == (arm, task)]
        b = [trial.success for trial in other.trials if (trial.arm, trial.task) == (arm, task)]
        assert one.paired(other, arm, task) == one.paired(backwards, arm, task) == paired_difference(a, b)
    everything = one.paired_over(other, CELLS)
    assert everything.n == 30
    assert everything.mean == pytest.approx(np.mean([one.paired(other, *cell).mean for cell in CELLS]))


@pytest.mark.parametrize(
    "changed", [{"seed": 999}, {"goal": "another"}, {"variation": "blue"}], ids=lambda changed: str(*changed)
)
def test_pairing_refuses_other_scenes(changed: dict[str, Any]) -> None:
    one, other = _scores(trials=(_trial(),)), _scores("branch", trials=(_trial(**changed),))
    with pytest.raises(ValueError, match="not tried by branch, such as panda lift red seed 1 goal g"):
        one.paired(other, "panda", "lift")


def test_pairing_refuses_scenes_that_only_the_other_tried() -> None:
    one, other = _scores(trials=(_trial(),)), _scores("branch", trials=(_trial(), _trial(seed=2)))
    with pytest.raises(ValueError, match="1 of 2 scenes of branch were not tried by generalist-0"):
        one.paired(other, "panda", "lift")


@pytest.mark.parametrize(
    "ask",
    [
        lambda scores: scores.cell("panda", "stack"),
        lambda scores: scores.paired(scores, "panda", "stack"),
        lambda scores: scores.mean("stack"),
    ],
)
def test_what_was_not_tried_is_refused(ask: Callable[[Scores], object]) -> None:
    with pytest.raises(UnknownName, match="stack"):
        ask(_scores())


def test_an_empty_evaluation_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no trials"):
        _scores(trials=()).mean()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("success", 1),
        ("success", np.True_),
        ("seed", -1),
        ("seed", True),
        ("steps", -1),
        ("steps", 1.0),
        ("goal", None),
        ("arm", ""),
    ],
)
def test_wrong_trials_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"scores of generalist-0.*{field}"):
        _scores(trials=(_trial(**{field: value}),))


@pytest.mark.parametrize(
    "wrong",
    [{"model": ""}, {"seconds": -1.0}, {"seconds": math.nan}, {"trials": (_trial(), _trial(steps=3))}],
)
def test_wrong_scores_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="scores"):
        _scores(**wrong)


@given(trials, names, st.none() | st.integers(0, 9), st.floats(0, 1e6), st.dictionaries(names, names))
def test_a_file_gives_the_scores_back(
    made: list[Trial], model: str, generation: int | None, seconds: float, versions: dict[str, str]
) -> None:
    import tempfile

    scores = Scores(model, generation, "models/" + model, tuple(made), seconds, versions)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scores" / "x.json"
        scores.save(path)
        assert Scores.load(path) == scores
        assert [each.name for each in path.parent.iterdir()] == ["x.json"]


def test_saving_replaces_the_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails leaves the former file, and nothing else."""
    path = tmp_path / "x.json"
    _scores(seed=1).save(path)

    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("robocat.scores.write_durably", full)
    with pytest.raises(OSError, match="No space"):
        _scores(seed=2).save(path)
    assert Scores.load(path) == _scores(seed=1)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_a_line_per_trial(tmp_path: Path) -> None:
    _scores().save(tmp_path / "x.json")
    lines = (tmp_path / "x.json").read_text().splitlines()
    assert sum('"panda", "lift", "red"' in line for line in lines) == 10


def _edited(edit: Callable[[dict[str, Any]], object], tmp_path: Path) -> Path:
    path = tmp_path / "x.json"
    _scores().save(path)
    record = json.loads(path.read_text())
    edit(record)
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda record: record.pop("seconds"), "seconds"),
        (lambda record: record.update(extra=1), "extra"),
        (lambda record: record.update(format_version=2), "format 2"),
        (lambda record: record["trial_fields"].reverse(), "steps, success"),
        (lambda record: record["trials"][3].pop(), "trial 3: got 6 values"),
        (lambda record: record["trials"][3].__setitem__(5, "yes"), "success: got 'yes'"),
        (lambda record: record["trials"].append(record["trials"][0]), "tried twice"),
    ],
)
def test_another_file_is_refused_by_name(
    edit: Callable[[dict[str, Any]], object], says: str, tmp_path: Path
) -> None:
    path = _edited(edit, tmp_path)
    with pytest.raises(ValueError, match=f"x.json holds no scores: .*{says}") as caught:
        Scores.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"'])
def test_a_damaged_file_is_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=r"x\.json holds no scores"):
        Scores.load(tmp_path / "x.json")


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Scores.load(tmp_path / "none.json")
