"""Cartesian velocity actions to joint targets: damped differential inverse kinematics with limits always on.

An action in [-1, 1] moves a commanded tool pose; mink finds the joint motion that follows it inside joint
position and velocity limits; the joint targets are ramped over the control step. What it must remember from
step to step, the commanded pose and joints, stands in the scene's state. It knows no task.
"""

from functools import lru_cache

import mink
import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.arms.arm import Arm, load
from sim.poses import DOWN, Array, angle_z, rotation_exp, rotation_z
from sim.scene import TABLE_CENTRE_M, TIMESTEP_S, Scene

# The tool stays in this box [m] around the table's centre: hardware cells are fenced the same way.
TOOL_LOW_M = np.array([TABLE_CENTRE_M[0] - 0.15, TABLE_CENTRE_M[1] - 0.22, 0.008])
TOOL_HIGH_M = np.array([TABLE_CENTRE_M[0] + 0.15, TABLE_CENTRE_M[1] + 0.22, 0.32])
YAW_LIMIT_RAD = 1.0  # of a 4-number action; beyond it a cube's symmetry offers a nearer grasp
LEAD_LIMIT_M = 0.03  # how far the commanded tool may run ahead of the measured one, e.g. when it pushes a wall
REACH_STEPS = 60  # of the search for a pose; most need ten
REACH_TOLERANCE = 1e-3  # of that search, [m] and [rad] taken together
RAMP_PIECES = 5  # joint targets per control step; a single jump would shake the arm


@lru_cache(maxsize=16)
def arm_model(arm: Arm) -> mujoco.MjModel:
    """The arm and its gripper alone: inverse kinematics must not pay for things on the table."""
    return load(arm).compile()


class CartesianControl:
    """Turns actions into actuator targets for one scene.

    Action (A,), float in [-1, 1]: tool velocity x, y, z (times `arm.linear_m_s`), then yaw rate, or roll, pitch
    and yaw rates about the world axes (times `arm.angular_rad_s`), then the gripper: below zero closes, else
    opens (bang-bang, as RGB-stacking's agent acts).
    """

    def __init__(self, scene: Scene, control_hz: int) -> None:
        self._scene = scene
        self._arm = scene.arm
        self._period_s = 1.0 / control_hz
        self.substeps = round(self._period_s / TIMESTEP_S)
        model = arm_model(scene.arm)
        self._ik = mink.Configuration(model)
        self._qpos = np.array([model.joint(name).qposadr[0] for name in self._arm.joints])
        self._dof = np.array([model.joint(name).dofadr[0] for name in self._arm.joints])
        self._tool = mink.FrameTask("tool", "site", position_cost=1.0, orientation_cost=0.5, lm_damping=1e-4)
        # A weak pull home decides what the redundant joint of a 7-joint arm does.
        cost = np.zeros(model.nv)
        cost[self._dof] = 1e-3
        self._posture = mink.PostureTask(model, cost=cost)
        home = np.zeros(model.nq)
        home[self._qpos] = self._arm.home_rad
        self._posture.set_target(home)
        speeds = dict(zip(self._arm.joints, self._arm.velocity_limit_rad_s, strict=True))
        self._limits = [mink.ConfigurationLimit(model), mink.VelocityLimit(model, speeds)]

    def step(self, action: NDArray[np.float32]) -> None:
        """Advances the scene by one control period under an action (A,).

        Raises:
            ValueError: If the action has the wrong shape or a number that is not finite.
        """
        scene = self._scene
        numbers = self._checked(action)
        target_m, rotation = self._moved(numbers)
        scene.command_tool(target_m, rotation)
        start = scene.joint_command_rad
        goal = self._follow(start, target_m, rotation)
        closed, opened = self._arm.gripper.width_m
        width_m = closed if numbers[-1] < 0.0 else opened
        for left in reversed(range(RAMP_PIECES)):
            scene.command(goal - (goal - start) * left / RAMP_PIECES, width_m)
            mujoco.mj_step(scene.model, scene.data, self.substeps // RAMP_PIECES)
        scene.forward()

    def reach(self, position_m: Array, yaw_rad: float = 0.0) -> Array:
        """Joint positions (n,) [rad] that put the tool at a world position, pointing down, by repeated steps."""
        rotation = rotation_z(yaw_rad) @ DOWN
        joints = self._scene.joint_command_rad
        for _ in range(REACH_STEPS):
            joints = self._follow(joints, position_m, rotation)
            self._ik.data.qpos[self._qpos] = joints
            self._ik.update()
            if np.linalg.norm(self._tool.compute_error(self._ik)) < REACH_TOLERANCE:
                break
        return joints

    def _checked(self, action: NDArray[np.float32]) -> Array:
        expected = self._arm.action_size
        if np.shape(action) != (expected,):
            raise ValueError(f"action has shape {np.shape(action)}, {self._arm.name} expects ({expected},)")
        if not np.isfinite(action).all():
            raise ValueError(f"action has numbers that are not finite: {action}")
        return np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0)

    def _moved(self, action: Array) -> tuple[Array, Array]:
        """The commanded tool pose one control period on: position (3,) [m], rotation (3, 3)."""
        arm, period = self._arm, self._period_s
        position, rotation = self._scene.tool_command
        target = position + action[:3] * arm.linear_m_s * period
        lead = target - self._scene.tool_m
        distance, limit = float(np.linalg.norm(lead)), LEAD_LIMIT_M + arm.linear_m_s * period
        if distance > limit:
            target = self._scene.tool_m + lead * limit / distance
        turn = action[3:-1] * arm.angular_rad_s * period
        if arm.cartesian_dof == 4:
            yaw = angle_z(rotation @ DOWN.T) + float(turn[0])
            rotation = rotation_z(min(max(yaw, -YAW_LIMIT_RAD), YAW_LIMIT_RAD)) @ DOWN
        else:
            rotation = rotation_exp(turn) @ rotation
        return np.clip(target, TOOL_LOW_M, TOOL_HIGH_M), rotation

    def _follow(self, joints_rad: Array, position_m: Array, rotation: Array) -> Array:
        """Where the joints (n,) [rad] should be one control period on for the tool to go to a pose."""
        self._tool.set_target(_se3(position_m, rotation))
        self._ik.data.qpos[self._qpos] = joints_rad
        self._ik.update()
        velocity = mink.solve_ik(
            self._ik, [self._tool, self._posture], self._period_s, "daqp", damping=1e-6, limits=self._limits
        )
        return joints_rad + velocity[self._dof] * self._period_s


def _se3(position_m: Array, rotation: Array) -> mink.SE3:
    return mink.SE3.from_rotation_and_translation(mink.SO3.from_matrix(rotation), position_m)
