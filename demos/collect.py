"""Demonstrations by scripted experts into a store.

    robocat collect --arms panda --tasks lift --episodes 100 --out runs/demos
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from demos.expert import SILENT, Expert, Noise
from demos.rollout import Attempt
from demos.store import EpisodeStore
from demos.workers import Ended, Piece, cut, run
from sim.arms import ARMS, find_arm
from sim.tasks import TASKS, find_task


@dataclass(frozen=True)
class Seeds:
    """A range of seeds."""

    first: int
    count: int


def collect(
    arms: tuple[str, ...] = ("panda", "sawyer", "ur5e"),
    tasks: tuple[str, ...] = ("reach", "push", "lift", "stack"),
    episodes: int = 300,
    out: Path = Path("runs/demos"),
    first_seed: int = 0,
    size: int = 64,
    noise: bool = True,
    workers: int = 2,
) -> None:
    """Records demonstrations by the scripted experts; what is there already is not made again.

    Args:
        arms: Arms, see `robocat arms`.
        tasks: Tasks, see `robocat tasks`.
        episodes: Episodes for each arm and task; variations come in turn.
        out: The store.
        first_seed: Seeds count up from here.
        size: Image size [px].
        noise: Whether executed actions stray from the expert's, so that recoveries are in the data.
        workers: Processes.
    """
    ended = collect_experts(
        out, arms, tasks, Seeds(first_seed, episodes), Noise() if noise else SILENT, size, workers, "demonstrations"
    )
    done = sum(result.success for result in ended)
    made = f"{len(ended)} new episodes, {done} successful" if ended else "nothing new"
    print(f"{out}: {made}; {len(EpisodeStore(out))} in all")


def collect_experts(  # noqa: PLR0917 - the verb and the cycle name every argument
    store: Path,
    arms: tuple[str, ...],
    tasks: tuple[str, ...],
    seeds: Seeds,
    noise: Noise,
    size: int,
    workers: int,
    description: str,
) -> list[Ended]:
    """Makes the expert episodes that the store lacks; returns those made now.

    Raises:
        ValueError: If an arm or task is unknown, or a number is below 1.
    """
    for name in arms:
        find_arm(name)
    for name in tasks:
        find_task(name)
    if seeds.count < 1 or workers < 1:
        raise ValueError(f"episodes {seeds.count} and workers {workers} must both be at least 1")
    have = {(e.arm, e.task, e.seed) for e in EpisodeStore(store).entries()} if (store / "manifest.jsonl").exists() else set()
    pieces: list[Piece] = []
    for arm in arms:
        for task in tasks:
            variations = TASKS[task].variations
            attempts = [
                Attempt(seed, variations[(seed - seeds.first) % len(variations)])
                for seed in range(seeds.first, seeds.first + seeds.count)
                if (arm, task, seed) not in have
            ]
            make = partial(Expert, noise)
            pieces += [Piece(ARMS[arm].name, task, size, attempts_, make, store) for attempts_ in cut(attempts)]
    return run(pieces, workers, description) if pieces else []
