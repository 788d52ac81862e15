"""A person drives a real arm: the same sitting as in simulation, with what only a real arm can do to it."""

import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos.again import deviation
from demos.robots.lerobot_arm import LeRobotArm
from demos.robots.robot import Unplugged
from demos.robots.robot_env import RealTask, RobotEnv
from demos.store import EpisodeStore
from demos.teleop.session import Frame, Plan, Session
from robocat.checkpoint import CheckpointError
from robocat.cli import main
from robocat.policy import Policy
from tests.driven import keeps_the_beat, until
from tests.serial_arm import FOLDED, HOME, Bench, SerialArm, servos
from tests.tiny import SIZE


class Sitting:
    """A session, and somebody at its console who is always there and holds some keys."""

    def __init__(self, folder: Path, bench: Bench, most_deg: float | None = None) -> None:
        self.device = SerialArm(bench.port, most_deg)
        self.env = RobotEnv(LeRobotArm(self.device), RealTask("lift", "lift a cube"), size=24)
        self.frame = Frame({}, {})
        self.store = EpisodeStore(folder / "store")
        self.session = Session(self.env, self.store, Plan(5, 0, 60.0), self._take)
        self.axes = [0.0] * 6
        self.there, self._over = True, False
        self._person = threading.Thread(target=self._hold, daemon=True)

    def _take(self, frame: Frame) -> None:
        self.frame = frame

    def _hold(self) -> None:
        while not self._over:
            if self.there:
                self.session.console.move(self.axes)
            time.sleep(0.05)

    def order(self, order: str) -> None:
        self.session.console.ask(order)

    def until(self, **wanted: object) -> dict[str, Any]:
        until(lambda: all(self.frame.state.get(key) == value for key, value in wanted.items()))
        return self.frame.state

    def record(self, seconds: float) -> None:
        """Starts an episode and moves for so long, by its steps."""
        self.until(phase="ready")
        self.order("start")
        self.until(phase="recording")
        self.axes = [0.5, 0.0, -0.3, 0.0, 0.0, 0.0]
        self.go_on(seconds)

    def go_on(self, seconds: float) -> None:
        """Records for so long from now, by the steps of the episode: a busy machine's come late."""
        end_s = self.frame.state["recorded_s"] + seconds - 1e-6
        until(lambda: self.frame.state["recorded_s"] >= end_s)

    def rest(self, bench: Bench, phase: str) -> int:
        """Waits until no target has come in seven ticks of this phase; how many had by then."""
        seen = deque([(self.frame, -1)], maxlen=7)

        def still() -> bool:
            if self.frame is not seen[-1][0]:
                seen.append((self.frame, len(bench.log())))
            assert self.frame.state["phase"] == phase
            return len(seen) == seen.maxlen and len({count for _, count in seen}) == 1

        until(still)
        return seen[-1][1]

    def keep(self) -> None:
        kept = self.frame.state["kept"]
        self.order("keep")
        self.until(phase="ready", kept=kept + 1)


@contextmanager
def _sitting(
    folder: Path, start: tuple[int, ...] = HOME, most_deg: float | None = None
) -> Generator[tuple[Sitting, Bench]]:
    with servos(folder, start) as bench:
        sitting = Sitting(folder, bench, most_deg)
        sitting._person.start()
        sitting.session.start()
        try:
            yield sitting, bench
        finally:
            sitting._over = True
            if sitting.session.error is None:
                sitting.session.close()
            sitting.env.close()


