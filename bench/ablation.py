"""What a part of the agent is worth: the same training with one thing changed, on the same scenes and goals.

python -m bench ablation runs/cycle
python -m bench ablation runs/cycle --variants "plain:goal_weight=0" "wide:width=192" --tasks stack push

The intervals are about scenes. What weights and the order of the data do to a training shows in its
repetition with other seeds.
"""

from dataclasses import replace
from pathlib import Path

import tyro
from rich.console import Console

from bench.record import write
from bench.variants import AS_IT_IS, changed, compare, comparison_table, parse_variants
from demos.store import EpisodeStore
from finetune.side_by_side import Job, train_side_by_side
from robocat.agent_checkpoint import AgentCard
from robocat.checkpoint import config_hash, read_json
from robocat.data import Data
from robocat.evaluate import Bench, Cell, make_goals, measure
from robocat.presets import PRESETS
from sim.names import pick
from sim.tasks import find_task


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
            "by_seed": {seed: compare(scores[name, seed], scores[AS_IT_IS, seed]) for seed in seeds},
        }
        for name, config in configs.items()
    }
    Console().print(comparison_table(figures, "each trained once a seed; 95 % intervals over scenes"))
    names = "-".join(name for name in configs if name != AS_IT_IS)
    write(f"ablation-{names}", {**settings, "first_seed": first_seed, "variants": figures})
