"""Two arms in one scene: each is itself, and one hands over to the other."""

import dataclasses

import numpy as np
import pytest

from demos.expert import SILENT, Expert
from demos.replay import replay
from demos.rollout import Attempt, rollout
from robocat.vocabulary import ACTION_SLOTS, PROPRIO_SLOTS, embodiment
from sim.arms import PAIRS, find_arm
from sim.arms.arm import PARTNER
from sim.env import ManipulationEnv, make
from sim.own import check_arm
from sim.tasks.handover import BAR, GIVER
from sim.tasks.trial import inspect_task
from sim.tool_control import fence_m

variations = pytest.mark.parametrize("variation", GIVER)


def _env(seed: int = 0, variation: str | None = None) -> ManipulationEnv:
    env = make("panda_pair", "handover", cameras=())
    env.reset(seed=seed, options={"variation": variation} if variation else None)
    return env


def test_an_action_has_the_numbers_of_both() -> None:
    arm = PAIRS["panda_pair"]
    one = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
    assert arm.action_names == (*one, *(PARTNER + name for name in one))
    assert arm.action_size == 14


def test_both_begin_at_home_upright() -> None:
    env = _env()
    for limb in env.scene.limbs:
        np.testing.assert_allclose(limb.tool_m, limb.arm.home_m, atol=1e-4)
        np.testing.assert_allclose(limb.tool_tilt_rad, 0.0, atol=1e-3)


@pytest.mark.parametrize("limb", [0, 1])
def test_one_moves_and_the_other_stays(limb: int) -> None:
    env = _env()
    before = [each.tool_m for each in env.scene.limbs]
    action = np.zeros(14, np.float32)
    action[7 * limb + 2] = -1.0
    for _ in range(5):
        env.step(action)
    moved = [each.tool_m - start for each, start in zip(env.scene.limbs, before, strict=True)]
    assert moved[limb][2] < -0.1
    np.testing.assert_allclose(moved[1 - limb], 0.0, atol=2e-3)


@pytest.mark.parametrize("limb", [0, 1])
def test_each_keeps_to_its_own_fence(limb: int) -> None:
    env = _env()
    action = np.zeros(14, np.float32)
    action[7 * limb + 1] = -1.0 if limb == 0 else 1.0  # towards the other
    for _ in range(30):
        env.step(action)
    low, high = fence_m(env.scene.limbs[limb].arm)
    command, _ = env.scene.limbs[limb].tool_command
    assert np.all((command >= low) & (command <= high))
    assert abs(command[1]) == pytest.approx(0.03)


@variations
@pytest.mark.parametrize("seed", range(3))
def test_the_expert_hands_over(variation: str, seed: int) -> None:
    env = _env()
    (episode,) = rollout([env], Expert(SILENT), [Attempt(700 + seed, variation)])
    assert episode.succeeded
    scene, giver = env.scene, GIVER[variation]
    assert scene.grasped(BAR.name, 1 - giver) and not scene.touched(BAR.name, giver)
    assert np.all((episode.progress >= 0.0) & (episode.progress <= 1.0)) and episode.progress[-1] == 1.0
    np.testing.assert_array_equal(replay(episode).state, episode.state)


def test_a_batch_is_its_single_environments() -> None:
    attempts = [Attempt(700 + i, variation) for i, variation in enumerate(GIVER)]
    alone = [next(iter(rollout([_env()], Expert(), [attempt]))) for attempt in attempts]
    together = {each.meta.provenance.seed: each for each in rollout([_env(), _env()], Expert(), attempts)}
    for each in alone:
        np.testing.assert_array_equal(each.state, together[each.meta.provenance.seed].state)


@variations
def test_goals_are_successes(variation: str) -> None:
    """Posed as for a goal picture, and let go on for as long as it takes to press: held, and by the taker."""
    env = _env(variation=variation)
    inspect_task(env.task)  # raises if any of some scenes is no success
    env._pose_success(np.random.default_rng(0))
    taker = 1 - GIVER[variation]
    still = np.array([0.0] * 6 + [1.0 if taker else -1.0] + [0.0] * 6 + [-1.0 if taker else 1.0], np.float32)
    for limb in env.scene.limbs:
        limb.command_tool(limb.tool_m, limb.tool_tilt_rad)
    for _ in range(6):
        _, _, done, _, info = env.step(still)
    assert done and info["progress"] == 1.0


def test_every_wrist_has_a_camera_and_names_are_offered() -> None:
    env = make("panda_pair", "handover", cameras=("front", "wrist", "second_wrist"), size=32)
    observation, _ = env.reset(seed=0)
    pictures = observation["images"]
    assert len({pictures[name].tobytes() for name in env.cameras}) == 3
    with pytest.raises(ValueError, match="cameras: front, second_wrist, wrist"):
        make("panda_pair", "handover", cameras=("third_wrist",))
    with pytest.raises(ValueError, match="cameras: front, wrist"):
        make("panda", "lift", cameras=("second_wrist",))


@pytest.mark.parametrize(("arm", "task"), [("panda", "handover"), ("panda_pair", "lift")])
def test_arms_and_tasks_that_do_not_go_together_are_refused(arm: str, task: str) -> None:
    with pytest.raises(
        ValueError, match=f"task '{task}' is done by (one arm|2 arms), and {arm} is (one arm|2 arms)"
    ):
        make(arm, task)


def test_the_agent_has_a_place_for_every_number() -> None:
    env = _env()
    body = embodiment([channel.name for channel in env.channels], env.arm.action_names)
    assert len(set(body.action)) == 14 and len(set(body.proprio)) == len(env.channels) == 28
    assert max(body.action) < len(ACTION_SLOTS) and max(body.proprio) < len(PROPRIO_SLOTS)


def test_randomised_worlds_move_both() -> None:
    env = make("panda_pair", "handover", cameras=(), randomise="moderate")
    env.reset(seed=0)
    model, base = env.scene.model, env.scene.base
    for limb in env.scene.limbs:
        assert np.all(model.actuator_gainprm[limb.ctrl, 0] != base.actuator_gainprm[limb.ctrl, 0])


def test_a_pair_of_the_users_own_is_inspected_arm_by_arm() -> None:
    arm = find_arm("panda_pair")
    assert arm.partner is not None
    check_arm(dataclasses.replace(arm, name="my_pair"))
    bent = dataclasses.replace(arm.partner, home_rad=(0.5, *arm.partner.home_rad[1:]))
    with pytest.raises(ValueError, match="home_rad"):
        check_arm(dataclasses.replace(arm, name="my_pair", partner=bent))
    with pytest.raises(ValueError, match="partner of its own"):
        dataclasses.replace(arm, partner=arm)
