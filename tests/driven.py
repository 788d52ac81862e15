"""Servers in this process, on free ports, for tests to speak to."""

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


def until(holds: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Waits for something to hold."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it did not come to hold in time")
        time.sleep(0.01)
