"""How often the scripted experts succeed, on every arm at every task, with and without noise.

python -m bench experts
python -m bench experts --arms panda ur5e --tasks lift tower --episodes 5
python -m bench experts --again     # those that were short, in more scenes

Counts are kept as they come in results/experts-so-far.json: stopped and started again, it goes on. Once every
arm has tried every task, they become results/experts.json.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.record import RESULTS, write
from demos.expert import SILENT, Expert, Noise
from demos.progress import progress
from demos.rate import Rate
from demos.rollout import Attempt, rollout
from demos.workers import in_parallel
from robocat.checkpoint import versions, write_json
from sim.arms import ARMS, PAIRS, find_arm
from sim.env import make
from sim.registration import arms_and_tasks
from sim.tasks import FOR_PAIRS, TASKS, find_task

SO_FAR = RESULTS / "experts-so-far.json"
NOISES = {"as meant": SILENT, "with noise": Noise()}
ENOUGH = 0.95  # what an expert is to reach, for a task to be learnt from it
Pair = tuple[str, str]  # arm, task
Counts = dict[str, int]  # successes by kind of noise


@dataclass(frozen=True)
class Plan:
    """How each pair is tried.

    Attributes:
        episodes: Attempts of each kind of noise, variations in turn.
        first_seed: Seeds of their scenes count up from here.
    """

    episodes: int
    first_seed: int


AGAIN = Plan(episodes=200, first_seed=500_000)


def main(
    *,
    arms: tuple[str, ...] = (),
    tasks: tuple[str, ...] = (),
    episodes: int = 50,
    first_seed: int = 300_000,
    workers: int = 2,
    anew: bool = False,
    again: bool = False,
) -> None:
    """Lets every expert try; writes results/experts.json once all have.

    Args:
        arms: Arms, see `robocat arms`; all of them if none is named.
        tasks: Tasks, see `robocat tasks`; all of them if none is named.
        episodes: Attempts for each arm and task, variations in turn.
        first_seed: Seeds of their scenes.
        workers: Processes.
        anew: Forget what was counted before, as one must when tasks or experts have changed.
        again: Only the pairs that are short in results/experts.json, each in `AGAIN`'s other scenes; writes
            results/experts-again.json.
    """
    if again:
        short = json.loads((RESULTS / "experts.json").read_text(encoding="utf-8"))["short"]
        tried = [(pair.split()[0], pair.split()[1]) for pair in short]
        write("experts-again", result(count(RESULTS / "again-so-far.json", AGAIN, tried, workers), AGAIN))
        (RESULTS / "again-so-far.json").unlink(missing_ok=True)
        return
    if anew:
        SO_FAR.unlink(missing_ok=True)
    plan = Plan(episodes, first_seed)
    some = [find_arm(arm) for arm in arms or (*ARMS, *PAIRS)]
    to_do = [find_task(task) for task in tasks or (*TASKS, *FOR_PAIRS)]
    pairs = [(arm.name, task.name) for arm in some for task in to_do if len(arm.limbs) == task.arms]
    counts = count(SO_FAR, plan, pairs, workers)
    console = Console()
    console.print(table(counts, plan))
    console.print(verdict(counts, plan), highlight=False)
    if set(pairs) == {*arms_and_tasks()}:
        write("experts", result(counts, plan))
        SO_FAR.unlink()


def result(counts: Mapping[Pair, Counts], plan: Plan) -> dict[str, object]:
    """Successes of all, and of those that are short their rates with intervals."""
    arms = dict.fromkeys(arm for arm, _ in counts)
    short = {pair: each for pair, each in counts.items() if min(each.values()) < ENOUGH * plan.episodes}
    return {
        **asdict(plan),
        "of": [*NOISES],
        "successes": {
            arm: {task: [*each.values()] for (a, task), each in counts.items() if a == arm} for arm in arms
        },
        "short": {
            " ".join(pair): {noise: asdict(Rate.of(each[noise], plan.episodes)) for noise in NOISES}
            for pair, each in short.items()
        },
    }


def count(path: Path, plan: Plan, pairs: Sequence[Pair], workers: int) -> dict[Pair, Counts]:
    """Successes of each pair: those that were counted before are read from a file, the others added to it."""
    known = read(path, plan)
    missing = [pair for pair in pairs if pair not in known]
    with progress("experts", len(pairs)) as advance:
        advance(len(pairs) - len(missing))
        tried = in_parallel(partial(successes, plan), missing, workers)
        for pair, counts in zip(missing, tried, strict=True):
            known[pair] = counts
            keep(path, plan, known)
            advance(1, note=f"{' '.join(pair)}: {_said(counts)}")
    return {pair: known[pair] for pair in pairs}


def successes(plan: Plan, pair: Pair) -> Counts:
    """How many attempts at an arm and task succeed, for each noise."""
    env = make(*pair, cameras=())
    variations = env.task.variations
    attempts = [Attempt(plan.first_seed + i, variations[i % len(variations)]) for i in range(plan.episodes)]
    return {
        name: sum(episode.succeeded for episode in rollout([env], Expert(noise), attempts))
        for name, noise in NOISES.items()
    }


def keep(path: Path, plan: Plan, counts: Mapping[Pair, Counts]) -> None:
    """Writes what was counted so far."""
    said = {" ".join(pair): each for pair, each in counts.items()}
    write_json(path, {"plan": asdict(plan), "versions": versions(), "successes": said})


def read(path: Path, plan: Plan) -> dict[Pair, Counts]:
    """What was counted before: nothing if there is no file, or another plan or other libraries made it."""
    if not path.exists():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    if (record["plan"], record["versions"]) != (asdict(plan), versions()):
        return {}
    return {(pair.split()[0], pair.split()[1]): each for pair, each in record["successes"].items()}


def table(counts: Mapping[Pair, Counts], plan: Plan) -> Table:
    """Successes in per cent by family and arm, as meant and with noise."""
    arms = list(dict.fromkeys(arm for arm, _ in counts))
    families = list(dict.fromkeys(find_task(task).family for _, task in counts))
    shown = Table(
        "family", *arms, title=f"successes [%], {plan.episodes} attempts a task: {', '.join(NOISES)}"
    )
    for family in families:
        cells: list[str] = []
        for arm in arms:
            tried = [
                each for (a, task), each in counts.items() if (a, find_task(task).family) == (arm, family)
            ]
            attempts = len(tried) * plan.episodes
            shares = [sum(each[noise] for each in tried) / attempts for noise in NOISES] if tried else []
            cells.append(", ".join(f"{100 * share:.0f}" for share in shares))
        shown.add_row(family, *cells)
    return shown


def verdict(counts: Mapping[Pair, Counts], plan: Plan) -> str:
    """The pair that succeeds least, and how many do not succeed often enough."""
    arm, task = min(counts, key=lambda pair: (min(counts[pair].values()), sum(counts[pair].values())))
    short = sum(min(each.values()) < ENOUGH * plan.episodes for each in counts.values())
    return (
        f"worst of {len(counts)} pairs: {arm} {task}, {_said(counts[arm, task])} of {plan.episodes}; "
        f"{short} below {100 * ENOUGH:.0f} %"
    )


def _said(counts: Counts) -> str:
    return ", ".join(f"{counts[noise]} {noise}" for noise in NOISES)
