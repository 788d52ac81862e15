"""A real arm on a serial bus, played by a process of its own: limits, beat, silence, and what is recorded."""

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demos.robots.blocked import LEAD_RAD
from demos.robots.declared import find_robot, real_env
from demos.robots.lerobot_arm import LeRobotArm
from demos.robots.robot import DropOut, Reading, Robot, Unplugged, action_space
from demos.robots.robot_env import RealTask, RobotEnv, goal_of, square
from demos.robots.twin import SPEED_SHARE, NoWay, Pose, Twin
from demos.robots.way_home import HOMING_RAD_S
from sim.arms import find_arm
from sim.names import UnknownName
from sim.proprioception import channels
from sim.scene import Scene
from sim.tool_control import arm_model, fence_m
from tests.serial_arm import FOLDED, HOME, JOINTS, Bench, SerialArm, degrees, servos

SO101 = find_arm("so101")
TASK = RealTask("lift", "lift a cube")
HZ = 20
STEP_RAD = 2 * np.pi / 4096  # of a servo
DECLARING = "from tests.serial_arm import SerialArm\n"


@pytest.fixture
def bench(tmp_path: Path) -> Generator[Bench]:
    with servos(tmp_path) as running:
        yield running


def _env(bench: Bench, most_deg: float | None = None, **options: Any) -> RobotEnv:
    env = RobotEnv(LeRobotArm(SerialArm(bench.port, most_deg)), TASK, size=24, control_hz=HZ, **options)
    env.reset()
    return env


def _home(env: RobotEnv) -> int:
    """Brings the arm home; in how many ticks."""
    for ticks in range(200):
        if env.status.homed:
            return ticks
        env.cadence.wait()
        env.look(homing=True)
    raise AssertionError("it did not come home")


def _until(holds: Callable[[], bool], meanwhile: Callable[[], object]) -> None:
    """Does something again and again until something else holds."""
    end_s = time.monotonic() + 20.0
    while not holds():
        assert time.monotonic() < end_s, "it did not come to hold in time"
        meanwhile()


def _action(**numbers: float) -> Any:
    return np.array(
        [numbers.get(name, 1.0 if name == "gripper" else 0.0) for name in SO101.numbers], np.float32
    )


def _goals_rad(bench: Bench) -> np.ndarray:
    """Joint targets that arrived at the servos (N, 6) [rad]."""
    return np.radians([[degrees(step) for step in line["goal"]] for line in bench.log()])


def test_an_action_is_told_with_units_and_ranges() -> None:
    said = [(each.name, each.unit, each.high) for each in action_space(SO101)]
    assert said[0] == ("x", "m/s", SO101.linear_m_s)
    assert said[3:] == [("yaw", "rad/s", SO101.angular_rad_s), ("gripper", "1", 1.0)]
    pair = action_space(find_arm("panda_pair"))
    assert [each.name for each in pair] == list(find_arm("panda_pair").action_names)


def test_the_twin_moves_the_tool_as_it_is_told() -> None:
    twin = Twin(SO101, HZ)
    for _ in range(15):
        pose = twin.plan(_action(x=0.4, z=-0.3, yaw=0.5))
        numbers = twin.tell(pose, pose)
        twin.report(pose)
    np.testing.assert_allclose(numbers, [0.4, 0.0, -0.3, 0.5], atol=0.03)
    moved_m = twin.scene.tool_m - np.array(SO101.home_m)
    np.testing.assert_allclose(moved_m, [0.06, 0.0, -0.045], atol=4e-3)


