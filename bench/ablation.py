"""What a part of the agent is worth: the same training with one thing changed, on the same scenes and goals.

python -m bench ablation runs/cycle
python -m bench ablation runs/cycle --variants "plain:goal_weight=0" "wide:width=192" --tasks stack push
python -m bench ablation runs/cycle --variants tape experts at-once --equal-time
python -m bench ablation runs/cycle --variants fsq patches packed

A variant is a name of OPTIONS, or a name of its own and what is changed in `AgentConfig`. Of those in OPTIONS
some change the training or the tokeniser instead, which is then trained anew, as are the tokens. With
`--equal-time` each training is as long as the one as it is, and not as many steps: how long a step takes is
measured in turns with the one as it is. Trainings, paces and scores are kept below the run, so a call with
more variants or seeds does only what is new.

The intervals are about scenes. What weights and the order of the data do to a training shows in its
repetition with other seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
import tyro
from rich.console import Console

from bench.agent import training as training_speed
from bench.record import write
from bench.variants import AS_IT_IS, changed, compare, comparison_table, parse_variants
from demos.store import EpisodeStore
from finetune.side_by_side import Job, train_side_by_side
from robocat.agent_checkpoint import AgentCard
from robocat.agent_config import AgentConfig
from robocat.checkpoint import config_hash, finished, from_dict, read_json, write_json
from robocat.config import Preset, TokeniserTraining, Training
from robocat.data import Data
from robocat.devices import best
from robocat.evaluate import Bench, Cell, make_goals, measure
from robocat.metrics import read_metrics
from robocat.patches import Pixels, PixelsConfig
from robocat.presets import FAITHFUL, NANO
from robocat.scores import Scores
from robocat.tokeniser import save_tokeniser
from robocat.train_tokeniser import train_tokeniser
from robocat.vqgan import VQGANConfig
from sim.names import pick
from sim.tasks import find_task

SECONDS = 2.0  # a step is timed for in a turn, where time is to be equal
TURNS = 3
# Every option beside the default, by name: what it changes of the agent, its training, or the tokeniser.
OPTIONS: dict[str, str] = {
    "no-future": "future_weight=0",
    "no-goal-loss": "goal_weight=0",
    "no-modulation": "modulate=False",
    "random-codes": "code_vectors=random",
    "fixed-codes": "code_vectors=fixed",
    "value-table": "values=table",
    "unmerged": "image_tokens=0,goal_weight=0",
    "no-progress": "progress_weight=0",
    "future-heavy": "future_weight=1",
    "one-hot": "target_bins=0,bin_waves=0",
    "faithful": ",".join(f"{field}={value}" for field, value in changed(FAITHFUL, NANO.agent).items()),
    "mean-over-tokens": "mean_over=tokens,future_weight=1",
    "likeliest": "choose=likeliest",
    "goal-at-step": "goal_at=step",
    "context": "context=3",
    "tape": "tape=10",
    "tape-input": "tape=10,tape_bank=input",
    "experts": "experts=4",
    "chunk": "chunk=4,execute=2",
    "at-once": "at_once=True",
    "chunk-at-once": "chunk=4,execute=2,at_once=True",
    "patches": "patch=16,image_tokens=0,goal_weight=0,future_weight=0",
}
TRAININGS: dict[str, str] = {"packed": "packed=True"}
EYES: dict[str, str] = {"perceptual": "perceptual_weight=0.3", "no-critic": "critic_weight=0"}
TOKENISERS: dict[str, str] = {"fsq": "codes=512,code_dim=3,levels=(8,8,8)", "attention": "attention=3"}


@dataclass(frozen=True)
class Variant:
    """One way to train an agent."""

    agent: AgentConfig
    training: Training
    vqgan: VQGANConfig
    tokeniser: TokeniserTraining

    @property
    def pixels(self) -> bool:
        """Whether there is no tokeniser to train."""
        return self.agent.patch > 0


def variants_of(texts: tuple[str, ...], preset: Preset, training: Training) -> dict[str, Variant]:
    """Variants by name, the one as it is first.

    Raises:
        ValueError: A name that is in none of the tables and says no changes, or changes that cannot be made.
    """
    start = Variant(preset.agent, training, preset.vqgan, preset.tokeniser)
    found = {AS_IT_IS: start}
    tables: tuple[tuple[str, dict[str, str]], ...] = (
        ("agent", OPTIONS), ("training", TRAININGS), ("vqgan", TOKENISERS), ("tokeniser", EYES)
    )  # fmt: skip
    for text in texts:
        part, changes = "agent", text
        if ":" not in text:
            pick({name: "" for _, table in tables for name in table}, text, "variant")
            part, table = next((part, table) for part, table in tables if text in table)
            changes = f"{text}:{table[text]}"
        for name, each in parse_variants((changes,), getattr(start, part)).items():
            if name in found and name != AS_IT_IS:
                raise ValueError(f"variant {text!r}: the name {name!r} is taken; names: {', '.join(found)}")
            if name != AS_IT_IS:
                found[name] = replace(start, **{part: each})
    return found


def main(
    run: tyro.conf.Positional[Path] = Path("runs/cycle"),
    *,
    variants: tuple[str, ...] = ("no-goal-loss",),
    tasks: tuple[str, ...] = ("stack",),
    steps: int = 3000,
    episodes: int = 50,
    first_seed: int = 800_000,
    seeds: tuple[int, ...] = (0,),
    equal_time: bool = False,
    name: str | None = None,
    workers: int = 2,
) -> None:
    """Trains variants of a run's generalist on its demonstrations and compares them with the one as it is.

    Args:
        run: A run whose demonstrations and tokeniser are used; variants are kept below it.
        variants: Each a name of OPTIONS, such as "tape" or "fsq", or a name and what is changed in
            `AgentConfig`, such as "narrow:width=64,heads=2".
        tasks: What is measured, on every arm of the demonstrations.
        steps: Optimiser steps of each training; of the one as it is, where time is to be equal.
        episodes: Episodes for each arm and task.
        first_seed: Seeds of their scenes.
        seeds: Of weights and draws; every variant is trained once with each.
        equal_time: Give each variant as much time as the one as it is, instead of as many steps.
        name: Of the file of results; the variants' names if not given.
        workers: Processes.
    """
    about = read_json(run / "run.json")
    preset = from_dict(Preset, about["config"])
    cells = [
        Cell(arm, find_task(task).name, episodes, first_seed)
        for arm in preset.collection.arms
        for task in tasks
    ]
    ways = variants_of(variants, preset, replace(preset.train, steps=steps))
    if equal_time:
        ways = in_equal_time(ways, preset, run / "ablation" / "paces.json")
    eyes = {name: tokeniser_of(run, way, preset) for name, way in ways.items()}
    jobs = _jobs(run, ways, eyes, seeds)
    train_side_by_side(list(jobs.values()), workers)
    scores: dict[tuple[str, int], Scores] = {}
    for (way, seed), job in jobs.items():
        bench = Bench(eyes[way], run / "stores" / f"goals-{first_seed}", workers=workers)
        make_goals(bench, cells, first_seed + 50_000)
        scores[way, seed] = _scores(way, job.out, cells, bench)
    settings = {"preset": about["preset"], "run_seed": about["seed"], "steps": steps, "episodes": episodes}
    settings["equal_time"] = equal_time
    figures: dict[str, dict[str, object]] = {
        each: {
            "changed": _changes(way, ways[AS_IT_IS]),
            "seconds": {seed: spent(jobs[each, seed].out) for seed in seeds},
            "by_seed": {seed: compare(scores[each, seed], scores[AS_IT_IS, seed]) for seed in seeds},
        }
        for each, way in ways.items()
    }
    Console().print(comparison_table(figures, "each trained once a seed; 95 % intervals over scenes"))
    name = name or "-".join(each for each in ways if each != AS_IT_IS)
    write(f"ablation-{name}", {**settings, "first_seed": first_seed, "variants": figures})


def _scores(name: str, model: Path, cells: Sequence[Cell], bench: Bench) -> Scores:
    """What a model reaches, from its file if it was measured on these scenes before."""
    kept = model.with_name(f"{model.name}-scores-{config_hash(*cells)}.json")
    if kept.exists():
        return Scores.load(kept)
    scores = measure(name, model, cells, bench)
    scores.save(kept)
    return scores


def _jobs(
    run: Path, ways: dict[str, Variant], eyes: dict[str, Path], seeds: Sequence[int]
) -> dict[tuple[str, int], Job]:
    """What is to be trained: each variant, with the tokeniser it reads by, once with each seed."""
    store = run / "stores" / "demos"
    digest = EpisodeStore(store).digest()
    jobs: dict[tuple[str, int], Job] = {}
    for name, way in ways.items():
        data = Data((store,), (1.0,), eyes[name], run / "tokens")
        for seed in seeds:
            same = config_hash(way.agent, way.training, digest, seed)
            same = same if eyes[name] == run / "tokeniser" else config_hash(same, way.vqgan, way.tokeniser)
            out = run / "ablation" / f"{name}-{same}"
            jobs[name, seed] = Job(data, out, way.agent, way.training, AgentCard(name, 0, None), seed)
    return jobs


def _changes(way: Variant, start: Variant) -> dict[str, object]:
    """What a variant has otherwise, part by part."""
    parts = ("agent", "training", "vqgan", "tokeniser")
    changes = {part: changed(getattr(way, part), getattr(start, part)) for part in parts}
    return {part: change for part, change in changes.items() if change}


def in_equal_time(ways: dict[str, Variant], preset: Preset, kept: Path) -> dict[str, Variant]:
    """The variants with as many steps as take as long as those of the one as it is, on made-up shards.

    Args:
        ways: By name, the one as it is among them.
        preset: The rest of the run.
        kept: File of paces measured before, so that a later call trains no variant anew for a few steps more
            or less; what is new is added.
    """
    paces: dict[str, float] = read_json(kept) if kept.exists() else {}
    found: dict[str, Variant] = {}
    for name, way in ways.items():
        same = config_hash(
            way.agent, replace(way.training, steps=0), way.vqgan, ways[AS_IT_IS].agent, str(best())
        )
        if same not in paces:
            paces[same] = 1.0 if name == AS_IT_IS else _pace(way, ways[AS_IT_IS], preset)
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_json(kept, paces)
        steps = max(way.training.warm_up + 1, round(way.training.steps / paces[same]))
        found[name] = replace(way, training=replace(way.training, steps=steps))
    return found


def _pace(way: Variant, start: Variant, preset: Preset) -> float:
    """How many times as long a step of a variant takes: the median of turns with the one as it is."""
    torch.set_num_threads(1)

    def taken(each: Variant) -> float:
        whole = replace(preset, agent=each.agent, train=each.training, vqgan=each.vqgan)
        return training_speed(whole, best(), SECONDS)["p50_ms"]

    return median(taken(way) / taken(start) for _ in range(TURNS))


def tokeniser_of(run: Path, way: Variant, preset: Preset) -> Path:
    """The run's own tokeniser, or one trained on its demonstrations as a variant has it."""
    if way.pixels:
        out = run / "ablation" / f"pixels-{way.vqgan.size}"
        if not finished(out):
            save_tokeniser(out, Pixels(PixelsConfig(way.vqgan.size)), {})
        return out
    if (way.vqgan, way.tokeniser) == (preset.vqgan, preset.tokeniser):
        return run / "tokeniser"
    out = run / "ablation" / f"tokeniser-{config_hash(way.vqgan, way.tokeniser, preset.seed)}"
    train_tokeniser([run / "stores" / "demos"], out, way.vqgan, way.tokeniser, preset.seed)
    return out


def spent(checkpoint: Path) -> float:
    """Seconds between a training's first and last logged steps."""
    times = [row["wall_time"] for row in read_metrics(checkpoint)]
    return times[-1] - times[0]
