"""`robocat multiply`: from ten demonstrations to a thousand, on the same arm and on others.

robocat multiply runs/mine/stores/mine --out runs/mine/stores/many --episodes 1000
robocat multiply runs/mine/stores/mine --out runs/mine/stores/many --arms sawyer ur5e

In each new scene a demonstration is done again about the things as they lie there (`demos.multiplied`); what
then succeeds, as the task's own predicate has it, is stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count, islice, product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from demos.demonstration import Demonstration, read_demonstrations
from demos.expert import SILENT, Noise
from demos.locks import alone_with
from demos.multiplied import Multiplied, fitting
from demos.rollout import Attempt
from demos.stock import refuse_itself
from demos.store import EpisodeStore
from demos.tally import Tally, Yield
from demos.workers import Piece, cut, run
from sim.arms import find_arm
from sim.own import arm_names, task_names
from sim.randomisation import Randomisation, find_randomisation
from sim.tasks import find_task, refuse_held_out

MOST = 10  # attempts for each episode that is wanted, after which the rest is given up


@dataclass(frozen=True)
class Multiplication:
    """What is to be made of demonstrations.

    Attributes:
        demonstrations: By task.
        arms: Names of arms.
        episodes: Successful ones for each arm and task.
        first_seed: Seeds of the scenes count up from here.
        size: Height and width of the images [px].
        noise: How executed actions stray from what is meant.
        among: A demonstration is drawn from so many whose scenes are most like the new one.
        randomise: How far the episodes' worlds differ.
        keep_failures: Whether episodes that fail are stored too.
    """

    demonstrations: Mapping[str, Sequence[Demonstration]]
    arms: tuple[str, ...]
    episodes: int
    first_seed: int
    size: int
    noise: Noise
    among: int
    randomise: Randomisation
    keep_failures: bool

    def attempts_of(self, task: str) -> dict[str, Any]:
        """All that decides what an attempt at a task does, but its arm, variation and seed."""
        return {
            "task": task,
            "sources": {each.id: each.content for each in self.demonstrations[task]},
            "among": self.among,
            "noise": asdict(self.noise),
            "randomise": asdict(self.randomise),
            "size": self.size,
        }

    def variations_of(self, task: str) -> tuple[str, ...]:
        """The task's variations that a demonstration fits."""
        shown, things = self.demonstrations[task], {thing.name: thing for thing in find_task(task).things}
        return tuple(each for each in find_task(task).variations if fitting(shown, things, each))


def multiply(
    store: Positional[Path],
    *,
    out: Path,
    episodes: int = 1000,
    arms: tuple[str, ...] = (),
    tasks: tuple[str, ...] = (),
    first_seed: int = 900_000,
    size: int | None = None,
    noise: bool = True,
    among: int = 3,
    randomise: str = "none",
    keep_failures: bool = False,
    workers: int = 2,
) -> None:
    """Makes many episodes of the successful ones of a store; what is there already is not made again.

    Args:
        store: A few demonstrations of one task or several, by a person or scripted; it stays as it is.
        out: The store that takes the new ones. Beside them, multiplied.json counts all attempts.
        episodes: Successful ones to make for each arm and task; variations come in turn.
        arms: Arms, see `robocat arms`, or files that declare some; those of the demonstrations if none is
            named.
        tasks: Tasks, see `robocat tasks`, or files that declare some; all demonstrated if none is named.
        first_seed: Seeds of the new scenes count up from here.
        size: Image size [px]; that of the demonstrations unless said.
        noise: Whether executed actions stray from what is meant, so that recoveries are in the data.
        among: A demonstration is drawn from so many whose scenes are most like the new one.
        randomise: Whether the worlds' looks and physics differ from episode to episode: "none", "moderate".
        keep_failures: Store failed episodes too.
        workers: Processes.
    """
    refuse_itself(out, (store,))
    arms, tasks = arm_names(arms), task_names(tasks)
    source = EpisodeStore(store)
    entries = [entry for entry in source.entries() if entry.success]
    tasks = tasks or tuple(dict.fromkeys(entry.task for entry in entries))
    demonstrations = {task: read_demonstrations(source, task) for task in tasks}
    used = [entry for entry in entries if entry.task in demonstrations]
    if not used:
        raise ValueError(f"{store}: no episode succeeded; nothing is multiplied from failures")
    plan = Multiplication(
        demonstrations=demonstrations,
        arms=arms or tuple(dict.fromkeys(entry.arm for entry in used)),
        episodes=episodes,
        first_seed=first_seed,
        size=size or source.load(used[0].id, images=False).meta.image_size[0],
        noise=Noise() if noise else SILENT,
        among=among,
        randomise=find_randomisation(randomise),
        keep_failures=keep_failures,
    )
    yields = multiply_all(plan, out, workers)
    _show(plan, yields)
    print(f"{out}: {len(EpisodeStore(out))} episodes in all, made of {len(used)}")


