"""Servers in this process, on free ports, for tests to speak to."""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demos.controller import Controller
from demos.environment import Environment
from demos.store import EpisodeStore
from demos.teleop.server import Service
from demos.teleop.session import Plan
from demos.web.local_server import Address, LocalServer
from sim.env import make
from sim.tasks.task import Task


def free_address() -> Address:
    """An address on loopback that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Address(port=free.getsockname()[1])


@contextmanager
def driven(
    out: Path,
    arm: str = "panda",
    task: str | Task = "lift",
    size: int = 32,
    helper: Controller[Environment] | None = None,
    **plan: Any,
) -> Generator[Service]:
    """Teleoperation, served on loopback until the block ends."""
    env = make(arm, task, size=size, control_hz=20)
    settings = Plan(**{"episodes": 5, "first_seed": 0, "limit_s": 60.0} | plan)
    service = Service(env, EpisodeStore(out), settings, free_address(), helper)
    try:
        with served(service.web):
            service.session.start()
            until(lambda: "task" in service.hub.frame.state)
            yield service
    finally:
        service.close()


@contextmanager
def served(web: LocalServer) -> Generator[LocalServer]:
    """Runs a server in a thread until the block ends."""
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    try:
        until(lambda: web.server.started)
        yield web
    finally:
        web.server.should_exit = True
        thread.join(10)
        web.close()


def at_rest(service: Service, within_m: float = 0.08) -> list[float]:
    """Where the tool comes to rest [m], which is near where it is now.

    One that nothing stops rests too, but at the workspace's edge. Rest is that no tick of seven running moves
    it by a millimetre in all: ticks are counted, not seconds, as those of a busy machine come late.

    Args:
        service: A sitting that has a scene to show.
        within_m: How far it may still go: what a message takes to arrive, and the arm to settle.
    """
    start, frames = service.hub.frame.state["tools_m"][0], deque([service.hub.frame], maxlen=7)

    def still() -> bool:
        if service.hub.frame is not frames[-1]:
            frames.append(service.hub.frame)
        seen = np.array([frame.state["tools_m"][0] for frame in frames])
        assert np.linalg.norm(seen[-1] - start) < within_m, f"it goes on: from {start} to {seen[-1]}"
        return len(seen) == frames.maxlen and bool(np.ptp(seen, axis=0).max() < 1e-3)

    until(still)
    return frames[-1].state["tools_m"][0]


def keeps_the_beat(periods_s: NDArray[np.float64], cadence: dict[str, float]) -> bool:
    """Whether steps keep to 20 Hz: none hurries, and they come in time where the loop says that it was.

    Args:
        periods_s: From each step to the next.
        cadence: What the loop said of its ticks; a busy machine has many late ones, and is asked no more.
    """
    middle, busy = float(np.median(periods_s)), cadence["late"] > cadence["ticks"] / 4
    return 0.04 < middle and (busy or middle < 0.06)


def until(holds: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Waits for something to hold."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it did not come to hold in time")
        time.sleep(0.01)
