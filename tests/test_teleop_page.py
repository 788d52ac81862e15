"""Teleoperation in a real browser: keys drive, episodes are kept, undone, taken over, and a tab may close."""

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos.episode import CONTROLLERS
from demos.teleop.server import Service
from tests.chromium import NEEDED, chromium, opened
from tests.driven import at_rest, driven, until

pytestmark = NEEDED


@pytest.fixture(scope="module")
def browser() -> Generator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    with driven(tmp_path_factory.mktemp("teleop") / "store") as served:
        yield served


@pytest.fixture
def page(browser: Any, server: Service) -> Generator[Any]:
    with opened(browser, server.web.guard.address) as page:
        _wait(page, phase="ready")
        yield page
    until(lambda: server.hub._driver is None)


def _wait(page: Any, **data: object) -> None:
    said = "".join(f'[data-{key}="{value}"]' for key, value in data.items())
    page.wait_for_selector(f"body{said}", timeout=20_000)


def _hold(page: Any, *keys: str, until_it: Callable[[], object]) -> None:
    """Holds keys until they have done something, however long a busy machine takes for it."""
    for key in keys:
        page.keyboard.down(key)
    until(until_it)
    for key in keys:
        page.keyboard.up(key)


def _tool_m(server: Service) -> list[float]:
    return server.hub.frame.state["tools_m"][0]


def _has_moved(server: Service, least_m: float, start: list[float]) -> bool:
    return bool(np.linalg.norm(np.subtract(_tool_m(server), start)) > least_m)


def _asks_nothing(page: Any, server: Service, at: list[float]) -> bool:
    """Whether the tool stays where it is at rest, though the page has had the time to ask for something."""
    page.evaluate("new Promise((done) => setTimeout(done, 200))")  # by the page's clock: four of its beats
    return at_rest(server) == pytest.approx(at, abs=2e-3)


def test_keys_drive_several_at_once_and_letting_go_stops(page: Any, server: Service) -> None:
    page.keyboard.press("Enter")
    _wait(page, phase="recording")
    start = _tool_m(server)
    _hold(page, "f", "w", until_it=lambda: max(np.subtract(_tool_m(server), start)[[0, 2]]) < -0.04)
    there = at_rest(server)
    assert abs(there[1] - start[1]) < 0.01
    assert _asks_nothing(page, server, there)
    page.keyboard.press(" ")
    until(lambda: server.hub.frame.state["closed"] == [True])
    page.keyboard.press("Backspace")
    _wait(page, phase="ready")
    assert server.hub.frame.state["kept"] == 0


def test_the_object_is_lifted_by_keys_and_the_expert_is_taken_over(page: Any, server: Service) -> None:
    """The expert grasps; the person takes over with the block in the jaws and lifts it."""
    kept = server.hub.frame.state["kept"]
    page.keyboard.press("Enter")
    _wait(page, phase="recording")
    start = _tool_m(server)
    _hold(page, "f", until_it=lambda: _has_moved(server, 0.01, start))
    page.keyboard.press("t")
    scene, wanted = server.session._env.scene, server.session._env.variation
    until(lambda: scene.grasped(wanted) and server.hub.frame.state["actor"] == "expert", 15.0)
    page.keyboard.press("t")
    _hold(page, "r", until_it=lambda: server.hub.frame.state["kept"] == kept + 1)
    _wait(page, phase="ready", kept=kept + 1)
    episode = server.session._last.episode
    assert episode is not None and episode.actor is not None
    assert episode.succeeded and episode.meta.outcome.judged_by == "predicate"
    assert {CONTROLLERS[number] for number in episode.actor} == {"teleop", "expert"}
    assert CONTROLLERS[episode.actor[-1]] == "teleop"


def _let_pass(page: Any, seconds: float) -> None:
    """Has a page's own clock go on, and hear the server in between: long silence is a lost connection."""
    beat = page.locator("#cadence")
    for _ in range(round(seconds / 0.5)):
        before = beat.text_content()
        page.clock.run_for(500)
        until(lambda before=before: beat.text_content() != before)


def test_a_countdown_goes_before_recording_and_is_called_off_by_the_same_key(
    page: Any, server: Service
) -> None:
    """By the page's own clock, which stands still but when it is told to go on."""
    said, state = page.locator("#phase"), lambda: server.hub.frame.state
    page.locator("#countdown").focus()
    page.locator("#countdown").select_option("3")
    page.clock.install()
    page.clock.pause_at(time.time() + 1)
    page.keyboard.press("Enter")
    _let_pass(page, 1.5)
    until(lambda: "starts in 2 s" in said.text_content())
    assert state()["phase"] == "ready", "nothing is recorded yet"
    page.keyboard.press("Enter")
    until(lambda: said.text_content().startswith("ready"))
    _let_pass(page, 4.0)
    at_rest(server)
    assert state()["phase"] == "ready", "it was called off"
    page.keyboard.press("Enter")
    _let_pass(page, 3.5)
    until(lambda: state()["phase"] == "recording")
    page.keyboard.press("Backspace")
    until(lambda: state()["phase"] == "ready")


