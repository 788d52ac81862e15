"""Teleoperation without a browser: what is kept, undone, left by a kill, and whom the server lets speak."""

import json
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos.controller import Act
from demos.episode import CONTROLLERS
from demos.locks import Busy
from demos.replay import replay
from demos.store import EpisodeStore
from demos.teleop.console import GONE_S, SILENT_S
from demos.teleop.hub import MOST_A_SECOND
from demos.teleop.server import Service
from demos.teleop.session import LastKept, Plan
from demos.web.local_server import Address
from robocat.checkpoint import CheckpointError
from robocat.policy import Policy
from sim.env import Observation, make
from sim.tasks import find_task
from tests.driven import at_rest, driven, keeps_the_beat, until
from tests.fakes import fake_episode
from tests.tiny import SIZE

pytest.importorskip("starlette")
client = pytest.importorskip("websockets.sync.client")
exceptions = pytest.importorskip("websockets.exceptions")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    with driven(tmp_path_factory.mktemp("teleop") / "store") as served:
        yield served


@contextmanager
def _talk(server: Service, token: str = "", **headers: str | None) -> Generator[Any]:
    host = server.web.guard.address.split("/")[2]
    address = f"ws://{host}/{token or server.web.guard.token}/talk"
    given = {"origin": f"http://{host}"} | headers
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


def test_a_policy_is_let_act_and_taken_over(agent: Path, tokeniser: Path, tmp_path: Path) -> None:
    """With the controls it does what it does alone, from what it sees then on; its name is recorded."""
    policy = Policy(agent, tokeniser)
    with driven(tmp_path / "store", size=SIZE, helper=policy) as server:
        with _talk(server) as socket:
            _record(socket)
            assert _state(socket)["helper"] == "policy"
            _say(socket, type="order", order="helper")
            begun_s = _wait_for(socket, actor="policy")["recorded_s"]
            while _wait_for(socket, actor="policy")["recorded_s"] < begun_s + 0.3:
                pass
            _say(socket, type="order", order="person")
            _wait_for(socket, actor="teleop")
            _say(socket, type="order", order="keep")
            _wait_for(socket, phase="ready", kept=1)
        last = server.session._last.episode
    assert last is not None and last.actor is not None
    who, alone = last.meta.provenance, policy.provenance(0)
    assert (who.controller, who.policy, who.generation) == ("teleop", alone.policy, alone.generation)
    acted = np.flatnonzero(last.actor == CONTROLLERS.index("policy"))
    assert len(acted) >= 2 and acted[0] > 0 and acted[-1] < last.length - 1
    other, env = Policy(agent, tokeniser), make("panda", "lift", size=SIZE, control_hz=20)
    env.reset(seed=0)
    other.begin(0, env, 0)
    for t in acted:
        images = {camera: last.images[camera][t] for camera in last.meta.cameras}
        seen: Observation = {"images": images, "proprio": last.proprio[t], "goal": dict(last.goal)}
        np.testing.assert_array_equal(other.act([0], [seen])[0].action, last.action[t])
    np.testing.assert_array_equal(replay(last).state, last.state)


