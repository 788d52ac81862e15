"""What a store's list shows: rows, filters and counts, of the manifest, the marks and the heads of the files.

The manifest is enough for a row at once. Who judged stands in the head of each file, a few kilobytes, which
are read bit by bit meanwhile; a file whose head cannot be read, or which turned out damaged when it was
opened, is listed as damaged.
"""

import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from demos.manifest import Entry, StoreError
from demos.marks import Marks
from demos.stock import outcomes
from demos.store import EpisodeStore

_log = logging.getLogger(__name__)
FACETS = ("arm", "task", "source", "outcome", "judged_by", "mark", "file")
UNREAD = "not read yet"
ROWS = 60  # of a page of the list


class _Head(NamedTuple):
    """What is kept of a file's head: who judged, and the first camera."""

    judged_by: str
    camera: str | None


class Index:
    """The list of a store; `refresh` takes in what was committed and marked since.

    Attributes:
        marks: Of the store.
        version: Another number whenever something to be shown changed.
    """

    def __init__(self, store: EpisodeStore) -> None:
        self._store = store
        self.marks = Marks(store.path)
        self.version = 0
        self._entries: list[Entry] = []
        self._by_id: dict[str, Entry] = {}
        self._heads: dict[str, _Head] = {}
        self._damage: dict[str, str] = {}
        self._unread: list[str] = []
        self._lines = 0
        self._known: dict[str, tuple[str, ...]] = {}  # facets, as long as there is no news

    def refresh(self) -> None:
        """Reads on in the manifest and the marks.

        Raises:
            StoreError: One of them cannot be read, or the manifest is damaged.
        """
        entries = self._store.entries()
        self.marks.refresh()
        if entries != self._entries:
            kept = {entry.id for entry in entries if self._by_id.get(entry.id) == entry}
            self._heads = {id: head for id, head in self._heads.items() if id in kept}
            self._damage = {id: line for id, line in self._damage.items() if id in kept}
            self._entries, self._by_id = entries, {entry.id: entry for entry in entries}
            seen = self._heads.keys() | self._damage.keys()
            self._unread = [id for id in reversed(self._by_id) if id not in seen]
            self._news()
        if self.marks.lines != self._lines:
            self._lines = self.marks.lines
            self._news()

    def read_on(self, budget_s: float) -> bool:
        """Reads heads for about so long [s]; whether there are more."""
        end = time.monotonic() + budget_s
        before = len(self._unread)
        while self._unread and time.monotonic() < end:
            id = self._unread.pop()
            try:
                meta = self._store.meta(id)
                self._heads[id] = _Head(meta.outcome.judged_by, next(iter(meta.cameras), None))
            except StoreError as error:
                self._damage[id] = str(error)
            except Exception as error:  # whatever it is, the others are to be read
                _log.exception("reading the head of %s", id)
                self._damage[id] = f"episode {id} cannot be read: {type(error).__name__}: {error}"
        # Each bit would be news to every page; the thousands of a large store come in a few steps.
        if before and (not self._unread or before // 1000 != len(self._unread) // 1000):
            self._news()
        return bool(self._unread)

    def entry(self, id: str) -> Entry:
        """One episode's.

        Raises:
            StoreError: There is no such episode.
        """
        if id not in self._by_id:
            raise StoreError(f"no episode {id!r} in {self._store.path}")
        return self._by_id[id]

    def found(self, id: str, damage: str | None) -> None:
        """Remembers how an episode turned out when all of it was read: the line that says so, or whole."""
        if self._damage.get(id) == damage:
            return
        if damage is not None:
            self._damage[id] = damage
        else:
            del self._damage[id]  # a disk may be there again
            self._unread.append(id)
        self._news()

    def row(self, entry: Entry) -> dict[str, Any]:
        """What the list says of one episode."""
        return {
            "id": entry.id,
            "arm": entry.arm,
            "task": entry.task,
            "variation": entry.variation,
            "seed": entry.seed,
            "length": entry.length,
            "policy": entry.policy,
            "generation": entry.generation,
            "damaged": self._damage.get(entry.id),
            "camera": self._heads[entry.id].camera if entry.id in self._heads else None,
            **dict(zip(FACETS, self._facets(entry), strict=True)),
        }

    def listed(self, wanted: Mapping[str, str], text: str, start: int) -> dict[str, Any]:
        """A page of the list, with counts.

        Args:
            wanted: What facets are to be; of FACETS, those that do not matter left out.
            text: Words that an episode's id or policy must have, in any order and case.
            start: First row.

        Returns:
            `total` and `meant` episodes, `successful` and `unjudged` ones of those meant, the `rows` from
            `start` on, and of each facet its values with how many episodes each would leave, the other
            filters as they are.
        """
        words = text.lower().split()
        places = {FACETS.index(name): value for name, value in wanted.items()}
        counts: list[Counter[str]] = [Counter() for _ in FACETS]
        meant: list[Entry] = []
        theirs: list[tuple[str, ...]] = []
        for entry in self._entries:
            name = f"{entry.id} {entry.policy or ''}".lower() if words else ""
            if not all(word in name for word in words):
                continue
            facets = self._facets(entry)
            missed = [place for place, value in places.items() if facets[place] != value]
            if not missed:
                meant.append(entry)
                theirs.append(facets)
            elif len(missed) == 1:
                counts[missed[0]][facets[missed[0]]] += 1
        for count, values in zip(counts, zip(*theirs, strict=True), strict=bool(theirs)):
            count.update(values)
        start = max(0, min(start, (len(meant) - 1) // ROWS * ROWS))
        return {
            "total": len(self._entries),
            "meant": len(meant),
            **outcomes(meant),
            "start": start,
            "page": ROWS,
            "unread": len(self._unread),
            "rows": [self.row(entry) for entry in meant[start : start + ROWS]],
            "facets": {name: sorted(count.items()) for name, count in zip(FACETS, counts, strict=True)},
            **self._marked(),
        }

    def _news(self) -> None:
        self.version += 1
        self._known.clear()

    def _facets(self, entry: Entry) -> tuple[str, ...]:
        """The values of FACETS."""
        id = entry.id
        if (known := self._known.get(id)) is not None:
            return known
        known = self._known[id] = (
            entry.arm,
            entry.task,
            entry.controller,
            entry.outcome,
            self._heads[id].judged_by if id in self._heads else UNREAD,
            self.marks.of(entry) or "none",
            "damaged" if id in self._damage else "whole",
        )
        return known

    def _marked(self) -> dict[str, Any]:
        """How many are marked, and what an undo would undo."""
        last = self.marks.last
        return {
            "marked": len(self.marks.among(self._by_id)),
            "last": None if last is None else asdict(last),
            "lost_marks": sorted(self.marks.damaged),
        }