def test_undo_and_marks_by_hand(page: Any, server: Service) -> None:
    undo = page.locator('button[id="order undo"]')
    kept = server.hub.frame.state["kept"]
    page.keyboard.press("Enter")
    _wait(page, phase="recording")
    page.get_by_role("button", name="mark success").click()
    until(lambda: server.hub.frame.state["marked"] is True)
    page.keyboard.press("Enter")
    _wait(page, phase="ready", kept=kept + 1)
    episode = server.session._last.episode
    assert episode is not None and (episode.succeeded, episode.meta.outcome.judged_by) == (True, "operator")
    assert not episode.success.any(), "the predicate's own word stands beside it"
    stored = server.hub.frame.state["stored"]
    assert f"{kept + 1} of 5 kept ({stored} in the store)" in page.locator("#about").text_content()
    assert undo.is_enabled()
    page.keyboard.press("u")
    _wait(page, kept=kept)
    assert undo.is_disabled(), "there is one to undo, and no second"
    assert f"{kept} of 5 kept ({stored - 1} in the store)" in page.locator("#about").text_content()


def test_a_closed_tab_leaves_the_episode_to_the_next(page: Any, browser: Any, server: Service) -> None:
    page.keyboard.press("Enter")
    _wait(page, phase="recording")
    second = browser.new_page()
    second.goto(server.web.guard.address)
    second.wait_for_selector("text=you watch; another page has the controls")
    assert second.locator("#orders button:enabled, #pushes button:enabled").count() == 0
    page.close()
    second.wait_for_selector("text=the controls are free")
    second.get_by_role("button", name="take the controls").click()
    second.wait_for_selector("text=you have the controls")
    _wait(second, phase="recording")
    second.keyboard.press("Backspace")
    _wait(second, phase="ready")
    second.close()


def test_a_lost_network_is_said_and_mended(page: Any, server: Service) -> None:
    page.keyboard.press("Enter")
    _wait(page, phase="recording")
    page.context.set_offline(True)
    page.wait_for_selector("text=the connection is lost; the arm holds still; trying again")
    page.context.set_offline(False)
    _wait(page, connected="yes", phase="recording")
    assert page.locator("#role").inner_text() == "you have the controls"
    page.keyboard.press("Backspace")
    _wait(page, phase="ready")


def test_the_view_goes_around(page: Any, server: Service) -> None:
    page.select_option("#camera", "around")
    until(lambda: server.session.console.look.camera == "around")
    before = server.session.console.look
    box = page.locator("#operator").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down(button="right")
    page.mouse.move(box["x"] + 200, box["y"] + 60)
    page.mouse.up(button="right")
    until(lambda: server.session.console.look.azimuth_deg != before.azimuth_deg)
    look = server.session.console.look
    assert look.camera == "around" and look.elevation_deg > before.elevation_deg
    page.keyboard.press("Enter")
    _wait(page, phase="recording")
    start = at_rest(server)
    _hold(page, "w", until_it=lambda: _has_moved(server, 0.05, start))
    away = np.subtract(_tool_m(server), start)[:2]
    ahead = np.radians(look.azimuth_deg)
    np.testing.assert_allclose(away / np.linalg.norm(away), [np.cos(ahead), np.sin(ahead)], atol=0.15)
    page.keyboard.press("Backspace")
    _wait(page, phase="ready")


@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_keys_go_along_the_picture(page: Any, server: Service, camera: str) -> None:
    """To the right in what is seen, however the camera looks."""
    page.select_option("#camera", camera)
    until(lambda: server.session.console.look.camera == camera)
    page.keyboard.press("Enter")
    _wait(page, phase="recording")
    yaw = server.hub.frame.state["yaws_rad"][0]  # a turned tool turns the wrist's view
    _hold(page, "q", until_it=lambda: abs(server.hub.frame.state["yaws_rad"][0] - yaw) > 0.3)
    start = at_rest(server)
    right = server.session._env.scene.data.cam(camera).xmat.reshape(3, 3)[:2, 0].copy()
    _hold(page, "d", until_it=lambda: _has_moved(server, 0.05, start))
    moved = np.subtract(_tool_m(server), start)[:2]
    assert moved @ right / np.linalg.norm(moved) / np.linalg.norm(right) > 0.95
    page.keyboard.press("Backspace")
    _wait(page, phase="ready")
    page.select_option("#camera", "front")
    until(lambda: server.session.console.look.camera == "front")


