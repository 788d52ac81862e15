"""Two trainings at once, one core each: for networks this small, twice the speed of one after the other."""

import os
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

from demos.progress import progress
from demos.workers import processes
from robocat.agent_checkpoint import AgentCard
from robocat.agent_config import AgentConfig
from robocat.checkpoint import finished
from robocat.config import Training
from robocat.data import Data
from robocat.metrics import read_metrics
from robocat.threads import one_thread
from robocat.train import train

POLL_S = 1.0


@dataclass(frozen=True)
class Job:
    """The arguments of a training, see `robocat.train.train`."""

    data: Data
    out: Path
    config: AgentConfig
    training: Training
    card: AgentCard
    seed: int
    parent: Path | None = None


def train_side_by_side(jobs: list[Job], workers: int) -> None:
    """Runs trainings in processes of their own, with one progress bar.

    An error in one is raised here at once and ends the others, which go on from their last state next time.

    Raises:
        WorkerDied: If a process ended abruptly.
    """
    todo = [job for job in jobs if not finished(job.out)]
    if not todo:
        return
    names = " and ".join(job.card.name for job in todo)
    with (
        processes(min(workers, len(todo))) as pool,
        progress(names, sum(job.training.steps for job in todo)) as advance,
    ):
        waiting: set[Future[None]] = {pool.submit(_train_alone, job) for job in todo}
        shown = 0
        while waiting:
            done, waiting = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()
            reached = sum(_reached(job) for job in todo)
            advance(max(0, reached - shown))
            shown = max(shown, reached)


def _reached(job: Job) -> int:
    """Steps a training has logged."""
    if finished(job.out):
        return job.training.steps
    rows = read_metrics(job.out) if (job.out / "metrics.jsonl").exists() else []
    return int(rows[-1]["step"]) if rows else 0


def _train_alone(job: Job) -> None:
    """In a process of its own: one thread, and the progress of its own bar goes to a file."""
    job.out.mkdir(parents=True, exist_ok=True)
    with (job.out / "training.log").open("a") as log, redirect_stderr(log), one_thread():
        log.write(f"{time.strftime('%F %T')} process {os.getpid()}\n")
        train(job.data, job.out, job.config, job.training, job.card, seed=job.seed, parent=job.parent)
