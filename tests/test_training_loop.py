"""What every training shares: batches drawn ahead, numbers read when they have come, states in between."""

import math
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from robocat import loop
from robocat.loop import Course, run, taken
from robocat.metrics import read_metrics
from robocat.schedule import TrainingDiverged


class _Counting:
    """A training whose network holds the sum of what was drawn."""

    def __init__(self, wrong: int | None = None) -> None:
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.network.weight)
        self.threads = dict[int, bool]()
        self.steps, self.wrong = list[int](), wrong

    def course(self, out: Path, steps: int) -> Course:
        models = {"sum": self.network}
        return Course(out, "counting", {}, models, {}, "it", steps, checkpoint_every=4, evaluate_every=6)

    def draw(self, number: int) -> float:
        self.threads[number] = threading.current_thread() is threading.main_thread()
        return float(number)

    @torch.no_grad()
    def step(self, number: int, drawn: float) -> dict[str, Tensor | float]:
        self.steps.append(number)
        self.network.weight += drawn
        wrong = math.nan if number == self.wrong else 1.0
        return {"loss": self.network.weight[0, 0] * wrong, "rate": 0.5}

    def total(self) -> float:
        return float(self.network.weight.detach())

    def evaluate(self) -> dict[str, float]:
        return {"held_out_loss": self.total()}


def test_every_step_once_each_with_its_own(tmp_path: Path) -> None:
    it = _Counting()
    run(it.course(tmp_path, 22), it.draw, it.step, it.evaluate)
    assert it.steps == list(range(22)) == sorted(it.threads)
    assert it.threads[0] and not any(it.threads[number] for number in range(1, 22)), (
        "drawn ahead, in a thread"
    )
    rows = [{k: v for k, v in row.items() if k != "wall_time"} for row in read_metrics(tmp_path)]
    assert [row["step"] for row in rows] == [0, 5, 11, 17, 20, 21]
    for row in rows:
        so_far = sum(range(int(row["step"]) + 1))
        assert row["loss"] == so_far and row["rate"] == 0.5
        assert row.get("held_out_loss", so_far) == so_far
    assert [int(row["step"]) for row in rows if "held_out_loss" in row] == [5, 11, 17, 21]


def test_it_goes_on_from_its_last_state(tmp_path: Path) -> None:
    first, then = _Counting(wrong=10), _Counting()
    with pytest.raises(TrainingDiverged, match="^loss not finite at step 10"):
        run(first.course(tmp_path, 22), first.draw, first.step)
    run(then.course(tmp_path, 22), then.draw, then.step)
    assert then.steps == list(range(8, 22))
    assert then.total() == sum(range(22))


def test_one_that_does_not_lead_writes_nothing(tmp_path: Path) -> None:
    it = _Counting()
    course = Course(tmp_path / "out", "counting", {}, {}, {}, "it", 5, 2, 2, leads=False)
    run(course, it.draw, it.step, it.evaluate)
    assert it.steps == list(range(5)) and not (tmp_path / "out").exists()


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    it = _Counting()

    def draw(number: int) -> float:
        if number == 3:
            raise OSError("the disk is gone")
        return 0.0

    with pytest.raises(OSError, match="the disk is gone"):
        run(it.course(tmp_path, 9), draw, it.step)
    assert it.steps == [0, 1, 2]
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


def test_late_numbers_are_read_a_step_late_but_for_those_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CUDA: in order, none is lost, and where one is due nothing has happened since."""
    monkeypatch.setattr(loop._Reading, "late", True)  # pyright: ignore[reportPrivateUsage]
    it = _Counting()
    seen = [
        (number, len(it.steps) - 1, values["loss"])
        for number, values in taken(it.draw, it.step, range(10), lambda number: number in (3, 6))
    ]
    assert [number for number, _, _ in seen] == list(range(10))
    assert [ahead - number for number, ahead, _ in seen] == [1, 1, 1, 0, 1, 1, 0, 1, 1, 0]
    assert [loss for _, _, loss in seen] == [sum(range(n + 1)) for n in range(10)]


def test_nothing_left_to_do(tmp_path: Path) -> None:
    it = _Counting()
    assert list(taken(it.draw, it.step, range(7, 7))) == [] and not it.steps