def test_a_gamepad_drives_outside_its_dead_zone(browser: Any, server: Service) -> None:
    page = browser.new_page()
    page.add_init_script("""
        const buttons = Array(8).fill({ value: 0, pressed: false });
        window.pad = { id: "a pad of the tests", axes: [0, 0, 0, 0], buttons };
        navigator.getGamepads = () => [window.pad];
    """)
    page.goto(server.web.guard.address)
    _wait(page, phase="ready")
    page.wait_for_selector("text=a pad of the tests: left stick across")
    page.keyboard.press("Enter")
    _wait(page, phase="recording")
    start = at_rest(server)
    page.evaluate("window.pad.axes = [0.1, -0.1, 0, 0.1]")
    assert _asks_nothing(page, server, start), "within the dead zone"
    page.evaluate("window.pad.axes = [0, 0, 0, 1]")  # the right stick towards the person: down
    until(lambda: _tool_m(server)[2] < start[2] - 0.03)
    page.evaluate("window.pad.axes = [0, 0, 0, 0]; window.pad.buttons[0] = { value: 1, pressed: true }")
    until(lambda: server.hub.frame.state["closed"] == [True])
    page.keyboard.press("Backspace")
    _wait(page, phase="ready")
    page.close()


SPACE_MOUSE = """
    class Device extends EventTarget {
        vendorId = 0x256f; productName = "a cap of the tests"; opened = false;
        async open() { this.opened = true; }
        report(reportId, ...numbers) {
            const wide = reportId === 3 ? 1 : 2, data = new DataView(new ArrayBuffer(wide * numbers.length));
            numbers.forEach((n, i) => (wide === 1 ? data.setUint8(i, n) : data.setInt16(2 * i, n, true)));
            this.dispatchEvent(Object.assign(new Event("inputreport"), { reportId, data }));
        }
    }
    window.cap = new Device();
    const hid = Object.assign(new EventTarget(), {
        getDevices: async () => [], requestDevice: async () => [window.cap],
    });
    Object.defineProperty(navigator, "hid", { value: hid });
"""


@pytest.fixture
def started(browser: Any, server: Service) -> Generator[Any]:
    """Begins an episode on a page with scripts of its own, and throws it away."""
    opened: list[Any] = []

    def start(script: str, **context: Any) -> Any:
        page = browser.new_page(**context)
        opened.append(page)
        page.add_init_script(script)
        page.goto(server.web.guard.address)
        _wait(page, phase="ready")
        page.keyboard.press("Enter")
        _wait(page, phase="recording")
        return page

    yield start
    opened[0].keyboard.press("Backspace")
    _wait(opened[0], phase="ready")
    opened[0].close()
    until(lambda: server.hub._driver is None)


@pytest.mark.parametrize("reports", [2, 1])
def test_a_space_mouse_drives(started: Any, server: Service, reports: int) -> None:
    """By reports of its own two kinds: all six numbers in one, or three in each of two."""
    page = started(SPACE_MOUSE)
    page.get_by_role("button", name="connect").click()
    page.wait_for_selector("text=a cap of the tests: push the cap")
    start = _tool_m(server)
    away = "0, 350, 0" + (", 0, 0, 0" if reports == 1 else "")  # towards the person: towards the camera
    page.evaluate(f"window.cap.report(1, {away})")
    until(lambda: _tool_m(server)[0] > start[0] + 0.03)
    page.evaluate("window.cap.report(1, 0, 10, 15)")  # within the dead zone
    there, yaw = at_rest(server), server.hub.frame.state["yaws_rad"][0]
    assert _asks_nothing(page, server, there)
    turned = "1, 0, 0, 0, 0, 0, 350" if reports == 1 else "2, 0, 0, 350"
    page.evaluate(f"window.cap.report({turned})")  # clockwise, seen from above
    until(lambda: server.hub.frame.state["yaws_rad"][0] < yaw - 0.1)
    assert _tool_m(server) == pytest.approx(there, abs=5e-3)
    page.evaluate("window.cap.report(1, 0, 0, 0, 0, 0, 0); window.cap.report(2, 0, 0, 0)")
    page.evaluate("window.cap.report(3, 1)")
    until(lambda: "shut" in page.locator("#tool").text_content())  # the page, too, knows
    page.evaluate("window.cap.report(3, 0); window.cap.report(3, 1)")
    until(lambda: server.hub.frame.state["closed"] == [False])
    page.evaluate(
        "window.cap.report(1, 350, 0, 0); navigator.hid.dispatchEvent("
        "Object.assign(new Event('disconnect'), { device: window.cap }))"
    )
    page.wait_for_selector("text=the SpaceMouse is gone")
    assert _asks_nothing(page, server, at_rest(server)), "and moves nothing any more"