class _Failing(Policy):
    """Acts three times."""

    left = 3

    def act(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[Act]:
        self.left -= 1
        if self.left < 0:
            raise KeyError("front")
        return super().act(slots, observations)


def test_a_policy_that_fails_gives_back_the_controls(agent: Path, tokeniser: Path, tmp_path: Path) -> None:
    with driven(tmp_path / "store", size=SIZE, helper=_Failing(agent, tokeniser)) as server:
        with _talk(server) as socket:
            _record(socket)
            _say(socket, type="order", order="helper")
            note = "the policy failed, you act: KeyError: 'front'"
            begun_s = _wait_for(socket, phase="recording", actor="teleop", note=note)["recorded_s"]
            while _wait_for(socket, phase="recording")["recorded_s"] < begun_s + 0.2:
                pass
            _say(socket, type="order", order="keep")
            _wait_for(socket, phase="ready", kept=1)
        last = server.session._last.episode
    assert last is not None and last.actor is not None
    acted = np.flatnonzero(last.actor == CONTROLLERS.index("policy"))
    assert len(acted) == 3 and 0 < acted[0] and acted[-1] < last.length - 2


def test_a_policy_that_cannot_act_here_is_refused_at_once(
    agent: Path, tokeniser: Path, tmp_path: Path
) -> None:
    with (
        pytest.raises(CheckpointError, match=f"reads pictures of {SIZE} px, the environment's are of 64 px"),
        driven(tmp_path / "store", size=64, helper=Policy(agent, tokeniser)),
    ):
        pass


def test_a_task_without_an_expert_is_driven_by_hand(tmp_path: Path) -> None:
    task = replace(find_task("lift"), name="lift-by-hand", family="unheard-of")
    with driven(tmp_path / "store", task=task) as server, _talk(server) as socket:
        _record(socket)
        _say(socket, type="order", order="helper")
        time.sleep(0.2)
        state = _wait_for(socket, phase="recording", actor="teleop")
        assert state["helper"] == ""
        _say(socket, type="order", order="discard")
        _wait_for(socket, phase="ready")


def test_an_episode_is_driven_and_kept_with_all_that_was_asked(server: Service) -> None:
    with _talk(server) as socket:
        _record(socket)
        kept = server.hub.frame.state["kept"]
        _say(socket, type="order", order="failure")
        _say(socket, type="order", order="helper")
        _wait_for(socket, actor="expert")
        _say(socket, type="order", order="person")
        beat = _wait_for(socket, actor="teleop")["cadence"]
        _say(socket, type="order", order="keep")
        _wait_for(socket, phase="ready", kept=kept + 1)
        last = server.session._last.episode
    assert last is not None and last.commanded is not None and last.actor is not None
    assert (last.succeeded, last.meta.outcome.judged_by) == (False, "operator")
    actors = [CONTROLLERS[number] for number in last.actor]
    assert actors[0] == "teleop" and "expert" in actors and actors[-1] == "teleop"
    mine = last.actor == CONTROLLERS.index("teleop")
    np.testing.assert_array_equal(last.label[mine], last.action[mine])
    begun = last.label[: int(mine.argmin()), 2]  # until the expert was let act
    assert last.commanded.min() == -0.5 and np.abs(np.diff(begun)).max(initial=0.0) <= 0.4 + 1e-6
    periods = np.diff(last.wall_time)
    assert keeps_the_beat(periods, beat)
    assert periods[0] > 0.04, "the wait before the start does not count, and the first period is whole"
    again = replay(last)
    np.testing.assert_array_equal(again.state, last.state)
    np.testing.assert_array_equal(again.images["wrist"], last.images["wrist"])


def test_discarded_and_undone_are_not_kept(server: Service) -> None:
    with _talk(server) as socket:
        _record(socket, 2)
        kept = server.hub.frame.state["kept"]
        _say(socket, type="order", order="keep")
        _wait_for(socket, phase="ready", kept=kept + 1)
        stored = len(server.session._store) if server.session._store.exists else 0
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
    assert (len(server.session._store) if server.session._store.exists else 0) == stored


def test_taking_over_keeps_what_the_expert_holds(server: Service) -> None:
    scene = server.session._env.scene
    with _talk(server) as socket:
        _wait_for(socket, phase="ready", driving=True)
        _say(socket, type="order", order="start")
        _say(socket, type="order", order="helper")
        wanted = server.session._env.variation
        while not scene.grasped(wanted):
            _wait_for(socket, phase="recording")
        _say(socket, type="order", order="person")
        _wait_for(socket, actor="teleop")
        for _ in range(10):
            _wait_for(socket, closed=[True])
        assert scene.grasped(wanted)
        _say(socket, type="order", order="discard")
        _wait_for(socket, phase="ready")


def test_the_expert_stops_when_the_page_is_gone_and_time_stands_still(server: Service) -> None:
    with _talk(server) as socket:
        _wait_for(socket, phase="ready", driving=True)
        _say(socket, type="order", order="start")
        _say(socket, type="order", order="helper")
        _wait_for(socket, phase="recording", actor="expert")
    until(lambda: server.session.console.silence_s > SILENT_S + 0.1)
    at = at_rest(server)
    until(lambda: server.hub.frame.state["phase"] == "paused")
    assert server.hub.frame.state["tools_m"][0] == pytest.approx(at, abs=5e-3)
    frame, still = server.hub.frame, server.session._env.scene.state()
    until(lambda: server.hub.frame.state["cadence"]["ticks"] > frame.state["cadence"]["ticks"] + 5)
    np.testing.assert_array_equal(server.session._env.scene.state(), still)
    with _talk(server) as socket:
        _wait_for(socket, phase="recording", actor="expert")
        _say(socket, type="order", order="discard")
        _wait_for(socket, phase="ready")


def test_what_cannot_be_written_is_not_lost(tmp_path: Path) -> None:
    """A file stands where the folder of the last one should be, until it is moved out of the way."""
    with driven(tmp_path / "store") as server, _talk(server) as socket:
        _record(socket, 2)
        in_the_way = tmp_path / ".store-teleop" / "last"
        in_the_way.write_text("")
        _say(socket, type="order", order="keep")
        note = _wait_for(socket, phase="unsaved")["note"]
        assert str(in_the_way) in note and "\n" not in note
        _say(socket, type="order", order="keep")
        _wait_for(socket, phase="unsaved")
        in_the_way.unlink()
        _say(socket, type="order", order="keep")
        _wait_for(socket, phase="ready", kept=1)
    assert len(EpisodeStore(tmp_path / "store")) == 1


def test_a_second_sitting_at_a_store_is_refused(server: Service) -> None:
    with pytest.raises(Busy, match="another `robocat teleop` is at work in .*store; let it end first"):
        LastKept(server.session._store)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"episodes": 0}, "episodes 0 is out of range; expected 1 or more"),
        ({"first_seed": -1}, "first_seed -1 is out of range; expected 0 or more"),
        ({"limit_s": float("nan")}, "limit_s nan is out of range; expected 1 or more"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(plan: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Plan(**{"episodes": 1, "first_seed": 0, "limit_s": 60.0} | plan)


def test_addresses_that_cannot_be_had_are_told(server: Service, tmp_path: Path) -> None:
    port = int(server.web.guard.address.split(":")[2].split("/")[0])
    with pytest.raises(OSError, match=f"cannot answer at 127.0.0.1, port {port}: .*another --port"):
        Service(server.session._env, EpisodeStore(tmp_path), Plan(1, 0, 60.0), Address(port=port))
    with pytest.raises(ValueError, match="port 70000 is out of range; expected 1 to 65535"):
        Address(port=70000)
    with pytest.raises(ValueError, match="no file at .*absent.pem"):
        Address(certificate=tmp_path / "absent.pem", key=tmp_path / "absent.pem")


def test_what_is_kept_is_in_the_store_when_the_next_is_kept_and_after_a_kill(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path / "store")
    one, two = (fake_episode(np.random.default_rng(i), controller="teleop", seed=i) for i in range(2))
    last = LastKept(store)
    last.keep(one)
    assert not store.exists
    last.keep(two)
    assert store.ids() == [one.id]
    last._mine.close()  # as the system does for a process that is killed
    later = LastKept(EpisodeStore(tmp_path / "store"))
    assert sorted(EpisodeStore(tmp_path / "store").ids()) == sorted([one.id, two.id])
    assert not later.undo()
    later.close()
    assert sorted(file.name for file in tmp_path.rglob("*teleop*/**/*")) == ["lock"]


def test_scenes_that_the_store_has_are_left_out_and_counted(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path / "store")
    store.commit(fake_episode(np.random.default_rng(0), task="push"))  # of another task: it does not count
    for sitting in range(2):
        with driven(tmp_path / "store") as server, _talk(server) as socket:
            _wait_for(socket, kept=0, stored=sitting, undoable=False)
            _record(socket, 2)
            assert server.hub.frame.state["seed"] == sitting
            _say(socket, type="order", order="keep")
            _wait_for(socket, phase="ready", kept=1, stored=sitting + 1, undoable=True)
    assert sorted(entry.seed for entry in store.entries() if entry.task == "lift") == [0, 1]


def test_the_second_browser_watches_until_the_first_has_gone(server: Service) -> None:
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


def test_whose_network_goes_away_without_a_word_loses_the_controls(server: Service) -> None:
    with _talk(server) as silent, _talk(server) as second:
        _wait_for(silent, driving=True)
        end = time.monotonic() + GONE_S + 1.0
        while time.monotonic() < end:
            _say(second, type="here")
            time.sleep(0.1)
        _wait_for(second, driven=False)
        _say(second, type="drive")
        assert _wait_for(second, driving=True)["driven"]
        assert _wait_for(silent, driving=False)["driven"]


def test_a_browser_that_goes_leaves_the_arm_still_and_the_episode_open(server: Service) -> None:
    with _talk(server) as socket:
        _record(socket, 3)
    at_rest(server)
    with _talk(server) as socket:
        _wait_for(socket, driving=True, phase="recording")
        _say(socket, type="order", order="discard")
        _wait_for(socket, phase="ready")


@pytest.mark.parametrize("what", ["token", "origin", "no origin"])
def test_strangers_are_refused(server: Service, what: str) -> None:
    token = "another" if what == "token" else ""
    origins = {"origin": {"origin": "http://evil.example"}, "no origin": {"origin": None}}
    with pytest.raises(exceptions.InvalidStatus), _talk(server, token, **origins.get(what, {})):
        pass


def test_another_host_is_refused_and_headers_are_strict(server: Service) -> None:
    import http.client

    host, token = server.web.guard.address.split("/")[2:4]
    connection = http.client.HTTPConnection(host)
    for path, named, status in (
        (f"/{token}/", host, 200),
        (f"/{token}/", f"evil.example:{host.split(':')[1]}", 421),
        ("/another/", host, 404),
        (f"/{token}/..%2fserver.py", host, 404),
        (f"/{token}/teleop.js", host, 200),
    ):
        connection.request("GET", path, headers={"Host": named})
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
        '{"type": "move", "axes": [1%s, 0, 0, 0, 0, 0], "limb": 0}' % ("0" * 400),
        '{"type": "move", "axes": null, "limb": 0}',
        '{"type": []}',
        '{"type": "order", "order": "\\ud83d\\ude00\\ud800%s"}' % ("\\ud83d\\ude00" * 60),
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
    server: Service, message: str | bytes
) -> None:
    with _talk(server) as socket:
        _wait_for(socket, driving=True)
        socket.send(message)
        with pytest.raises(exceptions.ConnectionClosed):
            while True:
                socket.recv(timeout=5)
    with _talk(server) as socket:
        _wait_for(socket, driving=True)


def test_a_flood_ends_the_connection(server: Service) -> None:
    with _talk(server) as socket, pytest.raises(exceptions.ConnectionClosed):
        for _ in range(2 * MOST_A_SECOND):
            _say(socket, type="move", axes=[0] * 6, limb=0)
        while True:
            socket.recv(timeout=5)
