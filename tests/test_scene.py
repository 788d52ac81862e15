"""The scene: what is written is read back, contacts with the pads, and the state as one vector."""

import re

import mujoco
import numpy as np
import pytest

from sim.arms import ARMS
from sim.poses import DOWN, rotation_z
from sim.scene import STATE, Scene, compile_model
from sim.things.blocks import BLOCKS, TARGET
from tests.worlds import actions, blind

arms = pytest.mark.parametrize("arm", ARMS)


def _scene(arm: str) -> Scene:
    scene = Scene(ARMS[arm], (*BLOCKS, TARGET))
    scene.reset()
    scene.forward()
    return scene


def test_one_model_is_compiled_for_equal_cells() -> None:
    assert Scene(ARMS["panda"], BLOCKS).model is Scene(ARMS["panda"], BLOCKS).model
    assert compile_model(ARMS["panda"], BLOCKS) is not compile_model(ARMS["panda"], (*BLOCKS, TARGET))


@arms
def test_home_is_over_the_table_with_open_jaws_and_commanded(arm: str) -> None:
    scene = _scene(arm)
    np.testing.assert_allclose(scene.tool_m, ARMS[arm].home_m, atol=1e-3)
    np.testing.assert_allclose(scene.tool_rotation, DOWN, atol=2e-3)
    np.testing.assert_allclose(scene.tool_tilt_rad, 0.0, atol=2e-3)
    assert scene.width_m == pytest.approx(ARMS[arm].gripper.width_m[-1], abs=1e-3)
    np.testing.assert_array_equal(scene.limbs[0].joints_rad, ARMS[arm].home_rad)
    np.testing.assert_array_equal(scene.limbs[0].joint_command_rad, ARMS[arm].home_rad)
    position_m, tilt_rad = scene.limbs[0].tool_command
    np.testing.assert_array_equal(position_m, scene.tool_m)
    np.testing.assert_array_equal(tilt_rad, scene.tool_tilt_rad)


@arms
def test_what_is_placed_is_there(arm: str) -> None:
    scene = _scene(arm)
    scene.data.qvel[:] = 1.0
    scene.place("red", np.array([0.4, 0.1, 0.3]), 0.5)
    scene.place("target", np.array([0.45, -0.1, 0.001]))
    scene.forward()
    np.testing.assert_allclose(scene.position_m("red"), [0.4, 0.1, 0.3])
    assert scene.yaw_rad("red") == pytest.approx(0.5)
    np.testing.assert_allclose(scene.position_m("target"), [0.45, -0.1, 0.001])
    assert scene.data.body("red").cvel.tolist() == [0.0] * 6, "it was placed at rest"


@arms
def test_a_block_between_the_pads_is_touched_and_grasped(arm: str) -> None:
    scene = _scene(arm)
    scene.place("red", scene.tool_m)
    scene.limbs[0].set_gripper(0.0395)
    scene.forward()
    assert scene.grasped("red") and scene.touched("red")
    assert not scene.touched("green") and not scene.grasped("green")
    scene.limbs[0].set_gripper(0.06)
    scene.forward()
    scene.place("red", scene.grip_m + [0.0, 0.0105, 0.0])  # The jaws close along y: against one pad.
    scene.forward()
    assert scene.touched("red") and not scene.grasped("red")
    scene.place("red", scene.tool_m + [0.0, 0.0, 0.2])
    scene.forward()
    assert not scene.touched("red")


@arms
@pytest.mark.parametrize("width_m", [0.02, 0.04, 0.07])
def test_what_is_gripped_is_in_the_middle_between_the_pads(arm: str, width_m: float) -> None:
    scene = _scene(arm)
    scene.limbs[0].set_gripper(width_m)
    scene.forward()
    sides = [[scene.data.geom(pad).xpos for pad in side] for side in ARMS[arm].gripper.pads]
    one, other = (np.mean(side, axis=0) for side in sides)
    along = (one + other) / 2 - scene.grip_m
    assert along @ scene.tool_rotation[:, 0] == pytest.approx(0.0, abs=1e-3)
    assert scene.grip_m[2] == pytest.approx(scene.tool_m[2], abs=1e-3)


def test_tilt_is_how_the_tool_is_turned_from_straight_down() -> None:
    scene = _scene("panda")
    home = scene.limbs[0].joints_rad
    home[-1] += 0.3
    scene.limbs[0].set_joints(home)
    scene.forward()
    np.testing.assert_allclose(scene.tool_rotation, rotation_z(-0.3) @ DOWN, atol=2e-3)
    np.testing.assert_allclose(scene.tool_tilt_rad, [0.0, 0.0, -0.3], atol=2e-3)


