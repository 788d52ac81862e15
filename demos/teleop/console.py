"""What the person at the controls asks for, from the page's thread to the loop's; and what keeps it safe."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from demos.controller import Action
from sim.arms.arm import Arm
from sim.cameras import cameras_of

SILENT_S = 0.25  # without a word for so long, the arm holds still, whoever acts
GONE_S = 2.0  # and after so long time itself stands still, until somebody has the controls
SLEW = 0.4  # own choice: by how much each number that moves a tool may change from one step to the next
AROUND = "around"  # the view that is no camera's
AXES = 6  # x, y, z, roll, pitch, yaw
ORDERS = (
    "start",
    "keep",
    "discard",
    "undo",
    "success",
    "failure",
    "unmark",
    "next",
    "again",
    "helper",
    "person",
)


class Command(NamedTuple):
    """What is asked of the arm now.

    Attributes:
        commanded: As the device says (A,), in [-1, 1].
        limited: What may be done of it (A,): nothing after silence, and no jumps.
    """

    commanded: Action
    limited: Action


class Look(NamedTuple):
    """From where the person looks: a camera's name, or "around" and an angle [degrees] and distance [m]."""

    camera: str
    azimuth_deg: float = 160.0
    elevation_deg: float = -30.0
    distance_m: float = 1.1