def test_no_way_home_leaves_the_workspace() -> None:
    """From wherever an upright arm stands in it; one in ten would, straight in its joints."""
    twin, model = Twin(SO101, HZ), arm_model(SO101)
    ranges = np.array([model.joint(name).range for name in SO101.joints])
    random, limb, (low_m, high_m) = np.random.default_rng(0), twin.scene.limbs[0], fence_m(SO101)
    begun = arrived = 0
    while begun < 40:
        twin.report(Pose(random.uniform(*ranges.T), 1.0))
        inside = (limb.tool_m >= low_m).all() and (limb.tool_m <= high_m).all()
        if not inside or limb.tool_rotation[2, 2] > -np.cos(0.5):
            continue
        begun += 1
        twin.halt()
        for _ in range(400):
            before = twin.sent
            try:
                pose = twin.plan_home()
            except NoWay:
                break
            assert np.abs(pose.joints_rad - before.joints_rad).max() <= HOMING_RAD_S / HZ + 1e-9
            twin.tell(pose)
            twin.report(pose)
            assert (limb.tool_m >= low_m - 0.0011).all() and (limb.tool_m <= high_m + 0.0011).all()
            if twin.homed:
                arrived += 1
                break
    assert arrived >= 38


def test_what_was_asked_and_not_sent_is_not_made_up_for() -> None:
    twin = Twin(SO101, HZ)
    for _ in range(5):
        asked = twin.plan(_action(x=1.0))
        twin.tell(twin.sent, asked)
    pose = twin.plan(_action())
    np.testing.assert_allclose(pose.joints_rad, twin.sent.joints_rad, atol=2e-3)


def test_it_is_a_robot_whose_numbers_are_the_simulated_arms(bench: Bench) -> None:
    env = _env(bench)
    assert isinstance(LeRobotArm(SerialArm(bench.port)), Robot)
    observation, _ = env.reset()
    values = dict(zip([each.name for each in env.channels], observation["proprio"], strict=True))
    assert [each.name for each in env.channels[:5]] == [f"joint_{i}" for i in range(1, 6)]
    joints = [values[f"joint_{i}"] for i in range(1, 6)]
    np.testing.assert_allclose(joints, SO101.home_rad, atol=2 * STEP_RAD)
    np.testing.assert_allclose([values[f"tool_{a}"] for a in "xyz"], SO101.home_m, atol=2e-3)
    assert {name: each.shape for name, each in observation["images"].items()} == {"front": (24, 24, 3)}
    assert env.picture("front", 640).shape == (48, 64, 3)
    env.close()
    env.close()


def test_home_is_reached_slowly_and_actions_never_exceed_the_limits(tmp_path: Path) -> None:
    """Checked where it counts: in the log of the servos."""
    with servos(tmp_path, FOLDED) as bench:
        env = _env(bench)
        assert not env.status.homed
        assert _home(env) > 15
        homing = _goals_rad(bench)
        for held in ([1, 1, -1, 1, -1], [-1, -1, 0, -1, 1]):
            for _ in range(18):
                env.step(np.array(held, np.float32))
        env.close()
        goals = _goals_rad(bench)
    slack = 1.5 * STEP_RAD
    assert np.abs(np.diff(homing[:, :5], axis=0)).max() <= HOMING_RAD_S / HZ + slack
    speeds = SPEED_SHARE * np.array([*SO101.velocity_limit_rad_s, min(SO101.velocity_limit_rad_s)])
    limits = speeds / HZ
    assert (np.abs(np.diff(goals, axis=0)) <= limits + slack).all()
    model = arm_model(SO101)
    for name, column in zip(SO101.joints, goals.T, strict=False):
        low, high = model.joint(name).range
        assert low - slack <= column.min() and column.max() <= high + slack
    scene, (low_m, high_m) = Scene(SO101, ()), fence_m(SO101)
    tools = []
    for joints in goals[len(homing) :]:
        scene.limbs[0].set_joints(joints[:5])
        scene.forward()
        tools.append(scene.tool_m)
    assert len(tools) >= 36
    assert min(tool[2] for tool in tools) < low_m[2] + 0.01, "it was driven against the workspace's floor"
    assert (np.array(tools) >= low_m - 0.002).all() and (np.array(tools) <= high_m + 0.002).all()


