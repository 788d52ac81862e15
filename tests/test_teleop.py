"""Teleoperation without a browser: what is kept, undone, left by a kill, and whom the server lets speak."""

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos.episode import CONTROLLERS
from demos.replay import replay
from demos.store import EpisodeStore
from demos.teleop.hub import GONE_S, MOST_A_SECOND
from demos.teleop.session import LastKept
from tests.driven import TOKEN, Driven, driven, until
from tests.fakes import fake_episode

pytest.importorskip("starlette")
client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Driven]:
    with driven(tmp_path_factory.mktemp("teleop") / "store") as served:
        yield served


@contextmanager
def _talk(server: Driven, token: str = TOKEN, **headers: str | None) -> Generator[Any]:
    address = f"ws://127.0.0.1:{server.port}/{token}/talk"
    given = {"origin": f"http://127.0.0.1:{server.port}"} | headers
    with client.connect(address, origin=given["origin"], max_size=2**22) as socket:
        yield socket


def _state(socket: Any) -> dict[str, Any]:
    """The next state that a server sends."""
    while True:
        news = socket.recv(timeout=5)
        if isinstance(news, str):
            return json.loads(news)


def _wait_for(socket: Any, **wanted: object) -> dict[str, Any]:
    end = time.monotonic() + 15
    while time.monotonic() < end:
        _say(socket, type="here")
        state = _state(socket)
        if all(state.get(key) == value for key, value in wanted.items()):
            return state
    raise AssertionError(f"{wanted} did not come")


def _say(socket: Any, **message: object) -> None:
    socket.send(json.dumps(message))


def _record(socket: Any, ticks: int = 6) -> None:
    """Starts an episode and moves down for some ticks."""
    _wait_for(socket, phase="ready", driving=True)
    _say(socket, type="order", order="start")
    _wait_for(socket, phase="recording")
    for _ in range(ticks):
        _say(socket, type="move", axes=[0, 0, -0.5, 0, 0, 0], limb=0)
        time.sleep(0.05)


def test_an_episode_is_driven_and_kept_with_all_that_was_asked(server: Driven) -> None:
    with _talk(server) as socket:
        _record(socket)
        kept = server.hub.frame.state["kept"]
        _say(socket, type="order", order="failure")
        _say(socket, type="order", order="expert")
        _wait_for(socket, actor="expert")
        _say(socket, type="order", order="person")
        _wait_for(socket, actor="teleop")
        _say(socket, type="order", order="keep")
        _wait_for(socket, phase="ready", kept=kept + 1)
        last = server.session._last.episode
    assert last is not None and last.commanded is not None and last.actor is not None
    assert (last.succeeded, last.meta.outcome.judged_by) == (False, "operator")
    actors = [CONTROLLERS[number] for number in last.actor]
    assert actors[0] == "teleop" and "expert" in actors and actors[-1] == "teleop"
    mine = last.actor == CONTROLLERS.index("teleop")
    np.testing.assert_array_equal(last.label[mine], last.action[mine])
    assert last.commanded.min() == -0.5 and np.abs(np.diff(last.label[mine][:5, 2])).max() <= 0.4 + 1e-6
    periods = np.diff(last.wall_time)
    assert np.median(periods) == pytest.approx(0.05, abs=0.01)
    assert periods[0] > 0.04, "the wait before the start does not count, and the first period is whole"
    again = replay(last)
    np.testing.assert_array_equal(again.state, last.state)
    np.testing.assert_array_equal(again.images["wrist"], last.images["wrist"])


def test_discarded_and_undone_are_not_kept(server: Driven) -> None:
    with _talk(server) as socket:
        _record(socket, 2)
        kept = server.hub.frame.state["kept"]
        _say(socket, type="order", order="keep")
        _wait_for(socket, phase="ready", kept=kept + 1)
        stored = len(server.store) if server.store.exists else 0
        _say(socket, type="order", order="undo")
        _wait_for(socket, kept=kept, note="the last one is undone")
        _say(socket, type="order", order="undo")
        _wait_for(socket, kept=kept, note="there is nothing to undo")
        seed = server.hub.frame.state["seed"]
        _record(socket, 2)
        _say(socket, type="order", order="discard")
        state = _wait_for(socket, phase="ready", note="discarded")
        assert (state["kept"], state["seed"]) == (kept, seed)
        _say(socket, type="order", order="next")
        _wait_for(socket, seed=seed + 1)
    assert (len(server.store) if server.store.exists else 0) == stored


def test_what_is_kept_is_in_the_store_when_the_next_is_kept_and_after_a_kill(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path / "store")
    one, two = (fake_episode(np.random.default_rng(i), controller="teleop", seed=i) for i in range(2))
    last = LastKept(store)
    last.keep(one)
    assert not store.exists
    last.keep(two)
    assert store.ids() == [one.id]
    later = LastKept(EpisodeStore(tmp_path / "store"))  # as a process does that comes after a kill
    later.settle()
    assert sorted(EpisodeStore(tmp_path / "store").ids()) == sorted([one.id, two.id])
    assert not later.undo() and len(list(tmp_path.iterdir())) == 1


