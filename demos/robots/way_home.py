"""A slow way home for an arm's joints that is straight for its tool: inverse kinematics of positions alone.

How the tool is turned on the way does not matter, so that there is a way from wherever an arm was left; what
is left of its freedom pulls the joints home.
"""

import mink
import numpy as np

from sim.arms.arm import Arm
from sim.poses import Array
from sim.tool_control import arm_model

HOMING_RAD_S = 0.5  # own choice: each joint's speed on the way home, which nobody steers
HOMING_M_S = 0.1  # and the tool's
POSTURE_COST = 0.02  # beside 1 for the tool's place: a radian is as bad as 2 cm


class WayHome:
    """Of one arm, at one control rate."""

    def __init__(self, arm: Arm, period_s: float) -> None:
        """For one control period [s]."""
        model = arm_model(arm)
        self._ik, self._period_s = mink.Configuration(model), period_s
        self._qpos = np.array([model.joint(name).qposadr[0] for name in arm.joints])
        self._dof = np.array([model.joint(name).dofadr[0] for name in arm.joints])
        self._home_rad, self._home_m = np.array(arm.home_rad), np.array(arm.home_m)
        home, cost = np.zeros(model.nq), np.zeros(model.nv)
        home[self._qpos], cost[self._dof] = arm.home_rad, POSTURE_COST
        self._tool = mink.FrameTask("tool", "site", position_cost=1.0, orientation_cost=0.0, lm_damping=1e-3)
        self._posture = mink.PostureTask(model, cost=cost)
        self._posture.set_target(home)
        speeds = mink.VelocityLimit(model, dict.fromkeys(arm.joints, HOMING_RAD_S))
        self._limits = [mink.ConfigurationLimit(model), speeds]

    def straight(self, joints_rad: Array) -> Array:
        """Joints (n,) [rad] one control period on from others, each straight home by itself."""
        step = HOMING_RAD_S * self._period_s
        return joints_rad + np.clip(self._home_rad - joints_rad, -step, step)

    def across(self, joints_rad: Array) -> Array:
        """Joints (n,) [rad] one control period on from others, the tool straight towards its place at home.

        Raises:
            mink.NoSolutionFound: As from joints far out of their ranges.
        """
        self._ik.data.qpos[self._qpos] = joints_rad
        self._ik.update()
        pose = self._ik.get_transform_frame_to_world("tool", "site")
        way_m = self._home_m - pose.translation()
        left_m = float(np.linalg.norm(way_m))
        share = min(1.0, HOMING_M_S * self._period_s / max(left_m, 1e-9))
        place_m = pose.translation() + share * way_m
        self._tool.set_target(mink.SE3.from_rotation_and_translation(pose.rotation(), place_m))
        tasks = [self._tool, self._posture]
        speed = mink.solve_ik(self._ik, tasks, self._period_s, "daqp", 1e-6, limits=self._limits)
        return joints_rad + speed[self._dof] * self._period_s
