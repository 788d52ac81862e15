"""What a part of the agent is worth: the same training with one thing changed, on the same scenes and goals.

python -m bench ablation runs/cycle
python -m bench ablation runs/cycle --variants "plain:goal_weight=0" "wide:width=192" --tasks stack push
"""

import ast
from dataclasses import asdict, replace
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from bench.record import write
from finetune.side_by_side import Job, train_side_by_side
from robocat.agent import AgentConfig
from robocat.agent_checkpoint import AgentCard
from robocat.checkpoint import read_json
from robocat.data import Data
from robocat.evaluate import Bench, Cell, make_goals, measure
from robocat.presets import PRESETS
from robocat.scores import Scores

AS_IT_IS = "as-it-is"


def main(
    run: tyro.conf.Positional[Path] = Path("runs/cycle"),
    *,
    variants: tuple[str, ...] = ("no-goal-loss:goal_weight=0",),
    tasks: tuple[str, ...] = ("stack",),
    steps: int = 3000,
    episodes: int = 50,
    first_seed: int = 800_000,
    seed: int = 0,
    workers: int = 2,
) -> None:
    """Trains variants of a run's generalist on its demonstrations and compares them with the one as it is.

    Args:
        run: A run whose demonstrations and tokeniser are used; variants are kept below it.
        variants: Each a name and what is changed in `AgentConfig`, such as "narrow:width=64,heads=2".
        tasks: What is measured, on every arm of the demonstrations.
        steps: Optimiser steps of each.
        episodes: Episodes for each arm and task.
        first_seed: Seeds of their scenes.
        seed: Seeds weights and draws.
        workers: Processes.
    """
    about = read_json(run / "run.json")
    preset, folder = PRESETS[about["preset"]], run / "ablation" / f"{steps}-steps-seed-{seed}"
    configs = {AS_IT_IS: preset.agent} | dict(_variant(each, preset.agent) for each in variants)
    data = Data((run / "stores" / "demos",), (1.0,), run / "tokeniser", run / "tokens")
    training = replace(preset.train, steps=steps)
    jobs = [
        Job(data, folder / name, config, training, AgentCard(name, 0, None), seed)
        for name, config in configs.items()
    ]
    train_side_by_side(jobs, workers)
    cells = [Cell(arm, task, episodes, first_seed) for arm in preset.collection.arms for task in tasks]
    bench = Bench(run / "tokeniser", run / "stores" / f"goals-{first_seed}", workers=workers)
    make_goals(bench, cells, first_seed + 50_000)
    scores = {name: measure(name, folder / name, cells, bench) for name in configs}
    changes = {name: _changes(config, preset.agent) for name, config in configs.items()}
    _write(about, scores, changes, {"steps": steps, "seed": seed, "first_seed": first_seed})


def _variant(text: str, config: AgentConfig) -> tuple[str, AgentConfig]:
    """A name and a configuration from "name:field=value,field=value"."""
    name, _, changes = text.partition(":")
    values = dict(change.split("=", 1) for change in changes.split(",")) if changes else {}
    fields = asdict(config)
    for field, value in values.items():
        if field not in fields:
            raise ValueError(
                f"variant {name!r}: no field {field!r} in the agent; fields: {', '.join(fields)}"
            )
        kind = type(fields[field])
        fields[field] = value if kind is str else kind(ast.literal_eval(value))
    return name, AgentConfig(**fields)


def _changes(config: AgentConfig, start: AgentConfig) -> dict[str, object]:
    return {key: value for key, value in asdict(config).items() if value != asdict(start)[key]}


def _write(
    about: dict[str, object],
    scores: dict[str, Scores],
    changes: dict[str, dict[str, object]],
    settings: dict[str, int],
) -> None:
    """Rates by task with intervals and, against the one as it is, paired differences."""
    start = scores[AS_IT_IS]
    table = Table("variant", "task", "success", "against as it is", title="ablation, 95 % intervals")
    figures: dict[str, object] = {}
    for name, each in scores.items():
        rates: dict[str, object] = {}
        for task, rate in each.by_task().items():
            cells = [cell for cell in each.cells() if cell[1] == task]
            gap = each.paired_over(start, cells)
            rates[task] = {"rate": asdict(rate), "difference": asdict(gap)}
            shown = f"{rate.mean:.0%} ({rate.low:.0%}-{rate.high:.0%}), n {rate.n}"
            table.add_row(name, task, shown, f"{gap.mean:+.2f} ({gap.low:+.2f} to {gap.high:+.2f})")
        figures[name] = {"changed": changes[name], "tasks": rates}
    Console().print(table)
    write(f"ablation-{about['preset']}", {"run_seed": about["seed"], **settings, "variants": figures})
