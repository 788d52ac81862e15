"""Any object with the interface of LeRobot's `Robot` (0.4.4), as a robot of this project.

Such an arm takes joint positions in degrees and the gripper's in per cent of its way, named
"shoulder_pan.pos" and "gripper.pos"; the operator's tool velocity becomes those by `demos.robots.twin`.
LeRobot itself is not imported: what the object does is all that counts.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import mink
import numpy as np
from numpy.typing import NDArray

from demos.robots.blocked import LEAD_RAD, Blocked
from demos.robots.robot import DropOut, Reading, Unplugged, action_space
from demos.robots.twin import NoWay, Pose, Twin
from sim.arms import find_arm
from sim.arms.arm import Arm, span_rad
from sim.cameras import Image
from sim.proprioception import channels
from sim.scene import Scene
from sim.tool_control import arm_model

NEEDED = ("connect", "disconnect", "get_observation", "send_action")
T = TypeVar("T")


def is_lerobot(value: object) -> bool:
    """Whether something, not a class, has the interface of LeRobot's `Robot`."""
    return not isinstance(value, type) and all(callable(getattr(value, name, None)) for name in NEEDED)


class LeRobotArm:
    """A LeRobot arm; see `demos.robots.robot.Robot`."""

    def __init__(
        self,
        device: Any,
        arm: Arm | str = "so101",
        *,
        signs: Sequence[float] = (),
        zeros_deg: Sequence[float] = (),
    ) -> None:
        """Wraps a device, which is not connected by that.

        Args:
            device: With the interface of LeRobot's `Robot`, its joints in degrees (`use_degrees`).
            arm: The simulated arm that it is one of, and stands as: the workspace is that arm's.
            signs: 1 or -1 for each joint: whether it turns as the simulated one; all 1 if not given.
            zeros_deg: What it calls the simulated joints' zero [degrees]; all 0 if not given. SO-101 as
                LeRobot calibrates it needs neither.

        Raises:
            ValueError: If its joints are others than the arm's, or not in degrees.
        """
        self.arm = find_arm(arm) if isinstance(arm, str) else arm
        self.name = str(getattr(device, "name", type(device).__name__))
        self._device = device
        if getattr(getattr(device, "config", None), "use_degrees", True) is not True:
            raise ValueError(f"robot {self.name!r}: use_degrees: got False, expected True: joints in degrees")
        self._keys = tuple(f"{joint}.pos" for joint in (*self.arm.joints, "gripper"))
        self._check_features()
        self.cameras = tuple(
            name for name, kind in device.observation_features.items() if isinstance(kind, tuple)
        )
        self.channels, self.actions = channels(self.arm), action_space(self.arm)
        self._signs = _each(signs, 1.0, "signs", self.arm)
        self._zeros_deg = _each(zeros_deg, 0.0, "zeros_deg", self.arm)
        model, (jaw,) = arm_model(self.arm), self.arm.gripper.joints
        self._jaw_rad = span_rad(model, jaw)
        self._begin(20)
        self.retried = 0

    @property
    def scene(self) -> Scene:
        """The simulated model, as the robot last reported."""
        return self._twin.scene

    @property
    def homed(self) -> bool:
        """See `demos.robots.robot.Robot`."""
        return self._twin.homed

    def connect(self, control_hz: int) -> None:
        """See `demos.robots.robot.Robot`. Where it is, the robot says when it is first observed."""
        self._begin(control_hz)
        try:
            if not self._device.is_connected:
                self._device.connect()
        except Exception as error:  # whatever a library raises is one line to the user
            raise Unplugged(f"robot {self.name!r} cannot be connected: {_line(error)}") from error

    def disconnect(self) -> None:
        """See `demos.robots.robot.Robot`."""
        try:
            if self._device.is_connected:
                self._device.disconnect()
        except Exception as error:  # it is over either way, and another error may be on its way
            print(f"robot {self.name!r} was not disconnected well: {_line(error)}")

    def observe(self) -> Reading:
        """See `demos.robots.robot.Robot`."""
        pose, images = self._ask(self._seen)
        self._twin.report(pose)
        if not self._found:
            self._twin.halt()
            self._found = True
        return Reading(self._twin.proprio, images)

    def send(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `demos.robots.robot.Robot`. The gripper's number is returned as it was asked: its one joint
        follows as fast as it may.
        """
        self._stop_if_blocked(bool(action[: self.arm.cartesian_dof].any()))
        try:
            asked = self._twin.plan(action)
            taken = self._taken(asked)
        except mink.NoSolutionFound as error:
            self._twin.forget()
            joints = self._twin.sent.joints_rad.round(2).tolist()
            raise DropOut(f"robot {self.name!r}: no motion leads from joints {joints} rad") from error
        except OSError:
            self._twin.forget()
            raise
        executed = self._twin.tell(taken, asked)
        return np.concatenate([executed, action[self.arm.cartesian_dof :]]).astype(np.float32)

    def go_home(self) -> None:
        """See `demos.robots.robot.Robot`."""
        self._stop_if_blocked(True)
        lead_rad = np.abs(self._twin.sent.joints_rad - self._twin.reported_rad).max()
        if lead_rad > LEAD_RAD and not self._blocked.suspected:
            self._twin.halt()  # Somebody has moved it: it goes on from where it is.
        try:
            pose = self._twin.plan_home()
        except NoWay as error:
            self._twin.halt()
            raise DropOut(
                f"robot {self.name!r}: no way home is known from here that stays in the workspace; move the "
                "arm by hand, into it and upright"
            ) from error
        self._twin.tell(self._taken(pose))

    def halt(self) -> None:
        """See `demos.robots.robot.Robot`."""
        self._twin.halt()
        self._blocked.forget()

    def _begin(self, control_hz: int) -> None:
        """Knows nothing of where it is."""
        self._twin, self._period_s, self._found = Twin(self.arm, control_hz), 1.0 / control_hz, False
        self._blocked = Blocked(self.arm.joints, self._period_s)

    def _stop_if_blocked(self, moving: bool) -> None:
        """Pushes no further against what is in the way, until a joint has come free or nothing is asked.

        Raises:
            DropOut: If more motion is asked meanwhile.
        """
        if self._blocked.watch(self._twin.sent.joints_rad, self._twin.reported_rad):
            self._twin.halt()
        if not moving:
            self._blocked.forget()
        elif joint := self._blocked.joint:
            self._twin.tell(self._taken(self._twin.sent))
            raise DropOut(
                f"robot {self.name!r}: {joint} stands still {LEAD_RAD} rad and more from where it was sent: "
                "something is in its way; take that away, or begin again"
            )

    def _taken(self, pose: Pose) -> Pose:
        """Sends joint targets; returns those that the robot says it took."""
        return self._ask(lambda: self._pose(self._once(self._device.send_action, self._numbers(pose))))

    def _seen(self) -> tuple[Pose, dict[str, Image]]:
        """What the device observes: its pose and its pictures."""
        said = self._once(self._device.get_observation)
        return self._pose(said), {camera: _picture(said.get(camera), camera) for camera in self.cameras}

    def _ask(self, question: Callable[[], T]) -> T:
        """Asks the device something; once more, if that failed with half of the control period left."""
        last_s = time.monotonic() + self._period_s / 2
        try:
            return question()
        except DropOut:
            if time.monotonic() > last_s:
                raise
        self.retried += 1
        return question()

    def _once(self, call: Callable[..., T], *arguments: Any) -> T:
        """Calls the device; what it raises becomes one of two errors, for no episode may be lost by it."""
        try:
            return call(*arguments)
        except (ConnectionError, TimeoutError) as error:
            if not self._device.is_connected:
                raise Unplugged(f"robot {self.name!r} is gone: {_line(error)}") from error
            raise DropOut(f"robot {self.name!r} does not answer: {_line(error)}") from error
        except Exception as error:  # pyserial's, when a plug is pulled, termios' or anybody's
            kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
            raise Unplugged(f"robot {self.name!r} is gone: {kind}{_line(error)}") from error

    def _check_features(self) -> None:
        numbers = [name for name, kind in self._device.action_features.items() if not isinstance(kind, tuple)]
        if set(numbers) != set(self._keys):
            raise ValueError(
                f"robot {self.name!r}: actions: got {', '.join(numbers)}, expected those of {self.arm.name}: "
                f"{', '.join(self._keys)}"
            )
        if absent := [key for key in self._keys if key not in self._device.observation_features]:
            raise ValueError(f"robot {self.name!r}: observes no {', '.join(absent)}")

    def _pose(self, said: Any) -> Pose:
        """A pose, from the device's numbers; what is no such answer is none."""
        try:
            values = np.array([float(said[key]) for key in self._keys])
        except (LookupError, TypeError, ValueError) as error:
            raise DropOut(
                f"robot {self.name!r} answers {str(said)[:80]}: expected a number for each of "
                f"{', '.join(self._keys)}"
            ) from error
        if not np.isfinite(values).all():
            raise DropOut(f"robot {self.name!r} says {values}: numbers that are not finite")
        low, high = self._jaw_rad
        joints = np.radians((values[:-1] - self._zeros_deg) * self._signs)
        return Pose(joints, low + float(values[-1]) / 100.0 * (high - low))

    def _numbers(self, pose: Pose) -> dict[str, float]:
        """The device's numbers, for a pose; inverse of `_pose`."""
        low, high = self._jaw_rad
        joints = np.degrees(pose.joints_rad) * self._signs + self._zeros_deg
        values = [*joints.tolist(), 100.0 * (pose.gripper_rad - low) / (high - low)]
        return dict(zip(self._keys, values, strict=True))


def _each(given: Sequence[float], default: float, noun: str, arm: Arm) -> NDArray[np.float64]:
    if given and len(given) != len(arm.joints):
        raise ValueError(f"{noun}: got {len(given)} numbers, expected {len(arm.joints)}, one a joint")
    return np.array(given or [default] * len(arm.joints), dtype=np.float64)


def _picture(picture: Any, camera: str) -> Image:
    try:
        image = np.asarray(picture)
    except ValueError as error:
        raise DropOut(f"camera {camera!r}: got {_line(error)}, expected uint8 (H, W, 3)") from error
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise DropOut(f"camera {camera!r}: got {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
    return image


def _line(error: BaseException) -> str:
    """An error in one line."""
    return " ".join(str(error).split()) or type(error).__name__