def test_scenes_that_the_store_has_are_left_out(tmp_path: Path) -> None:
    for sitting in range(2):
        with driven(tmp_path / "store") as server, _talk(server) as socket:
            _record(socket, 2)
            assert server.hub.frame.state["seed"] == sitting
            _say(socket, type="order", order="keep")
            _wait_for(socket, phase="ready", kept=1)
    assert sorted(entry.seed for entry in EpisodeStore(tmp_path / "store").entries()) == [0, 1]


def test_the_second_browser_watches_until_the_first_has_gone(server: Driven) -> None:
    with _talk(server) as first:
        _wait_for(first, driving=True)
        with _talk(server) as second:
            assert _wait_for(second, driven=True)["driving"] is False
            _say(second, type="drive")
            _say(second, type="order", order="start")
            _wait_for(second, phase="ready", driving=False)
            first.close()
            _wait_for(second, driven=False)
            _say(second, type="drive")
            _wait_for(second, driving=True)


def test_whose_network_goes_away_without_a_word_loses_the_controls(server: Driven) -> None:
    with _talk(server) as silent, _talk(server) as second:
        _wait_for(silent, driving=True)
        end = time.monotonic() + GONE_S + 1.0
        while time.monotonic() < end:
            _say(second, type="here")
            time.sleep(0.1)
        _wait_for(second, driven=False)
        _say(second, type="drive")
        _wait_for(second, driving=True)


def test_a_browser_that_goes_leaves_the_arm_still_and_the_episode_open(server: Driven) -> None:
    with _talk(server) as socket:
        _record(socket, 3)
    time.sleep(0.6)
    until(lambda: server.hub.frame.state["phase"] == "recording")
    at = server.hub.frame.state["tools_m"]
    time.sleep(0.3)
    np.testing.assert_allclose(server.hub.frame.state["tools_m"], at, atol=2e-3)
    with _talk(server) as socket:
        _wait_for(socket, driving=True, phase="recording")
        _say(socket, type="order", order="discard")
        _wait_for(socket, phase="ready")


@pytest.mark.parametrize("what", ["token", "origin", "no origin"])
def test_strangers_are_refused(server: Driven, what: str) -> None:
    token = "another" if what == "token" else TOKEN
    origin = {"origin": "http://evil.example", "no origin": None}.get(what, f"http://127.0.0.1:{server.port}")
    with pytest.raises(exceptions.InvalidStatus), _talk(server, token, origin=origin):
        pass


def test_another_host_is_refused_and_headers_are_strict(server: Driven) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    for path, host, status in (
        (f"/{TOKEN}/", f"127.0.0.1:{server.port}", 200),
        (f"/{TOKEN}/", f"evil.example:{server.port}", 421),
        ("/another/", f"127.0.0.1:{server.port}", 404),
        (f"/{TOKEN}/..%2fserver.py", f"127.0.0.1:{server.port}", 404),
        (f"/{TOKEN}/teleop.js", f"127.0.0.1:{server.port}", 200),
    ):
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == status, path
        if status == 200:
            assert "default-src 'none'" in (answer.getheader("Content-Security-Policy") or "")
            assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text
    connection.close()


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "[]",
        '{"type": "explode"}',
        '{"type": "move"}',
        '{"type": "move", "axes": [9, 0, 0, 0, 0, 0], "limb": 0}',
        '{"type": "move", "axes": [NaN, 0, 0, 0, 0, 0], "limb": 0}',
        '{"type": "move", "axes": "abcdef", "limb": 0}',
        '{"type": "move", "axes": [0, 0, 0, 0, 0, 0], "limb": 7}',
        '{"type": "order", "order": "explode"}',
        '{"type": "grip", "closed": true, "limb": []}',
        '{"type": "look", "camera": "front", "azimuth_deg": "a", "elevation_deg": 0, "distance_m": 1}',
        "[" * 2000,
        "x" * 5000,
        b"binary",
    ],
)
def test_what_our_page_never_says_ends_the_connection_and_nothing_else(
    server: Driven, message: str | bytes
) -> None:
    with _talk(server) as socket:
        _wait_for(socket, driving=True)
        socket.send(message)
        with pytest.raises(exceptions.ConnectionClosed):
            while True:
                socket.recv(timeout=5)
    with _talk(server) as socket:
        _wait_for(socket, driving=True)


def test_a_flood_ends_the_connection(server: Driven) -> None:
    with _talk(server) as socket, pytest.raises(exceptions.ConnectionClosed):
        for _ in range(2 * MOST_A_SECOND):
            _say(socket, type="move", axes=[0] * 6, limb=0)
        while True:
            socket.recv(timeout=5)
