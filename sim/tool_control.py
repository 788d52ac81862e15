"""One arm's tool: from Cartesian rates to joint targets, by damped differential inverse kinematics.

Rates move a commanded tool pose inside a fence; mink finds the joint motion that follows it inside joint
position and velocity limits, which are always on; the joint targets are ramped over the control step. What
must be remembered from step to step, the commanded pose and joints, stands in the scene's state.
"""

import math
from dataclasses import replace
from functools import lru_cache

import daqp
import mink
import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.arms.arm import Arm, load
from sim.limb import Limb
from sim.poses import DOWN, Array, rotation_exp, rotation_log, rotation_z
from sim.scene import TABLE_CENTRE_M

# The tool stays in this box [m] around the table's centre: hardware cells are fenced the same way. Fingertips
# reach 9 mm below the tool; one that is pressed onto the table sticks there.
TOOL_LOW_M = np.array([TABLE_CENTRE_M[0] - 0.15, TABLE_CENTRE_M[1] - 0.22, 0.012])
TOOL_HIGH_M = np.array([TABLE_CENTRE_M[0] + 0.15, TABLE_CENTRE_M[1] + 0.22, 0.32])
SPAN_M = 0.055  # from the tool to the outer edge of an open jaw: how far a tilted gripper dips
# Roll, pitch and yaw away from straight down: beyond the first two the hand would meet the table, beyond the
# last a cube's symmetry offers a nearer grasp.
TILT_LIMIT_RAD = np.array([0.5, 0.5, 1.0])
LEAD_LIMIT_M = 0.03  # how far the commanded tool may run ahead of the measured one, when it pushes something
REACH_STEPS = 60  # of the search for a pose; most need ten
REACH_TOLERANCE = 1e-3  # of that search, [m] and [rad] taken together
RAMP_PIECES = 5  # joint targets per control step; a single jump would shake the arm
LEFT = np.arange(RAMP_PIECES)[::-1, None] / RAMP_PIECES  # of the way, after each


@lru_cache(maxsize=16)
def arm_model(arm: Arm) -> mujoco.MjModel:
    """The arm and its gripper alone: inverse kinematics must not pay for things on the table, or looks."""
    return load(replace(arm, meshes="")).compile()


def fence_m(arm: Arm) -> tuple[Array, Array]:
    """The box that an arm's tool is kept in: two opposite corners (3,) [m], in the world."""
    low, high = TOOL_LOW_M.copy(), TOOL_HIGH_M.copy()
    low[1], high[1] = max(low[1], arm.across_m[0]), min(high[1], arm.across_m[1])
    return low, high


