"""Many attempts on several processes, the same whatever their number: work is cut into fixed pieces.

A piece is a list of attempts at one arm and task that share a batch of environments; which attempts share a
batch is decided here, not by which process is free, so a killed and repeated run makes the same episodes.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from demos.controller import Controller
from demos.progress import progress
from demos.rollout import Attempt, rollout
from demos.store import EpisodeStore
from sim.env import ManipulationEnv

T = TypeVar("T")
R = TypeVar("R")
PIECE = 25  # attempts a piece
SIDE_BY_SIDE = 25  # environments a piece: a network's batch


@dataclass(frozen=True)
class Piece:
    """Attempts at one arm and task by one controller.

    Attributes:
        attempts: What to try.
        make: Makes the controller, in the process that does the work; must be picklable.
        store: Where the episodes go, or None to keep none.
        keep: How many of the piece's episodes are stored, the first by seed; None stores all.
    """

    arm: str
    task: str
    size: int
    attempts: tuple[Attempt, ...]
    make: Callable[[], Controller]
    store: Path | None
    keep: int | None = None


@dataclass(frozen=True)
class Ended:
    """What came of an attempt."""

    id: str
    arm: str
    task: str
    variation: str
    seed: int
    success: bool
    steps: int


def cut(attempts: Sequence[Attempt]) -> Iterator[tuple[Attempt, ...]]:
    """Attempts in pieces."""
    for i in range(0, len(attempts), PIECE):
        yield tuple(attempts[i : i + PIECE])


@lru_cache(maxsize=2)
def _environments(arm: str, task: str, size: int) -> tuple[ManipulationEnv, ...]:
    return tuple(ManipulationEnv(arm, task, size=size) for _ in range(SIDE_BY_SIDE))


def work(piece: Piece) -> list[Ended]:
    """Makes a piece's attempts, stores the episodes in one commit, and says how they ended, by seed."""
    envs = _environments(piece.arm, piece.task, piece.size)
    controller = piece.make()
    episodes = sorted(rollout(envs, controller, piece.attempts), key=lambda episode: episode.meta.provenance.seed)
    if piece.store is not None:
        EpisodeStore(piece.store).commit_many(episodes if piece.keep is None else episodes[: piece.keep])
    return [
        Ended(e.id, piece.arm, piece.task, e.meta.variation, e.meta.provenance.seed, e.succeeded, e.length)
        for e in episodes
    ]


def in_parallel(function: Callable[[T], R], pieces: Sequence[T], workers: int) -> Iterator[R]:
    """Results in the order of the pieces, from that many processes (1: this one)."""
    if workers <= 1 or len(pieces) <= 1:
        yield from map(function, pieces)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_one_thread) as pool:
        yield from pool.map(function, pieces)


def run(pieces: Sequence[Piece], workers: int, description: str) -> list[Ended]:
    """Makes all pieces' attempts with a progress bar."""
    ended: list[Ended] = []
    with progress(description, sum(len(piece.attempts) for piece in pieces)) as advance:
        for results in in_parallel(work, pieces, workers):
            ended += results
            done = sum(result.success for result in ended)
            advance(len(results), note=f"{done}/{len(ended)} succeeded")
    return ended


def _one_thread() -> None:
    """Processes share the cores: each keeps its linear algebra to one thread."""
    import os  # noqa: PLC0415 - runs in a fresh process, before anything heavy is imported

    os.environ["OMP_NUM_THREADS"] = "1"
