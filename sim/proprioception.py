"""What an arm feels: named channels with units and declared ranges."""

from dataclasses import dataclass

import numpy as np

from sim.arms.arm import Arm
from sim.control import TILT_LIMIT_RAD, TOOL_HIGH_M, TOOL_LOW_M, arm_model
from sim.poses import Array
from sim.scene import Scene

# The measured tool may lag or sag a little beyond the fence of the commanded one.
SLACK_M = 0.05
SLACK_RAD = 0.3


@dataclass(frozen=True)
class Channel:
    """One number of proprioception.

    Attributes:
        name: e.g. "joint_1" (from the base), "tool_x", "width".
        unit: "rad" or "m".
        low: Least value.
        high: Greatest value; readings are clipped to the range.
    """

    name: str
    unit: str
    low: float
    high: float


def channels(arm: Arm) -> tuple[Channel, ...]:
    """Joint positions, tool position, tool orientation (yaw, or roll, pitch and yaw), gripper opening."""
    joints = [Channel(f"joint_{i}", "rad", *limits) for i, limits in enumerate(_joint_limits(arm), start=1)]
    position = [
        Channel(f"tool_{axis}", "m", float(low) - SLACK_M, float(high) + SLACK_M)
        for axis, low, high in zip("xyz", TOOL_LOW_M, TOOL_HIGH_M, strict=True)
    ]
    orientation = [
        Channel(f"tool_{name}", "rad", -float(limit) - SLACK_RAD, float(limit) + SLACK_RAD)
        for name, limit in zip(("roll", "pitch", "yaw"), TILT_LIMIT_RAD, strict=True)
    ]
    turns = orientation[-1:] if arm.cartesian_dof == 4 else orientation
    return (*joints, *position, *turns, Channel("width", "m", 0.0, arm.gripper.width_m[1] + 0.01))


def _joint_limits(arm: Arm) -> list[tuple[float, float]]:
    model = arm_model(arm)
    return [(float(model.joint(name).range[0]), float(model.joint(name).range[1])) for name in arm.joints]


def read(scene: Scene) -> Array:
    """The channels' values (P,) in their units, not clipped to their ranges."""
    tilt = scene.tool_tilt_rad
    orientation = tilt[2:] if scene.arm.cartesian_dof == 4 else tilt
    return np.concatenate([scene.joints_rad, scene.tool_m, orientation, [scene.width_m]])