def multiply_all(plan: Multiplication, out: Path, workers: int) -> list[Yield]:
    """Makes the episodes that a store lacks, each arm and task as often as is needed for their number.

    Returns:
        What each arm and task yielded, of all attempts that were ever made for this.

    Raises:
        ValueError: If an arm is unknown or a pair, a task is held out, a number is below 1, or the store
            holds episodes that were made otherwise.
        Busy: If another process multiplies into the store.
    """
    for name in ("episodes", "size", "among"):
        if getattr(plan, name) < 1:
            raise ValueError(f"{name} {getattr(plan, name)} is out of range; expected at least 1")
    if workers < 1:
        raise ValueError(f"workers {workers} is out of range; expected at least 1")
    refuse_held_out(plan.demonstrations, "what is made of its demonstrations would be trained on")
    for name in plan.arms:
        if find_arm(name).partner is not None:
            raise ValueError(f"{name} is two arms; expected one, as only what one does is multiplied")
    with alone_with(out, "multiply"):
        return _multiply(plan, out, workers)


def _multiply(plan: Multiplication, out: Path, workers: int) -> list[Yield]:
    """See `multiply_all`; one process at a time, as the tally has one writer."""
    tallies = {task: Tally(out, plan.attempts_of(task)) for task in plan.demonstrations}
    for tally in tallies.values():
        _forget_lost(tally, out, plan.keep_failures)
    while pieces := [
        piece
        for arm, task in product(plan.arms, tallies)
        for piece in _pieces(plan, tallies[task], arm, task, out)
    ]:
        run(pieces, workers, "multiplying", lambda ended: tallies[ended[0].task].add(ended))
    cells = product(plan.arms, tallies)
    return [Yield.of(arm, task, tallies[task].of(arm, plan.first_seed)) for arm, task in cells]


def _pieces(plan: Multiplication, tally: Tally, arm: str, task: str, out: Path) -> Iterator[Piece]:
    """As many attempts as there are episodes lacking: never one too many is made, whoever makes them."""
    tried = tally.of(arm, plan.first_seed)
    lacking = plan.episodes - sum(each.success for each in tried)
    left = MOST * plan.episodes - len(tried)
    known, variations = {each.seed for each in tried}, plan.variations_of(task)
    free = (seed for seed in count(plan.first_seed) if seed not in known)
    attempts = [
        Attempt(seed, variations[seed % len(variations)]) for seed in islice(free, max(0, min(lacking, left)))
    ]
    make = partial(Multiplied, plan.demonstrations[task], plan.noise, plan.among)
    for part in cut(attempts):
        yield Piece(arm, task, plan.size, part, make, out, None, plan.randomise, failures=plan.keep_failures)


def _forget_lost(tally: Tally, out: Path, failures: bool) -> None:
    """Episodes that the store should have and has not are made again."""
    store = EpisodeStore(out)
    there = set(store.ids()) if store.exists else set[str]()
    tally.forget({each.id for each in tally.attempts if (each.success or failures) and each.id not in there})


def _show(plan: Multiplication, yields: Sequence[Yield]) -> None:
    """A row for each arm and task, and what is lacking."""
    table = Table("arm", "task", "episodes", "attempts", "yield", "95 %")
    for each in yields:
        rate = each.rate
        ends = f"{100 * rate.low:.0f} to {100 * rate.high:.0f} %"
        table.add_row(each.arm, each.task, f"{rate.successes}", f"{rate.n}", f"{100 * rate.mean:.0f} %", ends)
    Console().print(table)
    for task in plan.demonstrations:
        if missed := sorted({*find_task(task).variations} - {*plan.variations_of(task)}):
            print(f"{task}: nothing was shown that can be done as {', '.join(missed)}")
    for each in yields:
        if each.rate.successes < plan.episodes:
            print(f"{each.arm} {each.task}: given up after {each.rate.n} attempts, {MOST} for each episode")
