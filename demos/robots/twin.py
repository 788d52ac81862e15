"""The simulated model of a real arm: what its joints mean for the tool, and what the tool means for them.

Inverse kinematics, workspace and limits are the simulation's own (`sim.tool_control`). Where the arm reports
to be stands in the model as joint positions, what was sent to it last as controls, and where its tool is to
be as in any simulation: `sim.scene.Scene.state` holds all three.
"""

from dataclasses import replace
from typing import NamedTuple

import mink
import mujoco
import numpy as np
from numpy.typing import NDArray

from demos.robots.way_home import WayHome
from sim.arms.arm import Arm
from sim.poses import Array, rotation_log
from sim.proprioception import channels, read
from sim.scene import Scene
from sim.tool_control import RAMP_PIECES, ToolControl, fence_m

SPEED_SHARE = 0.5  # own choice: of the rated speeds of joints, which hold without a load
SAME_RAD = 1e-3  # a rounding of joint targets on their way; a servo's step is 1.5e-3
OUTSIDE_M = 0.001  # so far beyond the workspace a joint target may put the tool
SHARES = (1.0, 0.75, 0.5, 0.25, 0.1)  # of a step, the first that stays inside
HOMED_RAD = 0.15  # own choice: as far from home as a small arm's joints sag


class Pose(NamedTuple):
    """Positions of an arm's joints (n,) [rad] and of its gripper's one joint [rad]."""

    joints_rad: Array
    gripper_rad: float


class NoWay(Exception):
    """No way home is known that stays inside the workspace."""


