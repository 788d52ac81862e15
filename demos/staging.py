"""Writing that survives a kill: files appear under their final name whole, or not at all.

A writer puts files into `tmp/` first and holds a lock there while it lives. The kernel drops the lock with
the process, however that ends, so what a killed writer left is told from what a living one still writes.
"""

import fcntl
import os
import uuid
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from pathlib import Path


def write_all(fd: int, data: bytes) -> None:
    """Writes all of `data`: the system may take less than it is given, as when a disk fills up."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_durably(path: Path, data: bytes) -> None:
    """Makes a new file and returns when its content, though not yet its name, survives a power cut."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folders(folders: Iterable[Path]) -> None:
    """Returns when the names in these folders survive a power cut."""
    for folder in folders:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def whole(path: Path) -> Generator[Path]:
    """Gives a name beside `path` to write to; when the block ends well it becomes `path`, durably.

    For files that libraries write by name, and one writer at a time: the next writes over what a kill left.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        yield aside
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.rename(aside, path)
        sync_folders([path.parent])
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def staging(root: Path) -> Generator[Callable[[bytes], Path]]:
    """Gives a function that writes bytes durably to a new file in `tmp/` and returns its path.

    Files that were not renamed away are removed at the end, however the block is left.
    """
    (root / "tmp").mkdir(exist_ok=True)
    fd, claim = _claim(root / "tmp")
    parts: list[Path] = []

    def write(data: bytes) -> Path:
        parts.append(claim.with_suffix(f".{len(parts)}"))
        write_durably(parts[-1], data)
        return parts[-1]

    try:
        yield write
    finally:
        for path in (*parts, claim):
            path.unlink(missing_ok=True)
        os.close(fd)


def leftovers(root: Path) -> list[Path]:
    """Files in `tmp/` whose writer no longer lives."""
    try:
        names = sorted(os.listdir(root / "tmp"))
    except FileNotFoundError:
        return []
    dead = {name.partition(".")[0]: not _lives(root / "tmp" / name.partition(".")[0]) for name in names}
    return [root / "tmp" / name for name in names if dead[name.partition(".")[0]]]


def _claim(folder: Path) -> tuple[int, Path]:
    """Makes and locks the file that says a writer lives."""
    while True:
        claim = folder / uuid.uuid4().hex
        fd = os.open(claim, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        fcntl.flock(fd, fcntl.LOCK_EX)
        # Between these two calls a repair may have taken the file for a dead writer's and moved it away.
        if claim.exists():
            return fd, claim
        os.close(fd)


def _lives(claim: Path) -> bool:
    try:
        fd = os.open(claim, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
