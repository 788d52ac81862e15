"""A branch attempts its task by itself, many times; every episode is judged, labelled and stored.

For example:

    robocat practise --branch runs/cycle/models/branch --arm kuka_hand --task place --episodes 500
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

from demos.episode import episode_id
from demos.goals import GoalBank
from demos.rollout import Attempt
from demos.store import EpisodeStore
from demos.workers import Ended, Piece, cut, run
from robocat.agreement import Agreement, by_cell
from robocat.checkpoint import seeded
from robocat.config import Practice
from robocat.evaluate import Bench
from robocat.policy import Policy
from robocat.presets import PRESETS
from robocat.success import make_judge
from sim.arms import find_arm
from sim.names import pick
from sim.own import arm_name, task_name
from sim.randomisation import NOTHING, find_randomisation
from sim.tasks import find_task, refuse_held_out


def practise(
    *,
    branch: Path = Path("runs/cycle/models/branch"),
    tokeniser: Path = Path("runs/cycle/tokeniser"),
    goals: Path = Path("runs/cycle/stores/adaptation"),
    out: Path = Path("runs/cycle/stores/practice"),
    arm: str | None = None,
    task: str | None = None,
    preset: str = "nano",
    episodes: int | None = None,
    first_seed: int | None = None,
    explore: float | None = None,
    randomise: str = "none",
    judge: Path | None = None,
    workers: int = 2,
) -> None:
    """Lets a branch attempt its task; successes and failures are stored with who acted and who judged.

    Args:
        branch: The branch's checkpoint.
        tokeniser: Its tokeniser.
        goals: Store of successes whose last frames are the goals.
        out: Where the episodes go.
        arm: The arm, or a file that declares it, instead of all that the preset's branch is for.
        task: The task, or a file that declares it, instead of all that its branch has learnt.
        preset: Which preset's exploration, number of episodes, arms and tasks.
        episodes: Attempts instead of the preset's number.
        first_seed: Seed of the first scene instead of the preset's; the others follow it.
        explore: Standard deviation of the noise added to executed Cartesian actions instead of the preset's;
            attempts that are there keep theirs.
        randomise: How far the episodes' worlds differ: "none", "moderate".
        judge: A success model whose verdict counts instead of the simulator's predicate;
            what the predicate said is kept beside it, and what the model got wrong is told.
        workers: Processes.
    """
    chosen = pick(PRESETS, preset, "preset")
    given = {"episodes": episodes, "first_seed": first_seed, "explore": explore}
    plan = replace(chosen.practice, **{name: value for name, value in given.items() if value is not None})
    bench = Bench(tokeniser, goals, workers=workers, randomise=find_randomisation(randomise))
    arms = chosen.adaptation.arms if arm is None else (arm_name(arm),)
    tasks = chosen.adaptation.tasks if task is None else (task_name(task),)
    bank = GoalBank(goals)
    for body, what in ((find_arm(name), find_task(other)) for name, other in product(arms, tasks)):
        for variation in what.variations[: plan.episodes]:
            bank.nth(
                body.name, what.name, variation, 0
            )  # if there is none, before the first of many attempts
    ended = [
        result
        for cell in product(arms, tasks)
        for result in practise_episodes(branch, cell, bench, out=out, plan=plan, judge=judge)
    ]
    done = sum(result.success for result in ended)
    print(f"{out}: {len(ended)} new episodes, {done} successful; {len(EpisodeStore(out))} in all")
    if judge is not None:
        for cell, each in agreement(ended).items():
            print(f"{' '.join(cell)}, held against the predicate: {each}")


def agreement(ended: Iterable[Ended]) -> dict[tuple[str, str], Agreement]:
    """How a judge's verdicts agree with the predicate, by arm and task."""
    return by_cell(((each.arm, each.task), each.success, each.held) for each in ended)


def practise_episodes(
    branch: Path,
    cell: tuple[str, str],
    bench: Bench,
    *,
    out: Path,
    plan: Practice,
    judge: Path | None = None,
) -> list[Ended]:
    """Makes the attempts that are missing, in pieces; returns how those made now ended.

    A piece of which any part is missing is made again whole: who acts beside whom decides the last bits of
    what a network says, and what an interruption left undone must come out as it would have.

    Args:
        branch: The branch's checkpoint.
        cell: Arm and task.
        bench: Its tokeniser, the store of successes whose last frames are the goals, how far worlds differ,
            and the processes.
        out: Where the episodes go.
        plan: How many, on which seeds, and how far actions stray.
        judge: A success model's checkpoint, whose verdict counts. An attempt that is there keeps its own.

    Raises:
        CheckpointError: If branch and tokeniser are absent or do not belong together.
        StoreError: If there is no goal image for an arm, task and variation.
        ValueError: If an arm or task is unknown, the task is held out, or a number is below 1.
    """
    arm, task = find_arm(cell[0]), find_task(cell[1])
    refuse_held_out([task.name], "nothing is practised that is not to be learnt")
    if plan.episodes < 1 or bench.workers < 1:
        raise ValueError(f"episodes {plan.episodes} and workers {bench.workers} must both be at least 1")
    make = partial(Policy, branch, bench.tokeniser, plan.explore)
    make_verdict = None if judge is None else partial(make_judge, judge, bench.tokeniser)
    if make_verdict is not None:
        make_verdict()  # what does not fit is refused here and not in a worker
    who, store = make().provenance(0), EpisodeStore(out)
    ranges = None if bench.randomise == NOTHING else bench.randomise
    bank = GoalBank(bench.goals)
    base = Piece(
        arm.name, task.name, bench.size, (), make, out, randomise=bench.randomise, judge=make_verdict
    )

    def variation(index: int) -> str:
        return task.variations[index % len(task.variations)]

    def attempt(index: int) -> Attempt:
        seed = plan.first_seed + index
        goal = bank.random(arm.name, task.name, variation(index), seeded(seed, 3))
        return Attempt(seed, variation(index), goal.images)

    def is_there(index: int) -> bool:
        what, seed = (arm.name, task.name, variation(index)), plan.first_seed + index
        return episode_id(*what, who.controller, who.policy, who.generation, seed, ranges) in store

    todo = [part for part in cut(range(plan.episodes)) if not (store.exists and all(map(is_there, part)))]
    pieces = [replace(base, attempts=tuple(map(attempt, part))) for part in todo]
    return run(pieces, bench.workers, "practice") if pieces else []