def test_the_beat_holds_with_latency(bench: Bench) -> None:
    env = RobotEnv(LeRobotArm(SerialArm(bench.port, timeout_s=0.045)), TASK, size=24, control_hz=HZ)
    env.reset()
    bench.fault("latency_ms 8")
    bench.fault("jitter_ms 6")
    env.cadence.start()
    for step in range(30):
        env.step(_action(x=0.3 * np.sin(step / 5)))
    periods = np.array(env.cadence.periods_s)
    env.close()
    assert env.dropped <= 4, "of 30; none unless the machine is busy"
    assert np.median(periods) == pytest.approx(1 / HZ, abs=0.01)
    assert len(periods) / HZ * 0.95 < periods.sum() < len(periods) / HZ * 1.2, "it does not drift"


@pytest.mark.parametrize("fault", ["drop", "corrupt"])
def test_one_answer_that_is_missing_is_asked_for_again(bench: Bench, fault: str) -> None:
    robot = LeRobotArm(SerialArm(bench.port, timeout_s=0.06))
    env = RobotEnv(robot, TASK, control_hz=5)
    env.reset()
    bench.fault(f"{fault} 1")
    infos = [env.step(_action(x=0.3))[4] for _ in range(2)]
    env.close()
    assert robot.retried >= 1 and env.dropped == 0
    assert [info["held"] for info in infos] == [False] * 2


def test_an_answer_that_there_is_no_time_to_ask_for_again_is_held_and_counted(bench: Bench) -> None:
    env = _env(bench)
    env.step(_action())
    bench.fault("drop 1")
    env.cadence.start()
    steps = [env.step(_action(z=-0.5)) for _ in range(5)]
    env.close()
    held = [info["held"] for *_, info in steps]
    assert 1 <= held.count(True) == env.dropped <= 2
    at = held.index(True)
    if at:
        np.testing.assert_array_equal(steps[at][0]["proprio"], steps[at - 1][0]["proprio"])
    assert not np.array_equal(steps[-1][0]["proprio"], steps[at][0]["proprio"])
    assert max(env.cadence.periods_s) < 0.1, "no period is lost"
    assert env.status.silence_s == 0.0 and env.status.note == ""


def test_what_was_executed_is_what_the_robot_took(bench: Bench) -> None:
    env = _env(bench, most_deg=0.8)
    executed = [env.step(_action(x=1.0))[4]["executed"] for _ in range(12)]
    goals = _goals_rad(bench)
    env.close()
    speeds = [float(each[0]) for each in executed]
    assert max(speeds) < 0.8 and max(speeds) > 0.05, "the arm takes less than 0.8 degrees from where it is"
    scene = Scene(SO101, ())
    tools = []
    for joints in goals:
        scene.limbs[0].set_joints(joints[:5])
        scene.forward()
        tools.append(scene.tool_m)
    moved_m = tools[-1][0] - tools[0][0]
    assert sum(speeds[1:]) * SO101.linear_m_s / HZ == pytest.approx(moved_m, abs=2e-3)


def test_joints_far_out_of_their_range_are_told_and_come_home(tmp_path: Path) -> None:
    with servos(tmp_path, (*HOME[:3], 3350, *HOME[4:])) as bench:
        env = _env(bench)
        assert not env.step(_action(x=0.5))[4]["executed"][:4].any()
        assert "no motion leads from joints" in env.status.note
        _home(env)
        env.step(_action(x=0.5))
        assert env.status.note == ""
        env.close()


