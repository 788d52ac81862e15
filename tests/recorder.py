"""A process that records episodes until it is killed; run as `python -m tests.recorder`.

It reads one JSON order per line: the arguments of a recorder, for which it forks, so that one starts at once
and takes nothing with it when it dies; or "reap", to wait for the next one's end. It prints "<pid> <word>"
lines: `started`, the id of each episode whose commit returned, `finished` or `failed: ...`, and for what it
reaped `dead`. It imports neither MuJoCo nor torch.
"""

import functools
import itertools
import json
import os
import signal
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # The package without its __init__, which may import more than recording needs.
    _demos = types.ModuleType("demos")
    _demos.__path__ = [str(Path(__file__).parents[1] / "demos")]
    sys.modules["demos"] = _demos

import fcntl

import numpy as np

from demos.episode import Episode
from demos.store import EpisodeStore
from tests.fakes import fake_episode

# Every call into the kernel that writing a store makes.
CALLS = ("open", "write", "fsync", "rename", "mkdir", "unlink", "ftruncate", "close")


@functools.cache
def recorded(number: int, writer: int = 0) -> Episode:
    """The episode that a writer records as its nth; always the same."""
    rng = np.random.default_rng([writer, number])
    arm = ("panda", "sawyer", "ur5e")[number % 3]
    return fake_episode(rng, steps=2, size=4, arm=arm, task=f"task{writer}", seed=number)


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if order == "reap":
            _say("dead", os.wait()[0])
        elif os.fork() == 0:
            try:
                _record(**order)
            except BaseException as error:
                _say("failed: " + " ".join(str(error).split()))
            finally:
                os._exit(1)


def _record(path: str, writer: int, start: int, count: int, die_at: int) -> None:
    """Commits `count` episodes, one by one and in batches, or kills itself before the `die_at`th call."""
    episodes = [recorded(number, writer) for number in range(start, start + count)]
    _say("started")
    if die_at:
        _count_calls(die_at)
    store = EpisodeStore(path)
    batches = itertools.cycle([1, 3, 1])
    while episodes:
        batch, episodes = episodes[: (size := next(batches))], episodes[size:]
        for entry in store.commit_many(batch) if size > 1 else [store.commit(batch[0])]:
            _say(entry.id)
    _say("finished")
    os._exit(0)


def _say(word: str, pid: int | None = None) -> None:
    REAL["write"](1, f"{pid or os.getpid()} {word}\n".encode())  # short enough to be written in one piece


def _count_calls(die_at: int) -> None:
    """Kills this process before its nth call into the kernel; a write is done by half first."""
    calls = itertools.count(1)

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if next(calls) == die_at:
                if name == "write":
                    real(args[0], args[1][: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        return call

    for name, real in REAL.items():
        setattr(os, name, counted(name, real))
    setattr(fcntl, "flock", counted("flock", fcntl.flock))  # noqa: B010 what is replaced is a function


REAL: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in CALLS}

if __name__ == "__main__":
    main()
