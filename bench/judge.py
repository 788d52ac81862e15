"""What a run's success model gets right: on episodes kept apart from its training, and on fresh attempts.

python -m bench judge runs/cycle
python -m bench judge runs/cycle --learnt demonstrations

The second model is what `robocat improve --judge` uses: it has learnt from demonstrations alone, and is held
against the run's practice too, which is what it would judge there. The fresh attempts are the next
generalist's, on scenes and with goals that nothing was trained on, with so much noise on its actions that
many fail: where all succeed, precision says nothing.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from bench.record import write
from demos.progress import progress
from demos.rate import Rate
from demos.store import EpisodeStore
from finetune.improve import NEXT, SEEN
from finetune.practice import practise_episodes
from robocat.agent_checkpoint import tokeniser_beside
from robocat.agreement import Agreement, Cell, by_cell, in_percent
from robocat.checkpoint import from_dict, read_config, read_json
from robocat.config import Practice, Preset
from robocat.evaluate import Bench, make_goals
from robocat.evaluate import Cell as Scenes
from robocat.success import Judge, SuccessConfig
from robocat.train_success import table, train_success

Learnt = Literal["all", "demonstrations"]
LEARNT: dict[Learnt, tuple[str, ...]] = {
    "all": SEEN,
    "demonstrations": ("demos", "adaptation"),
}
INTERVALS = (
    "95 %, Wilson's, of this one model. Episodes and attempts are on scenes of their own and taken for "
    "independent, though attempts share an agent. So are steps, and those of one episode are not: their "
    "intervals are too narrow."
)


def judge(
    run: tyro.conf.Positional[Path] = Path("runs/cycle"),
    *,
    learnt: Learnt = "all",
    episodes: int = 40,
    explore: float = 0.4,
    first_seed: int = 800_000,
    workers: int = 2,
) -> None:
    """Trains a run's success model, unless it is there, and holds it against labels of steps and attempts.

    Args:
        run: A finished run. The model is kept in its `bench-judge`, or `bench-judge-demonstrations`; the
            attempts in a folder named by their noise and scenes.
        learnt: From what: all the run's episodes, or its demonstrations without its practice.
        episodes: Fresh attempts at each arm and task.
        explore: Standard deviation of the noise on their Cartesian actions.
        first_seed: Seeds of their scenes.
        workers: Processes.
    """
    about, suffix = read_json(run / "run.json"), "" if learnt == "all" else f"-{learnt}"
    preset = from_dict(Preset, about["config"])
    home = run / f"bench-judge{suffix}"
    stores = [run / "stores" / name for name in LEARNT[learnt]]
    train_success(stores, run / "tokeniser", home, SuccessConfig(), preset.success, seed=about["seed"])
    record = read_config(home, "success")
    plan = Practice(episodes=episodes, explore=explore, first_seed=first_seed)
    goals = run / "stores" / f"goals-{first_seed}"
    attempts = run / f"attempts-{explore:g}-{first_seed}"
    bench = Bench(tokeniser_beside(run / "models" / NEXT), goals, workers=workers)
    cells = [*preset.collection.cells, *preset.adaptation.cells]
    make_goals(bench, [Scenes(*cell, episodes, first_seed) for cell in cells], first_seed + 50_000)
    for cell in cells:
        practise_episodes(run / "models" / NEXT, cell, bench, out=attempts, plan=plan)
    model = Judge(home, run / "tokeniser")
    fresh = verdicts(model, EpisodeStore(attempts), plan)
    Console().print(table(record["measured"]), attempts_table(fresh, "fresh attempts"))
    practice: dict[str, Any] = {}
    if learnt == "demonstrations":
        own = verdicts(model, EpisodeStore(run / "stores" / "practice"), preset.practice)
        practice = {"practice": {" ".join(cell): each.record() for cell, each in own.items()}}
        Console().print(attempts_table(own, "the run's practice"))
    write(
        f"judge{suffix}-{about['preset']}-seed{record['seed']}",
        {
            "ran_on": about["machine"],
            "ran_with": about["versions"],
            "run_seed": about["seed"],
            "intervals": INTERVALS,
            **{key: record[key] for key in ("seed", "success", "training", "parameters", "lineage")},
            "kept_apart": kept_apart(record),
            **practice,
            "fresh": attempted(fresh, plan),
        },
    )


def attempted(fresh: Mapping[Cell, Agreement], plan: Practice) -> dict[str, Any]:
    """How the fresh attempts were made, and how verdicts on them agree: in all, by task and by cell."""
    return {
        "acted": NEXT,
        **{name: getattr(plan, name) for name in ("episodes", "explore", "first_seed")},
        "in_all": sum(fresh.values(), Agreement(0, 0, 0, 0)).record(),
        "by_task": {task: each.record() for task, each in by_task(fresh).items()},
        "by_cell": {" ".join(cell): each.record() for cell, each in fresh.items()},
    }


def verdicts(judge: Judge, store: EpisodeStore, plan: Practice) -> dict[Cell, Agreement]:
    """How a model's verdicts on the attempts of a plan agree with the predicate, by arm and task."""
    seeds = range(plan.first_seed, plan.first_seed + plan.episodes)
    found: list[tuple[Cell, bool, bool]] = []
    with progress("verdicts", len(store)) as advance:
        for entry in store.entries():
            if entry.seed in seeds:
                episode = store.load(entry.id)
                found.append(((entry.arm, entry.task), judge.verdict(episode), bool(episode.success[-1])))
            advance(1)
    return by_cell(found)


def kept_apart(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the training measured on episodes kept apart, pooled and by arm and task."""
    cells: dict[str, Mapping[str, Any]] = record["measured"]
    pooled = {
        what: sum((_counts(cell[what]) for cell in cells.values()), Agreement(0, 0, 0, 0)).record()
        for what in ("steps", "episodes")
    }
    wrong = [cell["mistaken"] for cell in cells.values() if cell["mistaken"]]
    counts = [sum(each[key] for each in wrong) for key in ("successes", "n")]
    return {
        "calibration_error": record["calibration_error"],
        **pooled,
        "mistaken": asdict(Rate.of(*counts)) if wrong else None,
        "by_cell": cells,
    }


def _counts(record: Mapping[str, Any]) -> Agreement:
    return Agreement(*(record[name] for name in ("n", "done", "said", "both")))


def by_task(cells: Mapping[Cell, Agreement]) -> dict[str, Agreement]:
    """Agreement at each task, over the arms."""
    found: dict[str, Agreement] = {}
    for (_, task), each in cells.items():
        found[task] = found[task] + each if task in found else each
    return found


def attempts_table(cells: Mapping[Cell, Agreement], of: str) -> Table:
    """Tasks down; precision and recall of verdicts on attempts, and how many failed, across."""
    shown = Table("task", "precision", "recall", "failed", title=f"{of}, with 95 % intervals [%]")
    for task, each in by_task(cells).items():
        failed = f"{each.n - each.done} of {each.n}"
        shown.add_row(task, in_percent(each.precision), in_percent(each.recall), failed)
    return shown
