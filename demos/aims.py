"""Scripted experts: for each task, where the tool should go from here.

Each is a function of the present state alone, with no phases to remember, so it recovers from whatever noise,
a slip or another controller has done to the world; and what it does can be imitated from one observation.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sim.objects import TARGET
from sim.poses import Array, wrap
from sim.scene import Scene
from sim.tasks import place, stack
from sim.tasks.reach import hover_point_m
from sim.tasks.task import side_m

FUNNEL = 3.0  # height kept per metre of sideways error: steep enough that fingers clear neighbours
CLEAR_M = 0.09  # height above a block at which the open gripper passes over everything
ALIGNED_M = 0.012  # sideways error at which the jaws may close around a 4 cm block
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
    """Above the block, down a funnel around it, and shut."""
    grip, block = scene.grip_m, scene.position_m(name)
    across = float(np.linalg.norm(grip[:2] - block[:2]))
    rise = float(np.clip(FUNNEL * (across - 0.008), 0.0, CLEAR_M))
    shut = across < ALIGNED_M and abs(grip[2] - block[2]) < 0.012
    aim = _rise_first(scene, _tool_for(scene, block + np.array([0.0, 0.0, rise])))
    return Aim(aim, _grasp_yaw(scene, name), not shut)


def stack_aim(scene: Scene, variation: str) -> Aim:
    """Grasp the upper block, carry it over the lower one, down a funnel, let go, and rise."""
    upper, lower = stack.pair(variation)
    offset = stack.offset_m(scene, variation)
    if stack.seated(scene, variation) and _settled(scene, upper, offset):
        return _let_go(scene, upper)
    if scene.grasped(upper):
        return _carry(scene, offset, _grasp_yaw(scene, lower))
    return grasp_aim(scene, upper)


def place_aim(scene: Scene, variation: str) -> Aim:
    """Grasp the block, carry it over the disc, down a funnel, let go, and rise."""
    offset = place.offset_m(scene, variation)
    if place.lies(scene, variation) and _settled(scene, variation, offset):
        return _let_go(scene, variation)
    if scene.grasped(variation):
        return _carry(scene, offset, float(scene.tool_tilt_rad[2]))
    return grasp_aim(scene, variation)


def _settled(scene: Scene, name: str, offset_m: Array) -> bool:
    """Whether a block that is about where it belongs is let go: it is right there, or not held any more."""
    there = float(np.linalg.norm(offset_m[:2])) < 0.012 and abs(offset_m[2]) < 0.006
    return there or not scene.grasped(name)


def _let_go(scene: Scene, name: str) -> Aim:
    """Open, then rise."""
    tool = scene.tool_m
    free = scene.width_m > side_m(scene, name) + 0.012
    up = tool + np.array([0.0, 0.0, 0.08 if free else 0.0])
    up[2] = min(up[2], scene.position_m(name)[2] + 0.10)
    return Aim(up, scene.tool_tilt_rad[2], True)


def _carry(scene: Scene, offset_m: Array, yaw_rad: float) -> Aim:
    """With a held block to where it belongs, down a funnel."""
    rise = float(np.clip(FUNNEL * (np.linalg.norm(offset_m[:2]) - 0.008), 0.0, 0.05))
    return Aim(_rise_first(scene, scene.tool_m + offset_m + np.array([0.0, 0.0, rise])), yaw_rad, False)


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
    return Aim(_rise_first(scene, _tool_for(scene, behind + np.array([0.0, 0.0, rise]))), 0.0, False)


def _tool_for(scene: Scene, grip_m: Array) -> Array:
    """Where the tool is when the middle between the pads, as open as they are, is somewhere (3,) [m]."""
    return grip_m - (scene.grip_m - scene.tool_m)


def _rise_first(scene: Scene, aim_m: Array) -> Array:
    """Holds back the sideways part of a move while the tool is lower than it should be."""
    tool = scene.tool_m
    share = float(np.clip(1.0 - (aim_m[2] - tool[2]) / 0.04, 0.0, 1.0))
    return np.array([*(tool[:2] + share * (aim_m[:2] - tool[:2])), aim_m[2]])


def _grasp_yaw(scene: Scene, name: str) -> float:
    """The yaw nearest to the tool's, of the four a turn, at which the jaws close on two faces of a block."""
    tool = float(scene.tool_tilt_rad[2])
    return float(np.clip(tool + wrap(scene.yaw_rad(name) - tool, np.pi / 2), -np.pi / 4, np.pi / 4))


AIMS: dict[str, Callable[[Scene, str], Aim]] = {
    "reach": reach_aim,
    "push": push_aim,
    "lift": lift_aim,
    "place": place_aim,
    "stack": stack_aim,
}
