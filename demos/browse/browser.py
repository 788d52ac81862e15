"""`robocat view <store> --serve`: the store's page, and what answers it.

Nothing that touches the disk is done in the server's event loop. One thread has the list and the marks,
another reads episodes and pictures, each one thing at a time; so neither a long episode nor another process
that holds the store's lock keeps the list waiting. A mark is tried again while the store is busy, for
`BUSY_S`. The page asks once a second whether anything changed, so that two tabs, and whatever else records or
marks, agree within that second.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from demos.browse.index import FACETS, Index
from demos.browse.shown import shown
from demos.locks import Busy
from demos.manifest import StoreError
from demos.marks import Outrun
from demos.store import EpisodeStore
from demos.web.local_server import LONGEST, Address, LocalServer
from sim.extras import MissingExtra, extra

T = TypeVar("T")
PAGE = Path(__file__).parent / "page"
BROUGHT_BY = "browse"  # the extra
HEADS_S = 0.004  # so long at a stretch heads are read, while requests wait
BUSY_S = 2.0  # so long a mark is tried while another process writes; a commit takes a tenth of that
AGAIN_S = 0.02  # between two tries


def browse(store: EpisodeStore, episode: str | None, port: int) -> None:
    """Serves a store's page until it is interrupted; prints the address to open.

    Args:
        store: The store.
        episode: Id of the episode that is open at first, or None.
        port: Port to answer on, of this machine alone.

    Raises:
        OSError: If the port cannot be had, or the extra's libraries are absent.
        StoreError: If there is no store, or its manifest is damaged.
    """
    web = serving(store, Address(port=port))
    try:
        web.announce(f"#id={episode}" if episode is not None else "")
        web.run()
    finally:
        web.close()


def serving(store: EpisodeStore, address: Address) -> LocalServer:
    """The server of a store's page, not running yet; raises as `browse` does."""
    routing = extra("starlette.routing", BROUGHT_BY)
    answers = Answers(store)
    routes = [
        routing.Route("/list", answers.listed),
        routing.Route("/news", answers.news),
        routing.Route("/episode/{id}", answers.episode),
        routing.Route("/picture/{id}/{kind}/{camera}/{moment:int}", answers.picture),
        routing.Route("/mark", answers.mark, methods=["POST"]),
        routing.Route("/undo", answers.undo, methods=["POST"]),
    ]
    return LocalServer(address, PAGE, routes, brought_by=BROUGHT_BY, lifespan=answers.reading)


class Answers:
    """What the page asks, answered."""

    def __init__(self, store: EpisodeStore) -> None:
        self._store, self._index = store, Index(store)
        self._index.refresh()
        # A store is not for two threads at once: each has its own.
        self._reader = EpisodeStore(store.path)
        self._listing, self._reading = (ThreadPoolExecutor(1, name) for name in ("list", "read"))
        self._response = extra("starlette.responses", BROUGHT_BY).Response

    @asynccontextmanager
    async def reading(self, application: Any) -> AsyncGenerator[None]:
        """Reads the heads of all files while the server runs."""
        del application
        task = asyncio.create_task(self._read())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        self._listing.shutdown()
        self._reading.shutdown()

    async def _read(self) -> None:
        while True:
            more = await _in(self._listing, lambda: self._index.read_on(HEADS_S))
            await asyncio.sleep(0.001 if more else 0.5)

    async def news(self, request: Any) -> Any:
        """The number of what there is to show."""
        del request
        return await self._said(lambda: {})

    async def listed(self, request: Any) -> Any:
        """A page of the list, and the row of the episode that is open."""
        asked = request.query_params
        wanted = {name: asked[name] for name in FACETS if asked.get(name)}
        start = int(asked["start"]) if asked.get("start", "").isdecimal() else 0

        def found() -> dict[str, Any]:
            page = self._index.listed(wanted, asked.get("text", ""), start)
            opened = None
            with suppress(StoreError):
                opened = self._index.row(self._index.entry(asked.get("open", "")))
            return page | {"store": str(self._store.path), "open": opened}

        return await self._said(found)

    async def episode(self, request: Any) -> Any:
        """All of an episode but its pictures, or the line that says how it is damaged."""
        id = request.path_params["id"]

        def read() -> tuple[dict[str, Any], str | None]:
            try:
                return shown(self._reader, id), None
            except StoreError as error:
                return {}, str(error)

        told, damage = await _in(self._reading, read)

        def found() -> dict[str, Any]:
            entry = self._index.entry(id)
            self._index.found(id, damage)
            return told | {"row": self._index.row(entry)}

        return await self._said(found)

    async def picture(self, request: Any) -> Any:
        """A picture as a PNG."""
        asked = request.path_params
        id, key, moment = asked["id"], f"{asked['kind']}/{asked['camera']}", asked["moment"]
        try:
            png = await _in(self._reading, lambda: self._reader.png(id, key, moment))
        except (StoreError, ValueError, MissingExtra) as error:
            return self._response(str(error), status_code=HTTPStatus.NOT_FOUND, media_type="text/plain")
        return self._response(png, media_type="image/png")

    async def mark(self, request: Any) -> Any:
        """Says what an episode is."""
        said = await _message(request, "id", "said")
        return await self._said(lambda: self._index.marks.mark(self._index.entry(said["id"]), said["said"]))

    async def undo(self, request: Any) -> Any:
        """Undoes the mark that the page saw as the last."""
        said = await _message(request, "key")
        return await self._said(lambda: self._index.marks.undo(said["key"]))

    async def _said(self, answer: Callable[[], dict[str, Any] | None]) -> Any:
        """An answer and the number of what there is to show; or, on one line, why there is none."""
        end = time.monotonic() + BUSY_S
        while True:
            try:
                told = await _in(self._listing, lambda: self._current(answer))
                return self._json(told, HTTPStatus.OK)
            except Outrun as error:
                return self._json({"error": str(error)}, HTTPStatus.CONFLICT)
            except Busy as error:
                if time.monotonic() > end:
                    return self._json({"error": f"{error}; nothing was marked"}, HTTPStatus.LOCKED)
                await asyncio.sleep(AGAIN_S)
            except (StoreError, ValueError) as error:
                return self._json({"error": str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)

    def _current(self, answer: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        """An answer by what is there now; and what it changed is taken in."""
        self._index.refresh()
        told = answer() or {}
        self._index.refresh()
        return told

    def _json(self, told: dict[str, Any], status: HTTPStatus) -> Any:
        text = json.dumps(told | {"version": self._index.version})
        return self._response(text, status_code=status, media_type="application/json")


async def _in(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """What some work comes to, done in a thread."""
    return await asyncio.get_running_loop().run_in_executor(thread, work)


async def _message(request: Any, *keys: str) -> dict[str, Any]:
    """What the page sent: an object with these keys, each a string or null."""
    text = b""
    async for part in request.stream():
        text += part
        if len(text) > LONGEST:
            raise _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    with suppress(ValueError, RecursionError):
        said = json.loads(text)
        plain = isinstance(said, dict) and all(isinstance(each, str | None) for each in said.values())
        if plain and set(said) == set(keys):
            return said
    raise _refused(HTTPStatus.BAD_REQUEST)


def _refused(status: HTTPStatus) -> Exception:
    return extra("starlette.exceptions", BROUGHT_BY).HTTPException(status)
