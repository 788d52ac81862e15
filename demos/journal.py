"""A file of checksummed lines that is only ever appended to, such as a store's manifest.

A line is the CRC-32 of its JSON in eight hexadecimal digits, a space, the JSON of one object, and a newline:

    9d1c3a44 {"arm": "panda", ..., "id": "panda-lift-red-expert-000042-3f9c01ab", ...}

Lines are appended under a lock, by one write. Bytes after the last newline are the start of a line whose
writer was killed: readers ignore them and the next writer cuts them off.
"""

import json
import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from demos.staging import write_all


class Untaken(ValueError):
    """An intact line that is none of this file's."""


class Journal(ABC):
    """What is read of such a file so far; `refresh` reads on. Whoever inherits says what its lines are.

    Attributes:
        path: Where it is, or will be.
        exists: Whether there is a file at all.
        damaged: Numbers of the complete lines that are not intact or that nobody can take, from 1.
        torn: Bytes after the last newline.
        lines: How many complete lines there are.
    """

    def __init__(self, path: Path) -> None:
        """For a file."""
        self.path = path
        self._begin(None)

    @abstractmethod
    def forget(self) -> None:
        """It must be read from the start again, or is gone."""

    @abstractmethod
    def take(self, number: int, record: dict[str, Any]) -> None:
        """The number and the object of each intact line, in order.

        Raises:
            Untaken: It is not what a line is to be.
        """

    def _begin(self, inode: int | None) -> None:
        self.exists = inode is not None
        self.damaged: set[int] = set()
        self.torn = self.lines = 0
        self._inode, self._end = inode, 0
        self.forget()

    def refresh(self) -> None:
        """Reads what was appended since the last time, or all of it if the file is another one."""
        known = len(self.damaged)
        started = self._end
        self._read_on()
        if started and len(self.damaged) > known:
            # A writer may have taken back a line that was read here (its disk was full) and another followed.
            self._begin(None)
            self._read_on()

    def _read_on(self) -> None:
        try:
            with open(self.path, "rb") as file:
                now = os.fstat(file.fileno())
                if now.st_ino != self._inode or now.st_size < self._end:
                    self._begin(now.st_ino)
                file.seek(self._end)
                tail = file.read()
        except FileNotFoundError:
            return self._begin(None)
        *lines, rest = tail.split(b"\n")
        for number, line in enumerate(lines, start=self.lines + 1):
            try:
                if (record := parsed(line)) is None:
                    raise Untaken
                self.take(number, record)
            except Untaken:
                self.damaged.add(number)
        self.lines += len(lines)
        self._end += len(tail) - len(rest)
        self.torn = len(rest)

    def add_lines(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Adds lines, all or none, and returns when they survive a power cut. Under a lock, refreshed.

        Raises:
            OSError: The file is missing, or cannot be written; then it is as it was.
        """
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            if os.fstat(fd).st_size > self._end:
                os.ftruncate(fd, self._end)
            try:
                write_all(fd, b"".join(map(line, records)))
                os.fsync(fd)
            except BaseException:
                os.ftruncate(fd, self._end)
                raise
        finally:
            os.close(fd)
        self.refresh()


def line(record: Mapping[str, Any]) -> bytes:
    """An object as a line; `parsed` reads it back, without its newline."""
    text = json.dumps(record, sort_keys=True).encode()
    return b"%08x %b\n" % (zlib.crc32(text), text)


def parsed(line: bytes) -> dict[str, Any] | None:
    """The object of a line without its newline; None if it is damaged, or no object."""
    text = line[9:]
    if line[:9] != b"%08x " % zlib.crc32(text):
        return None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
