"""Demonstrations that can be done again: the successful episodes of a store, cut into segments."""

from collections.abc import Mapping
from dataclasses import dataclass

from demos.segments import Segment, segments
from demos.store import EpisodeStore
from demos.track import Track, read_track
from sim.names import pick
from sim.tasks import find_task
from sim.things.thing import Thing


@dataclass(frozen=True)
class Demonstration:
    """A demonstration that can be done again.

    Attributes:
        id: The episode's.
        content: Hash of what that holds.
        variation: What was meant in it.
        took_s: How long it took [s].
        segments: What the tool did, in order.
    """

    id: str
    content: str
    variation: str
    took_s: float
    segments: tuple[Segment, ...]

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the things that it is about."""
        named = [(s.at, *(s.way or ()), *((s.held,) if s.held else ())) for s in self.segments]
        return tuple(dict.fromkeys(name for names in named for name in names))


def read_demonstrations(store: EpisodeStore, task: str) -> tuple[Demonstration, ...]:
    """All successful episodes of a task, whatever the arm, sorted by id.

    Raises:
        UnknownName: The store has none of the task.
        ValueError: It has failed ones only; or one cannot be read, see `demos.track`.
        StoreError: One is damaged.
    """
    entries = store.entries()
    pick({entry.task: True for entry in entries}, task, "demonstrated task")
    entries = [entry for entry in entries if entry.task == task]
    good = [entry for entry in entries if entry.success]
    if not good:
        raise ValueError(
            f"{store.path}: of {len(entries)} episodes of {task} none succeeded; expected one or more that "
            "did, as nothing is multiplied from failures"
        )
    things = {thing.name: thing for thing in find_task(task).things}
    made: list[Demonstration] = []
    for entry in good:
        track = read_track(store.load(entry.id, images=False))
        made.append(demonstration(track, things, entry.content))
    return tuple(made)


def demonstration(track: Track, things: Mapping[str, Thing], content: str = "") -> Demonstration:
    """What can be done again of an episode's motion; the things are its task's, the content is its hash."""
    took_s, cut = track.length * track.period_s, tuple(segments(track, things))
    return Demonstration(track.id, content, track.variation, took_s, cut)