class Twin:
    """One arm's model, at one control rate."""

    def __init__(self, arm: Arm, control_hz: int) -> None:
        """Stands at home until something is reported.

        Raises:
            ValueError: For two arms, or a gripper of several joints.
        """
        if len(arm.limbs) > 1 or len(arm.gripper.joints) != 1:
            raise ValueError(
                f"arm {arm.name!r}: {len(arm.limbs)} with a gripper of {', '.join(arm.gripper.joints)}; "
                "expected one arm, whose gripper has one joint"
            )
        speeds = tuple(SPEED_SHARE * speed for speed in arm.velocity_limit_rad_s)
        self._arm, self._period_s = replace(arm, velocity_limit_rad_s=speeds), 1.0 / control_hz
        self.scene, self._told, self._tried = (Scene(self._arm, ()) for _ in range(3))
        self._limb = self.scene.limbs[0]
        self._control = ToolControl(self._limb, self._period_s)
        self._way_home = WayHome(self._arm, self._period_s)
        self._fence_low_m, self._fence_high_m = fence_m(arm)
        bounds = np.array([(channel.low, channel.high) for channel in channels(arm)])
        self._low, self._high = bounds.T
        # A gripper's servo is taken for as fast as the slowest joint's.
        self._jaw_step_rad = min(speeds) * self._period_s
        self.scene.reset()
        self.sent = self.home
        self.tell(self.home)

    @property
    def home(self) -> Pose:
        """Where episodes begin: the arm's home, with an open gripper."""
        return Pose(np.array(self._arm.home_rad), self._arm.gripper.joints_at[-1][0])

    @property
    def proprio(self) -> NDArray[np.float32]:
        """Proprioception (P,) of what was reported, clipped to the declared ranges."""
        return np.clip(read(self.scene), self._low, self._high).astype(np.float32)

    @property
    def homed(self) -> bool:
        """Whether home was sent, with an open gripper, and the joints that were reported are near it."""
        home, sent = self.home, self.sent
        near = np.abs(self._limb.joints_rad - home.joints_rad).max() < HOMED_RAD
        told = np.allclose(sent.joints_rad, home.joints_rad) and sent.gripper_rad == home.gripper_rad
        return bool(near and told)

    def report(self, pose: Pose) -> None:
        """Stands as an arm says that it stands."""
        self._limb.set_joints(pose.joints_rad)
        self._limb.set_fingers(np.array([pose.gripper_rad]))
        self._command(self.sent)
        self.scene.forward()

    @property
    def reported_rad(self) -> Array:
        """Joints (n,) [rad] as they were reported last."""
        return self._limb.joints_rad

    def halt(self) -> None:
        """What was reported last becomes the target, of joints and tool."""
        self.tell(Pose(self._limb.joints_rad, float(self._limb.fingers[0])))

    def plan(self, action: NDArray[np.float32]) -> Pose:
        """Where an action (A,) wants the joints one control period on: no faster than they may, inside the
        workspace, and no further ahead of what was reported than `sim.tool_control.LEAD_LIMIT_M`.

        Raises:
            mink.NoSolutionFound: If there is no such motion, as from joints far out of their ranges.
        """
        targets = np.zeros((RAMP_PIECES, self.scene.model.nu))
        self._control.plan(np.clip(action, -1.0, 1.0).astype(np.float64), targets)
        jaw = float(targets[-1, self._limb.gripper_ctrl][0])
        return Pose(self._fenced(targets[-1, self._limb.ctrl]), self._jaw_towards(jaw, self._jaw_step_rad))

    def plan_home(self) -> Pose:
        """The next pose on the way home, slowly; the gripper opens as ever.

        The way is straight in the joints if it keeps the tool inside the workspace, or no further outside
        than it is; else straight in space until it does.

        Raises:
            NoWay: If neither does.
        """
        sent = self.sent.joints_rad
        if self._is_clear():
            joints = self._way_home.straight(sent)
        else:
            try:
                joints = self._fenced(self._way_home.across(sent))
            except mink.NoSolutionFound as error:
                raise NoWay from error
            if np.allclose(joints, sent, atol=SAME_RAD):
                raise NoWay
        return Pose(joints, self._jaw_towards(self.home.gripper_rad, self._jaw_step_rad))

    def tell(self, pose: Pose, asked: Pose | None = None) -> NDArray[np.float32]:
        """Takes note of what was sent; returns the velocity of the tool that it means, in action numbers (A,)
        without the gripper's. Of what was asked and not sent nothing is made up for later.
        """
        told = self._told.limbs[0]
        before_m, before = told.tool_m, told.tool_rotation
        _stand(self._told, pose.joints_rad)
        move = (told.tool_m - before_m) / (self._arm.linear_m_s * self._period_s)
        turn = rotation_log(told.tool_rotation @ before.T) / (self._arm.angular_rad_s * self._period_s)
        self.sent = pose
        self._command(pose)
        if asked is None or not np.allclose(asked.joints_rad, pose.joints_rad, atol=SAME_RAD):
            self._limb.command_tool(told.tool_m, told.tool_tilt_rad)
        numbers = np.concatenate([move, turn[2:] if self._arm.cartesian_dof == 4 else turn])
        return np.clip(numbers, -1.0, 1.0).astype(np.float32)

    def forget(self) -> None:
        """What was planned last was not sent."""
        told = self._told.limbs[0]
        self._limb.command_tool(told.tool_m, told.tool_tilt_rad)

    def _is_clear(self) -> bool:
        """Whether all of the straight way home of all joints keeps the tool where it may be."""
        joints = self.sent.joints_rad
        allowed_m = np.maximum(OUTSIDE_M, self._outside_m(joints))
        while not np.array_equal(joints, self.home.joints_rad):
            joints = self._way_home.straight(joints)
            if (self._outside_m(joints) > allowed_m).any():
                return False
        return True

    def _fenced(self, joints_rad: Array) -> Array:
        """Joint targets, or as much of the way to them as does not take the tool out of the workspace.

        The tool that is commanded is inside, but one step of inverse kinematics does not get there exactly:
        at full speed in all directions it is 6 mm off, which in a simulation harms nothing.
        """
        sent = self.sent.joints_rad
        allowed_m = np.maximum(OUTSIDE_M, self._outside_m(sent))
        for share in SHARES:
            target = sent + share * (joints_rad - sent)
            if (self._outside_m(target) <= allowed_m).all():
                return target
        return sent

    def _outside_m(self, joints_rad: Array) -> Array:
        """How far beyond each of the workspace's six sides joints put the tool (6,) [m]; inside it is less
        than 0.
        """
        tool_m = _stand(self._tried, joints_rad)
        return np.concatenate([self._fence_low_m - tool_m, tool_m - self._fence_high_m])

    def _command(self, pose: Pose) -> None:
        targets = np.empty(self.scene.model.nu)
        targets[self._limb.ctrl] = pose.joints_rad
        targets[self._limb.gripper_ctrl] = pose.gripper_rad
        self.scene.command(targets)

    def _jaw_towards(self, goal_rad: float, step_rad: float) -> float:
        sent = self.sent.gripper_rad
        return float(sent + np.clip(goal_rad - sent, -step_rad, step_rad))


def _stand(scene: Scene, joints_rad: Array) -> Array:
    """Places an arm's joints (n,) [rad] and returns where that puts its tool (3,) [m]."""
    scene.limbs[0].set_joints(joints_rad)
    mujoco.mj_kinematics(scene.model, scene.data)
    return scene.limbs[0].tool_m
