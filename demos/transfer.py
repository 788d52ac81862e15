"""A segment of a demonstration moved to where its thing is in another scene, as points to follow."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from demos.segments import Segment, heading, in_hand
from sim.arms.arm import Arm
from sim.poses import Array, rotation_exp, rotation_log, rotation_z, wrap
from sim.scene import Scene
from sim.tool_control import TILT_LIMIT_RAD, fence_m

# Own choices, see `demos.segments`.
SPEED = 0.8  # of what the arm's actions can ask for: the rest is for catching up
ASIDE_M = 0.03  # a way farther across than that goes over what lies between,
CLEAR_M = 0.10  # at least so high
JAW_TURNS = 2  # yaws a turn at which shut jaws are the same

Roles = Mapping[str, str]  # a thing of the demonstration to the one that stands for it


@dataclass(frozen=True)
class Path:
    """Where a tool should be, one point a control period.

    Attributes:
        grip_m: Middle between the pads (n, 3) [m].
        tilt_rad: Of the tool (n, 3) [rad].
        opened: Numbers of the gripper (n, G).
    """

    grip_m: Array
    tilt_rad: Array
    opened: Array


def frame_turn_rad(segment: Segment, roles: Roles, scene: Scene) -> float:
    """How far a segment's frame is turned in a scene, or as good as that for the tool [rad]."""
    if segment.way is None:
        turn = scene.yaw_rad(roles[segment.at]) - segment.heading_rad
        return _best_turn(segment, turn, segment.turns)
    start, end = (scene.position_m(roles[name]) for name in segment.way)
    return wrap(heading(start, end) - segment.heading_rad, 2 * np.pi)


def _best_turn(segment: Segment, turn_rad: float, turns: int) -> float:
    """Of turns that are as good as each other the least that keeps the tool within its limit of yaw [rad]."""
    if turns == 0:
        return 0.0
    step = 2 * np.pi / turns
    least = wrap(turn_rad, step)
    yaws = segment.tilt_rad[:, 2]

    def cost(turn: float) -> tuple[float, float]:
        return max(0.0, float(np.abs(yaws + turn).max()) - TILT_LIMIT_RAD[2]), abs(turn)

    return min((least, least - step, least + step), key=cost)


def moved(segment: Segment, roles: Roles, scene: Scene) -> Segment:
    """The segment about the same frame in a scene, as things lie in it now.

    Where what it holds lies otherwise between the jaws than in the demonstration, the tool goes where that
    brings it to the same place.
    """
    turn = frame_turn_rad(segment, roles, scene)
    # Jaws need not be turned about to push the other way.
    lead = rotation_z(turn if segment.way is None else _best_turn(segment, turn, JAW_TURNS))
    rotations = [lead @ rotation_exp(tilt) for tilt in segment.tilt_rad]
    grip = scene.position_m(roles[segment.at]) + (segment.grip_m - segment.origin_m) @ rotation_z(turn).T
    if segment.held is not None and segment.held != segment.at:
        held = roles[segment.held]
        now_m, now_rad = in_hand(
            scene.grip_m, scene.tool_tilt_rad, scene.position_m(held), scene.yaw_rad(held)
        )
        off = segment.in_hand_rad - now_rad
        more = rotation_z(wrap(off, 2 * np.pi / segment.held_turns) if segment.held_turns else 0.0)
        seats = [p + r @ segment.in_hand_m for p, r in zip(grip, rotations, strict=True)]
        rotations = [more @ r for r in rotations]
        grip = np.array([seat - r @ now_m for seat, r in zip(seats, rotations, strict=True)])
    return replace(segment, grip_m=grip, tilt_rad=np.array([rotation_log(r) for r in rotations]))


def path(segment: Segment, scene: Scene, control_hz: int) -> Path:
    """A way from where the tool is to a segment's first point and along it, as fast as it was if the arm can.

    Args:
        segment: As `moved` gives it.
        scene: Where the tool is.
        control_hz: Points per second.
    """
    arm, tilt = scene.limbs[0].arm, scene.tool_tilt_rad
    joints = _joints(segment, scene.grip_m)
    grip = np.clip(np.vstack([*joints, segment.grip_m]), *fence_m(arm))
    tilts = np.vstack([*[tilt] * len(joints), segment.tilt_rad])
    least = np.array([*[0.0] * len(joints), *[segment.period_s] * (len(segment.grip_m) - 1)])
    when = np.concatenate([[0.0], np.cumsum(np.maximum(least, _durations(arm, grip, tilts)))])
    count = max(1, int(np.ceil(when[-1] * control_hz - 1e-6)))
    times = np.linspace(when[-1] / count, when[-1], count)
    legs = np.clip(np.searchsorted(when, times - 1e-9) - len(joints), 0, len(segment.opened) - 1)
    return Path(_at(times, when, grip), _at(times, when, tilts), segment.opened[legs])


def _joints(segment: Segment, here_m: Array) -> list[Array]:
    """From where the tool is to before a segment's first point: straight, or up, across and down."""
    first, joints = segment.grip_m[0], [here_m]
    pushes_on = segment.way is not None and segment.at == segment.way[1]
    if pushes_on or np.linalg.norm(first[:2] - here_m[:2]) < ASIDE_M:
        return joints
    clear = max(first[2], CLEAR_M)
    if here_m[2] < clear:
        joints.append(np.array([*here_m[:2], clear]))
    if first[2] < clear:
        joints.append(np.array([*first[:2], clear]))
    return joints


def _durations(arm: Arm, grip_m: Array, tilt_rad: Array) -> Array:
    """How long the arm takes between points [s]."""
    ways = np.linalg.norm(np.diff(grip_m, axis=0), axis=1) / (SPEED * arm.linear_m_s)
    turns = np.abs(np.diff(tilt_rad, axis=0)).max(axis=1) / (SPEED * arm.angular_rad_s)
    return np.maximum(ways, turns)


def _at(times_s: Array, when_s: Array, points: Array) -> Array:
    """Points (n, 3) at other times (m,), straight between those given."""
    return np.array([np.interp(times_s, when_s, each) for each in points.T]).T