def test_an_episode_is_recorded_with_all_that_was_asked_left_and_done(tmp_path: Path) -> None:
    with _sitting(tmp_path, FOLDED, most_deg=1.5) as (sitting, bench):
        state = sitting.until(phase="ready")
        assert (state["cameras"], state["helper"], state["judged"]) == (["front", "around"], "", False)
        sitting.order("start")
        sitting.until(phase="homing")
        sitting.there = False
        sitting.rest(bench, "homing")  # without a person the arm does not go home
        sitting.there = True
        sitting.until(phase="recording")
        sitting.axes = [1.0, 0.0, -0.5, 0.0, 0.0, 0.0]
        sitting.go_on(0.8)
        beat = sitting.frame.state["cadence"]
        sitting.order("success")
        sitting.keep()
        last = sitting.session._last.episode
        sitting.record(0.2)
        sitting.keep()
        unmarked = sitting.session._last.episode
    assert last is not None and last.commanded is not None and last.held is not None and unmarked is not None
    assert (last.succeeded, last.meta.outcome.judged_by) == (True, "operator")
    assert (unmarked.succeeded, unmarked.meta.outcome.judged_by) == (False, "nobody")
    assert not last.told and not last.progress.any()
    assert len(EpisodeStore(tmp_path / "store")) == 2
    with pytest.raises(ValueError, match=f"episode {last.id} is of a real arm"):
        deviation(last)
    x = last.meta.action_names.index("x")
    commanded, limited, executed = last.commanded[:, x], last.label[:, x], last.action[:, x]
    assert np.abs(np.diff(limited)).max() <= 0.4 + 1e-6 < commanded.max()
    assert executed.max() < 0.6 < limited.max(), "1.5 degrees a step are less than was asked"
    assert last.held.mean() < 0.2 and last.meta.gl_renderer == "cameras of serial_arm"
    assert keeps_the_beat(np.diff(last.wall_time), beat)
    joints = last.proprio[:, :5]
    np.testing.assert_allclose(joints[0], sitting.env.arm.home_rad, atol=0.15)
    np.testing.assert_array_equal(last.goal.keys(), [])
    # The model's state holds what the arm reported, and after these numbers what it was sent.
    width = last.state.shape[1]
    assert width == len(sitting.env.scene.state())
    sitting.env.scene.restore(last.state[5])
    np.testing.assert_allclose(sitting.env.scene.limbs[0].joints_rad, joints[5], atol=1e-6)
    sent = np.array([line["goal"] for line in bench.log()])
    targets = np.round(2048 + np.degrees(sitting.env.scene.limbs[0].joint_command_rad) / 360 * 4096)
    assert (np.abs(sent[:, :5] - targets).max(axis=1) <= 1).any(), "these targets arrived"


def test_silence_pauses_the_episode_and_loses_nothing(tmp_path: Path) -> None:
    with _sitting(tmp_path) as (sitting, bench):
        sitting.record(0.6)
        bench.fault("mute_s 1.2")
        state = sitting.until(phase="paused")
        assert state["trouble"].startswith("robot 'serial_arm' does not answer")
        arrived = sitting.rest(bench, "paused")  # it holds still: no target is sent
        sitting.until(phase="recording", trouble="")
        sitting.go_on(0.3)
        sitting.keep()
        episode = sitting.session._last.episode
        positions = [line["position"] for line in bench.log()]
        goals = np.array([line["goal"] for line in bench.log()])
    assert episode is not None and episode.held is not None
    count = int(episode.held.sum())
    assert 2 <= count <= 12, "held until it paused"
    assert episode.length > 14
    for stuck in np.flatnonzero(episode.held):
        np.testing.assert_array_equal(episode.proprio[stuck], episode.proprio[stuck - 1])
    assert np.diff(episode.wall_time).max() > 0.6, "the time that it was paused is to be seen"
    # After the silence it starts from where the arm is, not from where it was going.
    assert np.abs(goals[arrived][:5] - np.array(positions[arrived])[:5]).max() < 40


def test_an_episode_waits_for_an_arm_that_is_seen_and_takes_no_action(tmp_path: Path) -> None:
    with _sitting(tmp_path) as (sitting, _):
        sitting.record(0.3)
        real = sitting.device.send_action
        sitting.device.send_action = lambda _: None  # pyright: ignore[reportAttributeAccessIssue]
        state = sitting.until(phase="paused")
        assert "answers None" in state["trouble"]
        sitting.device.send_action = real
        sitting.until(phase="recording", trouble="")
        sitting.keep()
    last = EpisodeStore(tmp_path / "store")
    assert last.load(last.ids()[0]).length > 6


