"""The beat of a control loop: deadlines that do not drift, and how well they were kept."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LATE_S = 0.005  # own choice: a tick later than this is told of
REMEMBERED = 400  # ticks that the figures are over: 20 s at 20 Hz


@dataclass(frozen=True)
class Figures:
    """How a loop kept its rate.

    Attributes:
        p50_ms: Median period [ms].
        p95_ms: Of twenty periods the longest [ms].
        late: Ticks that came more than `LATE_S` after their time.
        ticks: All of them.
    """

    p50_ms: float
    p95_ms: float
    late: int
    ticks: int


class Cadence:
    """Waits for the next tick of a rate; after a pause it starts anew instead of hurrying."""

    def __init__(
        self,
        rate_hz: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """At so many ticks a second, by a clock [s]."""
        self._period_s = 1.0 / rate_hz
        self._clock, self._sleep = clock, sleep
        self._periods_s: deque[float] = deque(maxlen=REMEMBERED)
        self.start()

    def start(self) -> None:
        """Forgets what was: the next tick is one period from now."""
        self._due = self._clock() + self._period_s
        self._last: float | None = None
        self._late = self._ticks = 0
        self._periods_s.clear()

    def wait(self) -> None:
        """Until the next tick, or no longer if it has passed; a whole period that is lost stays lost."""
        if (left := self._due - self._clock()) > 0:
            self._sleep(left)
        now = self._clock()
        self._late += now - self._due > LATE_S
        self._ticks += 1
        if self._last is not None:
            self._periods_s.append(now - self._last)
        self._last = now
        self._due += self._period_s
        if self._due < now:
            self._due = now + self._period_s

    @property
    def periods_s(self) -> list[float]:
        """Those between the last `REMEMBERED` ticks [s]."""
        return [*self._periods_s]

    @property
    def figures(self) -> Figures:
        """Of the ticks since `start`, the last `REMEMBERED` of them for periods."""
        if not self._periods_s:
            return Figures(0.0, 0.0, self._late, self._ticks)
        middle, high = np.percentile(self._periods_s, [50, 95])
        return Figures(1000 * float(middle), 1000 * float(high), self._late, self._ticks)
