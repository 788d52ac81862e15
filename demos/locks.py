"""One process at a time in a folder."""

import fcntl
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
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


@contextmanager
def alone_with(store: Path, verb: str) -> Generator[Path]:
    """Holds the lock of a verb that has a store to itself; gives the folder beside the store where it lies.

    The lock is not the store's, which takes commits of several processes: it keeps two from doing one work.

    Args:
        store: Folder of the store; there need not be one yet.
        verb: Such as "collect".

    Raises:
        Busy: If another process has it.
    """
    folder = store.absolute().with_name(f".{store.absolute().name}-{verb}")
    with ExitStack() as held:
        try:
            held.enter_context(alone(folder))
        except Busy:
            raise Busy(f"another `robocat {verb}` is at work in {store}; let it end first") from None
        yield folder
