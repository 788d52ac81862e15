"""What a run's success model gets right: on episodes kept apart from its training, and on fresh attempts.

python -m bench judge runs/cycle

The fresh attempts are the next generalist's, on scenes and with goals that nothing was trained on, with so
much noise on its actions that many fail: where all succeed, precision says nothing.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from bench.record import write
from demos.progress import progress
from demos.rate import Rate
from demos.store import EpisodeStore
from finetune.improve import NEXT
from finetune.practice import practise_episodes
from robocat.agent_checkpoint import tokeniser_beside
from robocat.agreement import Agreement, Cell, by_cell, in_percent
from robocat.checkpoint import read_config, read_json
from robocat.config import Practice
from robocat.evaluate import Bench
from robocat.presets import PRESETS
from robocat.success import Judge, SuccessConfig
from robocat.train_success import table, train_success
from sim.names import pick

INTERVALS = (
    "95 %, Wilson's, of this one model. Episodes and attempts are on scenes of their own and taken for "
    "independent, though attempts share an agent. So are steps, and those of one episode are not: their "
    "intervals are too narrow."
)


def judge(
    run: tyro.conf.Positional[Path] = Path("runs/cycle"),
    *,
    episodes: int = 40,
    explore: float = 0.4,
    first_seed: int = 800_000,
    workers: int = 2,
) -> None:
    """Trains a run's success model, unless it is there, and holds it against labels of steps and attempts.

    Args:
        run: A finished run. The model is kept in its `bench-judge`, for `judge` is the cycle's own, which
            has learnt less; the attempts in a folder named by their noise.
        episodes: Fresh attempts at each arm and task.
        explore: Standard deviation of the noise on their Cartesian actions.
        first_seed: Seeds of their scenes.
        workers: Processes.
    """
    about, home = read_json(run / "run.json"), run / "bench-judge"
    preset = pick(PRESETS, about["preset"], "preset")
    stores = [run / "stores" / name for name in ("demos", "practice")]
    train_success(stores, run / "tokeniser", home, SuccessConfig(), preset.success, seed=about["seed"])
    record = read_config(home, "success")
    plan = Practice(episodes=episodes, explore=explore, first_seed=first_seed)
    bench = Bench(tokeniser_beside(run / "models" / NEXT), run / "stores" / "goals", workers=workers)
    attempts = run / f"attempts-{explore:g}"
    for cell in [*preset.collection.cells, *preset.adaptation.cells]:
        practise_episodes(run / "models" / NEXT, cell, bench, out=attempts, plan=plan)
    fresh = verdicts(Judge(home, run / "tokeniser"), EpisodeStore(attempts), plan)
    Console().print(table(record["measured"]), attempts_table(fresh))
    write(
        f"judge-{about['preset']}-seed{record['seed']}",
        {
            "ran_on": about["machine"],
            "ran_with": about["versions"],
            "run_seed": about["seed"],
            "intervals": INTERVALS,
            **{key: record[key] for key in ("seed", "success", "training", "parameters", "lineage")},
            "kept_apart": kept_apart(record),
            "fresh": {
                "acted": NEXT,
                "episodes": episodes,
                "explore": explore,
                "first_seed": first_seed,
                "in_all": sum(fresh.values(), Agreement(0, 0, 0, 0)).record(),
                "by_task": {task: each.record() for task, each in by_task(fresh).items()},
                "by_cell": {" ".join(cell): each.record() for cell, each in fresh.items()},
            },
        },
    )


def verdicts(judge: Judge, store: EpisodeStore, plan: Practice) -> dict[Cell, Agreement]:
    """How a model's verdicts on the attempts of a plan agree with the predicate, by arm and task."""
    seeds = range(plan.first_seed, plan.first_seed + plan.episodes)
    found: list[tuple[Cell, bool, bool]] = []
    with progress("verdicts", len(store)) as advance:
        for entry in store.entries():
            if entry.seed in seeds:
                found.append(((entry.arm, entry.task), judge.verdict(store.load(entry.id)), entry.success))
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


def attempts_table(cells: Mapping[Cell, Agreement]) -> Table:
    """Tasks down; precision and recall of verdicts on fresh attempts, and how many failed, across."""
    shown = Table("task", "precision", "recall", "failed", title="fresh attempts, with 95 % intervals [%]")
    for task, each in by_task(cells).items():
        failed = f"{each.n - each.done} of {each.n}"
        shown.add_row(task, in_percent(each.precision), in_percent(each.recall), failed)
    return shown
