"""What people say of a store's episodes after the fact: "success" or "failure", episode by episode.

    <store>/marks.jsonl    a journal (`demos.journal`) of one `Mark` a line; under the store's lock

A mark changes no outcome. Whatever reads the store reads what was recorded, so that its digest, what was
derived from it and what was trained on it stay as they are; `robocat data relabel` makes another store of it
and its marks, whose outcomes say so. Nothing is taken out of the journal either: an undo is one more line. A
mark is of the content that its person saw: it does not hold for another attempt that takes the same id.

Format history: 1, the first.
"""

import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from demos.journal import Journal, Untaken
from demos.manifest import Entry, Manifest, StoreError
from demos.staging import sync_folders

FORMAT_VERSION = 1
SAID = ("success", "failure")
Said = Literal["success", "failure"]


class Outrun(ValueError):
    """Somebody else marked meanwhile."""


@dataclass(frozen=True)
class Mark:
    """One line of the journal.

    Attributes:
        id: The episode's.
        content: Its content hash; see `demos.manifest.Entry`.
        said: What it is said to be; None takes back what was said before.
        at: When, ISO 8601 in UTC.
        key: Names the line.
        undoes: Key of the line that this one undoes, or None; `said` and `content` are then that line's.
    """

    id: str
    content: str
    said: Said | None
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    key: str = field(default_factory=lambda: secrets.token_hex(6))
    undoes: str | None = None
    format_version: int = FORMAT_VERSION

    @staticmethod
    def from_record(record: dict[str, Any]) -> "Mark":
        """The mark in a line.

        Raises:
            StoreError: It is of another format.
            Untaken: It is no mark: a field is missing, unknown, or holds what none can.
        """
        if (version := record.get("format_version")) != FORMAT_VERSION:
            raise StoreError(
                f"format_version: got {version}, expected {FORMAT_VERSION}, the one this robocat reads and "
                "writes"
            )
        if (
            record.keys() != _FIELDS
            or not all(isinstance(record[name], str) for name in ("id", "content", "at", "key"))
            or not isinstance(record["undoes"], str | None)
            or record["said"] not in (None, *SAID)
        ):
            raise Untaken(f"{record} is no mark")
        return Mark(**record)


_FIELDS = {each.name for each in fields(Mark)}


class Marks(Journal):
    """The marks of a store; raises `StoreError` when read if they are of another format."""

    def __init__(self, store: Path) -> None:
        """For the folder of a store, which is not written to before there is a mark."""
        self._manifest = Manifest(store)
        super().__init__(store / "marks.jsonl")

    @property
    def last(self) -> Mark | None:
        """What an undo would undo."""
        return next(reversed(self._standing.values()), None)

    def of(self, entry: Entry) -> Said | None:
        """What an episode is said to be now."""
        mark = self._present.get(entry.id)
        return mark.said if mark is not None and mark.content == entry.content else None

    def among(self, entries: Mapping[str, Entry]) -> dict[str, Said]:
        """What each marked one of some episodes is said to be, by id."""
        return {id: said for id in self._present if id in entries and (said := self.of(entries[id]))}

    def intact(self) -> bytes:
        """The lines that can be read, as they are. Under the store's lock, for what mends it."""
        self.refresh()
        lines = self.path.read_bytes().split(b"\n")[:-1]
        return b"".join(
            each + b"\n" for number, each in enumerate(lines, start=1) if number not in self.damaged
        )

    def mark(self, entry: Entry, said: Said | None) -> None:
        """Says what an episode is, or with None that nothing is said; returns when that is on the disk.

        Raises:
            Busy: Another process writes to the store; nothing is waited for.
            StoreError: The journal cannot be written; it is as it was then.
            ValueError: Another word.
        """
        if said is not None and said not in SAID:
            raise ValueError(f"mark {said!r}: expected one of {', '.join(SAID)}, or none")
        with self._writing():
            if self.of(entry) != said:
                self._append(Mark(entry.id, entry.content, said))

    def undo(self, key: str) -> None:
        """Undoes a mark, which must be the last that stands; returns when that is on the disk.

        Raises:
            Outrun: Another one is the last.
            Busy: Another process writes to the store; nothing is waited for.
            StoreError: The journal cannot be written; it is as it was then.
        """
        with self._writing():
            if (last := self.last) is None or last.key != key:
                raise Outrun("somebody marked or undid meanwhile; nothing was undone")
            self._append(Mark(last.id, last.content, last.said, undoes=key))

    @contextmanager
    def _writing(self) -> Generator[None]:
        """Alone, with all that others wrote read, and with errors on one line."""
        try:
            with self._manifest.locked(wait=False):
                self.refresh()
                yield
        except StoreError:
            raise
        except OSError as error:
            problem = error.strerror or str(error)
            raise StoreError(f"{problem} writing {self.path}; the marks are as they were") from error

    def _append(self, mark: Mark) -> None:
        if not self.path.exists():
            self.path.touch()
            sync_folders([self.path.parent])
            self.refresh()
        self.add_lines([asdict(mark)])

    def forget(self) -> None:
        """See `Journal`."""
        self._standing: dict[str, Mark] = {}  # what no later line undid, by its key
        self._present: dict[str, Mark] = {}  # the last of them, by the episode's id

    def take(self, number: int, record: dict[str, Any]) -> None:
        """See `Journal`."""
        try:
            mark = Mark.from_record(record)
        except StoreError as error:
            raise StoreError(f"{self.path} line {number}: {error}") from error
        if mark.undoes is None:
            self._standing[mark.key] = self._present[mark.id] = mark
            return
        self._standing.pop(mark.undoes, None)
        # An undo is rare: looking through all that stands keeps the rest simple.
        before = [each for each in self._standing.values() if each.id == mark.id]
        if before:
            self._present[mark.id] = before[-1]
        else:
            self._present.pop(mark.id, None)
