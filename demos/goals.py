"""Goal images: the last frame of a success, shown to an agent as what to bring about."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from demos.manifest import Entry, StoreError
from demos.store import EpisodeStore
from sim.cameras import Image


@dataclass(frozen=True)
class Goal:
    """A goal image and the episode whose end it is.

    Attributes:
        episode: Id of that episode.
        images: Camera name to uint8 (H, W, 3).
    """

    episode: str
    images: dict[str, Image]


class GoalBank:
    """The successes of a store, by arm, task and variation.

    Args:
        path: A store.
    """

    def __init__(self, path: Path) -> None:
        self._store = EpisodeStore(path)
        self._entries: dict[tuple[str, str, str], list[Entry]] = {}
        for entry in self._store.entries():
            if entry.success:
                self._entries.setdefault((entry.arm, entry.task, entry.variation), []).append(entry)

    def count(self, arm: str, task: str, variation: str) -> int:
        """How many goals there are."""
        return len(self._entries.get((arm, task, variation), []))

    def nth(self, arm: str, task: str, variation: str, index: int) -> Goal:
        """A goal by its place in the canonical order, round and round.

        Raises:
            StoreError: If the store has no success of this kind.
        """
        entries = self._entries.get((arm, task, variation))
        if not entries:
            raise StoreError(
                f"no goal images for {arm} {task} {variation} in {self._store.path}: it has no such success; "
                f"`robocat collect --arms {arm} --tasks {task} --out {self._store.path}` makes some"
            )
        entry = entries[index % len(entries)]
        cameras = self._store.load(entry.id, images=False).meta.cameras
        return Goal(entry.id, {c: self._store.frames(entry.id, c, [entry.length])[0] for c in cameras})

    def random(self, arm: str, task: str, variation: str, rng: np.random.Generator) -> Goal:
        """A goal drawn evenly."""
        return self.nth(arm, task, variation, int(rng.integers(max(1, self.count(arm, task, variation)))))
