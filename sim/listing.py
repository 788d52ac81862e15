"""`robocat arms` and `robocat tasks`: what there is, as tables."""

from collections.abc import Sequence
from functools import lru_cache

import mujoco
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from sim.arms import ARMS, MESHED, PAIRS
from sim.arms.arm import Arm, span_rad
from sim.registration import environment_id, environment_ids
from sim.tasks.catalogue import HELD_OUT, TRAINING
from sim.tasks.handover import HANDOVER
from sim.tasks.hard import HARD
from sim.tasks.task import Task
from sim.tool_control import arm_model

FULL_COLUMNS = 116  # characters in which every column of the table of arms is readable


def arms(*, sources: bool = False) -> None:
    """Lists the arms: joints, reach, gripper, what an action is.

    Args:
        sources: Say where the figures come from too.
    """
    console = Console()
    full = console.width >= FULL_COLUMNS
    console.print(_arms(full))
    said = [
        "reach: the farthest that the tool gets from the axis of the first joint",
        "load: what the maker says that the arm carries, gripper included",
        f"in DeepMind's meshes (extra `menagerie`): {', '.join(MESHED)}",
    ]
    if not full:
        said.append(
            "left out for want of room: what an action's numbers are, and speeds; "
            f"`COLUMNS={FULL_COLUMNS} robocat arms | less -S` shows them"
        )
    if sources:
        said += ["figures from:", *(f"  {name}: {source}" for name, source in _sources().items())]
    else:
        said.append("where the figures come from: `robocat arms --sources`")
    for line in said:
        console.print(line, highlight=False, markup=False)


def _arms(full: bool) -> Table:
    """All arms, two lines each; those in `full` also say what the numbers of an action are, and speeds."""
    table = Table(title="arms", box=SIMPLE, pad_edge=False)
    columns = ("name", "arm", "joints", "reach\n\\[m]", "load\n\\[kg]", "gripper", "action")
    for column in (*columns, "at most") if full else columns:
        table.add_column(column, overflow="fold", no_wrap=column not in ("arm", "action"))
    for arm in (*ARMS.values(), *PAIRS.values()):
        closed, opened = arm.gripper.width_m[0], arm.gripper.width_m[-1]
        row = [
            arm.name,
            arm.title,
            " + ".join(str(len(each.joints)) for _, each in arm.limbs),
            f"{reach_m(arm):.2f}",
            "" if arm.payload_kg is None else f"{arm.payload_kg:g}",
            f"{arm.gripper.name}\n{1000 * (opened - closed):.0f} mm",
        ]
        if full:
            row.append(f"{arm.action_size}: {', '.join(arm.action_names)}")
            row.append(f"{arm.linear_m_s:g} m/s\n{arm.angular_rad_s:g} rad/s")
        else:
            row.append(str(arm.action_size))
        table.add_row(*row)
    return table


def _sources() -> dict[str, str]:
    """Where the figures of each arm and gripper come from."""
    sources = {arm.name: arm.source for arm in ARMS.values()}
    return sources | {arm.gripper.name: arm.gripper.source for arm in ARMS.values()}


def tasks() -> None:
    """Lists the tasks by family: how many each counts as, time limit, what is to be done."""
    console = Console()
    for title, some in (("trained on", TRAINING), ("held out", HELD_OUT), ("of two arms", (HANDOVER,))):
        console.print(_tasks(title, some))
    said = (
        f"{_count(TRAINING)} tasks trained on, {_count(HELD_OUT)} held out; n: one for each thing meant, or "
        "order of things, as its goal image shows it",
        f"{len(environment_ids())} environments, each of {len(ARMS)} arms at each name above, and two arms "
        f"({', '.join(PAIRS)}) at {HANDOVER.name}:",
        f'  gymnasium.make("sim.registration:{environment_id("<arm>", "<name>")}")',
        "without noise, experts succeed in 95 % or more everywhere but here:",
        *(f"  {arm} {task}: {why}" for (arm, task), why in HARD.items()),
    )
    for line in said:
        console.print(line, highlight=False, markup=False)


def _count(some: Sequence[Task]) -> int:
    return sum(len(task.variations) for task in some)


def _tasks(title: str, some: Sequence[Task]) -> Table:
    """Some tasks, each family's under its name."""
    table = Table(title=f"tasks {title}", box=SIMPLE, pad_edge=False)
    table.add_column("family and name", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column(r"\[s]", justify="right", no_wrap=True)
    table.add_column("task", overflow="fold")
    for family in dict.fromkeys(task.family for task in some):
        members = [task for task in some if task.family == family]
        table.add_row(family, str(_count(members)), "", "", style="bold")
        for task in members:
            table.add_row(f"  {task.name}", str(len(task.variations)), f"{task.horizon_s:g}", task.summary)
    return table


@lru_cache(maxsize=16)
def reach_m(arm: Arm) -> float:
    """How far from the axis of its first joint an arm's tool gets [m], inside the joints' limits.

    Each joint in turn goes to the best of its angles while the others hold still, from a few random starts:
    the distance is a simple curve in each angle, so this climbs to the top in a few rounds.
    """
    model = arm_model(arm)
    data = mujoco.MjData(model)
    joints = [model.joint(name) for name in arm.joints]
    tool = model.site("tool").id
    rng = np.random.default_rng(0)

    def distance_m() -> float:
        mujoco.mj_kinematics(model, data)
        along = data.xaxis[joints[0].id]
        from_axis = data.site_xpos[tool] - data.xanchor[joints[0].id]
        return float(np.linalg.norm(from_axis - (from_axis @ along) * along))

    best = 0.0
    for _ in range(4):
        for joint in joints:
            data.qpos[joint.qposadr[0]] = rng.uniform(*span_rad(model, joint.name))
        for _ in range(6):
            for joint in joints[1:]:
                reached: dict[float, float] = {}
                for angle in np.linspace(*span_rad(model, joint.name), 61):
                    data.qpos[joint.qposadr[0]] = angle
                    reached[distance_m()] = angle
                data.qpos[joint.qposadr[0]] = reached[max(reached)]
        best = max(best, distance_m())
    return best
