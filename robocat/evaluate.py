"""Success rates with intervals, on given seeds and goal images, every outcome kept.

For example:

    robocat evaluate runs/cycle/models/generalist-0 --arms panda --tasks lift --episodes 50
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from demos.collect import Collection, expert_pieces
from demos.goals import GoalBank
from demos.rollout import Attempt
from demos.workers import Ended, Piece, cut, run
from robocat.agent_checkpoint import read_card, tokeniser_beside
from robocat.checkpoint import versions
from robocat.policy import Policy
from robocat.presets import PRESETS
from robocat.scores import Scores, Trial
from robocat.tokeniser import load_tokeniser
from sim.arms import find_arm
from sim.names import pick
from sim.own import arm_names, task_names
from sim.randomisation import NOTHING, Randomisation, find_randomisation
from sim.tasks import find_task

GOAL_ROUNDS = 5  # an expert that fails every third time has enough after three


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
        tokeniser: The tokeniser's checkpoint; images are of its size.
        goals: A store of successes whose last frames are the goal images; it serves nothing else.
        clips: A store for a few whole episodes to look at, or None.
        clips_each: Episodes kept of each arm and task.
        workers: Processes.
        randomise: How far the episodes' worlds differ, those of the goals as well.
    """

    tokeniser: Path
    goals: Path
    clips: Path | None = None
    clips_each: int = 2
    workers: int = 2
    randomise: Randomisation = NOTHING

    @property
    def size(self) -> int:
        """Image size [px]."""
        return load_tokeniser(self.tokeniser).config.size


def evaluate(
    checkpoint: Annotated[Path, tyro.conf.Positional] = Path("runs/cycle/models/generalist-0"),
    *,
    preset: str = "nano",
    tokeniser: Path | None = None,
    arms: tuple[str, ...] | None = None,
    tasks: tuple[str, ...] | None = None,
    episodes: int | None = None,
    first_seed: int = 700_000,
    randomise: str = "none",
    goals: Path | None = None,
    out: Path | None = None,
    workers: int = 2,
) -> None:
    """Measures an agent: a different scene and goal image each episode, 95 % Wilson intervals.

    Args:
        checkpoint: The agent.
        preset: Which preset's arms, tasks and number of episodes.
        tokeniser: Its tokeniser; that of the run it belongs to if not given.
        arms: Arms to measure on instead, or files that declare some.
        tasks: Tasks to measure instead, or files that declare some.
        episodes: Episodes for each arm and task instead.
        first_seed: Seeds of the scenes count up from here.
        randomise: How far the episodes' worlds differ: "none", "moderate".
        goals: Store of successes to take goal images from; made by the experts, beside the run's other
            stores, if not given.
        out: Where the scores go; `scores/<agent>-<seed>.json` in the run if not given, before the dot with
            the name of the randomisation and what arms and tasks were asked for, if any.
        workers: Processes.
    """
    chosen = pick(PRESETS, preset, "preset")
    asked = arm_names(arms or ()), task_names(tasks or ())
    arms, tasks = asked[0] or chosen.collection.arms, asked[1] or chosen.collection.tasks
    episodes = chosen.evaluation.episodes if episodes is None else episodes
    name = read_card(checkpoint).name
    run_folder = checkpoint.parent.parent
    ranges = find_randomisation(randomise)
    where = f"{first_seed}" if ranges == NOTHING else f"{first_seed}-{randomise}"
    of_what = "".join(f"-{'+'.join(names)}" for names in asked if names)
    bench = Bench(
        tokeniser or tokeniser_beside(checkpoint),
        goals or run_folder / "stores" / f"goals-{where}",
        workers=workers,
        randomise=ranges,
    )
    cells = [Cell(arm, task, episodes, first_seed) for arm in arms for task in tasks]
    if goals is None:
        make_goals(bench, cells, first_seed + 50_000)
    scores = measure(name, checkpoint, cells, bench)
    path = out or run_folder / "scores" / f"{name}-{where}{of_what}.json"
    scores.save(path)
    Console().print(rates_table(scores))
    print(path)


def make_goals(bench: Bench, cells: Sequence[Cell], first_seed: int) -> None:
    """Lets an expert bring about a goal for each episode to be measured, none for two.

    Attempts that fail lend no image, and others are made in their place, on the seeds after; an expert that
    still has too few after GOAL_ROUNDS lends those it has more than once.
    """
    start = Collection(size=bench.size, first_seed=first_seed, randomise=bench.randomise, held_out=True)
    missing = {(cell.arm, cell.task): cell.episodes for cell in cells}
    tried = dict.fromkeys(missing, 0)
    for _ in range(GOAL_ROUNDS):
        pieces: list[Piece] = []
        for (arm, task), episodes in missing.items():
            seed = first_seed + tried[arm, task]
            plan = replace(start, arms=(arm,), tasks=(task,), episodes=episodes, first_seed=seed)
            pieces += expert_pieces(bench.goals, plan)
            tried[arm, task] += episodes
        if pieces:
            run(pieces, bench.workers, "goals")
        bank = GoalBank(bench.goals)
        counted = {(cell.arm, cell.task): _missing(bank, cell) for cell in cells}
        if not (missing := {pair: count for pair, count in counted.items() if count}):
            return


def _missing(bank: GoalBank, cell: Cell) -> int:
    """How many attempts, over all variations in turn, would do if each succeeded."""
    variations = find_task(cell.task).variations
    lacks = [
        len(range(turn, cell.episodes, len(variations))) - bank.count(cell.arm, cell.task, variation)
        for turn, variation in enumerate(variations)
    ]
    return len(variations) * max(0, *lacks)


def measure(name: str, checkpoint: Path, cells: Sequence[Cell], bench: Bench) -> Scores:
    """Runs an agent on every cell; which seed and goal image meet depends on the cell alone, so models pair.

    Raises:
        CheckpointError: If agent and tokeniser are absent or do not belong together.
        StoreError: If there is no goal image for an arm, task and variation.
        ValueError: If an arm or task is unknown, or a number is below 1.
    """
    if (least := min(bench.workers, *(cell.episodes for cell in cells))) < 1:
        raise ValueError(f"episodes and workers must be at least 1, got {least}")
    started = time.monotonic()
    bank = GoalBank(bench.goals)
    make = partial(Policy, checkpoint, bench.tokeniser)
    pieces: list[Piece] = []
    goal_ids: dict[tuple[str, str, int], str] = {}
    for cell in cells:
        attempts: list[Attempt] = []
        find_arm(cell.arm)
        variations = find_task(cell.task).variations
        for i in range(cell.episodes):
            variation = variations[i % len(variations)]
            goal = bank.nth(cell.arm, cell.task, variation, i // len(variations))
            goal_ids[cell.arm, cell.task, cell.first_seed + i] = goal.episode
            attempts.append(Attempt(cell.first_seed + i, variation, goal.images))
        for k, part in enumerate(cut(attempts)):
            clips = bench.clips if k == 0 else None
            piece = Piece(
                cell.arm, cell.task, bench.size, part, make, clips, bench.clips_each, bench.randomise
            )
            pieces.append(piece)
    ended = run(pieces, bench.workers, f"evaluating {name}")
    card = read_card(checkpoint)
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
