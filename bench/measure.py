"""Repeated timings: their mean, or their median and 95th percentile, with 95 % intervals."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# Student's t, two-sided 95 %, by the number of samples.
T95 = {5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262, 12: 2.201, 15: 2.145, 20: 2.093}
BUSY = 1.1  # wall time per CPU time of one thread above which something else had the core


@dataclass(frozen=True)
class Measured:
    """A quantity that was measured several times.

    Attributes:
        unit: Of all the numbers.
        mean: Mean of the samples.
        low: Lower end of the 95 % interval of the mean (Student's t).
        high: Its upper end.
        samples: What was measured, in order.
        wall_per_cpu: Wall time over CPU time of all samples together; above 1 the core was shared.
    """

    unit: str
    mean: float
    low: float
    high: float
    samples: tuple[float, ...]
    wall_per_cpu: float

    def __str__(self) -> str:
        digits = 0 if self.mean >= 100 else 2
        return f"{self.mean:.{digits}f} ± {(self.high - self.low) / 2:.{digits}f}"


def summary(samples: Sequence[float], unit: str, wall_per_cpu: float = 1.0) -> Measured:
    """Mean and interval of samples.

    Raises:
        ValueError: If the table of Student's t lacks their number.
    """
    if len(samples) not in T95:
        raise ValueError(
            f"{len(samples)} repeats are not offered; expected one of {', '.join(map(str, T95))}"
        )
    mean = statistics.fmean(samples)
    half = T95[len(samples)] * statistics.stdev(samples) / len(samples) ** 0.5
    return Measured(unit, mean, mean - half, mean + half, tuple(samples), wall_per_cpu)


def milliseconds(call: Callable[[int], object], calls: int, repeats: int) -> Measured:
    """Times `call(0)`, `call(1)`, ...; before each sample a tenth as many are made and not counted.

    Args:
        call: What is timed, given its number.
        calls: How many calls make a sample.
        repeats: How many samples are taken.
    """
    samples: list[float] = []
    walls = cpus = 0.0
    for _ in range(repeats):
        for number in range(max(1, calls // 10)):
            call(number)
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(calls):
            call(number)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        samples.append(1000 * wall / calls)
        walls, cpus = walls + wall, cpus + cpu
    return summary(samples, "ms", walls / cpus)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and greatest of single timings; both with 95 % intervals by the bootstrap.

    A thousand resamples, drawn from seed 0, so that the same values give the same intervals.
    """
    array = np.asarray(values, np.float64)
    drawn = np.random.default_rng(0).choice(array, (1000, len(array)))
    found: dict[str, float] = {"n": len(array)}
    for name, share in (("median", 0.5), ("p95", 0.95)):
        low, high = np.quantile(np.quantile(drawn, share, axis=1), (0.025, 0.975))
        found |= {
            name: float(np.quantile(array, share)),
            f"{name}_low": float(low),
            f"{name}_high": float(high),
        }
    return found | {"max": float(array.max())}