def test_an_episode_may_be_kept_or_given_up_while_the_arm_is_silent(tmp_path: Path) -> None:
    with _sitting(tmp_path) as (sitting, bench):
        sitting.record(0.3)
        bench.fault("mute_s 30")
        sitting.until(phase="paused")
        sitting.order("keep")
        sitting.until(kept=1)
        sitting.until(phase="ready")
        bench.fault("mute_s 0")
        sitting.until(trouble="")
        sitting.record(0.2)
        sitting.order("discard")
        sitting.until(phase="ready", note="discarded")
    assert len(EpisodeStore(tmp_path / "store")) == 1


@pytest.mark.parametrize("paused", [False, True])
def test_unplugging_is_told_in_a_line_and_keeps_what_was_recorded(tmp_path: Path, paused: bool) -> None:
    with _sitting(tmp_path) as (sitting, bench):
        sitting.record(0.5)
        if paused:
            bench.fault("mute_s 30")
            sitting.until(phase="paused")
        bench.fault("unplug")
        note = sitting.until(phase="broken")["note"]
        assert note.startswith("Unplugged: robot 'serial_arm' is gone: ") and "\n" not in note
        with pytest.raises(Unplugged):
            sitting.session.close()
    (id,) = EpisodeStore(tmp_path / "store").ids()
    episode = EpisodeStore(tmp_path / "store").load(id)
    assert episode.length >= 8 and episode.held is not None and episode.held[-1]
    assert episode.meta.outcome.judged_by == "nobody"


def test_a_policy_is_refused_where_no_goal_can_be_shown(agent: Path, tokeniser: Path, tmp_path: Path) -> None:
    """Before the sitting; with a goal it is refused for want of a second camera only."""
    policy = Policy(agent, tokeniser)
    with servos(tmp_path) as bench:
        for goal, said in (
            (None, "is told by pictures of a goal what to do, and there are none; say --goal"),
            ({"front": np.zeros((8, 8, 3), np.uint8)}, "reads 2 cameras, the environment has 1: front"),
        ):
            robot = LeRobotArm(SerialArm(bench.port))
            env = RobotEnv(robot, RealTask("lift", "lift a cube"), size=SIZE, goal=goal)
            with pytest.raises(CheckpointError, match=said):
                Session(env, EpisodeStore(tmp_path / "store"), Plan(1, 0, 9.0), lambda _: None, policy)
            env.close()


def test_unplugging_before_an_episode_leaves_none(tmp_path: Path) -> None:
    with _sitting(tmp_path) as (sitting, bench):
        sitting.until(phase="ready")
        bench.fault("unplug")
        sitting.until(phase="broken")
    assert not EpisodeStore(tmp_path / "store").exists


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["panda", "lift", "--goal", "."], "--goal goes with --robot"),
        (["so101", "lift", "--robot", "none.py"], "none.py: there is no such file"),
        (["so101", "lift", "--robot", "so101_follower:/dev/none"], "expected a .py file that declares one"),
        (["so101", "lift", "--robot", "{file}"], "robot 'serial_arm' cannot be connected: [Errno 2]"),
        (["so101", "lift", "--robot", "{file}", "--goal", "nowhere"], "nowhere has no picture front.png"),
    ],
)
def test_the_command_says_what_is_wrong_in_a_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from tests.serial_arm import SerialArm\n\nARM = SerialArm('/dev/none')\n")
    out = ["--out", str(tmp_path / "store")]
    assert main(["teleop", *(word.format(file=file) for word in words), *out]) == 1
    line = capsys.readouterr().err
    assert said in line and line.count("\n") == 1