def _without(key: str, answer: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    return lambda: {name: value for name, value in answer().items() if name != key}


@pytest.mark.parametrize(
    ("asked", "spoil", "said"),
    [
        ("send_action", lambda _: lambda _: None, "answers None: expected a number for each of shoulder_pan"),
        ("send_action", lambda _: lambda _: {"elbow_flex.pos": "bent"}, "answers {'elbow_flex.pos': 'bent'}"),
        ("get_observation", lambda _: lambda: None, "answers None: expected a number for each of"),
        ("get_observation", lambda real: _without("gripper.pos", real), "expected a number for each of"),
        ("get_observation", lambda real: _without("front", real), "camera 'front': got object"),
    ],
)
def test_an_answer_that_is_none_loses_no_episode(
    bench: Bench, asked: str, spoil: Callable[[Any], Any], said: str
) -> None:
    device = SerialArm(bench.port)
    env = RobotEnv(LeRobotArm(device), TASK, size=24, control_hz=HZ)
    env.reset()
    real = getattr(device, asked)
    setattr(device, asked, spoil(real))
    info = env.step(_action(x=0.3))[4]
    assert said in env.status.note and "\n" not in env.status.note
    assert info["held"] == (asked == "get_observation")
    setattr(device, asked, real)
    info = env.step(_action(x=0.3))[4]
    env.close()
    assert (info["held"], env.status.note) == (False, "")


def test_actions_that_are_not_taken_are_counted_apart(bench: Bench) -> None:
    device = SerialArm(bench.port)
    env = RobotEnv(LeRobotArm(device), TASK, size=24, control_hz=HZ)
    env.reset()
    taken: list[float] = []
    real = device.send_action

    def lost(_: object) -> None:
        raise ConnectionError("nobody takes it")

    device.send_action = lost  # pyright: ignore[reportAttributeAccessIssue]
    steps = [env.step(_action(x=0.5)) for _ in range(8)]
    assert not any(info["held"] for *_, info in steps), "it is seen all the time"
    assert (env.status.silence_s, env.status.deaf_s > 0.3) == (0.0, True)
    assert not np.stack([info["executed"] for *_, info in steps])[:, :4].any()
    env.look()
    assert env.status.deaf_s > 0.3 and "nobody takes it" in env.status.note
    device.send_action = lambda action: taken.extend(action.values()) or real(action)
    env.look()
    assert (env.status.deaf_s, env.status.note) == (0.0, "")
    joints = np.radians(taken[:5])
    np.testing.assert_allclose(joints, env.scene.limbs[0].joints_rad, atol=1e-6)
    env.close()


def _leads_rad(bench: Bench) -> np.ndarray:
    """How far each target was ahead of its joint when it arrived (N, 5) [rad]."""
    rows = [[line["goal"], line["position"]] for line in bench.log()]
    goals, positions = np.moveaxis(np.array(rows), 1, 0)
    return np.abs(goals - positions)[:, :5] * STEP_RAD


def test_a_joint_that_is_blocked_on_the_way_home_is_pushed_no_further(tmp_path: Path) -> None:
    with servos(tmp_path, (*FOLDED[:1], 1300, *FOLDED[2:])) as bench:
        bench.fault("block 2")
        env = _env(bench)
        _until(lambda: "shoulder_lift stands still" in env.status.note, lambda: _tick(env))
        pushed = len(bench.log())
        for _ in range(15):
            _tick(env)
            assert "shoulder_lift stands still 0.2 rad and more" in env.status.note, "it stays told"
        leads = _leads_rad(bench)
        assert leads.max() < LEAD_RAD + 0.15 and leads[pushed:].max() < 0.03, "it lets go"
        bench.fault("block 0")
        env.reset()
        _home(env)
        assert env.status.note == ""
        env.close()


def test_a_joint_that_is_blocked_while_it_is_driven_stops_the_arm(bench: Bench) -> None:
    env = _env(bench)
    bench.fault("block 5")
    _until(lambda: "wrist_roll stands still" in env.status.note, lambda: env.step(_action(yaw=-0.8)))
    assert not env.step(_action(yaw=-0.8))[4]["executed"][:4].any() and env.status.deaf_s > 0
    assert _leads_rad(bench).max() < LEAD_RAD + 0.25
    env.step(_action())
    assert env.status.note == "", "who lets go may try again"
    env.close()


def test_an_arm_that_was_moved_by_hand_goes_home_from_there(tmp_path: Path) -> None:
    with servos(tmp_path) as bench:
        device = SerialArm(bench.port)
        env = RobotEnv(LeRobotArm(device), TASK, size=24, control_hz=HZ)
        env.reset()
        _home(env)
        env.step(_action())
        moved = dict(zip(device.action_features, map(degrees, (*FOLDED[:5], 2048)), strict=True))
        device.send_action(moved | {"gripper.pos": 50.0})
        time.sleep(0.4)
        count = len(bench.log())
        _home(env)
        env.close()
        assert _leads_rad(bench)[count:].max() < LEAD_RAD


def _tick(env: RobotEnv) -> None:
    env.cadence.wait()
    env.look(homing=True)


def test_silence_is_told_and_nothing_moves_then(bench: Bench) -> None:
    env = _env(bench)
    bench.fault("mute_s 60")
    _until(lambda: env.status.silence_s > 0.3, lambda: env.step(_action(x=0.5)))
    executed = env.step(_action(x=0.5))[4]["executed"]
    assert np.abs(executed[:4]).max() < 1e-3, "nor is it sent on blindly"
    assert env.status.note.startswith("robot 'serial_arm' does not answer: no status packet of servo 1")
    bench.fault("mute_s 0")
    _until(lambda: env.status.silence_s == 0.0, env.look)
    np.testing.assert_allclose(env.scene.limbs[0].joint_command_rad, env.scene.limbs[0].joints_rad, atol=1e-9)
    env.close()


def test_a_robot_that_is_unplugged_ends_the_episode_and_begins_no_other(bench: Bench) -> None:
    env = _env(bench)
    env.step(_action(x=0.3))
    bench.fault("unplug")
    _, _, terminated, truncated, info = env.step(_action(x=0.3))
    assert (terminated, truncated, info["held"]) == (False, True, True)
    assert info["executed"].tolist() == [0.0, 0.0, 0.0, 0.0, 1.0]
    with pytest.raises(Unplugged, match="^robot 'serial_arm' is gone: .*Input/output error"):
        env.reset()
    env.close()


class _Perfect:
    """A robot of nobody's library, which is at once where it is told to be."""

    name, arm, cameras = "perfect", SO101, ()
    channels, actions = channels(SO101), action_space(SO101)

    def __init__(self) -> None:
        self._twin = Twin(SO101, HZ)

    def connect(self, control_hz: int) -> None:
        assert control_hz == HZ

    def disconnect(self) -> None: ...

    @property
    def scene(self) -> Scene:
        return self._twin.scene

    @property
    def homed(self) -> bool:
        return self._twin.homed

    def observe(self) -> Reading:
        return Reading(self._twin.proprio, {})

    def send(self, action: Any) -> Any:
        pose = self._twin.plan(action)
        self._twin.report(pose)
        return np.append(self._twin.tell(pose, pose), action[-1:])

    def go_home(self) -> None:
        self._twin.tell(self._twin.plan_home())
        self._twin.report(self._twin.sent)

    def halt(self) -> None:
        self._twin.halt()


def test_any_robot_will_do() -> None:
    robot = _Perfect()
    assert isinstance(robot, Robot)
    env = RobotEnv(robot, TASK, control_hz=HZ)
    env.reset()
    executed = [env.step(_action(y=0.4, gripper=-1.0))[4]["executed"] for _ in range(12)]
    np.testing.assert_allclose(executed[5], [0.0, 0.4, 0.0, 0.0, -1.0], atol=0.02)
    assert not env.status.homed
    assert _home(env) > 5
    assert env.scene.limbs[0].width_m > 0.07


def test_a_port_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unplugged, match="robot 'serial_arm' cannot be connected: .*No such file"):
        RobotEnv(LeRobotArm(SerialArm(str(tmp_path / "none"))), TASK)


