"""One arm of a scene: its joints, gripper, tool and pads in the compiled model, every name resolved once."""

import mujoco
import numpy as np

from sim.arms.arm import Arm
from sim.poses import DOWN, Array, rotation_log

# The commanded tool pose, position (3,) and tilt (3,), lives in MuJoCo's user data and so in the state.
COMMAND_SIZE = 6


class Limb:
    """An arm with its gripper, as it stands in one world's data.

    Frames: the world's, see `sim.scene.Scene`. The tool frame sits between the fingertips with z pointing out
    of the gripper.
    """

    def __init__(
        self, arm: Arm, prefix: str, number: int, model: mujoco.MjModel, data: mujoco.MjData
    ) -> None:
        """Resolves names.

        Args:
            arm: Which arm.
            prefix: What stands before each of its names in the model.
            number: Which of the scene's arms it is, from 0.
            model: The scene's.
            data: The scene's.

        Raises:
            ValueError: If a pad of its gripper is not a box.
        """
        self.arm = arm
        self._data = data
        joints = [model.joint(prefix + name) for name in arm.joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self.ctrl = np.array([model.actuator(prefix + name).id for name in arm.joints])
        self.gripper_ctrl = np.array([model.actuator(prefix + name).id for name in arm.gripper.actuators])
        self._fingers = np.array([model.joint(prefix + name).qposadr[0] for name in arm.gripper.joints])
        self._tool = model.site(f"{prefix}tool").id
        self.hand = model.body(f"{prefix}hand").id
        self.pads = tuple([model.geom(prefix + name).id for name in side] for side in arm.gripper.pads)
        # Pads are boxes whose first half size is across: two of them take that off their middles' distance.
        for pad in (pad for side in self.pads for pad in side):
            if model.geom_type[pad] != mujoco.mjtGeom.mjGEOM_BOX:
                kind = mujoco.mjtGeom(model.geom_type[pad]).name
                raise ValueError(
                    f"pad {model.geom(pad).name!r} of {arm.gripper.name} is {kind}, expected a box"
                )
        self._pads_thick_m = sum(float(model.geom_size[side[0], 0]) for side in self.pads)
        one, other = self.pads
        self._both_pads = np.array([*one, *other])
        # By these the pads' places add up to what lies between the middles of the two sides.
        self._between = np.array([*[1 / len(one)] * len(one), *[-1 / len(other)] * len(other)])
        self._command = slice(number * COMMAND_SIZE, (number + 1) * COMMAND_SIZE)

    # What is written.

    def set_joints(self, joints_rad: Array) -> None:
        """Places the arm's joints [rad] and commands them to stay."""
        self._data.qpos[self._qpos] = joints_rad
        self._data.ctrl[self.ctrl] = joints_rad

    def set_gripper(self, width_m: float) -> None:
        """Places the fingers at an opening [m] and commands it."""
        gripper = self.arm.gripper
        self._data.qpos[self._fingers] = _between(width_m, gripper.width_m, gripper.joints_at)
        self._data.ctrl[self.gripper_ctrl] = _between(width_m, gripper.width_m, gripper.controls_at)

    def set_fingers(self, positions: Array) -> None:
        """Places the gripper's joints (m,), slides [m] or hinges [rad]; what is commanded stays."""
        self._data.qpos[self._fingers] = positions

    def command_tool(self, position_m: Array, tilt_rad: Array) -> None:
        """Records the commanded tool pose: position (3,) [m] and tilt (3,) [rad], in the world."""
        command = self._data.userdata[self._command]
        command[:3] = position_m
        command[3:] = tilt_rad

    # What is read.

    @property
    def joints_rad(self) -> Array:
        """Joint positions (n,) [rad]."""
        return self._data.qpos[self._qpos].copy()

    @property
    def joint_command_rad(self) -> Array:
        """Joint targets (n,) [rad]."""
        return self._data.ctrl[self.ctrl].copy()

    @property
    def tool_command(self) -> tuple[Array, Array]:
        """The commanded tool pose: position (3,) [m] and tilt (3,) [rad], in the world."""
        command = self._data.userdata[self._command]
        return command[:3].copy(), command[3:].copy()

    @property
    def width_m(self) -> float:
        """Opening between the middles of opposing pads [m]."""
        across = self._data.xmat[self.hand].reshape(3, 3)[:, 0]
        between = self._between @ self._data.geom_xpos[self._both_pads]
        return abs(float(between @ across)) - self._pads_thick_m

    @property
    def fingers(self) -> Array:
        """Positions of the gripper's joints (m,), slides [m] or hinges [rad]."""
        return self._data.qpos[self._fingers].copy()

    @property
    def tool_m(self) -> Array:
        """World position (3,) of the tool frame [m]."""
        return self._data.site_xpos[self._tool].copy()

    @property
    def grip_m(self) -> Array:
        """World position (3,) of the middle between the pads [m]: the tool's, unless one jaw stands still."""
        gripper = self.arm.gripper
        if not gripper.middle_m:
            return self.tool_m
        return self.tool_m + self.tool_rotation[:, 0] * np.interp(
            self.width_m, gripper.width_m, gripper.middle_m
        )

    @property
    def tool_rotation(self) -> Array:
        """Rotation matrix (3, 3) of the tool frame in the world."""
        return self._data.site_xmat[self._tool].reshape(3, 3).copy()

    @property
    def tool_tilt_rad(self) -> Array:
        """Rotation vector (3,) from "straight down, unturned" to the tool frame, in the world [rad]."""
        return rotation_log(self.tool_rotation @ DOWN.T)


def _between(width_m: float, widths_m: tuple[float, ...], poses: tuple[tuple[float, ...], ...]) -> Array:
    """The pose (n,) at an opening [m], between those declared."""
    return np.array([np.interp(width_m, widths_m, numbers) for numbers in zip(*poses, strict=True)])
