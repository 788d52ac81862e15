"""What an arm feels: named channels with units and declared ranges."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import mujoco
import numpy as np

from sim.arms.arm import Arm, span_rad
from sim.limb import Limb
from sim.poses import Array, wrap
from sim.scene import Scene
from sim.tool_control import TILT_LIMIT_RAD, arm_model, fence_m

# The measured tool may lag or sag a little beyond the fence of the commanded one.
SLACK_M = 0.05
SLACK_RAD = 0.3
SLACK_FINGER_RAD = 0.02  # a finger's stop gives a little


@dataclass(frozen=True)
class Channel:
    """One number of proprioception.

    Attributes:
        name: e.g. "joint_1" (from the base), "tool_x", "width", "finger_1".
        unit: "rad" or "m".
        low: Least value.
        high: Greatest value; readings are clipped to the range.
    """

    name: str
    unit: str
    low: float
    high: float


def channels(arm: Arm) -> tuple[Channel, ...]:
    """Joint positions, tool position, tool orientation (yaw, or roll, pitch and yaw), and the gripper's
    opening or, of a hand, the position of each of its joints.

    A joint that turns without end is within half a turn of zero. Of two arms the partner's follow, each name
    with `sim.arms.arm.PARTNER` before it.
    """
    return tuple(
        replace(channel, name=prefix + channel.name) for prefix, each in arm.limbs for channel in _own(each)
    )


def _own(arm: Arm) -> tuple[Channel, ...]:
    """Those of one arm."""
    model = arm_model(arm)
    joints = [
        Channel(f"joint_{i}", "rad", *span_rad(model, name)) for i, name in enumerate(arm.joints, start=1)
    ]
    position = [
        Channel(f"tool_{axis}", "m", float(low) - SLACK_M, float(high) + SLACK_M)
        for axis, low, high in zip("xyz", *fence_m(arm), strict=True)
    ]
    orientation = [
        Channel(f"tool_{name}", "rad", -float(limit) - SLACK_RAD, float(limit) + SLACK_RAD)
        for name, limit in zip(("roll", "pitch", "yaw"), TILT_LIMIT_RAD, strict=True)
    ]
    turns = orientation[-1:] if arm.cartesian_dof == 4 else orientation
    return (*joints, *position, *turns, *_gripper_channels(arm))


def _gripper_channels(arm: Arm) -> list[Channel]:
    if not _is_hand(arm):
        return [Channel("width", "m", 0.0, arm.gripper.width_m[-1] + 0.01)]
    joints = [arm_model(arm).joint(name) for name in arm.gripper.joints]
    for joint in joints:
        if joint.type[0] != mujoco.mjtJoint.mjJNT_HINGE or joint.range[0] >= joint.range[1]:
            raise ValueError(
                f"gripper {arm.gripper.name!r}: joint {joint.name!r} of a hand: expected a hinge with a range"
            )
    return [
        Channel(f"finger_{i}", "rad", joint.range[0] - SLACK_FINGER_RAD, joint.range[1] + SLACK_FINGER_RAD)
        for i, joint in enumerate(joints, start=1)
    ]


def _is_hand(arm: Arm) -> bool:
    return len(arm.gripper.numbers) > 1


@lru_cache(maxsize=16)
def _endless(arm: Arm) -> tuple[int, ...]:
    """Which joints turn without end."""
    model = arm_model(arm)
    return tuple(i for i, name in enumerate(arm.joints) if not model.jnt_limited[model.joint(name).id])


def read(scene: Scene) -> Array:
    """The channels' values (P,) in their units, not clipped to their ranges."""
    return np.concatenate([part for limb in scene.limbs for part in _parts(limb)])


def _parts(limb: Limb) -> tuple[Array | list[float], ...]:
    """Joints, tool position, tool orientation and gripper of one arm."""
    tilt = limb.tool_tilt_rad
    orientation = tilt[2:] if limb.arm.cartesian_dof == 4 else tilt
    gripper = limb.fingers if _is_hand(limb.arm) else [limb.width_m]
    joints = limb.joints_rad
    for i in _endless(limb.arm):
        joints[i] = wrap(joints[i], 2 * math.pi)
    return joints, limb.tool_m, orientation, gripper
