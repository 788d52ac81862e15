"""Demonstrations by scripted experts into a store.

For example:

    robocat collect --arms panda --tasks lift --episodes 100 --out runs/demos
"""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from demos.expert import SILENT, Expert, Noise
from demos.rollout import Attempt
from demos.store import EpisodeStore
from demos.workers import Ended, Piece, cut, run
from sim.arms import find_arm
from sim.names import pick
from sim.tasks import find_task


@dataclass(frozen=True)
class Collection:
    """Demonstrations by scripted experts.

    Attributes:
        arms: Names of arms.
        tasks: Names of tasks.
        episodes: Episodes for each arm and task.
        first_seed: Seeds count up from here.
        size: Height and width of the images [px].
        noise: How executed actions stray from the experts'.
    """

    arms: tuple[str, ...] = ("panda", "sawyer", "ur5e")
    tasks: tuple[str, ...] = ("reach", "push", "lift", "stack")
    episodes: int = 300
    first_seed: int = 0
    size: int = 64
    noise: Noise = field(default_factory=Noise)


# What each preset of a cycle collects; `robocat/presets.py` says the rest.
COLLECTIONS: dict[str, Collection] = {
    "debug": Collection(arms=("panda", "ur5e"), tasks=("reach", "lift"), episodes=4, size=32),
    "nano": Collection(),
}


@dataclass(frozen=True)
class Seeds:
    """A range of seeds."""

    first: int
    count: int


def collect(
    *,
    preset: str = "nano",
    arms: tuple[str, ...] | None = None,
    tasks: tuple[str, ...] | None = None,
    episodes: int | None = None,
    first_seed: int | None = None,
    size: int | None = None,
    noise: bool = True,
    out: Path = Path("runs/demos"),
    workers: int = 2,
) -> None:
    """Records demonstrations by the scripted experts; what is there already is not made again.

    Args:
        preset: What to collect where nothing else is said: "nano" or "debug".
        arms: Arms, see `robocat arms`.
        tasks: Tasks, see `robocat tasks`.
        episodes: Episodes for each arm and task; variations come in turn.
        first_seed: Seeds count up from here.
        size: Image size [px].
        noise: Whether executed actions stray from the expert's, so that recoveries are in the data.
        out: The store.
        workers: Processes.
    """
    said = {"arms": arms, "tasks": tasks, "episodes": episodes, "first_seed": first_seed, "size": size}
    given: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    plan = replace(pick(COLLECTIONS, preset, "preset"), **given)
    ended = collect_experts(
        out,
        plan.arms,
        plan.tasks,
        seeds=Seeds(plan.first_seed, plan.episodes),
        noise=plan.noise if noise else SILENT,
        size=plan.size,
        workers=workers,
        description="demonstrations",
    )
    done = sum(result.success for result in ended)
    made = f"{len(ended)} new episodes, {done} successful" if ended else "nothing new"
    print(f"{out}: {made}; {len(EpisodeStore(out))} in all")


def collect_experts(
    store: Path,
    arms: tuple[str, ...],
    tasks: tuple[str, ...],
    *,
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
    if workers < 1:
        raise ValueError(f"workers {workers} is out of range; expected at least 1")
    cells = [(arm, task) for arm in arms for task in tasks]
    pieces = [piece for cell in cells for piece in expert_pieces(store, cell, seeds, noise, size)]
    return run(pieces, workers, description) if pieces else []


def expert_pieces(store: Path, cell: tuple[str, str], seeds: Seeds, noise: Noise, size: int) -> list[Piece]:
    """The expert's attempts at an arm and task that the store lacks; variations come in turn.

    Raises:
        ValueError: If the arm or task is unknown, or there are no seeds.
    """
    arm, task = find_arm(cell[0]), find_task(cell[1])
    if seeds.count < 1:
        raise ValueError(f"episodes {seeds.count} is out of range; expected at least 1")
    episodes = EpisodeStore(store)
    entries = episodes.entries() if episodes.exists else []
    have = {entry.seed for entry in entries if (entry.arm, entry.task) == (arm.name, task.name)}
    attempts = [
        Attempt(seeds.first + i, task.variations[i % len(task.variations)])
        for i in range(seeds.count)
        if seeds.first + i not in have
    ]
    make = partial(Expert, noise)
    return [Piece(arm.name, task.name, size, part, make, store) for part in cut(attempts)]
