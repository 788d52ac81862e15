"""Calls timed on a CPU or on CUDA, one by one: a mean, quantiles and every one of them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

LEAST, WARM_UP = 20, 3  # calls


@dataclass(frozen=True)
class Taken:
    """Seconds of calls, and what follows from them.

    Attributes:
        n: Calls.
        p50_ms: Median.
        p99_ms: 99th percentile.
        hz: Calls a second, by the mean.
        p99_hz: Calls a second that 99 % of the calls keep up with.
        seconds: Each, in order.
    """

    n: int
    p50_ms: float
    p99_ms: float
    hz: float
    p99_hz: float
    seconds: tuple[float, ...]


def timed(call: Callable[[], object], device: torch.device, seconds: float) -> Taken:
    """Calls again and again; the first calls, in which things are compiled and allocated, do not count."""

    def once() -> float:
        started = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    for _ in range(WARM_UP):
        once()
    each: list[float] = []
    while len(each) < LEAST or sum(each) < seconds:
        each.append(once())
    return taken_of(each)


def intervals(steps: Iterator[object], seconds: float) -> Taken:
    """What passes from one step to the next, as `timed`; only what they wait for is waited for."""
    for _ in range(WARM_UP):
        next(steps)
    each, before = list[float](), time.perf_counter()
    while len(each) < LEAST or sum(each) < seconds:
        next(steps)
        each.append((now := time.perf_counter()) - before)
        before = now
    return taken_of(each)


def taken_of(seconds: Sequence[float]) -> Taken:
    """What follows from the seconds of calls."""
    p50, p99 = np.percentile(seconds, [50, 99])
    mean = float(np.mean(seconds))
    return Taken(len(seconds), 1e3 * float(p50), 1e3 * float(p99), 1 / mean, float(1 / p99), tuple(seconds))
