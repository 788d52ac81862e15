"""A batch on its way to an agent: drawn, dealt to processes, sent to the device, cut into portions."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from robocat.agent import Window
from robocat.agent_config import AgentConfig
from robocat.config import Training
from robocat.mixture import Mixture
from robocat.objective import Part


class Batch(NamedTuple):
    """What one optimiser step learns from.

    Attributes:
        seed: Of what is random in the network.
        parts: Windows by arm, in an order of no meaning.
        windows: How many there are, whichever process has them.
    """

    seed: int
    parts: list[Part]
    windows: int


def draw_batch(
    mixture: Mixture, training: Training, config: AgentConfig, rng: np.random.Generator, device: torch.device
) -> Batch:
    """Draws a batch; the generator decides everything. For CUDA it is in pinned memory."""
    seed = int(rng.integers(2**31))
    how = training.batch, config.future_steps, training.hindsight
    parts = mixture.draw(rng, *how) if training.packed else [mixture.draw_alike(rng, *how)]
    if device.type == "cuda":
        parts = [(body, _each(window, Tensor.pin_memory)) for body, window in parts]
    return Batch(seed, parts, windows_of(parts))


def dealt(parts: Sequence[Part], first: int, count: int) -> list[Part]:
    """Every `count`-th window of a batch from number `first` on, counted over all arms."""
    own: list[Part] = []
    before = 0
    for body, window in parts:
        start, windows = (first - before) % count, len(window.proprio)
        before += windows
        if start < windows:
            own.append((body, _each(window, lambda rows, start=start: rows[start::count])))
    return own


def portions(parts: Sequence[Part], most: int) -> list[list[Part]]:
    """A batch in the fewest portions of at most so many windows, all mixed alike; 0 sets no bound."""
    count = -(-windows_of(parts) // most) if most else 1
    return [dealt(parts, first, count) for first in range(count)]


def windows_of(parts: Sequence[Part]) -> int:
    """How many windows there are."""
    return sum(len(window.proprio) for _, window in parts)


def _each(window: Window, change: Callable[[Tensor], Tensor]) -> Window:
    return Window(*(None if part is None else change(part) for part in window))  # pyright: ignore
