"""`robocat teleop`: the page, its pictures and the person's commands, over one WebSocket.

robocat teleop panda lift --out runs/mine/stores/teleop
robocat teleop so101 lift --robot my_so101.py --out runs/mine/stores/real
robocat collect ...  # what it records is a store as any other

The server answers on this machine alone, at an address that holds a secret. Each picture goes as one binary
message: a byte with the length of its name, the name, and a JPEG; the state goes before them, as JSON.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demos.controller import Controller
from demos.environment import Environment
from demos.robots.declared import real_env
from demos.store import EpisodeStore
from demos.teleop.hub import Browser, Hub, Refused
from demos.teleop.session import Plan, Session
from demos.web.local_server import REFUSED, Address, LocalServer
from sim.cameras import CAMERAS
from sim.env import make
from sim.extras import extra
from sim.own import arm_name, task_name

PAGE = Path(__file__).parent / "page"


@dataclass(frozen=True)
class Options:
    """What a sitting is to be.

    Attributes:
        robot: A real arm instead of the simulated one: the .py file that declares it and its cameras.
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

    robot: str | None = None
    goal: Path | None = None
    out: Path = Path("runs/teleop/stores/teleop")
    episodes: int = 50
    first_seed: int = 0
    control_hz: int = 20
    cameras: tuple[str, ...] | None = None
    size: int = 64
    limit_s: float = 120.0
    host: str = Address.host
    port: int = Address.port
    certificate: Path | None = None
    key: Path | None = None


def sit(arm: str, task: str, options: Options, helper: Controller[Environment] | None = None) -> None:
    """Records demonstrations by a person at a browser; prints the address to open.

    Args:
        arm: Arm, or the .py file that declares one.
        task: Task, or the .py file that declares one.
        options: What else was asked for.
        helper: Whom the person may hand the controls to; in simulation the scripted expert if not given.

    Raises:
        ValueError: For what cannot be; one line.
        OSError: See `Service`; or an episode could not be saved, or the arm is gone.
    """
    address = Address(options.host, options.port, options.certificate, options.key)
    plan = Plan(options.episodes, options.first_seed, options.limit_s)
    named = arm_name(arm), task_name(task)
    how: dict[str, int] = {"size": options.size, "control_hz": options.control_hz}
    if options.robot is not None:
        env = real_env(options.robot, *named, options.goal, options.cameras, **how)
    elif options.goal is not None:
        raise ValueError("--goal goes with --robot: a simulated scene poses its own")
    else:
        env = make(*named, cameras=CAMERAS if options.cameras is None else options.cameras, **how)
    try:
        store = EpisodeStore(options.out)
        Service(env, store, plan, address, helper).run()
        print(f"{store.path}: {len(store) if store.exists else 0} episodes")
    finally:
        env.close()


class Service:
    """A sitting and its server, neither of them started.

    Attributes:
        session: The loop.
        hub: Between it and the browsers.
        web: The server.
    """

    def __init__(
        self,
        env: Environment,
        store: EpisodeStore,
        plan: Plan,
        address: Address,
        helper: Controller[Environment] | None = None,
    ) -> None:
        """For an environment and a store.

        Raises:
            OSError: If the address cannot be had.
            MissingExtra: If the libraries of the extra are absent.
            Busy: If another sitting records into the store.
        """
        self.hub = Hub()
        routing = extra("starlette.routing", "teleop")

        async def talk(connection: Any) -> None:
            await connection.accept()
            await _serve(self.hub, connection)

        routes = [routing.WebSocketRoute("/talk", talk)]
        self.web = LocalServer(address, PAGE, routes, brought_by="teleop", websockets=True)
        try:
            self.session = Session(env, store, plan, self.hub.publish, helper)
        except ValueError:
            self.web.close()
            raise
        self.hub.console = self.session.console

    def run(self) -> None:
        """Says where the page is and serves it until it is interrupted.

        Raises:
            OSError: An episode could not be saved, or the arm is gone.
        """
        self.web.announce()
        self.session.start()
        try:
            self.web.run()
        finally:
            self.close()

    def close(self) -> None:
        """Ends the sitting, once the server has ended.

        Raises:
            OSError: If an episode could not be saved.
        """
        self.web.close()
        self.session.close()


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
