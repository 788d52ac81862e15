"""Whether something is in an arm's way: a joint that stands still, though its target is far ahead of it."""

from collections.abc import Sequence

import numpy as np

from sim.poses import Array

LEAD_RAD = 0.2  # own choice: a joint that moves at full speed lags behind as much
STILL_RAD_S = 0.1  # own choice: slower is standing
AFTER_S = 0.15  # own choice: so long a joint may take to set off
MOVED_RAD = 0.05  # own choice: so far it has been moved once it is free


class Blocked:
    """Watches an arm's joints, from one target to the next.

    Attributes:
        joint: The one that is blocked; "" if none is.
    """

    def __init__(self, joints: Sequence[str], period_s: float) -> None:
        """For joints by name, at one control period [s]."""
        self._names, self._period_s = tuple(joints), period_s
        self.forget()

    def forget(self) -> None:
        """Whatever was in the way, it is to be tried again."""
        self.joint = ""
        self._before: Array | None = None
        self._standing = np.zeros(len(self._names))

    @property
    def suspected(self) -> bool:
        """Whether a joint stands far behind its target and may still set off."""
        return bool(self._standing.any())

    def watch(self, sent_rad: Array, reported_rad: Array) -> bool:
        """Takes what was sent last and what is reported since, each (n,) [rad]; whether a joint has just
        been found blocked. It stays so until it is elsewhere.
        """
        if self.joint:
            if np.abs(reported_rad - self._at_rad).max() > MOVED_RAD:
                self.forget()
            return False
        if self._before is not None:
            standing = np.abs(reported_rad - self._before) < STILL_RAD_S * self._period_s
            ahead = np.abs(sent_rad - reported_rad) > LEAD_RAD
            self._standing = np.where(standing & ahead, self._standing + self._period_s, 0.0)
        self._before = reported_rad.copy()
        worst = int(self._standing.argmax())
        if self._standing[worst] < AFTER_S:
            return False
        self.joint, self._at_rad = self._names[worst], self._before
        return True
