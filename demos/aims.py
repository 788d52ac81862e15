"""Scripted experts: for each family of tasks, where the tool should go from here.

Each is a function of the present state alone, with no phases to remember, so it recovers from whatever noise,
a slip or another controller has done to the world; and what it does can be imitated from one observation.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sim.names import pick
from sim.poses import Array, rotation_z, wrap
from sim.scene import Scene
from sim.tasks import operate
from sim.tasks.moves import Arrangement, Move, Moves
from sim.tasks.reach import hover_point_m
from sim.tasks.task import Task, hold_m
from sim.things.blocks import TARGET
from sim.things.furniture import HANDLE_WIDTH_M
from sim.things.thing import Solid

FUNNEL = 3.0  # height kept per metre of sideways error: steep enough that fingers clear neighbours
CLEAR_M = 0.09  # height above a block at which the open gripper passes over what lies on the table
OVER_M = 0.04  # height above what is stacked at which it passes over that
UNDER_M = 0.015  # of what is carried over the highest of the others
ALIGNED_M = 0.012  # sideways error at which the jaws may close around a 4 cm block
YAW_RAD = (
    np.pi / 4 + 0.1
)  # how far jaws turn: a cube's faces recur within it, with an overlap against dithering
CONTACT_M = 0.032  # from a pushed block's centre to the tool when the closed fingers touch it


class Aim(NamedTuple):
    """Where the tool should be: position (3,) [m], yaw [rad], jaws open or closed."""

    tool_m: Array
    yaw_rad: float
    opened: bool


def reach_aim(scene: Scene, variation: str) -> Aim:
    """Above the block."""
    return Aim(hover_point_m(scene, variation), 0.0, True)


def lift_aim(scene: Scene, variation: str) -> Aim:
    """Grasp, then straight up."""
    if scene.grasped(variation):
        return Aim(np.array([*scene.tool_m[:2], 0.16]), scene.tool_tilt_rad[2], False)
    return grasp_aim(scene, variation)


def grasp_aim(scene: Scene, name: str) -> Aim:
    """Above the thing, down a funnel around it, and shut."""
    grip, held = scene.grip_m, hold_m(scene, name)
    across = float(np.linalg.norm(grip[:2] - held[:2]))
    clear = max(CLEAR_M, _top_m(scene, name) + OVER_M - held[2])
    rise = float(np.clip(FUNNEL * (across - 0.008), 0.0, clear))
    shut = across < ALIGNED_M and abs(grip[2] - held[2]) < 0.012
    above = _tool_for(scene, held + np.array([0.0, 0.0, rise]))
    return _rise_first(scene, Aim(above, _grasp_yaw(scene, name), not shut))


def arrange_aim(scene: Scene, variation: str, moves: Moves) -> Aim:
    """The first move that is not made: grasp the thing, carry it to its place, let go, rise."""
    wanted = moves(scene, variation)
    move = next((move for move in wanted if not move.done(scene)), None)
    if move is None:
        return _let_go(scene, wanted[-1].name)
    if move.lies(scene) and _settled(scene, move):
        return _let_go(scene, move.name)
    if scene.grasped(move.name):
        return _carry(scene, move)
    return grasp_aim(scene, move.name)


def _settled(scene: Scene, move: Move) -> bool:
    """Whether a thing that is about where it belongs is let go: it is right there, or not held any more."""
    offset = move.offset_m(scene)
    there = np.linalg.norm(offset[:2]) < 1.5 * move.tight_m and abs(offset[2]) < move.drop_m
    return bool(there) or not scene.grasped(move.name)


def _let_go(scene: Scene, name: str) -> Aim:
    """Open, then rise."""
    tool = scene.tool_m
    free = scene.width_m > scene.solid(name).grip.width_m + 0.012
    up = tool + np.array([0.0, 0.0, 0.08 if free else 0.0])
    up[2] = min(up[2], hold_m(scene, name)[2] + 0.10)
    return Aim(up, scene.tool_tilt_rad[2], True)


def _carry(scene: Scene, move: Move) -> Aim:
    """With a held thing to where it belongs, down a funnel."""
    offset, tool = move.offset_m(scene), float(scene.tool_tilt_rad[2])
    yaw = tool
    if move.yaw_rad is not None:
        yaw = _turned(tool, move.yaw_rad - scene.yaw_rad(move.name), move.turns)
    # What is still to be turned sweeps its corners across what it is set down beside.
    error = float(np.linalg.norm(offset[:2])) + scene.solid(move.name).radius_m * abs(yaw - tool)
    stands_m = move.seat_m[2] - scene.solid(move.name).rest_m
    clear = max(move.clear_m, _top_m(scene, move.name) + UNDER_M - stands_m)
    rise = float(np.clip(FUNNEL * (error - move.tight_m), 0.0, clear))
    return _rise_first(scene, Aim(scene.tool_m + offset + np.array([0.0, 0.0, rise]), yaw, False))


def push_aim(scene: Scene, variation: str) -> Aim:
    """Get behind the block as seen from the disc, low, with shut jaws; walk it there; rise."""
    grip, block = scene.grip_m, scene.position_m(variation)
    way = scene.position_m(TARGET.name)[:2] - block[:2]
    distance = float(np.linalg.norm(way))
    if distance < 0.010:
        # There: rise, so that both cameras see the block on the disc when the episode ends.
        return Aim(np.array([*scene.tool_m[:2], block[2] + 0.10]), 0.0, False)
    unit = way / distance
    offset = grip[:2] - block[:2]
    along = float(offset @ unit)
    aside = float(np.linalg.norm(offset - along * unit))
    if along < -0.02 and aside < 0.015 and grip[2] < block[2] + 0.015:
        step = -CONTACT_M + min(distance, 0.035)
        return Aim(_tool_for(scene, np.array([*(block[:2] + unit * step), block[2]])), 0.0, False)
    behind = np.array([*(block[:2] - unit * (CONTACT_M + 0.018)), block[2]])
    rise = float(np.clip(FUNNEL * (np.linalg.norm(grip[:2] - behind[:2]) - 0.012), 0.0, 0.07))
    return _rise_first(scene, Aim(_tool_for(scene, behind + np.array([0.0, 0.0, rise])), 0.0, False))


def _tool_for(scene: Scene, grip_m: Array) -> Array:
    """Where the tool is when the middle between the pads, as open as they are, is somewhere (3,) [m]."""
    return grip_m - (scene.grip_m - scene.tool_m)


def open_aim(scene: Scene, variation: str) -> Aim:
    """Down onto the handle with open jaws, shut them, pull."""
    grip, handle = scene.grip_m, operate.handle_m(scene, variation)
    yaw = scene.yaw_rad(variation)
    across = float(np.linalg.norm(grip[:2] - handle[:2]))
    if across < ALIGNED_M and abs(grip[2] - handle[2]) < 0.012:
        held = scene.width_m < HANDLE_WIDTH_M + 0.006
        pull = rotation_z(yaw) @ np.array([-0.04 if held else 0.0, 0.0, 0.0])
        return Aim(_tool_for(scene, handle + pull), yaw, False)
    rise = float(np.clip(FUNNEL * (across - 0.008), 0.0, 0.06))
    return _rise_first(scene, Aim(_tool_for(scene, handle + np.array([0.0, 0.0, rise])), yaw, True))


def shut_aim(scene: Scene, variation: str) -> Aim:
    """Before the handle with shut jaws, low, and push."""
    handle, yaw = operate.handle_m(scene, variation), scene.yaw_rad(variation)
    inward = rotation_z(yaw) @ np.array([1.0, 0.0, 0.0])
    tool = scene.tool_m
    way = tool - handle
    along = float(way @ inward)
    aside = float(np.linalg.norm(way[:2] - along * inward[:2]))
    if along < -0.005 and aside < 0.012 and way[2] < 0.012:
        return Aim(handle + inward * 0.03, yaw, False)
    before = handle - inward * 0.04
    rise = float(np.clip(FUNNEL * (np.linalg.norm(tool[:2] - before[:2]) - 0.012), 0.0, 0.07))
    return _rise_first(scene, Aim(before + np.array([0.0, 0.0, rise]), yaw, False))


def press_aim(scene: Scene, variation: str) -> Aim:
    """Above the button with shut jaws, then down."""
    tool, top = scene.tool_m, operate.top_m(scene, variation)
    across = float(np.linalg.norm(tool[:2] - top[:2]))
    rise = float(np.clip(FUNNEL * (across - 0.008), 0.0, 0.06))
    depth = -0.02 if rise == 0.0 else 0.02
    return _rise_first(scene, Aim(top + np.array([0.0, 0.0, rise + depth]), 0.0, False))


def _top_m(scene: Scene, name: str) -> float:
    """How high the highest of the other things that are free to move reaches [m], if all stand."""
    others = [each for each in scene.things.values() if isinstance(each, Solid) and each.name != name]
    return max(float(scene.position_m(other.name)[2]) + other.top_m for other in others)


def _rise_first(scene: Scene, aim: Aim) -> Aim:
    """Holds back the sideways part of a move, and its turn, while the tool is lower than it should be."""
    tool, yaw = scene.tool_m, float(scene.tool_tilt_rad[2])
    share = float(np.clip(1.0 - (aim.tool_m[2] - tool[2]) / 0.04, 0.0, 1.0))
    across = tool[:2] + share * (aim.tool_m[:2] - tool[:2])
    return Aim(np.array([*across, aim.tool_m[2]]), yaw + share * (aim.yaw_rad - yaw), aim.opened)


def _grasp_yaw(scene: Scene, name: str) -> float:
    """The yaw nearest to the tool's at which the jaws close on two faces of a thing [rad]."""
    tool = float(scene.tool_tilt_rad[2])
    return _turned(tool, scene.yaw_rad(name) - tool, scene.solid(name).grip.turns)


