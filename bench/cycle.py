"""What a cycle has reached: rates with intervals, the gate, seconds a stage, and every outcome.

python -m bench cycle runs/cycle
"""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import tyro

from bench.record import write
from demos.rate import Rate
from finetune.run_folder import read_run
from finetune.standing import Standing
from robocat.checkpoint import read_json
from robocat.scores import Scores


def cycle(run: tyro.conf.Positional[Path] = Path("runs/cycle")) -> None:
    """Gathers a run's records into one file of results, and prints the README's table of them.

    Args:
        run: Folder of the run; what it has not reached yet is left out.
    """
    record = read_run(run)
    print(markdown(Standing.of(record, record.scores)))
    about = read_json(run / "run.json")
    stages = [read_json(path) for path in sorted((run / "stages").glob("*.json"))]
    write(
        f"cycle-{about['preset']}-seed{about['seed']}",
        {
            "preset": about["preset"],
            "seed": about["seed"],
            "ran_on": about["machine"],
            "ran_with": about["versions"],
            "config": about["config"],
            "seconds": sum(stage["seconds"] for stage in stages),
            "peak_memory_mib": max(stage["peak_memory_mib"] for stage in stages),
            "disk_mib": stages[-1]["disk_mib"],
            "stages": [{key: stage[key] for key in ("name", "seconds", "summary")} for stage in stages],
            "tokeniser": read_json(run / "tokeniser" / "card.json"),
            "scores": {
                path.stem: _rates(Scores.load(path)) for path in sorted((run / "scores").glob("*.json"))
            },
            "gate": read_json(run / "gate.json") if (run / "gate.json").exists() else None,
        },
    )


def markdown(standing: Standing) -> str:
    """A table for the README: models down; across, tasks over the arms that knew them, then what is new."""
    tasks = list(dict.fromkeys(task for name in standing.scores for task in standing.by_task(name)))
    new = sorted(standing.new_cells)
    rows = [["", *tasks, *map(" ".join, new)]]
    rows.append(["---"] * len(rows[0]))
    for name in standing.scores:
        known = standing.by_task(name)
        rates = [*(known.get(task) for task in tasks), *(standing.rate(name, cell) for cell in new)]
        rows.append([name, *map(_said, rates)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _said(rate: Rate | None) -> str:
    return f"{rate.mean:.0%} ({100 * rate.low:.0f}-{100 * rate.high:.0f}, n {rate.n})" if rate else ""


def _rates(scores: Scores) -> dict[str, object]:
    """Rates with intervals by arm and task and over arms, and outcomes as strings of 1 and 0 by seed."""
    cells = scores.cells()
    return {
        "checkpoint": Path(scores.checkpoint).name,
        "seconds": scores.seconds,
        "rates": {f"{arm} {task}": asdict(scores.cell(arm, task)) for arm, task in cells},
        "by_task": {
            task: _pooled(scores, (c for c in cells if c[1] == task)) for task in {t for _, t in cells}
        },
        "outcomes": {f"{arm} {task}": _outcomes(scores, arm, task) for arm, task in cells},
    }


def _pooled(scores: Scores, cells: Iterable[tuple[str, str]]) -> dict[str, float]:
    return asdict(scores.pooled(list(cells)))


def _outcomes(scores: Scores, arm: str, task: str) -> dict[str, object]:
    trials = sorted((t for t in scores.trials if (t.arm, t.task) == (arm, task)), key=lambda t: t.seed)
    return {"first_seed": trials[0].seed, "success": "".join("01"[t.success] for t in trials)}
