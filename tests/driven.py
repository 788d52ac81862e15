"""A teleoperation server in this process, on a free port, for tests to speak to."""

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demos.store import EpisodeStore
from demos.teleop.guard import LOOPBACK, Guard
from demos.teleop.hub import Hub
from demos.teleop.server import LONGEST, application
from demos.teleop.session import Plan, Session
from sim.env import make

TOKEN = "a-token-of-the-tests"


@dataclass
class Driven:
    """What a test needs of a server."""

    port: int
    session: Session
    hub: Hub
    store: EpisodeStore

    @property
    def page(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.port}/{TOKEN}/"


@contextmanager
def driven(
    out: Path, arm: str = "panda", task: str = "lift", size: int = 32, **plan: Any
) -> Generator[Driven]:
    """Serves until the block ends."""
    import uvicorn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hub, store = Hub(), EpisodeStore(out)
    env = make(arm, task, size=size, control_hz=20)
    session = Session(
        env, store, Plan(**{"episodes": 5, "first_seed": 0, "limit_s": 60.0} | plan), hub.publish
    )
    hub.console = session.console
    config = uvicorn.Config(
        application(hub, Guard(LOOPBACK, port, TOKEN)),
        port=port,
        log_level="error",
        ws="websockets-sansio",
        ws_max_size=LONGEST,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    session.start()
    try:
        until(lambda: server.started and "task" in hub.frame.state)
        yield Driven(port, session, hub, store)
    finally:
        server.should_exit = True
        thread.join(10)
        session.close()


def until(holds: Callable[[], object], timeout_s: float = 20.0) -> None:
    """Waits for something to hold."""
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it did not come to hold in time")
        time.sleep(0.01)
