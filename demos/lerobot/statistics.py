"""Statistics of columns and pictures, by which LeRobot's policies normalise: exact, and of a whole set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
LEVELS = np.arange(256) / 255.0  # of a picture, in [0, 1] as LeRobot has them

Stats = dict[str, Any]


def of_numbers(values: NDArray[Any]) -> Stats:
    """Of a column (N,) or (N, D): lists of D numbers, 1 for a plain column."""
    table = values.reshape(len(values), -1)
    numbers = table.astype(np.float64)
    stats: Stats = {"min": table.min(axis=0).tolist(), "max": table.max(axis=0).tolist()}
    stats |= {"mean": numbers.mean(axis=0).tolist(), "std": numbers.std(axis=0).tolist()}
    stats["count"] = [len(table)]
    found = np.quantile(numbers, list(QUANTILES.values()), axis=0)
    return stats | {name: row.tolist() for name, row in zip(QUANTILES, found, strict=True)}


def histogram(pictures: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How often each channel of pictures (N, H, W, 3) has each level (3, 256): all that statistics need."""
    return np.stack([np.bincount(pictures[..., channel].ravel(), minlength=256) for channel in range(3)])


def of_pictures(counts: NDArray[np.int64], pictures: int) -> Stats:
    """Of pictures whose histogram is given: nested lists (3, 1, 1) of numbers in [0, 1]."""
    total = counts.sum(axis=1, keepdims=True)
    mean = (counts * LEVELS).sum(axis=1) / total[:, 0]
    variance = (counts * (LEVELS - mean[:, None]) ** 2).sum(axis=1) / total[:, 0]
    present = counts > 0
    share = counts.cumsum(axis=1) / total
    stats = {
        "min": LEVELS[present.argmax(axis=1)],
        "max": LEVELS[255 - present[:, ::-1].argmax(axis=1)],
        "mean": mean,
        "std": np.sqrt(variance),
        **{name: LEVELS[(share >= q).argmax(axis=1)] for name, q in QUANTILES.items()},
    }
    said: Stats = {name: values.reshape(3, 1, 1).tolist() for name, values in stats.items()}
    return said | {"count": [pictures]}


@dataclass
class WholeSet:
    """Gathers what the statistics of a whole set need while its episodes pass by, one at a time."""

    columns: dict[str, list[NDArray[Any]]] = field(default_factory=dict[str, list[NDArray[Any]]])
    pictures: dict[str, NDArray[np.int64]] = field(default_factory=dict[str, NDArray[np.int64]])
    counts: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, columns: Mapping[str, NDArray[Any]], seen: Mapping[str, NDArray[np.int64]]) -> None:
        """Adds an episode's columns, and the histograms of its pictures."""
        rows = len(next(iter(columns.values())))
        for name, values in columns.items():
            self.columns.setdefault(name, []).append(values)
        for name, counts in seen.items():
            self.pictures[name] = self.pictures.get(name, 0) + counts
            self.counts[name] = self.counts.get(name, 0) + rows

    def stats(self) -> dict[str, Stats]:
        """Of all of it, by feature."""
        return all_stats({name: np.concatenate(parts) for name, parts in self.columns.items()}) | {
            name: of_pictures(counts, self.counts[name]) for name, counts in self.pictures.items()
        }


def all_stats(columns: Mapping[str, NDArray[Any]]) -> dict[str, Stats]:
    """Of each column."""
    return {name: of_numbers(values) for name, values in columns.items()}