class Console:
    """Holds what was asked last. All methods may be called from any thread."""

    def __init__(
        self,
        arm: Arm,
        clock: Callable[[], float] = time.monotonic,
        cameras: Sequence[str] | None = None,
    ) -> None:
        """For an arm's numbers, by a clock [s]; the person may look through its cameras, or those given."""
        self._limbs = [limb for _, limb in arm.limbs]
        self._clock, self._lock = clock, threading.Lock()
        self._orders: list[str] = []
        self._cameras = (*(cameras_of(arm) if cameras is None else cameras), AROUND)
        self.look = Look(self._cameras[0])
        self._heard_s = -np.inf
        self.rest()

    def rest(self) -> None:
        """Lets go of everything: no motion, open grippers."""
        with self._lock:
            self._axes = [np.zeros(AXES) for _ in self._limbs]
            self._fingers = [np.ones(len(limb.gripper.numbers)) for limb in self._limbs]
            self._moved_s = -np.inf
            self._before = [np.zeros(limb.cartesian_dof) for limb in self._limbs]

    def still(self) -> None:
        """Whatever is asked next begins from rest."""
        with self._lock:
            self._before = [np.zeros(limb.cartesian_dof) for limb in self._limbs]

    def here(self) -> None:
        """The person at the controls is there, whether or not they move anything."""
        with self._lock:
            self._heard_s = self._clock()

    @property
    def silence_s(self) -> float:
        """How long nobody at the controls has said anything [s]."""
        with self._lock:
            return self._clock() - self._heard_s

    def move(self, axes: Sequence[float], limb: int = 0) -> None:
        """Sets an arm's velocities.

        Args:
            axes: x, y, z, roll, pitch, yaw in [-1, 1], as an action has them.
            limb: Which arm; the others stand still.

        Raises:
            ValueError: For another number of axes or arms, or numbers beyond [-1, 1].
        """
        numbers = _numbers(axes, AXES, "axes")
        self._check(limb)
        with self._lock:
            for each in self._axes:
                each[:] = 0.0
            self._axes[limb][:] = numbers
            self._moved_s = self._heard_s = self._clock()

    def grip(self, closed: bool, limb: int = 0) -> None:
        """Shuts or opens an arm's gripper, all its fingers; it stays so."""
        self._check(limb)
        with self._lock:
            self._fingers[limb][:] = -1.0 if closed else 1.0

    def shape(self, fingers: Sequence[float], limb: int = 0) -> None:
        """Moves each of a gripper's numbers by itself; it stays so.

        Args:
            fingers: One for each number of the gripper, from -1, closed, to 1, open.
            limb: Which arm.

        Raises:
            ValueError: For another number of them or of arms, or numbers beyond [-1, 1].
        """
        self._check(limb)
        numbers = _numbers(fingers, len(self._fingers[limb]), "fingers")
        with self._lock:
            self._fingers[limb][:] = numbers

    def look_from(self, camera: str, azimuth_deg: float, elevation_deg: float, distance_m: float) -> None:
        """Changes what the person sees; see `Look`.

        Raises:
            ValueError: For a camera that is not there, or a number out of range.
        """
        if camera not in self._cameras:
            raise ValueError(f"camera: got {camera!r}, expected one of {', '.join(self._cameras)}")
        if not (abs(azimuth_deg) <= 360.0 and -90.0 <= elevation_deg <= 0.0 and 0.3 <= distance_m <= 3.0):
            raise ValueError(
                f"look: got {azimuth_deg}, {elevation_deg} degrees and {distance_m} m, expected at most a "
                "turn, -90 to 0 degrees, and 0.3 to 3 m"
            )
        self.look = Look(camera, azimuth_deg, elevation_deg, distance_m)

    def ask(self, order: str) -> None:
        """Hands the loop an order.

        Raises:
            ValueError: If it is none of `ORDERS`.
        """
        if order not in ORDERS:
            raise ValueError(f"order: got {order!r}, expected one of {', '.join(ORDERS)}")
        with self._lock:
            self._orders.append(order)

    def orders(self) -> list[str]:
        """Those that came since this was called last, oldest first."""
        with self._lock:
            orders, self._orders = self._orders, []
        return orders

    def command(self) -> Command:
        """What is asked now; each call is one step of motion."""
        with self._lock:
            silent = self._clock() - self._moved_s > SILENT_S
            commanded: list[float] = []
            limited: list[float] = []
            for number, limb in enumerate(self._limbs):
                axes = self._axes[number]
                asked = axes[[0, 1, 2, 5]] if limb.cartesian_dof == 4 else axes
                before = self._before[number]
                # Stopping is never slowed down.
                allowed = np.zeros_like(asked) if silent else np.clip(asked, before - SLEW, before + SLEW)
                allowed = np.where(np.abs(asked) < np.abs(allowed), asked, allowed)
                self._before[number] = allowed
                commanded += [*asked, *self._fingers[number]]
                limited += [*allowed, *self._fingers[number]]
        return Command(np.array(commanded, np.float32), np.array(limited, np.float32))

    def follow(self, action: Action) -> None:
        """Goes on from another's action (A,) if the person takes over: what is held stays held."""
        begin = 0
        with self._lock:
            for number, limb in enumerate(self._limbs):
                own = action[begin : begin + len(limb.numbers)].astype(np.float64)
                self._before[number] = own[: limb.cartesian_dof]
                fingers = own[limb.cartesian_dof :]
                self._fingers[number][:] = fingers if len(fingers) > 1 else np.where(fingers < 0.0, -1.0, 1.0)
                begin += len(limb.numbers)

    @property
    def closed(self) -> tuple[bool, ...]:
        """Whether each gripper is asked to be shut, rather than open."""
        with self._lock:
            return tuple(bool(fingers.mean() < 0.0) for fingers in self._fingers)

    @property
    def fingers(self) -> tuple[tuple[float, ...], ...]:
        """What each number of each gripper is asked to be, from -1, closed, to 1, open."""
        with self._lock:
            return tuple(tuple(fingers.tolist()) for fingers in self._fingers)

    def _check(self, limb: int) -> None:
        if limb not in range(len(self._limbs)):
            raise ValueError(
                f"limb: got {limb}, expected one of {', '.join(map(str, range(len(self._limbs))))}"
            )


def _numbers(given: Sequence[float], count: int, noun: str) -> NDArray[np.float64]:
    """What was said, as numbers; refused unless so many, in [-1, 1]."""
    try:
        numbers = np.asarray(given, dtype=np.float64)
    except OverflowError:  # a whole number that no float holds
        numbers = np.array(np.inf)
    if numbers.shape != (count,) or not np.isfinite(numbers).all() or np.abs(numbers).max() > 1.0:
        raise ValueError(f"{noun}: got {str(given)[:60]}, expected {count} numbers in [-1, 1]")
    return numbers
