"""Proprioception: named channels in physical units that say what the scene is like."""

import numpy as np
import pytest

from sim.arms import ARMS
from sim.proprioception import channels, read
from sim.tool_control import TILT_LIMIT_RAD, TOOL_HIGH_M, TOOL_LOW_M
from tests.worlds import actions, blind

arms = pytest.mark.parametrize("arm", ARMS)


@arms
def test_channels_have_names_units_and_ranges(arm: str) -> None:
    declared = channels(ARMS[arm])
    names = [channel.name for channel in declared]
    joints = [f"joint_{i}" for i in range(1, len(ARMS[arm].joints) + 1)]
    turns = ["tool_yaw"] if ARMS[arm].cartesian_dof == 4 else ["tool_roll", "tool_pitch", "tool_yaw"]
    hand = arm == "kuka_hand"
    gripper = [f"finger_{i}" for i in range(1, 9)] if hand else ["width"]
    assert names == [*joints, "tool_x", "tool_y", "tool_z", *turns, *gripper]
    for channel in declared:
        metres = channel.name in ("tool_x", "tool_y", "tool_z", "width")
        assert channel.unit == ("m" if metres else "rad")
        assert np.isfinite([channel.low, channel.high]).all() and channel.low < channel.high


@arms
def test_ranges_hold_the_joints_limits_and_the_fence(arm: str) -> None:
    env = blind(arm, "lift")
    for channel in env.channels:
        if channel.name.startswith("joint"):
            joint = env.scene.model.joint(env.arm.joints[int(channel.name[6:]) - 1])
            endless = not env.scene.model.jnt_limited[joint.id]
            expected = (-np.pi, np.pi) if endless else tuple(joint.range)
            assert (channel.low, channel.high) == expected
    declared = {channel.name: channel for channel in env.channels}
    for axis, low, high in zip("xyz", TOOL_LOW_M, TOOL_HIGH_M, strict=True):
        assert declared[f"tool_{axis}"].low < low < high < declared[f"tool_{axis}"].high
    assert declared["tool_yaw"].low < -TILT_LIMIT_RAD[2] < TILT_LIMIT_RAD[2] < declared["tool_yaw"].high
    gripper = [channel for channel in env.channels if channel.name == "width" or "finger" in channel.name]
    declared_at = env.arm.gripper
    reach = [declared_at.width_m] if len(gripper) == 1 else zip(*declared_at.joints_at, strict=True)
    for channel, ends in zip(gripper, reach, strict=True):
        assert channel.low <= min(ends) < max(ends) <= channel.high


@arms
def test_readings_are_the_scenes(arm: str) -> None:
    env = blind(arm, "lift")
    env.reset(seed=0)
    for move in actions(env, 5):
        env.step(move)
    scene, values = env.scene, dict(zip((c.name for c in env.channels), env.proprio(), strict=True))
    for number, angle in enumerate(scene.limbs[0].joints_rad, start=1):
        assert values[f"joint_{number}"] == np.float32(angle)
    assert [values[f"tool_{axis}"] for axis in "xyz"] == scene.tool_m.astype(np.float32).tolist()
    assert values["tool_yaw"] == np.float32(scene.tool_tilt_rad[2])
    if arm == "kuka_hand":
        fingers = [values[f"finger_{i}"] for i in range(1, 9)]
        assert fingers == scene.limbs[0].fingers.astype(np.float32).tolist()
    else:
        assert values["width"] == np.float32(scene.width_m)
    if env.arm.cartesian_dof == 6:
        assert [values["tool_roll"], values["tool_pitch"]] == scene.tool_tilt_rad[:2].astype(
            np.float32
        ).tolist()


def test_a_joint_that_turns_without_end_reads_the_same_after_each_turn() -> None:
    env = blind("kinova_gen3", "lift")
    env.reset(seed=0)
    before = read(env.scene)
    env.scene.limbs[0].set_joints(
        env.scene.limbs[0].joints_rad + 2 * np.pi * np.array([1, 0, -1, 0, 2, 0, -1])
    )
    env.scene.forward()
    np.testing.assert_allclose(read(env.scene), before, atol=1e-9)


def test_readings_beyond_the_range_are_clipped_only_for_the_observation() -> None:
    env = blind("panda", "lift")
    env.reset(seed=0)
    for finger in env.arm.gripper.joints:
        env.scene.data.joint(finger).qpos = 0.1
    env.scene.forward()
    assert read(env.scene)[-1] == pytest.approx(0.2)
    assert env.proprio()[-1] == np.float32(env.channels[-1].high)
    assert env.proprio() in env.observation_space["proprio"]


@arms
def test_wild_actions_stay_inside_the_ranges(arm: str) -> None:
    """Clipping is for accidents: a working arm never needs it."""
    env = blind(arm, "reach")
    env.reset(seed=0)
    low, high = np.array([(channel.low, channel.high) for channel in env.channels]).T
    for move in np.sign(actions(env, 100, seed=1)):
        env.step(move)
        values = read(env.scene)
        assert np.all((values >= low - 1e-3) & (values <= high + 1e-3))
