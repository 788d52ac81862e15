"""A real arm at a real table as an environment: beat, pictures, goal, and what happens when it falls silent.

A step is one control period of real time: the action is sent, the beat awaited, then the arm observed, so
that an observation is as fresh as it can be when the next action is chosen. A missing answer is not waited
for: the last observation stands in, which is recorded as `held`, and soon the arm is told to stay where it
is. An arm that is gone ends the episode, which is whole up to there; the next one cannot begin.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from demos.cadence import Cadence
from demos.episode import NOBODY
from demos.robots.robot import DropOut, Reading, Robot, Unplugged
from sim.arms.arm import Arm
from sim.cameras import Image
from sim.env import Observation, Status
from sim.names import check_name, pick
from sim.proprioception import Channel
from sim.randomisation import NOTHING
from sim.scene import Scene

BLIND_S = 0.1  # own choice: an arm that is silent for longer is asked to move no further
FIRST_S = 1.0  # so long the first answer is waited for
RATES_HZ, SIZES_PX = (1, 100), (8, 1024)
KINDS = (".png", ".jpg", ".jpeg")  # of a goal's pictures
Call = Literal["observe", "send"]  # what may have no answer, each by itself
T = TypeVar("T")


class RealTask(NamedTuple):
    """What is to be done at a real table, where only a person or a model knows when it is."""

    name: str
    summary: str


class RobotEnv:
    """One real arm doing one task; see `demos.environment.Environment`.

    Attributes:
        dropped: How many observations and actions had no answer, since it was made.
    """

    judged_by = NOBODY
    variation = ""
    randomisation = NOTHING
    drawn = None

    def __init__(
        self,
        robot: Robot,
        task: RealTask,
        *,
        cameras: tuple[str, ...] | None = None,
        size: int = 64,
        control_hz: int = 20,
        goal: Mapping[str, Image] | None = None,
    ) -> None:
        """Connects the robot.

        Args:
            robot: The arm.
            task: Its name stands in the record.
            cameras: Which are recorded, of the robot's; all if None.
            size: Height and width of the recorded pictures [px].
            control_hz: Steps a second.
            goal: Camera name to picture (H, W, 3) of what is to be brought about; None for none, so that an
                episode's own last frame is its goal.

        Raises:
            ValueError: For a camera that it has not, or a name or a number that cannot be.
            Unplugged: If it cannot be connected.
        """
        check_name(task.name, "task")
        for name, value, (low, high) in (("control_hz", control_hz, RATES_HZ), ("size", size, SIZES_PX)):
            if not low <= value <= high:
                raise ValueError(f"{name} {value} is out of range; expected {low} to {high}")
        for camera in cameras or ():
            pick(dict.fromkeys(robot.cameras, True), camera, "camera")
        self.cameras = robot.cameras if cameras is None else cameras
        self.task, self.size, self.control_hz = task, size, control_hz
        self.max_steps = round(60.0 * control_hz)
        self.cadence = Cadence(control_hz)
        self.dropped = 0
        self._robot = robot
        self._goal = {camera: square(goal[camera], size) for camera in self.cameras} if goal else {}
        self._reading: Reading | None = None
        self._steps, self._told = 0, np.zeros(robot.arm.action_size, np.float32)
        self._silent_since_s = dict[Call, float]()
        self._gone: Unplugged | None = None
        self._note = ""
        robot.connect(control_hz)

    @property
    def arm(self) -> Arm:
        """The simulated arm that the robot is one of."""
        return self._robot.arm

    @property
    def channels(self) -> tuple[Channel, ...]:
        """See `demos.robots.robot.Robot`."""
        return self._robot.channels

    @property
    def scene(self) -> Scene:
        """The robot's model."""
        return self._robot.scene

    @property
    def views(self) -> tuple[str, ...]:
        """All cameras of the robot."""
        return self._robot.cameras

    @property
    def shows_goal(self) -> bool:
        """Whether one was given."""
        return bool(self._goal)

    @property
    def gl_renderer(self) -> str:
        """No renderer made the images."""
        return f"cameras of {self._robot.name}"

    @property
    def status(self) -> Status:
        """A real table does not say whether its task is done."""
        silence_s, deaf_s = self._silence_s("observe"), self._silence_s("send")
        return Status(False, 0.0, self._robot.homed, silence_s, self._note, deaf_s)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """An episode may start; the table is as it is, the arm where it is until `look` brings it home.

        Raises:
            ValueError: For options: a real table cannot be set to anything.
            Unplugged: If the robot is gone.
            DropOut: If it has never answered.
        """
        del seed  # Nothing is drawn.
        if options:
            raise ValueError(f"reset options {', '.join(options)}: a real table has none")
        if "send" in self._silent_since_s:
            self._robot.halt()  # It may try again.
        self._steps, self._note = 0, ""
        end_s = time.monotonic() + FIRST_S
        held = self._see()
        while self._reading is None and time.monotonic() < end_s:
            held = self._see()
        if self._gone is not None:
            raise self._gone
        if self._reading is None:
            raise DropOut(self._note)
        return self._observation(), self._info(held)

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One control period; truncated at `max_steps`, and when the robot is gone."""
        executed = self._tell(action if self._silence_s("observe") <= BLIND_S else self._still(action))
        self._told = action
        self.cadence.wait()
        held = self._see()
        self._steps += 1
        info = self._info(held) | {"executed": executed}
        return self._observation(), 0.0, False, self._gone is not None or self._steps >= self.max_steps, info

    def look(self, homing: bool = False) -> Observation:
        """What is seen now, or was last; towards home only if that is asked and the robot answers.

        A robot that takes no actions is asked to hold still, to learn whether it takes them again.

        Raises:
            Unplugged: If it is gone and there is no episode to be saved.
        """
        silent, self._note = "observe" in self._silent_since_s, ""
        answers = not self._see()
        deaf = "send" in self._silent_since_s
        if answers and (silent or (deaf and not homing)):
            self._robot.halt()  # Whatever it was on the way to is long ago.
        if answers and homing:
            self._try("send", self._robot.go_home)
        elif answers and deaf:
            self._tell(self._still(self._told))
        if self._gone is not None and self._steps == 0:
            raise self._gone
        return self._observation()

    def picture(self, camera: str, size: int, paths_m: Sequence[NDArray[np.float64]] = ()) -> Image:
        """A camera's last picture, of its own size; nobody knows where in it a path would be."""
        del size, paths_m
        assert self._reading is not None
        return self._reading.images[camera]

    def close(self) -> None:
        """Disconnects the robot."""
        self._robot.disconnect()

    def _see(self) -> bool:
        """Observes, if the robot answers; whether the last observation must stand in."""
        reading = self._try("observe", self._robot.observe)
        if reading is not None:
            self._reading = reading
        return reading is None

    def _tell(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sends an action; returns what was executed: no motion where nobody took it."""
        self._note = ""
        executed = self._try("send", lambda: self._robot.send(action))
        return self._still(action) if executed is None else executed

    def _still(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """An action (A,) without its motion; the gripper is as it was asked."""
        still = np.array(action, np.float32)
        still[: self.arm.cartesian_dof] = 0.0
        return still

    def _silence_s(self, kind: Call) -> float:
        """How long calls of a kind have had no answer [s]; infinite once the robot is gone."""
        if self._gone is not None:
            return math.inf
        since_s = self._silent_since_s.get(kind)
        return 0.0 if since_s is None else time.monotonic() - since_s

    def _try(self, kind: Call, call: Callable[[], T]) -> T | None:
        """What a call of the robot returns, or None for want of an answer."""
        if self._gone is not None:
            self._note = str(self._gone)
            return None
        try:
            answer = call()
        except Unplugged as error:
            self._gone, self._note = error, str(error)
        except DropOut as error:
            self.dropped += 1
            self._silent_since_s.setdefault(kind, time.monotonic())
            self._note = str(error)
        else:
            self._silent_since_s.pop(kind, None)
            return answer
        return None

    def _observation(self) -> Observation:
        reading = self._reading
        assert reading is not None
        images = {camera: square(reading.images[camera], self.size) for camera in self.cameras}
        goal = {camera: image.copy() for camera, image in self._goal.items()}
        return {"images": images, "proprio": reading.proprio, "goal": goal}

    def _info(self, held: bool) -> dict[str, Any]:
        return {"is_success": False, "progress": 0.0, "variation": "", "held": held}


def square(picture: Image, size: int) -> Image:
    """The middle of a picture (H, W, 3) as (size, size, 3)."""
    height, width, _ = picture.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = Pillow.fromarray(picture[top : top + side, left : left + side])
    return np.asarray(
        middle.resize((size, size), Pillow.Resampling.BOX if side > size else Pillow.Resampling.BICUBIC)
    )


def goal_of(folder: Path, cameras: tuple[str, ...]) -> dict[str, Image]:
    """Pictures of a goal: in a folder, one named after each camera, such as "front.png".

    Raises:
        ValueError: If a camera's is not there.
    """
    goal: dict[str, Image] = {}
    for camera in cameras:
        files = [file for kind in KINDS if (file := folder / f"{camera}{kind}").is_file()]
        if not files:
            raise ValueError(
                f"{folder} has no picture {camera}.png; expected one for each of {', '.join(cameras)}"
            )
        with Pillow.open(files[0]) as picture:
            goal[camera] = np.asarray(picture.convert("RGB"))
    return goal