def test_a_browser_without_web_hid_says_so(started: Any) -> None:
    page = started("Object.defineProperty(navigator, 'hid', { value: undefined })")
    assert "this browser has no WebHID" in page.locator("#space").text_content()
    assert page.get_by_role("button", name="connect").is_disabled()


def test_a_phone_that_leans_drives_while_a_finger_is_on_it(started: Any, server: Service) -> None:
    page = started("", has_touch=True, viewport={"width": 390, "height": 844})

    def lean(alpha: float, beta: float, gamma: float) -> None:
        numbers = f"{{ alpha: {alpha}, beta: {beta}, gamma: {gamma} }}"
        page.evaluate(f"dispatchEvent(new DeviceOrientationEvent('deviceorientation', {numbers}))")

    start = at_rest(server)
    lean(350, 40, 0)
    lean(350, 70, 0)
    assert _asks_nothing(page, server, start), "no finger, no motion"
    button = page.get_by_role("button", name="hold to steer")
    button.scroll_into_view_if_needed()
    button.hover()
    page.mouse.down()
    lean(350, 100, 0)  # its upper edge towards the person: the tool comes towards the camera
    until(lambda: _tool_m(server)[0] > start[0] + 0.03)
    yaw = server.hub.frame.state["yaws_rad"][0]
    lean(20, 70, 0)  # by 30 degrees past north
    until(lambda: server.hub.frame.state["yaws_rad"][0] > yaw + 0.1)
    there = _tool_m(server)
    lean(20, 40, 0)  # and away, as it still does when the finger goes up
    until(lambda: _has_moved(server, 0.02, there))
    page.mouse.up()
    assert _asks_nothing(page, server, at_rest(server))


def test_held_buttons_are_enough_for_a_touch_screen(started: Any, server: Service) -> None:
    page = started("", has_touch=True, viewport={"width": 390, "height": 844})
    start = _tool_m(server)
    page.get_by_role("button", name="down", exact=True).hover()
    page.mouse.down()
    until(lambda: _tool_m(server)[2] < start[2] - 0.03)
    page.mouse.up()
    page.get_by_role("button", name="grip", exact=True).click()
    until(lambda: server.hub.frame.state["closed"] == [True])
    assert _asks_nothing(page, server, at_rest(server)), "a finger that is up moves nothing"


def test_a_device_that_does_not_say_how_it_is_held_is_told(started: Any) -> None:
    page = started("")
    page.get_by_role("button", name="hold to steer").hover()
    page.mouse.down()
    page.wait_for_selector("text=this device does not tell how it is held")
    page.mouse.up()
    assert page.locator("#tilt").text_content() == "this device does not tell how it is held"


def test_a_hand_has_shapes_and_every_finger_a_slider(browser: Any, tmp_path: Path) -> None:
    with driven(tmp_path / "store", arm="kuka_hand") as hand, opened(browser, hand.web.guard.address) as page:
        _wait(page, phase="ready")
        page.keyboard.press("Enter")
        _wait(page, phase="recording")
        limb = hand.session._env.scene.limbs[0]
        start = limb.fingers
        page.locator("#shape").select_option("two fingers")
        expected = dict(limb.arm.gripper.shapes)["two fingers"]
        until(lambda: hand.hub.frame.state["fingers"][0] == expected)
        until(lambda: abs(limb.fingers[6] - start[6]) > 0.3)
        at_rest(hand)  # a look into a scene that steps in another thread may be a half one
        moved = np.abs(limb.fingers - start)
        assert moved[6] > 0.3 and moved[4] < 0.1, "the second finger stays open"
        slider = page.get_by_role("slider", name="finger 2 upper")
        slider.focus()
        page.keyboard.press("Home")
        until(lambda: hand.hub.frame.state["fingers"][0][4] == -1.0)
        until(lambda: abs(limb.fingers[4] - start[4]) > 0.3)
        assert page.locator("#shape").input_value() == ""
        page.locator("#operator").click()
        page.keyboard.press(" ")
        until(lambda: hand.hub.frame.state["fingers"][0] == (1.0,) * 8)  # more shut than open: it opens
        page.keyboard.press("Backspace")
        _wait(page, phase="ready")


def test_jaws_have_no_sliders(page: Any) -> None:
    assert page.is_hidden("#hand")
