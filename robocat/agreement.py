"""How verdicts agree with labels: how many of those said to succeed did, and how many that did were found."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demos.rate import Rate
from demos.store import EpisodeStore

Cell = tuple[str, str]
MODEL = "success@"  # what an outcome's `judged_by` begins with where a success model judged


@dataclass(frozen=True)
class Agreement:
    """Verdicts on steps or episodes, held against what they are about.

    Attributes:
        n: How many were judged.
        done: How many are done by their label.
        said: How many are done by the verdict.
        both: How many by both.
    """

    n: int
    done: int
    said: int
    both: int

    def __post_init__(self) -> None:
        if not 0 <= self.both <= min(self.done, self.said) or self.done + self.said - self.both > self.n:
            raise ValueError(
                f"agreement: got {asdict(self)}, expected both within done and said, and these in n"
            )

    @classmethod
    def of(cls, said: NDArray[np.bool_], done: NDArray[np.bool_]) -> "Agreement":
        """That of verdicts (N,) with labels (N,)."""
        return cls(len(done), int(done.sum()), int(said.sum()), int((said & done).sum()))

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(
            self.n + other.n, self.done + other.done, self.said + other.said, self.both + other.both
        )

    @property
    def precision(self) -> Rate | None:
        """Of what was said to be done, what is; None if nothing was said to be."""
        return Rate.of(self.both, self.said) if self.said else None

    @property
    def recall(self) -> Rate | None:
        """Of what is done, what was said to be; None if nothing is."""
        return Rate.of(self.both, self.done) if self.done else None

    def record(self) -> dict[str, Any]:
        """As JSON, with both rates and their 95 % intervals (Wilson)."""
        rates = {"precision": self.precision, "recall": self.recall}
        return asdict(self) | {name: asdict(rate) if rate else None for name, rate in rates.items()}

    def __str__(self) -> str:
        """Such as "precision 98 (93-99) %, n 107, recall 93 (87-97) %, n 111"."""
        rates = {"precision": self.precision, "recall": self.recall}
        return ", ".join(f"{name} {in_percent(rate).replace(')', ') %')}" for name, rate in rates.items())


def by_cell(verdicts: Iterable[tuple[Cell, bool, bool]]) -> dict[Cell, Agreement]:
    """Agreement at each arm and task.

    Args:
        verdicts: Arm and task of what was judged, what was said of it, and its label.
    """
    found: dict[Cell, Agreement] = {}
    for cell, said, done in verdicts:
        each = Agreement(1, int(done), int(said), int(said and done))
        found[cell] = found[cell] + each if cell in found else each
    return dict(sorted(found.items()))


def heard(store: EpisodeStore) -> dict[Cell, Agreement]:
    """How the verdicts of success models in a store of simulated attempts agree with the predicate."""
    ids = [id for id in store.ids() if store.meta(id).outcome.judged_by.startswith(MODEL)]
    episodes = (store.load(id, images=False) for id in ids)
    return by_cell(((e.meta.arm, e.meta.task), e.succeeded, bool(e.success[-1])) for e in episodes)


def in_percent(rate: Rate | Mapping[str, Any] | None) -> str:
    """A rate, or its record, with its interval and count, such as "98 (95-99), n 107"."""
    if rate is None:
        return "none"
    each = rate if isinstance(rate, Rate) else Rate(**rate)
    return f"{100 * each.mean:.0f} ({100 * each.low:.0f}-{100 * each.high:.0f}), n {each.n}"
