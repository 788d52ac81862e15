"""`robocat teleop`: the page, its pictures and the person's commands, over one WebSocket.

robocat teleop panda lift --out runs/mine/stores/teleop
robocat teleop so101 lift --robot my_so101.py --out runs/mine/stores/real
robocat collect ...  # what it records is a store as any other

The server answers on this machine alone, at an address that holds a secret. Each picture goes as one binary
message: a byte with the length of its name, the name, and a JPEG; the state goes before them, as JSON.
"""

import asyncio
import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from demos.environment import Environment
from demos.robots.declared import real_env
from demos.store import EpisodeStore
from demos.teleop.guard import HEADERS, Guard, check_address
from demos.teleop.hub import Browser, Hub, Refused
from demos.teleop.session import Plan, Session
from sim.cameras import CAMERAS
from sim.env import make
from sim.extras import extra
from sim.own import arm_name, task_name

PAGE = Path(__file__).parent / "page"
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
LONGEST = 2048  # bytes of a message from the page
REFUSED = 1008  # WebSocket's code for what breaks the rules


@dataclass(frozen=True)
class Address:
    """Where a server answers.

    Attributes:
        host: This machine's own address, or, with a certificate, one by which others reach it.
        port: TCP port.
        certificate: TLS certificate (PEM), or None.
        key: Its key (PEM), or None.

    Raises:
        ValueError: See `demos.teleop.guard.check_address`; for a port that is none, or an absent file.
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


def teleop(
    arm: Positional[str],
    task: Positional[str],
    *,
    robot: str | None = None,
    goal: Path | None = None,
    out: Path = Path("runs/teleop/stores/teleop"),
    episodes: int = 50,
    first_seed: int = 0,
    control_hz: int = 20,
    cameras: tuple[str, ...] | None = None,
    size: int = 64,
    limit_s: float = 120.0,
    host: str = Address.host,
    port: int = Address.port,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Records demonstrations by a person at a browser; prints the address to open.

    Args:
        arm: Arm, or the .py file that declares one.
        task: Task, or the .py file that declares one.
        robot: A real arm instead of the simulated one: the .py file that declares it, or a type of LeRobot's
            and its port, as in so101_follower:/dev/ttyACM0.
        goal: For a real arm, a folder with a picture for each camera of what is to be brought about, such as
            front.png; without it an episode's last frame is its goal.
        out: The store that takes the episodes.
        episodes: How many are wanted; the page counts.
        first_seed: Seed of the first scene.
        control_hz: Steps a second, 10 or 20.
        cameras: What is recorded: front and wrist, of two arms also "second_wrist"; all of a real arm's.
        size: Height and width of the recorded pictures [px].
        limit_s: Longest episode [s].
        host: Address to answer on; any but this machine's own needs a certificate.
        port: Port to answer on.
        certificate: TLS certificate (PEM).
        key: Its key (PEM).
    """
    address, plan = Address(host, port, certificate, key), Plan(episodes, first_seed, limit_s)
    named = arm_name(arm), task_name(task)
    if robot is not None:
        env = real_env(robot, *named, goal, cameras=cameras, size=size, control_hz=control_hz)
    elif goal is not None:
        raise ValueError("--goal goes with --robot: a simulated scene poses its own")
    else:
        env = make(*named, cameras=CAMERAS if cameras is None else cameras, size=size, control_hz=control_hz)
    try:
        serve(env, EpisodeStore(out), plan, address)
    finally:
        env.close()


def serve(env: Environment, store: EpisodeStore, plan: Plan, address: Address) -> None:
    """Serves a sitting until it is interrupted.

    Raises:
        OSError: See `Service`; or if an episode could not be saved, or the arm is gone.
    """
    service = Service(env, store, plan, address)
    print(f"open {service.guard.address} in a browser; Ctrl-C ends")
    service.session.start()
    try:
        service.server.run([service.socket])
    finally:
        service.close()
        print(f"{store.path}: {len(store) if store.exists else 0} episodes")