def test_a_robot_that_never_answers_is_told(bench: Bench) -> None:
    bench.fault("mute_s 9")
    with pytest.raises(DropOut, match="robot 'serial_arm' does not answer"):
        _env(bench)


def test_a_real_table_takes_no_options(bench: Bench) -> None:
    env = _env(bench)
    with pytest.raises(ValueError, match="reset options variation: a real table has none"):
        env.reset(options={"variation": "red"})
    env.close()


def test_a_goal_comes_from_files(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no picture front.png; expected one for each of front"):
        goal_of(tmp_path, ("front",))
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 20:60] = (255, 0, 0)
    Image.fromarray(picture).save(tmp_path / "front.png")
    env = _env(bench, goal=goal_of(tmp_path, ("front",)))
    goal = env.reset()[0]["goal"]["front"]
    env.close()
    assert goal.shape == (24, 24, 3) and (goal == (255, 0, 0)).all(), "the middle of it"
    assert square(picture, 80).shape == (80, 80, 3)


def test_a_camera_that_is_not_there_is_refused(bench: Bench) -> None:
    with pytest.raises(UnknownName, match="unknown camera 'wrist'.*cameras: front"):
        _env(bench, cameras=("wrist",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"control_hz": 0}, "control_hz 0 is out of range; expected 1 to 100"),
        ({"size": 4096}, "size 4096 is out of range; expected 8 to 1024"),
    ],
)
def test_numbers_that_cannot_be_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RobotEnv(_Perfect(), TASK, **options)