def _turned(tool_rad: float, turn_rad: float, turns: int) -> float:
    """The tool's yaw after a turn, or after one that comes to the same: the nearest that the jaws can have.

    Args:
        tool_rad: The tool's yaw now [rad].
        turn_rad: How far it would have to turn [rad].
        turns: How many yaws a turn are as good; 0 if all are.
    """
    if turns == 0:
        return tool_rad
    step = 2 * np.pi / turns
    nearest = tool_rad + wrap(turn_rad, step)
    if abs(nearest) > YAW_RAD and abs(nearest - np.sign(nearest) * step) <= YAW_RAD:
        nearest -= np.sign(nearest) * step
    return float(np.clip(nearest, -YAW_RAD, YAW_RAD))


AIMS: dict[str, Callable[[Scene, str], Aim]] = {
    "reach": reach_aim,
    "push": push_aim,
    "lift": lift_aim,
    "open": open_aim,
    "shut": shut_aim,
    "press": press_aim,
}


def aim(task: Task, scene: Scene, variation: str) -> Aim:
    """Where the tool should go for a task.

    Raises:
        UnknownName: If there is no expert for the task's family.
    """
    if task.expert is not None:
        return Aim(*task.expert(scene, variation))
    if isinstance(task, Arrangement):
        return arrange_aim(scene, variation, task.moves)
    return pick(AIMS, task.family, "expert", "a task may bring its own as `expert`")(scene, variation)
