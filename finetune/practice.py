"""A branch attempts its task by itself, many times; every episode is judged, labelled and stored.

robocat practise --branch runs/cycle/models/branch --arm kuka_iiwa14 --task lift --episodes 500
"""

from functools import partial
from pathlib import Path

from demos.goals import GoalBank
from demos.rollout import Attempt
from demos.store import EpisodeStore
from demos.workers import Ended, Piece, cut, run
from robocat.checkpoint import seeded
from robocat.config import Practice
from robocat.policy import Policy
from robocat.presets import PRESETS
from sim.arms import find_arm
from sim.names import pick
from sim.tasks import find_task


def practise(
    branch: Path = Path("runs/cycle/models/branch"),
    tokeniser: Path = Path("runs/cycle/tokeniser"),
    goals: Path = Path("runs/cycle/stores/adaptation"),
    out: Path = Path("runs/cycle/stores/practice"),
    arm: str = "kuka_iiwa14",
    task: str = "lift",
    preset: str = "nano",
    episodes: int | None = None,
    workers: int = 2,
) -> None:
    """Lets a branch attempt its task; successes and failures are stored with who acted and who judged.

    Args:
        branch: The branch's checkpoint.
        tokeniser: Its tokeniser.
        goals: Store of successes whose last frames are the goals.
        out: Where the episodes go.
        arm: The arm.
        task: The task.
        preset: Which preset's exploration and number of episodes.
        episodes: Attempts instead of the preset's number.
        workers: Processes.
    """
    chosen = pick(PRESETS, preset, "preset")
    find_arm(arm), find_task(task)
    plan = chosen.practice if episodes is None else Practice(episodes, chosen.practice.explore)
    ended = practise_episodes(branch, tokeniser, goals, out, (arm, task), plan, chosen.size, workers)
    done = sum(result.success for result in ended)
    print(f"{out}: {len(ended)} new episodes, {done} successful; {len(EpisodeStore(out))} in all")


def practise_episodes(  # noqa: PLR0917 - the verb and the cycle name every argument
    branch: Path,
    tokeniser: Path,
    goals: Path,
    out: Path,
    cell: tuple[str, str],
    plan: Practice,
    size: int,
    workers: int,
) -> list[Ended]:
    """Makes the attempts, in pieces; a piece that is stored already is made again only if part of it is missing."""
    arm, task = cell
    bank = GoalBank(goals)
    variations = find_task(task).variations
    attempts: list[Attempt] = []
    for seed in range(plan.first_seed, plan.first_seed + plan.episodes):
        variation = variations[(seed - plan.first_seed) % len(variations)]
        goal = bank.random(arm, task, variation, seeded(seed, 3))
        attempts.append(Attempt(seed, variation, goal.images))
    make = partial(Policy, branch, tokeniser, plan.explore)
    who = make().provenance(0).policy
    have = (
        {e.seed for e in EpisodeStore(out).entries() if e.policy == who}
        if (out / "manifest.jsonl").exists()
        else set()
    )
    missing = [part for part in cut(attempts) if not {a.seed for a in part} <= have]
    pieces = [Piece(arm, task, size, part, make, out) for part in missing]
    return run(pieces, workers, "practice") if pieces else []
