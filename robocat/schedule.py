"""What all trainings share: the learning rate's course, and stopping on numbers that are not finite."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch

from robocat.checkpoint import write_json


class TrainingDiverged(ValueError):
    """A loss that is not finite; the evidence is on disk."""


def learning_rate(step: int, steps: int, peak: float, warm_up: int, floor: float) -> float:
    """Linear warm-up over `warm_up` steps to `peak`, then a cosine that ends at `floor` times the peak."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    share = (step - warm_up) / max(1, steps - warm_up)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Sets the rate of every parameter group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def check_finite(losses: Mapping[str, float], folder: Path, step: int) -> None:
    """Stops a training whose numbers are no longer finite, leaving them in `<folder>/diverged.json`.

    Raises:
        TrainingDiverged: Naming the step and the losses.
    """
    wrong = [name for name, value in losses.items() if not math.isfinite(value)]
    if wrong:
        record = {"step": step, "losses": {name: repr(value) for name, value in losses.items()}}
        write_json(folder / "diverged.json", record)
        raise TrainingDiverged(
            f"{', '.join(wrong)} not finite at step {step}; see {folder / 'diverged.json'}, and resume from "
            f"{folder / 'resume'} with a lower learning rate"
        )
