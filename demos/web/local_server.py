"""A server for one page: its files and what answers it, on this machine, at an address that holds a secret.

Everything is checked before any route sees it: the Host header, the secret, and of whatever could change
something also the Origin.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from demos.web.guard import HEADERS, Guard, check_address
from sim.extras import extra

SHARED = Path(__file__).parent / "page"  # files that every page may ask for
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
REFUSED = 1008  # WebSocket's code for what breaks the rules
LONGEST = 2048  # bytes of a message from a page


@dataclass(frozen=True)
class Address:
    """Where a server answers.

    Attributes:
        host: This machine's own address, or, with a certificate, one by which others reach it.
        port: TCP port.
        certificate: TLS certificate (PEM), or None.
        key: Its key (PEM), or None.

    Raises:
        ValueError: See `demos.web.guard.check_address`; for a port that is none, or an absent file.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        check_address(self.host, self.certificate, self.key)
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port {self.port} is out of range; expected 1 to 65535")
        for file in (self.certificate, self.key):
            if file is not None and not file.is_file():
                raise ValueError(f"no file at {file}")


class LocalServer:
    """A page and what answers it, which listens from now on and answers once it runs.

    Attributes:
        guard: Who may come in, and the address.
        server: Uvicorn's.
    """

    def __init__(
        self,
        address: Address,
        page: Path,
        routes: Sequence[Any],
        *,
        brought_by: str,
        websockets: bool = False,
        lifespan: Any = None,
    ) -> None:
        """For a page at an address.

        Args:
            address: Where it answers.
            page: Folder of its files, index.html among them.
            routes: Starlette's, relative to the secret; their requests are checked already.
            brought_by: The extra that brings the libraries.
            websockets: Whether some routes are WebSockets.
            lifespan: What goes on while the server does, as Starlette takes it.

        Raises:
            OSError: If the address cannot be had.
            MissingExtra: If the libraries of the extra are absent.
        """
        uvicorn = extra("uvicorn", brought_by)
        self.guard = Guard(address.host, address.port, encrypted=address.certificate is not None)
        config = uvicorn.Config(
            Gate(self.guard, _application(page, routes, lifespan, brought_by), brought_by),
            log_level="warning",
            ws="websockets-sansio" if websockets else "none",
            ws_max_size=LONGEST,
            server_header=False,
            ssl_certfile=address.certificate and str(address.certificate),
            ssl_keyfile=address.key and str(address.key),
        )
        self.server = uvicorn.Server(config)
        self._socket = _listening(address)

    def announce(self, opened: str = "") -> None:
        """Says where the page is, at once also to a pipe; `opened` is what comes behind the address."""
        print(f"open {self.guard.address}{opened} in a browser; Ctrl-C ends", flush=True)

    def run(self) -> None:
        """Answers until it is interrupted, or told to end by `server.should_exit`."""
        # At Ctrl-C it ends in order and then raises the signal again; for a page that is how it ends.
        with suppress(KeyboardInterrupt):
            self.server.run([self._socket])

    def close(self) -> None:
        """Listens no more, once it has ended or if it never ran."""
        self._socket.close()


class Gate:
    """Lets through what the server's own page asks, and gives every answer the strict headers; ASGI."""

    def __init__(self, guard: Guard, behind: Any, brought_by: str) -> None:
        self._guard, self._behind = guard, behind
        self._headers = extra("starlette.datastructures", brought_by).Headers
        self._response = extra("starlette.responses", brought_by).Response

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One connection."""

        async def sealed(message: Any) -> None:
            if message["type"] == "http.response.start":
                strict = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *strict]
            await send(message)

        status = None if scope["type"] == "lifespan" else self._refusal(scope)
        if status is None:
            await self._behind(scope, receive, sealed)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": REFUSED})
        else:
            await self._response(status.phrase, status_code=status)(scope, receive, sealed)

    def _refusal(self, scope: Any) -> HTTPStatus | None:
        """Why a connection is none of our page's, or None if it is."""
        headers = self._headers(scope=scope)
        if not self._guard.host_fits(headers.get("host")):
            return HTTPStatus.MISDIRECTED_REQUEST
        if scope["path"] == "/favicon.ico":
            return None  # browsers ask for one
        if not self._guard.token_fits(scope["path"][1:].partition("/")[0]):
            return HTTPStatus.NOT_FOUND
        harmless = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if not (harmless or self._guard.origin_fits(headers.get("origin"))):
            return HTTPStatus.FORBIDDEN
        return None


def _listening(address: Address) -> socket.socket:
    """A socket at an address, which nobody else has."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listening = socket.create_server((address.host, address.port), family=family)
        # Connections take it over. Without it the body of an answer waits for the client to acknowledge the
        # head, 40 ms: asyncio sets it only for sockets that were made with TCP as their protocol.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise OSError(
            f"cannot answer at {address.host}, port {address.port}: {error.strerror}; another --port may be "
            "free"
        ) from error


def _application(page: Path, routes: Sequence[Any], lifespan: Any, brought_by: str) -> Any:
    """The routes and the files, below the secret."""
    routing, responses = (extra(f"starlette.{name}", brought_by) for name in ("routing", "responses"))
    # Only names that are in the folders: nothing that a path could mean besides.
    files = {path.name: path for folder in (SHARED, page) for path in folder.iterdir()}

    async def file(request: Any) -> Any:
        found = files.get(request.path_params.get("name", "index.html"))
        if found is None:
            return responses.Response("not found", status_code=HTTPStatus.NOT_FOUND)
        return responses.Response(found.read_bytes(), media_type=KINDS[found.suffix])

    async def icon(request: Any) -> Any:
        del request
        return responses.Response(status_code=HTTPStatus.NO_CONTENT)

    below = [*routes, routing.Route("/", file), routing.Route("/{name}", file)]
    return extra("starlette.applications", brought_by).Starlette(
        routes=[routing.Route("/favicon.ico", icon), routing.Mount("/{token}", routes=below)],
        lifespan=lifespan,
    )
