"""Worlds in this process or in another, told what to do in the same way."""

import signal
import traceback
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, Protocol

from gymnasium.vector.utils import read_from_shared_memory

from sim.env import ManipulationEnv
from sim.worlds import Worlds, board_space, rows_of

CLOSE_S = 5.0  # a worker that has not ended by then is terminated


class Link(Protocol):
    """Some worlds, wherever they are."""

    def send(self, command: str, argument: Any) -> None:
        """Has a method of `Worlds` called with an argument."""
        ...

    def receive(self) -> Any:
        """What it returned, or the exception that it raised."""
        ...

    def leave(self) -> None:
        """Tells the worlds that nothing more will be sent."""
        ...

    def end(self) -> None:
        """Waits until they are gone."""
        ...


class Here:
    """Worlds in this process."""

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds

    def send(self, command: str, argument: Any) -> None:
        try:
            self._answer = getattr(self._worlds, command)(argument)
        except Exception as error:
            self._answer = error

    def receive(self) -> Any:
        return self._answer

    def leave(self) -> None:
        """Nobody to tell."""

    def end(self) -> None:
        """Nothing to wait for."""


@dataclass(frozen=True)
class Share:
    """What a worker needs to know.

    Attributes:
        recipe: Keyword arguments of `ManipulationEnv`.
        memory: The board of all worlds, shared.
        total: How many worlds that holds.
        start: The worker's first.
        count: How many are its own.
        threads: How many of them may do physics at once.
    """

    recipe: dict[str, Any]
    memory: Any
    total: int
    start: int
    count: int
    threads: int


class Worker:
    """Worlds in a process of their own, which ends when this one does, however it ends."""

    def __init__(self, share: Share) -> None:
        # The memory's locks go with the last to know them here, even before the worker has seen them.
        self._share = share
        # A fork would inherit OpenGL contexts and locks that no thread of its own will ever free.
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, share), daemon=True)
        self._process.start()
        theirs.close()

    def send(self, command: str, argument: Any) -> None:
        try:
            self._pipe.send((command, argument))
        except OSError:
            raise _died() from None

    def receive(self) -> Any:
        try:
            return self._pipe.recv()
        except (EOFError, OSError):
            raise _died() from None

    def leave(self) -> None:
        self._pipe.close()

    def end(self) -> None:
        self._process.join(CLOSE_S)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()
        self._process.close()


def check_sendable(recipe: dict[str, Any]) -> None:
    """Refuses what cannot be sent to a worker.

    Raises:
        ValueError: If something in it has functions that no module defines.
    """
    for name, value in recipe.items():
        try:
            ForkingPickler.dumps(value)
        except Exception as error:  # each kind of thing has its own way to say no
            raise ValueError(
                f"{name} {getattr(value, 'name', value)!r} cannot be sent to a worker ({error}); expected a "
                "name, or functions that a module defines, or workers=1"
            ) from error


def _died() -> ChildProcessError:
    return ChildProcessError(
        "a worker process ended by itself: killed, out of memory, or started by a script that does not guard "
        'what it runs with `if __name__ == "__main__":`; make the environment anew, with fewer workers if '
        "memory is short"
    )


def _work(pipe: Connection, share: Share) -> None:
    """A worker's life: builds its worlds, then does as told until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's business.
    space = board_space(ManipulationEnv(**share.recipe))
    board = read_from_shared_memory(space, share.memory, share.total)
    own = rows_of(board, share.start, share.start + share.count)
    worlds = Worlds(share.recipe, share.count, share.threads, own)
    try:
        while True:
            command, argument = pipe.recv()
            pipe.send(_answer(worlds, command, argument))
    except (EOFError, OSError):
        return  # Nobody listens any more.


def _answer(worlds: Worlds, command: str, argument: Any) -> Any:
    try:
        return getattr(worlds, command)(argument)
    except Exception as error:
        return _sendable(error)


def _sendable(error: Exception) -> Exception:
    """The error, of the kind that worlds in the first process raise, if it survives the way there."""
    told = "".join(traceback.format_exception(error))
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))  # type: ignore[arg-type]
    except Exception:  # a class whose arguments are not its constructor's, or that no module defines
        return RuntimeError(told)
    if not isinstance(error, ValueError):  # which is about the input and explains itself
        error.add_note(told)
    return error
