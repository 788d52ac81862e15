"""How often a few demonstrations, done again in new scenes, succeed: on the arm that showed them, and others.

python -m bench multiply
python -m bench multiply --arms panda sawyer --tasks lift --attempts 20 --sets 1

Sets of ten noisy expert episodes each, of as many other scenes, because a yield is also that of the ten.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.record import write
from demos.collect import Collection, collect_experts
from demos.demonstration import Demonstration, read_demonstrations
from demos.expert import SILENT, Noise
from demos.multiplied import Multiplied, fitting
from demos.progress import progress
from demos.rate import Rate
from demos.rollout import Attempt, rollout
from demos.store import EpisodeStore
from demos.workers import in_parallel
from sim.arms import ARMS
from sim.env import make

SOURCE = "panda"
AMONG = 3  # as the verb has it
SIZE = 8  # of the demonstrations' images [px], at which nobody looks
Cell = tuple[int, str, str]  # set, arm, task


@dataclass(frozen=True)
class Plan:
    """What is tried.

    Attributes:
        demonstrations: Episodes of a set, variations in turn.
        source_seed: Seeds of their scenes count up from here, and go on from set to set.
        attempts: For each set, arm and task, variations in turn.
        first_seed: Seeds of their scenes count up from here, and go on from set to set.
        noise: Whether attempts bear the experts' noise; the demonstrations do.
    """

    demonstrations: int
    source_seed: int
    attempts: int
    first_seed: int
    noise: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a cell's attempts: how many succeeded, and steps of those that did."""

    successes: int
    steps: int


def main(
    *,
    arms: tuple[str, ...] = (*ARMS,),
    tasks: tuple[str, ...] = ("lift", "stack", "push", "place"),
    demonstrations: int = 10,
    attempts: int = 50,
    sets: int = 3,
    source_seed: int = 320_000,
    first_seed: int = 330_000,
    noise: bool = True,
    workers: int = 2,
) -> None:
    """Multiplies demonstrations of a Panda on every arm; writes results/multiply.json.

    Args:
        arms: Arms, see `robocat arms`.
        tasks: Tasks, see `robocat tasks`.
        demonstrations: Episodes of a set.
        attempts: For each set, arm and task.
        sets: Sets of demonstrations.
        source_seed: Seeds of the demonstrations' scenes.
        first_seed: Seeds of the attempts' scenes.
        noise: Whether attempts bear noise.
        workers: Processes.
    """
    plan = Plan(demonstrations, source_seed, attempts, first_seed, noise)
    with TemporaryDirectory() as folder:
        shown = {
            (number, task): show(plan, Path(folder) / f"{number}", number, task)
            for number, task in product(range(sets), tasks)
        }
    cells = list(product(range(sets), arms, tasks))
    found: dict[Cell, Outcome] = {}
    with progress("multiplying", len(cells)) as advance:
        work = [(plan, cell, shown[cell[0], cell[2]]) for cell in cells]
        for cell, outcome in zip(cells, in_parallel(_tried, work, workers), strict=True):
            found[cell] = outcome
            advance(1, note=f"{cell[1]} {cell[2]}: {outcome.successes} of {attempts}")
    Console().print(table(plan, found))
    write("multiply", {"plan": asdict(plan), "source": SOURCE, "sets": sets, "arms": record(plan, found)})


def show(plan: Plan, store: Path, number: int, task: str) -> tuple[Demonstration, ...]:
    """A set of demonstrations of a task: those of the expert's episodes that succeeded."""
    first = plan.source_seed + number * plan.demonstrations
    collection = Collection((SOURCE,), (task,), plan.demonstrations, first, SIZE)
    collect_experts(store, collection, 1, "demonstrations")
    return read_demonstrations(EpisodeStore(store), task)


def _tried(work: tuple[Plan, Cell, Sequence[Demonstration]]) -> Outcome:
    return tried(*work)


def tried(plan: Plan, cell: Cell, shown: Sequence[Demonstration]) -> Outcome:
    """What comes of the attempts of a set of demonstrations on an arm."""
    number, arm, task = cell
    env = make(arm, task, cameras=())
    names = [each for each in env.task.variations if fitting(shown, env.scene.things, each)]
    first = plan.first_seed + number * plan.attempts
    controller = Multiplied(shown, Noise() if plan.noise else SILENT, AMONG)
    seeds = range(first, first + plan.attempts)
    done = rollout([env], controller, [Attempt(seed, names[seed % len(names)]) for seed in seeds])
    lengths = [episode.length for episode in done if episode.succeeded]
    return Outcome(len(lengths), sum(lengths))


def record(plan: Plan, found: Mapping[Cell, Outcome]) -> dict[str, dict[str, dict[str, Any]]]:
    """By arm and task: the yield of all sets together, that of each, and steps of a success on average."""
    made: dict[str, dict[str, dict[str, Any]]] = {}
    for arm, task in dict.fromkeys((arm, task) for _, arm, task in found):
        each = [outcome for (_, *rest), outcome in found.items() if rest == [arm, task]]
        successes = sum(outcome.successes for outcome in each)
        made.setdefault(arm, {})[task] = {
            "yield": asdict(Rate.of(successes, len(each) * plan.attempts)),
            "by_set": [outcome.successes for outcome in each],
            "steps": sum(outcome.steps for outcome in each) / max(1, successes),
        }
    return made


def table(plan: Plan, found: Mapping[Cell, Outcome]) -> Table:
    """Yields in per cent with their intervals, arms by tasks."""
    tasks = dict.fromkeys(task for *_, task in found)
    shown = Table("arm", *tasks, title=f"yield [%] of {plan.demonstrations} demonstrations on a {SOURCE}")
    for arm in dict.fromkeys(arm for _, arm, _ in found):
        row: list[str] = []
        for task in tasks:
            each = [outcome.successes for (_, *rest), outcome in found.items() if rest == [arm, task]]
            rate = Rate.of(sum(each), len(each) * plan.attempts)
            row.append(f"{100 * rate.mean:.0f} ({100 * rate.low:.0f}-{100 * rate.high:.0f})")
        shown.add_row(arm, *row)
    return shown
