"""The manifest: which episodes a store holds. A journal of one line each; a reader trusts nothing else."""

import dataclasses
import fcntl
import hashlib
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demos.episode import FORMAT_VERSION, Episode, outcome_word
from demos.journal import Journal, Untaken, line
from demos.locks import Busy
from demos.staging import sync_folders

Data = bytes  # by another name, because an entry has a field `bytes`


class StoreError(OSError):
    """What went wrong with a store, on one line, with what to do about it."""


@dataclass(frozen=True)
class Entry:
    """What the manifest says about one episode.

    Attributes:
        file: Path of the episode's file, relative to the store.
        sha256: Hash of that file.
        bytes: Size of that file.
        content: Hash of what the episode holds, without the wall clock; equal for an identical re-run.
        length: Steps.
        judged: Whether anybody has said how it ended; left out of the line where so.
    """

    id: str
    file: str
    sha256: str
    bytes: int
    content: str
    format_version: int
    arm: str
    task: str
    variation: str
    success: bool
    length: int
    controller: str
    policy: str | None
    generation: int | None
    seed: int
    judged: bool = True

    @staticmethod
    def of(episode: Episode, content: str, data: Data) -> "Entry":
        """The entry of an episode with this content hash, in a file of these bytes."""
        meta = episode.meta
        return Entry(
            id=meta.id,
            file=f"episodes/{meta.arm}/{meta.id}.safetensors",
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            content=content,
            format_version=meta.format_version,
            arm=meta.arm,
            task=meta.task,
            variation=meta.variation,
            success=meta.outcome.success,
            length=episode.length,
            controller=meta.provenance.controller,
            policy=meta.provenance.policy,
            generation=meta.provenance.generation,
            seed=meta.provenance.seed,
            judged=meta.outcome.judged,
        )

    @property
    def outcome(self) -> str:
        """One of `demos.episode.OUTCOMES`."""
        return outcome_word(self.success, self.judged)

    def describes(self, data: Data) -> bool:
        """Whether these are the bytes of the episode's file."""
        return len(data) == self.bytes and hashlib.sha256(data).hexdigest() == self.sha256

    def to_record(self) -> dict[str, Any]:
        """What its line holds; `from_record` reads it back."""
        record = dataclasses.asdict(self)
        if self.judged:
            del record["judged"]
        return record

    def to_line(self) -> Data:
        return line(self.to_record())

    @staticmethod
    def from_record(record: dict[str, Any]) -> "Entry":
        """The entry in a line.

        Raises:
            StoreError: It is of another format.
            Untaken: It is no entry: a field is missing or unknown.
        """
        if (version := record.get("format_version")) != FORMAT_VERSION:
            raise StoreError(
                f"episode {record.get('id')}: format_version: got {version}, expected {FORMAT_VERSION}, "
                "the one this robocat reads and writes"
            )
        record = {"judged": True} | record
        if record.keys() != _FIELDS or not all(isinstance(record[name], str) for name in _TEXTS):
            raise Untaken(f"{record} is no entry")
        return Entry(**record)


_FIELDS = {each.name for each in dataclasses.fields(Entry)}
_TEXTS = [each.name for each in dataclasses.fields(Entry) if each.type is str]


class Manifest(Journal):
    """What is read of a manifest so far.

    Attributes:
        root: The store's folder.
        entries: Intact lines, by episode id.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        super().__init__(root / "manifest.jsonl")

    def forget(self) -> None:
        """See `Journal`."""
        self.entries: dict[str, Entry] = {}

    def take(self, number: int, record: dict[str, Any]) -> None:
        """See `Journal`; what is said of an episode first counts."""
        del number
        entry = Entry.from_record(record)
        self.entries.setdefault(entry.id, entry)

    @contextmanager
    def locked(self, shared: bool = False, wait: bool = True) -> Generator[None]:
        """Keeps other writers out; `shared` only waits for one that is publishing, and writes nothing.

        Raises:
            Busy: Another one writes, and it is not to be waited for.
        """
        try:
            # The lock is a file of its own, because a repair replaces the manifest.
            fd = os.open(self.root / "lock", os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            if not shared:
                raise
            yield  # Nothing was ever written here.
            return
        try:
            try:
                fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise Busy(f"the store {self.root} is busy: another process writes to it") from None
            yield
        finally:
            os.close(fd)

    def create(self) -> None:
        """Makes an empty manifest, durably. Under the lock."""
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o666))
        sync_folders([self.root, self.root.absolute().parent])

    def append(self, entries: Iterable[Entry]) -> None:
        """Adds lines, all or none, and returns when they survive a power cut. Under the lock, refreshed."""
        self.add_lines(entry.to_record() for entry in entries)
