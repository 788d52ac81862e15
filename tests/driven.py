"""A teleoperation server in this process, on a free port, for tests to speak to."""

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demos.store import EpisodeStore
from demos.teleop.server import Address, Service
from demos.teleop.session import Plan
from sim.env import make


def free_port() -> int:
    """A port of this machine that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def driven(
    out: Path, arm: str = "panda", task: str = "lift", size: int = 32, **plan: Any
) -> Generator[Service]:
    """Serves on loopback until the block ends."""
    env = make(arm, task, size=size, control_hz=20)
    settings = Plan(**{"episodes": 5, "first_seed": 0, "limit_s": 60.0} | plan)
    service = Service(env, EpisodeStore(out), settings, Address(port=free_port()))
    thread = threading.Thread(target=service.server.run, args=([service.socket],), daemon=True)
    thread.start()
    service.session.start()
    try:
        until(lambda: service.server.started and "task" in service.hub.frame.state)
        yield service
    finally:
        service.server.should_exit = True
        thread.join(10)
        service.close()


def until(holds: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Waits for something to hold."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it did not come to hold in time")
        time.sleep(0.01)
