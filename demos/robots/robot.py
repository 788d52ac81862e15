"""What a real arm with its cameras is to this project: observed, sent actions, and sometimes silent.

Proprioception and actions are those of the simulated arm of the same kind, in its order, units and ranges:
whatever has learnt from one can act on the other. A robot keeps its own limits (workspace, joints, speeds),
whoever acts, and says what it really did.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sim.arms.arm import Arm
from sim.cameras import Image
from sim.proprioception import Channel
from sim.scene import Scene


class DropOut(OSError):
    """The robot has not answered this time; it may the next."""


class Unplugged(OSError):
    """The robot is gone and must be connected again."""


@dataclass(frozen=True)
class Reading:
    """What a robot observes at one moment.

    Attributes:
        proprio: float32 (P,), see `sim.proprioception.channels` of its arm; clipped to the declared ranges.
        images: Camera name to RGB uint8 (H, W, 3), of the camera's own size.
    """

    proprio: NDArray[np.float32]
    images: dict[str, Image]


@runtime_checkable
class Robot(Protocol):
    """A real arm with its cameras.

    Attributes:
        name: What it calls itself.
        arm: The simulated arm that it is one of.
        cameras: Names of its cameras.
        channels: Name, unit and range of each number of proprioception.
        actions: The same of each number of an action, as `action_space` has them.
    """

    name: str
    arm: Arm
    cameras: tuple[str, ...]
    channels: tuple[Channel, ...]
    actions: tuple[Channel, ...]

    @property
    def scene(self) -> Scene:
        """Its simulated model, as the robot last reported; at home before it is connected."""
        ...

    def connect(self, control_hz: int) -> None:
        """Makes the connection, for so many actions a second.

        Raises:
            Unplugged: If there is no robot.
            ValueError: If it is another one than it should be.
        """
        ...

    def disconnect(self) -> None:
        """Ends the connection, if there is one; never raises."""
        ...

    def observe(self) -> Reading:
        """What it feels and sees now.

        Raises:
            DropOut: If it has not answered, or not in time.
            Unplugged: If it is gone.
        """
        ...

    def send(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """Moves for one control period under an action (A,) in [-1, 1]; returns the one executed (A,).

        Raises:
            DropOut, Unplugged: As `observe`. Then the robot stays at its last target.
        """
        ...

    def go_home(self) -> None:
        """Moves for one control period towards the arm's home, slowly; raises as `send`."""
        ...

    def halt(self) -> None:
        """Forgets what it was on the way to: it is to stay where it reported to be."""
        ...

    @property
    def homed(self) -> bool:
        """Whether it is at its home, where episodes begin."""
        ...


def action_space(arm: Arm) -> tuple[Channel, ...]:
    """What the numbers -1 and 1 of an arm's action mean: velocities of the tool [m/s], [rad/s], and how far
    the gripper is asked to be open (-1 closed, 1 open, which has no unit).
    """
    spaces: list[Channel] = []
    for prefix, limb in arm.limbs:
        for name in limb.numbers:
            if name in ("x", "y", "z"):
                spaces.append(Channel(prefix + name, "m/s", -limb.linear_m_s, limb.linear_m_s))
            elif name in ("roll", "pitch", "yaw"):
                spaces.append(Channel(prefix + name, "rad/s", -limb.angular_rad_s, limb.angular_rad_s))
            else:
                spaces.append(Channel(prefix + name, "1", -1.0, 1.0))
    return tuple(spaces)
