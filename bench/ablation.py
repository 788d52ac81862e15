"""What a part of the agent is worth: the same training with one thing changed, on the same scenes and goals.

python -m bench ablation runs/cycle
python -m bench ablation runs/cycle --variants "plain:goal_weight=0" "wide:width=192" --tasks stack push

The intervals are about scenes. What weights and the order of the data do to a training shows in its
repetition with other seeds.
"""

import ast
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from bench.record import write
from demos.store import EpisodeStore
from finetune.side_by_side import Job, train_side_by_side
from robocat.agent import AgentConfig
from robocat.agent_checkpoint import AgentCard
from robocat.checkpoint import config_hash, read_json
from robocat.data import Data
from robocat.evaluate import Bench, Cell, make_goals, measure
from robocat.presets import PRESETS
from robocat.scores import Scores
from sim.names import pick
from sim.tasks import find_task

AS_IT_IS = "as-it-is"


def main(
    run: tyro.conf.Positional[Path] = Path("runs/cycle"),
    *,
    variants: tuple[str, ...] = ("no-goal-loss:goal_weight=0",),
    tasks: tuple[str, ...] = ("stack",),
    steps: int = 3000,
    episodes: int = 50,
    first_seed: int = 800_000,
    seeds: tuple[int, ...] = (0,),
    workers: int = 2,
) -> None:
    """Trains variants of a run's generalist on its demonstrations and compares them with the one as it is.

    Args:
        run: A run whose demonstrations and tokeniser are used; variants are kept below it.
        variants: Each a name and what is changed in `AgentConfig`, such as "narrow:width=64,heads=2".
        tasks: What is measured, on every arm of the demonstrations.
        steps: Optimiser steps of each training.
        episodes: Episodes for each arm and task.
        first_seed: Seeds of their scenes.
        seeds: Of weights and draws; every variant is trained once with each.
        workers: Processes.
    """
    about = read_json(run / "run.json")
    preset = pick(PRESETS, about["preset"], "preset")
    cells = [
        Cell(arm, find_task(task).name, episodes, first_seed)
        for arm in preset.collection.arms
        for task in tasks
    ]
    configs = parse_variants(variants, preset.agent)
    store, training = run / "stores" / "demos", replace(preset.train, steps=steps)
    data = Data((store,), (1.0,), run / "tokeniser", run / "tokens")
    digest = EpisodeStore(store).digest()
    folders = {
        (name, seed): run / "ablation" / f"{name}-{config_hash(config, training, digest, seed)}"
        for name, config in configs.items()
        for seed in seeds
    }
    jobs = [
        Job(data, out, configs[name], training, AgentCard(name, 0, None), seed)
        for (name, seed), out in folders.items()
    ]
    train_side_by_side(jobs, workers)
    bench = Bench(run / "tokeniser", run / "stores" / f"goals-{first_seed}", workers=workers)
    make_goals(bench, cells, first_seed + 50_000)
    scores = {key: measure(key[0], out, cells, bench) for key, out in folders.items()}
    settings = {"preset": about["preset"], "run_seed": about["seed"], "steps": steps, "episodes": episodes}
    figures = {
        name: {
            "changed": changed(config, preset.agent),
            "by_seed": {seed: _figures(scores[name, seed], scores[AS_IT_IS, seed]) for seed in seeds},
        }
        for name, config in configs.items()
    }
    _show(figures)
    names = "-".join(name for name in configs if name != AS_IT_IS)
    write(f"ablation-{names}", {**settings, "first_seed": first_seed, "variants": figures})


def parse_variants(texts: tuple[str, ...], start: AgentConfig) -> dict[str, AgentConfig]:
    """Configurations by name, the one as it is first, from texts such as "name:field=value,field=value".

    Raises:
        ValueError: A text of another form, a name given twice, a field the agent has not, or a value of
            another kind.
    """
    configs = {AS_IT_IS: start}
    for text in texts:
        name, _, changes = text.partition(":")
        pairs = [change.partition("=") for change in changes.split(",")]
        if not name or not all(field and value for field, _, value in pairs):
            raise ValueError(f"variant {text!r}: expected name:field=value,field=value")
        if name in configs:
            raise ValueError(f"variant {text!r}: the name {name!r} is taken; names: {', '.join(configs)}")
        values = asdict(start)
        for field, _, value in pairs:
            pick(values, field, "field of AgentConfig")
            values[field] = _value(text, value, values[field])
        configs[name] = AgentConfig(**values)
    return configs


def _value(variant: str, text: str, like: object) -> object:
    """A value of the kind that stands there now; a whole number serves as a float."""
    try:
        value: object = text if isinstance(like, str) else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    if isinstance(like, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(like):
        raise ValueError(f"variant {variant!r}: got {text!r}, expected a {type(like).__name__}")
    return value


def changed(config: AgentConfig, start: AgentConfig) -> dict[str, object]:
    """The fields in which two configurations differ, as the first has them."""
    return {key: value for key, value in asdict(config).items() if value != asdict(start)[key]}


def _figures(scores: Scores, start: Scores) -> dict[str, object]:
    """Rate of each task with its interval and, against the one as it is, the paired difference."""
    figures: dict[str, object] = {}
    for task, rate in scores.by_task().items():
        cells = [cell for cell in scores.cells() if cell[1] == task]
        figures[task] = {"rate": asdict(rate), "difference": asdict(scores.paired_over(start, cells))}
    return figures


def _show(figures: Mapping[str, Mapping[str, object]]) -> None:
    title = "each trained once a seed; 95 % intervals over scenes"
    table = Table("variant", "seed", "task", "success", "against as it is", title=title)
    for name, figure in figures.items():
        for seed, tasks in figure["by_seed"].items():  # pyright: ignore[reportAttributeAccessIssue]
            for task, each in tasks.items():
                rate, gap = each["rate"], each["difference"]
                share = f"{rate['successes'] / rate['n']:.0%} ({rate['low']:.0%}-{rate['high']:.0%})"
                change = f"{gap['mean']:+.2f} ({gap['low']:+.2f} to {gap['high']:+.2f})"
                table.add_row(name, str(seed), task, f"{share}, n {rate['n']}", change)
    Console().print(table)
