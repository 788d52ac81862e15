"""The manifest: which episodes a store holds. One line each, and a reader trusts nothing else.

A line is the CRC-32 of its JSON in eight hexadecimal digits, a space, the JSON of one `Entry`, and a newline:

    9d1c3a44 {"arm": "panda", ..., "id": "panda-lift-red-expert-000042-3f9c01ab", ...}

Lines are only ever appended, under a lock, by one write. Bytes after the last newline are the start of a line
whose writer was killed: readers ignore them and the next writer cuts them off.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demos.episode import FORMAT_VERSION, Episode
from demos.staging import sync_folders, write_all

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
        )

    def describes(self, data: Data) -> bool:
        """Whether these are the bytes of the episode's file."""
        return len(data) == self.bytes and hashlib.sha256(data).hexdigest() == self.sha256

    def to_line(self) -> Data:
        text = json.dumps(dataclasses.asdict(self), sort_keys=True).encode()
        return b"%08x %b\n" % (zlib.crc32(text), text)

    @staticmethod
    def from_line(line: Data) -> "Entry | None":
        """Reads a line without its newline; None if it is damaged.

        Raises:
            StoreError: An intact line of another format.
        """
        text = line[9:]
        if line[:9] != b"%08x " % zlib.crc32(text) or not text:
            return None
        record = json.loads(text)
        if (version := record.get("format_version")) != FORMAT_VERSION:
            raise StoreError(
                f"episode {record.get('id')}: format_version: got {version}, expected {FORMAT_VERSION}, "
                "the one this robocat reads and writes"
            )
        return Entry(**record)


class Manifest:
    """What is read of a manifest so far; `refresh` reads on.

    Attributes:
        exists: Whether there is a manifest at all.
        entries: Intact lines, by episode id.
        damaged: Numbers of the complete lines that are not intact, from 1.
        torn: Bytes after the last newline.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "manifest.jsonl"
        self._forget(None)

    def _forget(self, inode: int | None) -> None:
        self.exists = inode is not None
        self.entries: dict[str, Entry] = {}
        self.damaged: set[int] = set()
        self.torn = 0
        self._inode, self._end, self._lines = inode, 0, 0

    def refresh(self) -> None:
        """Reads what was appended since the last time, or all of it if the file is another one."""
        known = len(self.damaged)
        started = self._end
        self._read_on()
        if started and len(self.damaged) > known:
            # A writer may have taken back a line that was read here (its disk was full) and another followed.
            self._forget(None)
            self._read_on()

    def _read_on(self) -> None:
        try:
            with open(self.path, "rb") as file:
                now = os.fstat(file.fileno())
                if now.st_ino != self._inode or now.st_size < self._end:
                    self._forget(now.st_ino)
                file.seek(self._end)
                tail = file.read()
        except FileNotFoundError:
            return self._forget(None)
        *lines, rest = tail.split(b"\n")
        for number, line in enumerate(lines, start=self._lines + 1):
            if (entry := Entry.from_line(line)) is None:
                self.damaged.add(number)
            else:
                self.entries.setdefault(entry.id, entry)
        self._lines += len(lines)
        self._end += len(tail) - len(rest)
        self.torn = len(rest)

    @contextmanager
    def locked(self, shared: bool = False) -> Generator[None]:
        """Keeps other writers out; `shared` only waits for one that is publishing, and writes nothing."""
        try:
            # The lock is a file of its own, because a repair replaces the manifest.
            fd = os.open(self.root / "lock", os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            if not shared:
                raise
            yield  # Nothing was ever written here.
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def create(self) -> None:
        """Makes an empty manifest, durably. Under the lock."""
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o666))
        sync_folders([self.root, self.root.absolute().parent])

    def append(self, entries: Iterable[Entry]) -> None:
        """Adds lines, all or none, and returns when they survive a power cut. Under the lock, refreshed."""
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            if os.fstat(fd).st_size > self._end:
                os.ftruncate(fd, self._end)
            try:
                write_all(fd, b"".join(entry.to_line() for entry in entries))
                os.fsync(fd)
            except BaseException:
                os.ftruncate(fd, self._end)
                raise
        finally:
            os.close(fd)
        self.refresh()
