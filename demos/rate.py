"""A success rate with its interval."""

from dataclasses import dataclass

from demos.intervals import wilson


@dataclass(frozen=True)
class Rate:
    """Successes of n trials, with the 95 % interval of their rate (Wilson)."""

    successes: int
    n: int
    low: float
    high: float

    @staticmethod
    def of(successes: int, n: int) -> "Rate":
        """The rate of so many successes.

        Raises:
            ValueError: No trials, or more successes than trials.
        """
        interval = wilson(successes, n)
        return Rate(successes, n, interval.low, interval.high)

    @property
    def mean(self) -> float:
        """The success rate, in [0, 1]."""
        return self.successes / self.n
