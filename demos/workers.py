"""Many attempts on several processes, the same whatever their number: work is cut into fixed pieces.

A piece is a list of attempts at one arm and task that share a batch of environments; which attempts share a
batch is decided here, not by which process is free, so a killed and repeated run makes the same episodes.
"""

import math
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import InvalidStateError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import TypeVar

from demos.controller import Controller
from demos.episode import Episode
from demos.progress import progress
from demos.rollout import Attempt, rollout
from demos.store import EpisodeStore
from sim.env import ManipulationEnv
from sim.own import declare, files
from sim.randomisation import NOTHING, Randomisation

T = TypeVar("T")
R = TypeVar("R")
PIECE = 25  # attempts a piece
SIDE_BY_SIDE = 25  # environments a piece: a network's batch


class WorkerDied(OSError):
    """A worker process ended without a word: killed from outside, or for want of memory."""


@dataclass(frozen=True)
class Piece:
    """Attempts at one arm and task by one controller.

    Attributes:
        attempts: What to try.
        make: Makes the controller, in the process that does the work; must be picklable.
        store: Where the episodes go, or None to keep none.
        keep: How many of the piece's episodes are stored, the first by seed; None stores all. Those whose
            id the store has already are left as they are.
        randomise: How far the episodes' worlds differ.
        judge: Makes what judges each episode, in the process that does the work; must be picklable. None
            leaves the predicate's verdict.
        failures: Whether episodes that failed are stored too.
    """

    arm: str
    task: str
    size: int
    attempts: tuple[Attempt, ...]
    make: Callable[[], Controller[ManipulationEnv]]
    store: Path | None
    keep: int | None = None
    randomise: Randomisation = NOTHING
    judge: Callable[[], Callable[[Episode], Episode]] | None = None
    failures: bool = True


@dataclass(frozen=True)
class Ended:
    """What came of an attempt.

    Attributes:
        success: The outcome, whoever judged.
        held: Whether the predicate held at the end.
    """

    id: str
    arm: str
    task: str
    variation: str
    seed: int
    success: bool
    steps: int
    held: bool


def cut(attempts: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """Attempts in pieces."""
    for i in range(0, len(attempts), PIECE):
        yield tuple(attempts[i : i + PIECE])


@lru_cache(maxsize=2)
def _made(arm: str, task: str, size: int, randomise: Randomisation) -> list[ManipulationEnv]:
    """The environments that there are so far of a kind."""
    return []


def _environments(piece: Piece) -> list[ManipulationEnv]:
    """One for each attempt, at most as many as run side by side: few attempts need not wait for many."""
    made = _made(piece.arm, piece.task, piece.size, piece.randomise)
    count = min(SIDE_BY_SIDE, len(piece.attempts))
    while len(made) < count:
        made.append(ManipulationEnv(piece.arm, piece.task, size=piece.size, randomise=piece.randomise))
    return made[:count]


def work(piece: Piece) -> list[Ended]:
    """Makes a piece's attempts, stores the episodes in one commit, and says how they ended, by seed."""
    envs = _environments(piece)
    controller = piece.make()
    made = sorted(rollout(envs, controller, piece.attempts), key=lambda episode: episode.meta.provenance.seed)
    if piece.judge is not None:
        made = list(map(piece.judge(), made))
    if piece.store is not None:
        store = EpisodeStore(piece.store)
        kept = [e for e in made[: piece.keep] if piece.failures or e.succeeded]
        new = [e for e in kept if not (store.exists and e.id in store)]
        if new:
            store.commit_many(new)
    return [
        Ended(
            e.id,
            piece.arm,
            piece.task,
            e.meta.variation,
            e.meta.provenance.seed,
            e.succeeded,
            e.length,
            bool(e.success[-1]),
        )
        for e in made
    ]


def in_parallel(function: Callable[[T], R], pieces: Sequence[T], workers: int) -> Iterator[R]:
    """Results in the order of the pieces, from that many processes (1: this one).

    Raises:
        WorkerDied: If a process ended abruptly.
    """
    if workers <= 1 or len(pieces) <= 1:
        yield from map(function, pieces)
        return
    with processes(min(workers, len(pieces))) as pool:
        yield from pool.map(function, pieces)


@contextmanager
def processes(count: int) -> Generator[ProcessPoolExecutor]:
    """Worker processes, which end with this one however it ends, and at once if an error leaves the block.

    Raises:
        WorkerDied: If one of them ended abruptly.
    """
    others = set(active_children())
    with (
        _deaths_told_once(),
        ProcessPoolExecutor(count, get_context("spawn"), initializer=_begin, initargs=(files(),)) as pool,
    ):
        try:
            _start(pool, count)
            yield pool
        except BaseException as error:
            # Left to itself the pool would first finish what has begun, which may be an hour's training.
            for process in set(active_children()) - others:
                process.terminate()
            if isinstance(error, BrokenProcessPool):
                raise WorkerDied(
                    "a worker process was killed or ran out of memory; what was finished is kept: "
                    "run the same command again to go on, with fewer workers if memory is short"
                ) from None
            raise


@contextmanager
def _deaths_told_once() -> Generator[None]:
    """Keeps a pool's own thread from failing aloud at work that was called off when its processes ended.

    CPython 3.11 to 3.13 mark what is pending as failed without looking whether it was cancelled before.
    """
    before = threading.excepthook

    def heard(told: threading.ExceptHookArgs) -> None:
        if told.exc_type is not InvalidStateError:
            before(told)

    threading.excepthook = heard
    try:
        yield
    finally:
        threading.excepthook = before


def _start(pool: ProcessPoolExecutor, count: int) -> None:
    """Starts the processes and waits for a result: only from then on does the pool notice their deaths."""
    # Until it has begun, a worker that met Ctrl-C would show a traceback: it inherits that SIGINT waits.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        nothing = [pool.submit(abs, 0) for _ in range(count)]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    for future in nothing:
        future.result()


def _begin(own: Sequence[Path]) -> None:
    """In a fresh worker, before anything heavy is done; it then knows the user's own arms and tasks too."""
    os.environ["OMP_NUM_THREADS"] = "1"  # processes share the cores
    # Ctrl-C ends it at once; to say so is the first process's business.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for file in own:
        declare(file)


def _end_with_parent() -> None:
    """Ends this worker when the process that started it is gone: after a kill -9 nobody else would."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def run(
    pieces: Sequence[Piece],
    workers: int,
    description: str,
    told: Callable[[list[Ended]], object] | None = None,
) -> list[Ended]:
    """Makes all pieces' attempts with a progress bar.

    No more processes than there is work for are started: each takes seconds to load what it needs. What came
    of a piece is `told` as soon as it is done, in the order of the pieces.
    """
    ended: list[Ended] = []
    total = sum(len(piece.attempts) for piece in pieces)
    with progress(description, total) as advance:
        for results in in_parallel(work, pieces, min(workers, math.ceil(total / PIECE))):
            ended += results
            if told is not None:
                told(results)
            done = sum(result.success for result in ended)
            advance(len(results), note=f"{done}/{len(ended)} succeeded")
    return ended
