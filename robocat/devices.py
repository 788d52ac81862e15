"""Where an agent trains: on CUDA if there is some, else on the CPU."""

import torch
from torch import Tensor, nn

from robocat.agent import Window


def best() -> torch.device:
    """The device at hand."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights are."""
    return next(network.parameters()).device


def moved(window: Window, device: torch.device) -> Window:
    """A window there; itself, if it is there. From pinned memory it comes while other things are done."""
    parts: list[Tensor | None] = [
        None if part is None else part.to(device, non_blocking=True) for part in window
    ]
    return Window(*parts)  # pyright: ignore[reportArgumentType] those that may not be None are not
