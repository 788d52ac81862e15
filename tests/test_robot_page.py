"""A real arm from the browser's side: the page's words, and the whole command, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demos.robots.lerobot_arm import LeRobotArm
from demos.robots.robot import Unplugged
from demos.robots.robot_env import RealTask, RobotEnv
from demos.store import EpisodeStore
from demos.teleop.server import Service
from demos.teleop.session import Plan
from tests.chromium import ARGUMENTS, CHROMIUM
from tests.driven import free_address, served, until
from tests.serial_arm import FOLDED, SerialArm, servos

client = pytest.importorskip("websockets.sync.client")
pytestmark = pytest.mark.slow


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium; apt-get install chromium brings one")
def test_the_page_says_what_the_arm_does(tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    with servos(tmp_path, FOLDED) as bench, sync_api.sync_playwright() as playwright:
        env = RobotEnv(LeRobotArm(SerialArm(bench.port)), RealTask("lift", "lift a cube"))
        service = Service(env, EpisodeStore(tmp_path / "store"), Plan(5, 0, 60.0), free_address())
        with served(service.web):
            service.session.start()
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_page()
            page.goto(service.web.guard.address)
            page.wait_for_selector('body[data-phase="ready"]')
            page.wait_for_selector('img[id="view front"]')
            assert page.is_disabled('button[id="order helper"]') and page.is_hidden("#progress")
            assert page.inner_text("#force") == "nothing tells"
            page.keyboard.press("Enter")
            page.wait_for_selector('body[data-phase="homing"]')
            assert page.inner_text("#phase") == "the arm goes home; then recording starts"
            page.wait_for_selector('body[data-phase="recording"]')
            page.keyboard.down("w")
            until(lambda: service.hub.frame.state["recorded_s"] > 0.5)
            bench.fault("mute_s 2")
            page.wait_for_selector('body[data-phase="paused"]')
            until(lambda: page.inner_text("#phase").startswith("paused: robot"))
            page.wait_for_selector('body[data-phase="recording"]')
            page.keyboard.up("w")
            bench.fault("unplug")
            page.wait_for_selector('body[data-phase="broken"]')
            assert page.inner_text("#note").startswith("Unplugged: robot 'serial_arm' is gone")
            browser.close()
        with pytest.raises(Unplugged):
            service.close()
        env.close()
    assert len(EpisodeStore(tmp_path / "store")) == 1


def test_the_command_records_a_real_arm(tmp_path: Path) -> None:
    """Started as a user does, driven over its socket, ended by Ctrl-C."""
    with servos(tmp_path) as bench:
        file, store = tmp_path / "mine.py", tmp_path / "store"
        file.write_text(f"from tests.serial_arm import SerialArm\n\nARM = SerialArm({bench.port!r})\n")
        words = [
            "teleop",
            "so101",
            "lift",
            "--robot",
            str(file),
            "--out",
            str(store),
            "--port",
            str(free_address().port),
        ]
        here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, "-m", "robocat", *words]
        with subprocess.Popen(command, env=here, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert "SO-101 must stand with its base 0.114 m above the table" in process.stdout.readline()
            address = process.stdout.readline().split()[1]
            host = address.split("/")[2]
            talk = address.replace("http", "ws") + "talk"
            with client.connect(talk, origin=f"http://{host}", max_size=2**22) as socket:
                ordered: set[str] = set()
                end_s = time.monotonic() + 30
                while time.monotonic() < end_s:
                    news = socket.recv(timeout=10)
                    if not isinstance(news, str):
                        continue
                    state = json.loads(news)
                    if state.get("kept") == 1:
                        break
                    socket.send(json.dumps({"type": "move", "axes": [0, 0, -0.5, 0, 0, 0], "limb": 0}))
                    phase = state.get("phase")
                    due = {"ready": "start", "recording": "keep" if "success" in ordered else "success"}
                    if (order := due.get(phase)) is None or state["cadence"]["ticks"] % 20 != 19:
                        continue
                    ordered.add(order)
                    socket.send(json.dumps({"type": "order", "order": order}))
            process.send_signal(signal.SIGINT)
            said = process.stdout.read()
            assert process.wait(20) in (0, 130)
    assert f"{store}: 1 episodes" in said
    (id,) = EpisodeStore(store).ids()
    episode = EpisodeStore(store).load(id)
    assert episode.succeeded and episode.meta.outcome.judged_by == "operator"
    assert episode.meta.cameras == ("front",) and episode.meta.image_size == (64, 64)
    assert episode.action[:, 2].min() == pytest.approx(-0.5, abs=0.1)