def test_the_state_is_mujocos_and_holds_the_commands() -> None:
    scene = _scene("panda")
    state = scene.state()
    assert state.shape == (mujoco.mj_stateSize(scene.model, STATE),)
    scene.command(scene.data.ctrl + 0.1)
    scene.limbs[0].command_tool(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3]))
    later = scene.state()
    scene.restore(state)
    np.testing.assert_array_equal(scene.state(), state)
    np.testing.assert_array_equal(scene.limbs[0].joint_command_rad, ARMS["panda"].home_rad)
    scene.restore(later)
    assert scene.limbs[0].tool_command[0].tolist() == [1.0, 2.0, 3.0]
    assert scene.limbs[0].tool_command[1].tolist() == [0.1, 0.2, 0.3]


def test_restoring_is_exact_wherever_it_happens() -> None:
    """What is derived from the state, such as contacts and poses, is there at once and the same."""
    env = blind("ur5e", "stack")
    env.reset(seed=0)
    for move in actions(env, 15):
        env.step(move)
    state, tool_m, ncon = env.scene.state(), env.scene.tool_m, env.scene.data.ncon
    fresh = Scene(env.arm, env.task.things)
    fresh.restore(state)
    np.testing.assert_array_equal(fresh.state(), state)
    np.testing.assert_array_equal(fresh.tool_m, tool_m)
    assert fresh.data.ncon == ncon


def test_what_rests_sleeps_within_a_control_period_and_wakes_at_its_end() -> None:
    """Who sleeps is no part of the state: no stored state may come from a world that has a sleeper."""
    env = blind("panda", "lift")
    env.reset(seed=0)
    still = np.zeros(env.arm.action_size, dtype=np.float32)
    env.step(still)
    data, trees = env.scene.data, env.scene.model.ntree
    assert data.ntree_awake == trees == 1 + len(BLOCKS)
    mujoco.mj_step(env.scene.model, data, 20)
    assert data.ntree_awake == 1  # the arm's
    env.scene.place("red", env.scene.position_m("red") + np.array([0.0, 0.0, 0.1]))
    env.scene.forward()
    held = env.scene.position_m("red")[2]
    env.step(still)
    assert data.ntree_awake == trees
    assert env.scene.position_m("red")[2] < held - 0.03  # of 4.9 cm in free fall


def test_another_models_state_is_refused() -> None:
    scene = _scene("panda")
    message = "state has shape (3,), expected (142,), that of panda with red, green, blue, target"
    message = message.replace("142", str(scene.state().size))
    with pytest.raises(ValueError, match=re.escape(message)):
        scene.restore(np.zeros(3))


def test_what_is_read_is_a_copy() -> None:
    scene = _scene("panda")
    for read in (
        scene.limbs[0].joints_rad,
        scene.limbs[0].joint_command_rad,
        *scene.limbs[0].tool_command,
        scene.tool_m,
        scene.tool_rotation,
        scene.position_m("red"),
        scene.position_m("target"),
        scene.state(),
    ):
        before = scene.state()
        read[:] = 9.0
        np.testing.assert_array_equal(scene.state(), before)
    assert scene.tool_m[0] < 1.0


def test_a_block_that_is_pushed_slides_and_turns_no_further_than_friction_lets_it() -> None:
    """Coulomb: a block at v stops within v^2 / (2 mu g), and one that spins at w within a turn."""
    scene = Scene(ARMS["panda"], BLOCKS)
    scene.reset()
    scene.place("red", np.array([0.3, 0.3, 0.02]))
    scene.data.joint("red").qvel[:] = [0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
    scene.place("green", np.array([0.3, -0.3, 0.02]))
    scene.data.joint("green").qvel[:] = [0.0, 0.0, 0.0, 0.0, 0.0, 5.0]
    mujoco.mj_step(scene.model, scene.data, nstep=250)
    scene.forward()
    assert scene.position_m("red")[0] - 0.3 == pytest.approx(0.5**2 / 2 / 9.81, rel=0.2)
    assert 0.0 < scene.yaw_rad("green") < 0.1
    assert np.abs(scene.data.joint("red").qvel).max() < 0.01
    assert np.abs(scene.data.joint("green").qvel).max() < 0.01
