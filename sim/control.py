"""Cartesian velocity actions to actuator targets, for all arms of a scene. It knows no task."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.poses import Array
from sim.scene import TIMESTEP_S, Scene
from sim.tool_control import RAMP_PIECES, ToolControl


class CartesianControl:
    """Turns actions into actuator targets for one scene.

    Action (A,), float in [-1, 1]: tool velocity x, y, z (times `arm.linear_m_s`), then yaw rate, or roll,
    pitch and yaw rates about the world axes (times `arm.angular_rad_s`), then the gripper. Its one number
    closes below zero and else opens (bang-bang, as RGB-stacking's agent acts); a hand's several set how far
    each of its joints should be open. Of two arms the partner's numbers come after the arm's.
    """

    def __init__(self, scene: Scene, control_hz: int) -> None:
        self._scene = scene
        period_s = 1.0 / control_hz
        self.substeps = round(period_s / TIMESTEP_S)
        self.piece_steps = self.substeps // RAMP_PIECES
        self.tools = tuple(ToolControl(limb, period_s) for limb in scene.limbs)
        # Where each arm's numbers begin in an action, but the first's.
        self._begins = np.cumsum([len(limb.arm.numbers) for limb in scene.limbs])[:-1].tolist()

    def step(self, action: NDArray[np.float32]) -> None:
        """Advances the scene by one control period under an action (A,).

        Raises:
            ValueError: If the action has the wrong shape or a number that is not finite.
        """
        scene = self._scene
        for targets in self.plan(action):
            scene.command(targets)
            mujoco.mj_step(scene.model, scene.data, self.piece_steps)
        scene.forward()

    def plan(self, action: NDArray[np.float32]) -> Array:
        """What a control period under an action (A,) does, all but the physics.

        Records the commanded tool poses in the scene and returns the actuators' targets (RAMP_PIECES, nu),
        each row for `piece_steps` steps of physics.

        Raises:
            ValueError: As `step`, before anything is changed.
        """
        targets = np.zeros((RAMP_PIECES, self._scene.model.nu))
        numbers = np.split(self._checked(action), self._begins)
        for tool, own in zip(self.tools, numbers, strict=True):
            tool.plan(own, targets)
        return targets

    def pose(self, tools_m: Array, widths_m: Array | float, yaw_rad: float = 0.0) -> None:
        """Places every arm with its tool at a point, pointing down, and its gripper as wide as given.

        Args:
            tools_m: World position of each tool: (3,) of one arm, (2, 3) of two [m].
            widths_m: Opening of each gripper: a number, or (2,) [m].
            yaw_rad: Of all tools [rad].
        """
        points, widths = np.reshape(tools_m, (-1, 3)), np.reshape(widths_m, -1)
        for limb, tool, point, width in zip(self._scene.limbs, self.tools, points, widths, strict=True):
            limb.set_joints(tool.reach(point, yaw_rad))
            limb.set_gripper(float(width))
        self._scene.forward()

    def _checked(self, action: NDArray[np.float32]) -> Array:
        arm = self._scene.arm
        if np.shape(action) != (arm.action_size,):
            raise ValueError(f"action has shape {np.shape(action)}, {arm.name} expects ({arm.action_size},)")
        if not np.isfinite(action).all():
            raise ValueError(f"action has numbers that are not finite: {action}")
        return np.minimum(np.maximum(np.asarray(action, dtype=np.float64), -1.0), 1.0)
