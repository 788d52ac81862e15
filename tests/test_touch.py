"""What a hand feels is what contacts come to: nothing in the air, a weight when it carries one."""

import numpy as np
import pytest

from demos.expert import Expert
from sim.arms import ARMS
from sim.env import ManipulationEnv, make
from sim.touch import Touch, touch

GRAVITY_M_S2 = 9.81


def _felt(env: ManipulationEnv) -> Touch:
    return touch(env.scene.model, env.scene.data, env.scene.limbs[0])


def _weight_n(env: ManipulationEnv) -> float:
    """Of the thing that is to be lifted."""
    model = env.scene.model
    return float(model.body(env.variation).mass[0]) * GRAVITY_M_S2


@pytest.mark.parametrize("arm", ARMS)
def test_a_lifted_block_weighs_what_it_weighs(arm: str) -> None:
    env = make(arm, "lift", cameras=())
    observation, _ = env.reset(seed=0)
    expert = Expert()
    expert.begin(0, env, 0)
    before = _felt(env)
    assert before.held_n == 0.0 and not before.pushed_n.any(), "in the air nothing is felt"
    for _ in range(60):
        observation, _, ended, cut, _ = env.step(expert.act([0], [observation])[0].action)
        if ended or cut:
            break
    assert env.scene.grasped(env.variation)
    still = np.zeros(env.arm.action_size, np.float32)
    still[env.arm.limbs[0][1].cartesian_dof :] = -1.0
    felt: list[Touch] = []
    for _ in range(15):
        env.step(still)
        felt.append(_felt(env))
    carried = np.mean([each.pushed_n for each in felt[5:]], axis=0)
    np.testing.assert_allclose(carried, [0.0, 0.0, -_weight_n(env)], atol=0.1 * _weight_n(env) + 0.02)
    assert min(each.held_n for each in felt) > _weight_n(env) / 2, "less would not hold it"


def test_what_is_pushed_pushes_back() -> None:
    env = make("panda", "push", cameras=())
    observation, _ = env.reset(seed=0)
    expert = Expert()
    expert.begin(0, env, 0)
    work_j = 0.0
    for _ in range(60):
        before = env.scene.limbs[0].tool_m
        observation, _, ended, cut, _ = env.step(expert.act([0], [observation])[0].action)
        work_j += float(_felt(env).pushed_n @ (env.scene.limbs[0].tool_m - before))
        if ended or cut:
            break
    assert ended and work_j < -1e-3, "a block slides against friction"


def test_each_arm_of_a_pair_feels_its_own() -> None:
    env = make("panda_pair", "handover", cameras=())
    observation, _ = env.reset(seed=0)
    expert = Expert()
    expert.begin(0, env, 0)
    held: list[tuple[bool, bool]] = []
    for _ in range(120):
        observation, _, ended, cut, _ = env.step(expert.act([0], [observation])[0].action)
        limbs = [touch(env.scene.model, env.scene.data, limb) for limb in env.scene.limbs]
        held.append((limbs[0].held_n > 0.0, limbs[1].held_n > 0.0))
        if ended or cut:
            break
    first = held.index(next(each for each in held if any(each)))
    assert sum(held[first]) == 1, "one takes it first"
    assert (True, True) in held, "then both have it"