class ToolControl:
    """Turns one arm's action numbers into targets of its actuators."""

    def __init__(self, limb: Limb, period_s: float) -> None:
        """For a scene's arm, at one control period [s]."""
        self._limb = limb
        self._arm = limb.arm
        self._period_s = period_s
        self._dof_count = self._arm.cartesian_dof
        self._upright = self._dof_count == 4
        controls = np.array(self._arm.gripper.controls_at)
        self._closed, self._open = controls[0], controls[-1]
        self._tilt_limit_rad = TILT_LIMIT_RAD * (0.0, 0.0, 1.0) if self._upright else TILT_LIMIT_RAD
        self._fence_low_m, self._fence_high_m = fence_m(self._arm)
        model = arm_model(self._arm)
        self._ik = mink.Configuration(model)
        self._qpos = np.array([model.joint(name).qposadr[0] for name in self._arm.joints])
        self._dof = np.array([model.joint(name).dofadr[0] for name in self._arm.joints])
        self._tool = _tool_task(self._arm)
        ids = [model.joint(name).id for name in self._arm.joints]
        ranges = np.where(model.jnt_limited[ids, None], model.jnt_range[ids], [-np.inf, np.inf])
        self._low, self._high = ranges.T
        # A weak pull home decides what the redundant joint of a 7-joint arm does.
        cost = np.zeros(model.nv)
        cost[self._dof] = 1e-3
        self._posture = mink.PostureTask(model, cost=cost)
        home = np.zeros(model.nq)
        home[self._qpos] = self._arm.home_rad
        self._posture.set_target(home)
        speed = np.array(self._arm.velocity_limit_rad_s)
        count = 2 * len(speed)
        # To the solver, inequalities without a lower bound, and of the plain kind.
        self._unbounded, self._plain = np.full(count, -1e30), np.zeros(count, dtype=np.intc)
        self._limits = [_JointLimit(np.eye(model.nv)[self._dof], self._qpos, ranges, speed)]

    def plan(self, numbers: Array, targets: Array) -> None:
        """Records the tool pose that numbers in [-1, 1] command, and writes what follows from it.

        Args:
            numbers: Of this arm (A,).
            targets: Of all actuators of the scene (RAMP_PIECES, nu); this arm's are written.
        """
        limb = self._limb
        target_m, tilt_rad = self._moved(numbers)
        limb.command_tool(target_m, tilt_rad)
        start = limb.joint_command_rad
        goal = self._follow(start, target_m, rotation_exp(tilt_rad) @ DOWN)
        targets[:, limb.ctrl] = goal - (goal - start) * LEFT
        targets[:, limb.gripper_ctrl] = self._gripper(numbers[self._dof_count :])

    def reach(self, position_m: Array, yaw_rad: float = 0.0) -> Array:
        """Joint positions (n,) [rad] that put the tool at a world position, pointing down, by many steps."""
        joints = self._limb.joint_command_rad
        rotation = rotation_z(yaw_rad) @ DOWN if yaw_rad else DOWN
        for _ in range(REACH_STEPS):
            joints = self._follow(joints, position_m, rotation)
            self._ik.data.qpos[self._qpos] = joints
            self._ik.update()
            if np.linalg.norm(self._tool.compute_error(self._ik)) < REACH_TOLERANCE:
                break
        return joints

    def _gripper(self, numbers: Array) -> Array:
        """Targets of the gripper's actuators."""
        if len(numbers) == 1:
            return self._closed if numbers[0] < 0.0 else self._open
        return self._closed + (numbers + 1.0) / 2.0 * (self._open - self._closed)

    def _moved(self, action: Array) -> tuple[Array, Array]:
        """The commanded tool pose one control period on: position (3,) [m], tilt (3,) [rad]."""
        arm, period = self._arm, self._period_s
        position, tilt = self._limb.tool_command
        target = position + action[:3] * arm.linear_m_s * period
        lead = target - self._limb.tool_m
        distance, limit = math.sqrt(lead @ lead), LEAD_LIMIT_M + arm.linear_m_s * period
        if distance > limit:
            target = self._limb.tool_m + lead * limit / distance
        turn = np.zeros(3)
        turns = action[3 : self._dof_count]
        turn[3 - len(turns) :] = turns * arm.angular_rad_s * period
        # Turns about one axis add up; others must be composed.
        tilt = tilt + turn if self._upright else rotation_log(rotation_exp(turn) @ rotation_exp(tilt))
        tilt = _clip(tilt, -self._tilt_limit_rad, self._tilt_limit_rad)
        target = _clip(target, self._fence_low_m, self._fence_high_m)
        dip = SPAN_M * math.sin(math.hypot(tilt[0], tilt[1]))
        target[2] = max(target[2], TOOL_LOW_M[2] + dip)
        return target, tilt

    def _follow(self, joints_rad: Array, position_m: Array, rotation: Array) -> Array:
        """Where the joints (n,) [rad] should be one control period on for the tool to go to a pose."""
        self._tool.set_target(_se3(position_m, rotation))
        self._ik.data.qpos[self._qpos] = joints_rad
        self._ik.update()
        problem = mink.build_ik(
            self._ik, [self._tool, self._posture], self._period_s, damping=1e-6, limits=self._limits
        )
        # As `mink.solve_ik` does, without its layers, which take as long as the solver.
        step, _, found, _ = daqp.solve(
            problem.P, problem.q, problem.G, problem.h, self._unbounded, self._plain
        )
        if found <= 0:
            raise mink.NoSolutionFound("daqp")
        # Rounding may put a joint a hair beyond the end that it was to stop at.
        return _clip(joints_rad + step[self._dof], self._low, self._high)


class _JointLimit(mink.Limit):
    """Joint positions within their ranges and speeds within the rated ones: the nearer of the two bounds.

    mink's own two limits say the same in twice as many inequalities, which take twice as long to solve.
    """

    SLOWING = 0.95  # of what is left of a range, no more in one period; mink's own

    def __init__(self, selected: Array, qpos: NDArray[np.intp], range_rad: Array, speed_rad_s: Array) -> None:
        """For n joints: rows of the unit matrix (n, nv), where their angles stand, ranges (n, 2), speeds."""
        self._qpos, self._speed = qpos, speed_rad_s
        self._low, self._high = range_rad.T
        self._both_ways = np.concatenate([selected, -selected])

    def compute_qp_inequalities(self, configuration: mink.Configuration, dt: float) -> mink.Constraint:
        """How far each joint may move in `dt` [s], up and down, as mink has it: G dq <= h."""
        joints, step = configuration.q[self._qpos], self._speed * dt
        up = np.minimum(self.SLOWING * (self._high - joints), step)
        down = np.minimum(self.SLOWING * (joints - self._low), step)
        return mink.Constraint(self._both_ways, np.concatenate([up, down]))


def _tool_task(arm: Arm) -> mink.FrameTask:
    """What inverse kinematics does about the tool's pose.

    An error of a radian weighs as one of 10 cm: what joint speeds do not allow is missing from the turn,
    while the position, which the fence protects, is kept. Five joints leave no such choice: an arm of five
    stays upright first, or it would lean towards what is beyond its reach, and turns last, as far as its last
    joint does. At the end of its reach it is damped, or it would be upset where it is nearly stretched.
    """
    if len(arm.joints) > 5:
        return mink.FrameTask("tool", "site", position_cost=1.0, orientation_cost=0.1, lm_damping=1e-4)
    costs = (1.0, 1.0, 0.04)
    return mink.FrameTask("tool", "site", position_cost=1.0, orientation_cost=costs, lm_damping=1.0)


def _clip(values: Array, low: Array | float, high: Array | float) -> Array:
    """As `np.clip`, which takes three times as long over a few numbers."""
    return np.minimum(np.maximum(values, low), high)


def _se3(position_m: Array, rotation: Array) -> mink.SE3:
    pose = np.empty(7)
    mujoco.mju_mat2Quat(pose[:4], rotation.ravel())
    pose[4:] = position_m
    return mink.SE3(pose)
