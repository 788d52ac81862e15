"""Where an agent trains and acts, and a tokeniser: on CUDA if there is some, else on the CPU.

Each process has a context of its own on a GPU, half a gigabyte without anything in it, its own copy of every
network, and takes turns with the others: work of two processes does not run at the same time. So processes
that act beside one another share what there is, each with its batch of environments, and more of them help
only as long as physics and pictures take longer than the network. Worker processes are spawned, never forked,
as CUDA asks for.
"""

import torch
from torch import Tensor, nn

from robocat.agent import Agent, Window


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


def fit_to_act(agent: Agent, device: torch.device) -> Agent:
    """The agent itself, moved there and fit to act: not to be trained any more.

    On CUDA its weights are rounded to bfloat16, in which the larger presets are trained there, and steps of
    one token are captured as graphs, so that the first decisions wait for the compiler. On a CPU nothing
    changes.
    """
    agent = agent.to(device).eval()
    if device.type == "cuda":
        agent = agent.to(torch.bfloat16)
        agent.trunk.capture()
    return agent
