"""`robocat teleop`: the page, its pictures and the person's commands, over one WebSocket.

robocat teleop panda lift --out runs/mine/stores/teleop
robocat collect ...  # what it records is a store as any other

The server answers on this machine alone, at an address that holds a secret. Each picture goes as one binary
message: a byte with the length of its name, the name, and a JPEG; the state goes before them, as JSON.
"""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from demos.store import EpisodeStore
from demos.teleop.guard import HEADERS, LOOPBACK, Guard, check_address
from demos.teleop.hub import Browser, Hub, Refused
from demos.teleop.session import Plan, Session
from sim.cameras import CAMERAS, cameras_of
from sim.env import make
from sim.extras import extra
from sim.own import arm_name, task_name

PAGE = Path(__file__).parent / "page"
KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
LONGEST = 2048  # bytes of a message from the page
REFUSED = 1008  # WebSocket's code for what breaks the rules


def teleop(
    arm: Positional[str],
    task: Positional[str],
    *,
    out: Path = Path("runs/teleop/stores/teleop"),
    episodes: int = 50,
    first_seed: int = 0,
    control_hz: int = 20,
    size: int = 64,
    limit_s: float = 120.0,
    host: str = "127.0.0.1",
    port: int = 8765,
    certificate: Path | None = None,
    key: Path | None = None,
) -> None:
    """Records demonstrations by a person at a browser; prints the address to open.

    Args:
        arm: Arm, or the .py file that declares one.
        task: Task, or the .py file that declares one.
        out: The store that takes the episodes.
        episodes: How many are wanted; the page counts.
        first_seed: Seed of the first scene.
        control_hz: Steps a second, 10 or 20.
        size: Height and width of the recorded pictures [px].
        limit_s: Longest episode [s].
        host: Address to answer on; any but this machine's own needs a certificate.
        port: Port to answer on.
        certificate: TLS certificate (PEM).
        key: Its key (PEM).
    """
    uvicorn = extra("uvicorn", "teleop")
    check_address(host, certificate, key)
    found = make(arm_name(arm), task_name(task), cameras=()).arm
    cameras = CAMERAS if len(found.limbs) == 1 else cameras_of(found)
    env = make(arm_name(arm), task_name(task), cameras=cameras, size=size, control_hz=control_hz)
    hub = Hub()
    session = Session(env, EpisodeStore(out), Plan(episodes, first_seed, limit_s), hub.publish)
    hub.console = session.console
    guard = Guard({*LOOPBACK, host} if host in LOOPBACK else {host}, port)
    config = uvicorn.Config(
        application(hub, guard),
        host=host,
        port=port,
        log_level="warning",
        ws="websockets-sansio",
        ws_max_size=LONGEST,
        server_header=False,
        ssl_certfile=certificate and str(certificate),
        ssl_keyfile=key and str(key),
    )
    scheme = "https" if certificate else "http"
    print(f"open {scheme}://{host}:{port}/{guard.token}/ in a browser; Ctrl-C ends")
    session.start()
    try:
        uvicorn.Server(config).run()
    finally:
        session.close()
        print(f"{out}: {len(EpisodeStore(out)) if EpisodeStore(out).exists else 0} episodes")


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

    async def talk(socket: Any) -> None:
        headers = socket.headers
        allowed = guard.host_fits(headers.get("host")) and guard.origin_fits(headers.get("origin"))
        if not (allowed and guard.token_fits(socket.path_params["token"])):
            await socket.close(REFUSED)
            return
        await socket.accept()
        await _serve(hub, socket)

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


async def _serve(hub: Hub, socket: Any) -> None:
    """Sends what is new and hears what is said, until the browser goes or breaks a rule."""
    browser = hub.join()
    sender = asyncio.create_task(_send(hub, browser, socket))
    gone = extra("starlette.websockets", "teleop").WebSocketDisconnect
    try:
        while True:
            text = await socket.receive_text()
            browser.count()
            hub.hear(browser, text)
    except Refused as error:
        with suppress(RuntimeError, gone):
            await socket.close(REFUSED, str(error)[:100])
    except (gone, KeyError):  # KeyError: a binary message, which our page never sends
        pass
    finally:
        sender.cancel()
        hub.leave(browser)


async def _send(hub: Hub, browser: Browser, socket: Any) -> None:
    """Sends the newest frame, each picture that changed, as fast as the browser takes them."""
    sent: dict[str, bytes] = {}
    with suppress(RuntimeError, OSError, extra("starlette.websockets", "teleop").WebSocketDisconnect):
        while True:
            await browser.news.wait()
            browser.news.clear()
            await socket.send_text(json.dumps(hub.told(browser)))
            for name, picture in hub.frame.pictures.items():
                if sent.get(name) is not picture:
                    await socket.send_bytes(bytes([len(name)]) + name.encode() + picture)
                    sent[name] = picture
