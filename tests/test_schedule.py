"""What both training loops share: the learning rate, and stopping on what is not finite."""

import json
import math
from pathlib import Path

import pytest
import torch

from robocat.schedule import TrainingDiverged, check_finite, learning_rate, set_learning_rate


def _rate(step: int, steps: int = 1100, warm_up: int = 100) -> float:
    return learning_rate(step, steps, 2.0, warm_up, 0.1)


def test_warm_up_is_linear_from_the_first_step() -> None:
    assert _rate(0) == pytest.approx(0.02)
    assert _rate(49) == pytest.approx(1.0)
    assert _rate(99) == pytest.approx(2.0)


def test_then_half_a_cosine_down_to_the_floor() -> None:
    assert _rate(100) == pytest.approx(2.0)
    assert _rate(600) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))  # half-way
    assert _rate(350) == pytest.approx(2.0 * (0.1 + 0.9 * 0.5 * (1 + math.sqrt(0.5))))
    assert _rate(1100) == pytest.approx(0.2)
    assert _rate(5000) == pytest.approx(0.2)


def test_it_never_rises_after_the_warm_up() -> None:
    rates = [_rate(step) for step in range(1101)]
    assert all(a < b for a, b in zip(rates[:100], rates[1:100], strict=False))
    assert all(a >= b for a, b in zip(rates[100:], rates[101:], strict=False))
    assert min(rates[100:]) >= 0.2


def test_no_warm_up_and_a_single_step() -> None:
    assert _rate(0, warm_up=0) == pytest.approx(2.0)
    assert _rate(0, steps=1, warm_up=0) == pytest.approx(2.0)


def test_every_group_gets_the_rate() -> None:
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    optimiser = torch.optim.AdamW([{"params": [weight]} for weight in weights], lr=1.0)
    set_learning_rate(optimiser, 0.25)
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]


def test_finite_numbers_pass(tmp_path: Path) -> None:
    check_finite({"loss": 1e30, "norm": 0.0}, tmp_path, 3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_others_stop_with_evidence(tmp_path: Path, wrong: float) -> None:
    with pytest.raises(TrainingDiverged, match=r"^norm not finite at step 7; see .*diverged.json") as stopped:
        check_finite({"loss": 0.5, "norm": wrong}, tmp_path, 7)
    assert "\n" not in str(stopped.value)
    evidence = json.loads((tmp_path / "diverged.json").read_text())
    assert evidence == {"step": 7, "losses": {"loss": "0.5", "norm": repr(wrong)}}
