"""The loop that every training is: steps from where one was interrupted, logged, checked and kept.

A step number goes in, numbers come out; all that is random hangs on the step number, so that a training which
goes on from a state ends as one that was never interrupted: on a CPU bit for bit, while kernels of CUDA may
sum in another order each time.
"""

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from demos.progress import progress
from robocat.checkpoint import Models, Optimisers, load_state, save_state
from robocat.metrics import Metrics
from robocat.schedule import check_finite

T = TypeVar("T")
Values = Mapping[str, Tensor | float]  # scalars by name
LOG_EVERY = 20  # steps


@dataclass(frozen=True)
class Course:
    """What a training is called, what it goes on from, and when what is done.

    Attributes:
        out: Folder of the checkpoint.
        name: What metrics and progress are headed with.
        settings: What metrics are shown beside.
        models: Networks by name.
        optimisers: Their optimisers.
        identity: Hash of what is trained on what: nothing else may go on from its state.
        steps: Optimiser steps.
        checkpoint_every: Steps between states.
        evaluate_every: Steps between evaluations; the last step is evaluated as well. 0 has none.
        leads: Whether this process evaluates, logs and writes.
    """

    out: Path
    name: str
    settings: Mapping[str, Any]
    models: Models
    optimisers: Optimisers
    identity: str
    steps: int
    checkpoint_every: int
    evaluate_every: int = 0
    leads: bool = True

    def last(self, number: int) -> bool:
        """Whether it ends with a step."""
        return number + 1 == self.steps

    def evaluated(self, number: int) -> bool:
        """Whether there is an evaluation after a step."""
        every = self.evaluate_every
        return every > 0 and ((number + 1) % every == 0 or self.last(number))

    def kept(self, number: int) -> bool:
        """Whether the state after a step is written."""
        return (number + 1) % self.checkpoint_every == 0


def run(
    course: Course,
    draw: Callable[[int], T],
    step: Callable[[int, T], Values],
    evaluate: Callable[[], Mapping[str, float]] = dict,
) -> None:
    """Takes all steps that are still to be taken.

    Args:
        course: What is trained, and how long.
        draw: What a step of this number learns from; called in a thread, while the step before is computed.
        step: Takes a step of this number with that; the value it names first is shown.
        evaluate: More numbers, where they are due.

    Raises:
        CheckpointError: If what is in the folder is of another training.
        TrainingDiverged: If a number is not finite, before such a state is written. On CUDA the step after it
            may have been taken.
    """
    start = load_state(course.out, course.models, course.optimisers, course.identity, course.steps)

    def due(number: int) -> bool:
        return number % LOG_EVERY == 0 or course.evaluated(number) or course.kept(number)

    with _watched(course, start) as log, closing(taken(draw, step, range(start, course.steps), due)) as steps:
        for number, values in steps:
            check_finite(values, course.out, number)
            if not course.leads:
                continue
            more = evaluate() if course.evaluated(number) else {}
            log(number, values, more)
            if course.kept(number):
                save_state(course.out, number + 1, course.models, course.optimisers, course.identity)


def taken(
    draw: Callable[[int], T],
    step: Callable[[int, T], Values],
    numbers: range,
    due: Callable[[int], bool] = lambda number: False,
) -> Generator[tuple[int, dict[str, float]]]:
    """Takes steps and gives the numbers of each, in order.

    CUDA computes on its own, and is waited for as little as can be: the numbers of a step are read once the
    next one is on its way, but for steps that are due, after which nothing else has happened when they come.
    """
    unread: list[tuple[int, _Reading]] = []
    with closing(_ahead(draw, numbers)) as coming:
        for number, drawn in coming:
            unread.append((number, _Reading(step(number, drawn))))
            left = 1 if unread[-1][1].late and not due(number) and number + 1 in numbers else 0
            while len(unread) > left:
                earliest, reading = unread.pop(0)
                yield earliest, reading.read()


def _ahead(draw: Callable[[int], T], numbers: range) -> Generator[tuple[int, T]]:
    """What is drawn for each number, in a thread, while the one before is worked on."""
    with ThreadPoolExecutor(1) as thread:
        coming = None
        for number in numbers:
            drawn = coming.result() if coming else draw(number)
            coming = thread.submit(draw, number + 1) if number + 1 in numbers else None
            yield number, drawn


class _Reading:
    """Numbers on their way from where they were computed, all in one copy."""

    def __init__(self, values: Values) -> None:
        self._values = dict(values)
        sent = [value.detach().double() for value in values.values() if isinstance(value, Tensor)]
        numbers = torch.stack(sent) if sent else torch.zeros(0)
        self._numbers = numbers.to("cpu", non_blocking=True)  # from CUDA to pinned memory
        self._there = torch.cuda.Event() if numbers.is_cuda else None
        if self._there:
            self._there.record()

    @property
    def late(self) -> bool:
        """Whether they are still to be waited for."""
        return self._there is not None

    def read(self) -> dict[str, float]:
        if self._there:
            self._there.synchronize()
        read = iter(self._numbers.tolist())
        return {
            name: next(read) if isinstance(value, Tensor) else value for name, value in self._values.items()
        }


@contextmanager
def _watched(
    course: Course, start: int
) -> Generator[Callable[[int, Mapping[str, float], Mapping[str, float]], None]]:
    """Metrics and a progress bar of the leading process: what feeds both with a step and its numbers."""
    if not course.leads:
        yield lambda number, values, more: None
        return
    with (
        Metrics(course.out, course.name, course.settings, resume_step=start) as metrics,
        progress(course.name, course.steps) as advance,
    ):
        advance(start)

        def log(number: int, values: Mapping[str, float], more: Mapping[str, float]) -> None:
            if number % LOG_EVERY == 0 or more or course.last(number):
                metrics.log(number, {**values, **more})
            advance(1, note=f"loss {next(iter(values.values())):.3f}")

        yield log
