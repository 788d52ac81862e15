"""One process at a time in a folder."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class Busy(ValueError):
    """Another process is at work."""


@contextmanager
def alone(folder: Path, wait: bool = False) -> Generator[None]:
    """Holds a folder's lock meanwhile; the system gives it back when the process ends, however it ends.

    Args:
        folder: Made if there is none; the lock is its file `lock`.
        wait: Wait for another process to be done instead of refusing.

    Raises:
        Busy: If another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy(f"another process is at work in {folder}; let it end first") from None
        yield