class _Wrong(SerialArm):
    """Another arm's joints."""

    @property
    def action_features(self) -> dict[str, Any]:
        return {f"{joint}.pos": float for joint in JOINTS[1:]}


class _Percent(SerialArm):
    """Not in degrees."""

    class config:
        use_degrees = False


@pytest.mark.parametrize(
    ("device", "message"),
    [
        (_Wrong, r"actions: got shoulder_lift.pos, .*expected those of so101: shoulder_pan.pos"),
        (_Percent, "use_degrees: got False, expected True"),
    ],
)
def test_another_arm_is_refused(device: type[SerialArm], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LeRobotArm(device("/dev/null"))


def test_arms_that_have_no_single_joint_to_grip_with_are_refused() -> None:
    with pytest.raises(ValueError, match="arm 'panda_pair': 2 with a gripper of"):
        Twin(find_arm("panda_pair"), HZ)


def test_a_robot_is_found_by_its_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(DECLARING + "MINE = SerialArm('/dev/null')\n")
    assert find_robot(str(file), "so101").name == "serial_arm"
    file.write_text(DECLARING)
    with pytest.raises(ValueError, match=r"mine.py declares 0 robots; expected one at its top level"):
        find_robot(str(file), "so101")
    file.write_text(DECLARING + "MINE = SerialArm('/dev/null')\nOTHER = SerialArm('/dev/null')\n")
    with pytest.raises(ValueError, match="declares 2 robots"):
        find_robot(str(file), "so101")
    file.write_text(
        "from tests.serial_arm import SerialArm\nfrom demos.robots.lerobot_arm import LeRobotArm\n"
    )
    file.write_text(file.read_text() + "MINE = LeRobotArm(SerialArm('/dev/null'), 'so101')\n")
    with pytest.raises(ValueError, match="robot 'serial_arm' is so101, expected panda, as was said"):
        find_robot(str(file), "panda")
    with pytest.raises(
        ValueError, match=r"robot 'so101_follower:/dev/ttyACM0': expected a .py file that decl"
    ):
        find_robot("so101_follower:/dev/ttyACM0", "so101")


def test_an_arm_without_a_camera_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "blind.py"
    file.write_text(
        DECLARING + "class Blind(SerialArm):\n    observation_features = SerialArm.action_features\n\n"
    )
    file.write_text(file.read_text() + "ARM = Blind('/dev/null')\n")
    said = r"robot 'serial_arm': cameras: got none, .*; declare them in .*blind.py, as in SO101Follower"
    with pytest.raises(ValueError, match=said):
        real_env(str(file), "so101", "lift", None, None)
    file.write_text(DECLARING + "ARM = SerialArm('/dev/null')\n")
    with pytest.raises(ValueError, match="cameras: got none"):
        real_env(str(file), "so101", "lift", None, ())