class Service:
    """A sitting and its server, neither of them started.

    Attributes:
        session: The loop.
        hub: Between it and the browsers.
        guard: Who may come in, and the address.
        server: Uvicorn's, which is to be run on `socket`.
        socket: Where it listens, from now on.
    """

    def __init__(self, env: Environment, store: EpisodeStore, plan: Plan, address: Address) -> None:
        """For an environment and a store.

        Raises:
            OSError: If the address cannot be had.
            MissingExtra: If the libraries of the extra are absent.
            Busy: If another sitting records into the store.
        """
        uvicorn = extra("uvicorn", "teleop")
        self.guard = Guard(address.host, address.port, encrypted=address.certificate is not None)
        self.hub = Hub()
        config = uvicorn.Config(
            application(self.hub, self.guard),
            log_level="warning",
            ws="websockets-sansio",
            ws_max_size=LONGEST,
            server_header=False,
            ssl_certfile=address.certificate and str(address.certificate),
            ssl_keyfile=address.key and str(address.key),
        )
        self.server = uvicorn.Server(config)
        self.socket = _listening(address)
        try:
            self.session = Session(env, store, plan, self.hub.publish)
        except ValueError:
            self.socket.close()
            raise
        self.hub.console = self.session.console

    def close(self) -> None:
        """Ends the sitting, once the server has ended.

        Raises:
            OSError: If an episode could not be saved.
        """
        self.socket.close()
        self.session.close()


def _listening(address: Address) -> socket.socket:
    """A socket at an address, which nobody else has."""
    try:
        return socket.create_server(
            (address.host, address.port), family=socket.AF_INET6 if ":" in address.host else socket.AF_INET
        )
    except OSError as error:
        raise OSError(
            f"cannot answer at {address.host}, port {address.port}: {error.strerror}; another --port may be "
            "free"
        ) from error


def application(hub: Hub, guard: Guard) -> Any:
    """The server, as ASGI wants it."""
    routing, responses = (extra(f"starlette.{name}", "teleop") for name in ("routing", "responses"))

    async def page(request: Any) -> Any:
        file = PAGE / request.path_params.get("name", "index.html")
        # Only names that are in the folder: nothing that a path could mean besides.
        there = file.name in {each.name for each in PAGE.iterdir()}
        if not (guard.token_fits(request.path_params["token"]) and there):
            return responses.Response("not found", status_code=404)
        return responses.Response(file.read_bytes(), media_type=KINDS[file.suffix])

    async def icon(request: Any) -> Any:
        del request
        return responses.Response(status_code=204)  # browsers ask for one

    async def talk(connection: Any) -> None:
        headers = connection.headers
        allowed = guard.host_fits(headers.get("host")) and guard.origin_fits(headers.get("origin"))
        if not (allowed and guard.token_fits(connection.path_params["token"])):
            await connection.close(REFUSED)
            return
        await connection.accept()
        await _serve(hub, connection)

    async def checked(request: Any, call_next: Any) -> Any:
        if not guard.host_fits(request.headers.get("host")):
            return responses.Response("another host", status_code=421)
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response

    return extra("starlette.applications", "teleop").Starlette(
        routes=[
            routing.Route("/favicon.ico", icon),
            routing.Route("/{token}/", page),
            routing.Route("/{token}/{name}", page),
            routing.WebSocketRoute("/{token}/talk", talk),
        ],
        middleware=[
            extra("starlette.middleware", "teleop").Middleware(
                extra("starlette.middleware.base", "teleop").BaseHTTPMiddleware, dispatch=checked
            )
        ],
    )


async def _serve(hub: Hub, connection: Any) -> None:
    """Sends what is new and hears what is said, until the browser goes or breaks a rule."""
    browser = hub.join()
    sender = asyncio.create_task(_send(hub, browser, connection))
    gone = extra("starlette.websockets", "teleop").WebSocketDisconnect
    try:
        while True:
            text = await connection.receive_text()
            browser.count()
            hub.hear(browser, text)
    except Refused as error:
        with suppress(RuntimeError, gone):
            # A close frame has room for 123 bytes.
            await connection.close(REFUSED, ascii(str(error))[1:-1][:100])
    except (gone, KeyError):  # KeyError: a binary message, which our page never sends
        pass
    finally:
        sender.cancel()
        hub.leave(browser)


async def _send(hub: Hub, browser: Browser, connection: Any) -> None:
    """Sends the newest frame, each picture that changed, as fast as the browser takes them."""
    sent: dict[str, bytes] = {}
    with suppress(RuntimeError, OSError, extra("starlette.websockets", "teleop").WebSocketDisconnect):
        while True:
            await browser.news.wait()
            browser.news.clear()
            await connection.send_text(json.dumps(hub.told(browser)))
            for name, picture in hub.frame.pictures.items():
                if sent.get(name) is not picture:
                    await connection.send_bytes(bytes([len(name)]) + name.encode() + picture)
                    sent[name] = picture
