"""Demonstrations by scripted experts into a store.

For example:

    robocat collect --arms panda --tasks lift --episodes 100 --out runs/mine/stores/demos
"""

from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from demos.episode import episode_id
from demos.expert import SILENT, Expert, Noise
from demos.locks import alone_with
from demos.rollout import Attempt
from demos.store import EpisodeStore
from demos.workers import Ended, Piece, cut, run
from sim.arms import find_arm
from sim.arms.arm import Arm
from sim.names import pick
from sim.own import arm_names, task_names
from sim.randomisation import NOTHING, Randomisation, find_randomisation
from sim.tasks import find_task, refuse_held_out
from sim.tasks.task import Task


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
        randomise: How far the episodes' worlds differ; not at all unless said.
        held_out: Whether tasks that are held out may be among them: for goal images, and to measure experts.
    """

    arms: tuple[str, ...] = ("panda", "sawyer", "ur5e")
    tasks: tuple[str, ...] = ("reach", "push", "lift", "stack")
    episodes: int = 600
    first_seed: int = 0
    size: int = 64
    noise: Noise = field(default_factory=Noise)
    randomise: Randomisation = NOTHING
    held_out: bool = False

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Every arm and task."""
        return list(product(self.arms, self.tasks))


# What each preset of a cycle collects; `robocat/presets.py` says the rest.
COLLECTIONS: dict[str, Collection] = {
    "debug": Collection(arms=("panda", "ur5e"), tasks=("reach", "lift"), episodes=4, size=32),
    "nano": Collection(),
}


def collect(
    *,
    preset: str = "nano",
    arms: tuple[str, ...] | None = None,
    tasks: tuple[str, ...] | None = None,
    episodes: int | None = None,
    first_seed: int | None = None,
    size: int | None = None,
    noise: bool = True,
    randomise: str = "none",
    held_out: bool = False,
    out: Path = Path("runs/cycle/stores/demos"),
    workers: int = 2,
) -> None:
    """Records demonstrations by the scripted experts; what is there already is not made again.

    Args:
        preset: What to collect where nothing else is said: "nano" or "debug".
        arms: Arms, see `robocat arms`, or files that declare some.
        tasks: Tasks, see `robocat tasks`, or files that declare some.
        episodes: Episodes for each arm and task; variations come in turn.
        first_seed: Seeds count up from here.
        size: Image size [px].
        noise: Whether executed actions stray from the expert's, so that recoveries are in the data.
        randomise: Whether the worlds' looks and physics differ from episode to episode: "none", "moderate".
        held_out: Collect tasks that are held out all the same: for goal images, in a store of their own.
        out: The store.
        workers: Processes.
    """
    arms, tasks = arms and arm_names(arms), tasks and task_names(tasks)
    said = {"arms": arms, "tasks": tasks, "episodes": episodes, "first_seed": first_seed, "size": size}
    given: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    plan = replace(pick(COLLECTIONS, preset, "preset"), held_out=held_out, **given)
    plan = replace(plan, randomise=find_randomisation(randomise))
    plan = plan if noise else replace(plan, noise=SILENT)
    _named(plan)
    with alone_with(out, "collect"):
        ended = collect_experts(out, plan, workers, "demonstrations")
    done = sum(result.success for result in ended)
    made = f"{len(ended)} new episodes, {done} successful" if ended else "nothing new"
    print(f"{out}: {made}; {len(EpisodeStore(out))} in all")


def collect_experts(store: Path, plan: Collection, workers: int, description: str) -> list[Ended]:
    """Makes the expert episodes that the store lacks; returns those made now.

    Raises:
        ValueError: If an arm or task is unknown, a task is held out, or a number is below 1.
    """
    if workers < 1:
        raise ValueError(f"workers {workers} is out of range; expected at least 1")
    pieces = expert_pieces(store, plan)
    return run(pieces, workers, description) if pieces else []


def expert_pieces(store: Path, plan: Collection) -> list[Piece]:
    """The experts' attempts that the store lacks; variations come in turn.

    Raises:
        ValueError: If an arm or task is unknown, a task is held out and the plan does not say that it may be,
            or there are no episodes.
    """
    arms, tasks = _named(plan)
    episodes = EpisodeStore(store)
    ranges = None if plan.randomise == NOTHING else plan.randomise
    have: set[object] = set()
    for e in episodes.entries() if episodes.exists else ():
        # The same attempt in another world is another one, which its id tells.
        who = (e.controller, e.policy, e.generation, e.seed)
        if episode_id(e.arm, e.task, e.variation, *who, ranges) == e.id:
            have.add((e.arm, e.task, e.seed))
    make = partial(Expert, plan.noise)
    pieces: list[Piece] = []
    for arm, task in product(arms, tasks):
        attempts = [
            Attempt(plan.first_seed + i, task.variations[i % len(task.variations)])
            for i in range(plan.episodes)
            if (arm.name, task.name, plan.first_seed + i) not in have
        ]
        pieces += [
            Piece(arm.name, task.name, plan.size, part, make, store, None, plan.randomise)
            for part in cut(attempts)
        ]
    return pieces


def _named(plan: Collection) -> tuple[list[Arm], list[Task]]:
    """The arms and the tasks of a plan, which is refused if it cannot be; see `expert_pieces`."""
    arms, tasks = [find_arm(name) for name in plan.arms], [find_task(name) for name in plan.tasks]
    if not plan.held_out:
        refuse_held_out(plan.tasks, "--held-out collects it all the same, for goal images")
    if plan.episodes < 1:
        raise ValueError(f"episodes {plan.episodes} is out of range; expected at least 1")
    return arms, tasks
