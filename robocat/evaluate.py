"""Success rates with intervals, on given seeds and goal images, every outcome kept.

    robocat evaluate runs/cycle/models/generalist-0 --arms panda --tasks lift --episodes 50
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from demos.collect import Seeds, collect_experts
from demos.expert import Noise
from demos.goals import GoalBank
from demos.rollout import Attempt
from demos.workers import Ended, Piece, cut, run
from robocat.checkpoint import versions
from robocat.policy import Policy, describe
from robocat.scores import Scores, Trial
from sim.tasks import find_task


@dataclass(frozen=True)
class Cell:
    """What is measured: so many episodes of one arm and task, on seeds from `first_seed` on."""

    arm: str
    task: str
    episodes: int
    first_seed: int


@dataclass(frozen=True)
class Bench:
    """Where a measurement's inputs and by-products are.

    Attributes:
        tokeniser: The tokeniser's checkpoint.
        goals: A store of successes whose last frames are the goal images; it serves nothing else.
        clips: A store for a few whole episodes to look at, or None.
        clips_each: Episodes kept of each arm and task.
        size: Image size [px].
        workers: Processes.
    """

    tokeniser: Path
    goals: Path
    clips: Path | None = None
    clips_each: int = 2
    size: int = 64
    workers: int = 2


def evaluate(
    checkpoint: Annotated[Path, tyro.conf.Positional] = Path("runs/cycle/models/generalist-0"),
    tokeniser: Path = Path("runs/cycle/tokeniser"),
    arms: tuple[str, ...] = ("panda", "sawyer", "ur5e"),
    tasks: tuple[str, ...] = ("reach", "push", "lift", "stack"),
    episodes: int = 50,
    first_seed: int = 700_000,
    goals: Path | None = None,
    out: Path | None = None,
    workers: int = 2,
) -> None:
    """Measures an agent: a different scene and goal image each episode, 95 % Wilson intervals.

    Args:
        checkpoint: The agent.
        tokeniser: Its tokeniser.
        arms: Arms to measure on.
        tasks: Tasks to measure.
        episodes: Episodes for each arm and task.
        first_seed: Seeds of the scenes count up from here.
        goals: Store of successes to take goal images from; made by the experts, beside the scores, if not given.
        out: Where the scores go; `scores/<agent>-<seed>.json` beside the models if not given.
        workers: Processes.
    """
    name = describe(checkpoint).name
    run_folder = checkpoint.parent.parent
    goals = goals or run_folder / "stores" / f"goals-{first_seed}"
    cells = [Cell(arm, task, episodes, first_seed) for arm in arms for task in tasks]
    make_goals(goals, cells, first_seed + 50_000, workers=workers)
    scores = measure(name, checkpoint, cells, Bench(tokeniser, goals, workers=workers))
    path = out or run_folder / "scores" / f"{name}-{first_seed}.json"
    scores.save(path)
    Console().print(rates_table(scores))
    print(path)


def make_goals(store: Path, cells: Sequence[Cell], first_seed: int, size: int = 64, workers: int = 2) -> None:
    """One expert success for each episode to be measured, so that each has a goal image of its own."""
    for cell in cells:
        seeds = Seeds(first_seed, cell.episodes)
        what = f"goals {cell.arm} {cell.task}"
        collect_experts(store, (cell.arm,), (cell.task,), seeds, Noise(), size, workers, what)


def measure(name: str, checkpoint: Path, cells: Sequence[Cell], bench: Bench) -> Scores:
    """Runs an agent on every cell; which seed and goal image meet depends on the cell alone, so models pair."""
    started = time.monotonic()
    bank = GoalBank(bench.goals)
    make = partial(Policy, checkpoint, bench.tokeniser)
    pieces: list[Piece] = []
    goal_ids: dict[tuple[str, str, int], str] = {}
    for cell in cells:
        attempts: list[Attempt] = []
        variations = find_task(cell.task).variations
        for i in range(cell.episodes):
            variation = variations[i % len(variations)]
            goal = bank.nth(cell.arm, cell.task, variation, i // len(variations))
            goal_ids[cell.arm, cell.task, cell.first_seed + i] = goal.episode
            attempts.append(Attempt(cell.first_seed + i, variation, goal.images))
        for k, part in enumerate(cut(attempts)):
            keep = bench.clips_each if k == 0 else 0
            pieces.append(Piece(cell.arm, cell.task, bench.size, part, make, bench.clips if keep else None, keep))
    ended = run(pieces, bench.workers, f"evaluating {name}")
    card = describe(checkpoint)
    trials = tuple(_trial(result, goal_ids) for result in ended)
    return Scores(name, card.generation, str(checkpoint), trials, time.monotonic() - started, versions())


def _trial(result: Ended, goal_ids: dict[tuple[str, str, int], str]) -> Trial:
    goal = goal_ids[result.arm, result.task, result.seed]
    return Trial(result.arm, result.task, result.variation, result.seed, goal, result.success, result.steps)


def rates_table(scores: Scores) -> Table:
    """Success rates with intervals, arms down and tasks across."""
    table = Table(title=f"{scores.model}: success rate with 95 % interval")
    cells = scores.cells()
    tasks = list(dict.fromkeys(task for _, task in cells))
    table.add_column("arm")
    for task in tasks:
        table.add_column(task, justify="right")
    for arm in dict.fromkeys(arm for arm, _ in cells):
        row = [arm]
        for task in tasks:
            rate = scores.cell(arm, task) if (arm, task) in cells else None
            row.append(f"{rate.mean:.0%} ({rate.low:.0%}-{rate.high:.0%}), n {rate.n}" if rate else "")
        table.add_row(*row)
    return table
