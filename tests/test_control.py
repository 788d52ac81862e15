"""Control, for every arm: limits always hold, axes do what they are called, and places are reached."""

from collections.abc import Iterator

import mink
import numpy as np
import pytest
from numpy.typing import NDArray

from sim.arms import ARMS
from sim.control import CartesianControl
from sim.env import ManipulationEnv
from sim.poses import DOWN, Array
from sim.scene import Scene
from sim.tool_control import LEAD_LIMIT_M, TILT_LIMIT_RAD, TOOL_HIGH_M, TOOL_LOW_M, arm_model
from tests.worlds import blind, corners_m, joint_limits

arms = pytest.mark.parametrize("arm", ARMS)
rates = pytest.mark.parametrize("hz", [10, 20])
DEGREE = np.pi / 180


def _saturated(env: ManipulationEnv, steps: int) -> Iterator[NDArray[np.float32]]:
    """Random corners of the action's box, each held for half a second."""
    rng = np.random.default_rng(1)
    for step in range(steps):
        if step % (env.control_hz // 2) == 0:
            corner = np.sign(rng.uniform(-1.0, 1.0, env.arm.action_size)).astype(np.float32)
        yield corner


def _action(env: ManipulationEnv, **numbers: float) -> NDArray[np.float32]:
    """An action by the names of its numbers; the others are zero, and "gripper" is all of the gripper's."""
    fingers = dict.fromkeys(env.arm.gripper.numbers, numbers.pop("gripper", 1.0))
    values = {**dict.fromkeys(env.arm.action_names, 0.0), **fingers, **numbers}
    return np.array([values[name] for name in env.arm.action_names], np.float32)


@arms
@rates
def test_limits_hold_whatever_is_asked(arm: str, hz: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the joints, and the tool's fence."""
    env = blind(arm, "reach", control_hz=hz)
    env.reset(seed=0)
    scene = env.scene
    commanded: list[Array] = [scene.limbs[0].joint_command_rad]
    moving: list[Array] = []
    dofs = [scene.model.joint(name).dofadr[0] for name in env.arm.joints]

    def command(targets: Array, send=scene.command) -> None:
        moving.append(scene.data.qvel[dofs].copy())
        send(targets)
        commanded.append(scene.limbs[0].joint_command_rad)

    monkeypatch.setattr(scene, "command", command)
    measured: list[Array] = []
    for action in _saturated(env, 200):
        env.step(action)
        measured.append(scene.limbs[0].joints_rad)
        _stays_inside(scene)
    low, high = joint_limits(scene.model, env.arm)
    limit = np.array(env.arm.velocity_limit_rad_s)
    assert np.all((np.array(commanded) >= low) & (np.array(commanded) <= high))
    assert np.all((np.array(measured) >= low - 1e-3) & (np.array(measured) <= high + 1e-3))
    pieces = len(moving) / len(measured)
    speed = np.abs(np.diff(commanded, axis=0)) * hz * pieces
    assert np.all(speed <= limit * (1 + 1e-6))
    # A joint that is told to stop from its greatest speed overshoots a little.
    assert np.all(np.abs(moving) <= 1.25 * limit)


def _stays_inside(scene: Scene) -> None:
    """The tool does, within its fence."""
    position_m, tilt_rad = scene.limbs[0].tool_command
    assert np.all((position_m >= TOOL_LOW_M) & (position_m <= TOOL_HIGH_M))
    assert np.all(np.abs(tilt_rad) <= TILT_LIMIT_RAD)
    assert np.all(scene.tool_m >= TOOL_LOW_M - [0.02, 0.02, 0.004])
    assert np.all(scene.tool_m <= TOOL_HIGH_M + 0.02)


@arms
def test_fingertips_stay_off_the_table(arm: str) -> None:
    """Driven down with the jaws open and closed, and tilted as far as it goes where an arm can."""
    env = blind(arm, "reach")
    env.reset(seed=0)
    scene = env.scene
    for name in env.task.variations:
        scene.place(name, np.array([0.3, 0.35, 0.02]))
    pads = {scene.model.geom(name).id for side in env.arm.gripper.pads for name in side}
    table = scene.model.geom("table").id
    down = [_action(env, z=-1.0), _action(env, z=-1.0, gripper=-1.0)]
    if env.arm.cartesian_dof == 6:
        down += [_action(env, z=-1.0, roll=1.0), _action(env, z=-1.0, pitch=-1.0)]
    for action in down:
        for _ in range(12):
            env.step(action)
            for pair in scene.data.contact.geom:
                assert not (table in pair and pads & set(pair.tolist())), f"{action}"
    assert scene.tool_m[2] < 0.06


@arms
@rates
@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_an_axis_moves_the_tool_along_itself_only(arm: str, hz: int, axis: str) -> None:
    env = blind(arm, "reach", control_hz=hz)
    env.reset(seed=0)
    index = "xyz".index(axis)
    start = env.scene.tool_m
    seconds = 0.4
    sign = -1.0 if axis == "z" else 1.0
    for _ in range(round(seconds * hz)):
        env.step(_action(env, **{axis: sign}))
        aside = np.delete(env.scene.tool_m - start, index)
        assert np.abs(aside).max() < 0.005
        np.testing.assert_allclose(env.scene.tool_tilt_rad, 0.0, atol=2 * DEGREE)
    for _ in range(3):
        env.step(_action(env))
    moved = sign * (env.scene.tool_m - start)[index]
    assert moved == pytest.approx(seconds * env.arm.linear_m_s, abs=0.005)
    assert np.abs(np.delete(env.scene.tool_m - start, index)).max() < 0.003


@arms
def test_the_tool_turns_as_asked_and_stays_where_it_is(arm: str) -> None:
    turns = ARMS[arm].action_names[3 : ARMS[arm].cartesian_dof]
    assert turns == (("yaw",) if ARMS[arm].cartesian_dof == 4 else ("roll", "pitch", "yaw"))
    for name in turns:
        env = blind(arm, "reach")
        env.reset(seed=0)
        start = env.scene.tool_m
        for _ in range(3):
            env.step(_action(env, **{name: 0.5}))
        for _ in range(3):
            env.step(_action(env))
        expected = dict.fromkeys(("roll", "pitch", "yaw"), 0.0) | {name: 0.3 * 0.5 * env.arm.angular_rad_s}
        np.testing.assert_allclose(env.scene.tool_tilt_rad, list(expected.values()), atol=1.5 * DEGREE)
        np.testing.assert_allclose(env.scene.tool_m, start, atol=0.003)


@pytest.mark.parametrize("arm", [name for name, arm in ARMS.items() if arm.cartesian_dof == 4])
def test_four_number_arms_stay_vertical(arm: str) -> None:
    env = blind(arm, "reach")
    env.reset(seed=0)
    # Half speed: at full speed along every axis at once, some joint is at its limit and the turn comes late.
    for action in _saturated(env, 150):
        env.step(0.5 * action)
        assert np.abs(env.scene.tool_tilt_rad[:2]).max() < 2 * DEGREE


@arms
def test_a_still_arm_does_not_drift(arm: str) -> None:
    env = blind(arm, "reach")
    env.reset(seed=0)
    for action in _saturated(env, 20):
        env.step(action)
    for _ in range(12):  # a wrist that was asked to turn at every limit takes a second to be there
        env.step(_action(env))
    start = env.scene.tool_m
    for _ in range(30):
        env.step(_action(env))
    np.testing.assert_allclose(env.scene.tool_m, start, atol=0.001)


@arms
def test_the_gripper_opens_and_closes(arm: str) -> None:
    env = blind(arm, "reach")
    env.reset(seed=0)
    closed, *_, opened = env.arm.gripper.width_m
    wanted = {-1.0: closed, 1.0: opened}
    if len(env.arm.gripper.numbers) == 1:  # a hand goes as far as it is told
        wanted |= {-0.01: closed, 0.0: opened}
    for number, width_m in wanted.items():
        for _ in range(6):
            env.step(_action(env, gripper=number))
        assert env.scene.width_m == pytest.approx(width_m, abs=0.002)


def test_each_number_of_a_hand_moves_its_own_joint() -> None:
    env = blind("kuka_hand", "reach")
    env.reset(seed=0)
    closed, _, opened = np.array(env.arm.gripper.joints_at)
    for i, name in enumerate(env.arm.gripper.numbers):
        for _ in range(8):
            env.step(_action(env, **{name: -0.5}))
        share = (env.scene.limbs[0].fingers - closed) / (opened - closed)
        expected = np.where(np.arange(len(share)) == i, 0.25, 1.0)
        np.testing.assert_allclose(share, expected, atol=0.02)


@arms
def test_a_blocked_tool_is_not_commanded_far_ahead(arm: str) -> None:
    """Where something holds the tool, the command waits: it does not leap when it comes free."""
    env = blind(arm, "reach")
    env.reset(seed=0)
    scene = env.scene
    home = scene.limbs[0].joints_rad
    for _ in range(10):
        scene.limbs[0].set_joints(home)  # A held arm.
        scene.forward()
        env._control.step(_action(env, y=1.0))
        lead = scene.limbs[0].tool_command[0] - scene.tool_m
        assert np.linalg.norm(lead) < LEAD_LIMIT_M + env.arm.linear_m_s / env.control_hz + 0.001


@arms
def test_reach_finds_joints_for_a_place(arm: str) -> None:
    env = blind(arm, "reach")
    env.reset(seed=0)
    for place_m in (*corners_m(arm)[::3], (0.5, 0.0, 0.012)):
        env.scene.limbs[0].set_joints(env._control.tools[0].reach(np.array(place_m)))
        env.scene.forward()
        np.testing.assert_allclose(env.scene.tool_m, place_m, atol=1e-3)
        np.testing.assert_allclose(env.scene.tool_tilt_rad, 0.0, atol=2e-3)


def test_control_remembers_nothing_itself() -> None:
    """Two controllers that take turns in one scene do what one does alone."""
    one, two = blind("ur5e", "reach"), blind("ur5e", "reach")
    one.reset(seed=0)
    two.reset(seed=0)
    other = CartesianControl(two.scene, two.control_hz)
    for number, action in enumerate(_saturated(one, 20)):
        one.step(action)
        (two._control if number % 2 else other).step(action)
        np.testing.assert_array_equal(one.scene.state(), two.scene.state())


@arms
def test_a_period_is_what_mink_makes_of_its_own_limits(arm: str) -> None:
    """Also at the ends of ranges, and where the tool is asked for more than speeds allow."""
    control = CartesianControl(Scene(ARMS[arm], ()), 10).tools[0]
    declared, model = ARMS[arm], arm_model(ARMS[arm])
    speeds = dict(zip(declared.joints, declared.velocity_limit_rad_s, strict=True))
    limits = [mink.ConfigurationLimit(model), mink.VelocityLimit(model, speeds)]
    rng = np.random.default_rng(0)
    for trial in range(40):
        joints = np.asarray(declared.home_rad) + rng.normal(0.0, 0.3, len(declared.joints))
        joints = np.clip(joints, control._low, control._high)
        if trial % 2:
            end = rng.integers(len(joints))
            joints[end] = joints[end] if np.isinf(control._high[end]) else control._high[end]
        at = np.asarray(declared.home_m) + rng.normal(0.0, 0.3, 3)
        mine = control._follow(joints, at, DOWN)
        ik = mink.Configuration(model)
        ik.data.qpos[control._qpos] = joints
        ik.update()
        speed = mink.solve_ik(ik, [control._tool, control._posture], 0.1, "daqp", damping=1e-6, limits=limits)
        theirs = np.clip(joints + 0.1 * speed[control._dof], control._low, control._high)
        np.testing.assert_allclose(mine, theirs, atol=1e-9)
