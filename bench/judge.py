"""What the success model of a run gets right, on episodes kept apart from its training.

robocat judge --stores runs/cycle/stores/demos runs/cycle/stores/practice
python -m bench judge runs/cycle
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tyro

from bench.record import write
from demos.rate import Rate
from robocat.checkpoint import read_config, read_json


def judge(run: tyro.conf.Positional[Path] = Path("runs/cycle")) -> None:
    """Gathers what `robocat judge` measured into one file of results.

    The intervals take steps for independent, and those of one episode are not: they are too narrow.

    Args:
        run: Folder of the run, with its success model in `judge`.
    """
    about, record = read_json(run / "run.json"), read_config(run / "judge", "success")
    cells: dict[str, Mapping[str, Any]] = record["measured"]
    steps = [cell["steps"] for cell in cells.values()]
    both = sum(each["both"] for each in steps)
    mistaken = [cell["mistaken"] for cell in cells.values() if cell["mistaken"]]
    write(
        f"judge-{about['preset']}-seed{record['seed']}",
        {
            "ran_on": about["machine"],
            "ran_with": about["versions"],
            "run_seed": about["seed"],
            **{key: record[key] for key in ("seed", "training", "calibration_error", "lineage")},
            "precision_of_steps": asdict(Rate.of(both, sum(each["said"] for each in steps))),
            "recall_of_steps": asdict(Rate.of(both, sum(each["done"] for each in steps))),
            "mistaken": asdict(Rate.of(sum(m["successes"] for m in mistaken), sum(m["n"] for m in mistaken))),
            "by_cell": cells,
        },
    )
