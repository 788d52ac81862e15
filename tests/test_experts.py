"""The scripted experts: every arm succeeds at every task, with noise or without, and from wherever it is."""

from itertools import product

import numpy as np
import pytest

from demos.aims import AIMS, aim
from demos.expert import SILENT, Expert, Noise, action_towards
from demos.rollout import Attempt, rollout
from sim.arms import ARMS
from sim.env import ManipulationEnv
from sim.names import UnknownName
from sim.tasks import TASKS
from tests.worlds import ALIKE, PAIRS, blind

pairs = pytest.mark.parametrize(("arm", "task"), PAIRS)
alike = pytest.mark.parametrize(("arm", "task"), ALIKE)


def _successes(env: ManipulationEnv, noise: Noise, seeds: range) -> int:
    attempts = [Attempt(seed) for seed in seeds]
    return sum(episode.succeeded for episode in rollout([env], Expert(noise), attempts))


@pairs
def test_experts_succeed(arm: str, task: str) -> None:
    """Three times of four: the fourth is tried only where one of the others has failed."""
    env, successes = blind(arm, task), 0
    for noise, seed in ((SILENT, 0), (Noise(), 100), (SILENT, 1), (Noise(), 101)):
        successes += _successes(env, noise, range(seed, seed + 1))
        if successes == 3:
            return
    pytest.fail(f"{successes} of 4")


@pytest.mark.slow
@pytest.mark.parametrize("noise", [SILENT, Noise()], ids=["silent", "noisy"])
@pytest.mark.parametrize(("arm", "task"), list(product(ARMS, TASKS)))
def test_experts_nearly_always_succeed(arm: str, task: str, noise: Noise) -> None:
    assert _successes(blind(arm, task), noise, range(50)) >= 48


@pytest.mark.parametrize("task", ("reach", "push", "lift", "stack", "insert-gear", "open-drawer"))
def test_experts_work_at_twenty_hertz(task: str) -> None:
    assert _successes(blind("panda", task, control_hz=20), SILENT, range(4)) == 4


@alike
def test_what_an_expert_does_depends_on_the_state_alone(arm: str, task: str) -> None:
    """So it can be imitated, and taken over from any controller at any time."""
    env, other = blind(arm, task), blind(arm, task)
    env.reset(seed=0)
    expert = Expert()
    expert.begin(0, env, 0)
    for _ in range(10):
        act = expert.act([0], [{}])[0]
        np.testing.assert_array_equal(act.action, act.label)
        other.reset(seed=9, options={"variation": env.variation, "state": env.scene.state()})
        wanted = aim(other.task, other.scene, other.variation)
        np.testing.assert_array_equal(act.label, action_towards(other.scene, wanted, other.control_hz))
        env.step(act.action)


def test_noise_strays_from_what_is_meant_and_comes_from_the_seed() -> None:
    def acts(seed: int) -> tuple[np.ndarray, np.ndarray]:
        env, expert = blind("panda", "lift"), Expert(Noise())
        env.reset(seed=0)
        expert.begin(0, env, seed)
        done = [expert.act([0], [{}])[0] for _ in range(200)]
        return np.array([act.action for act in done]), np.array([act.label for act in done])

    action, label = acts(seed=1)
    assert np.abs(action).max() <= 1.0 and action.dtype == label.dtype == np.float32
    assert np.all(label == label[0]), "the scene stood still"
    assert 0.15 < (action - label)[:, 3].std() < 0.5
    assert 0.0 < np.mean(action[:, -1] != label[:, -1]) < 0.1, "now and then the gripper errs"
    np.testing.assert_array_equal(acts(seed=1)[0], action)
    assert not np.array_equal(acts(seed=2)[0], action)


def test_a_task_without_an_expert_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(AIMS, "lift")
    with pytest.raises(UnknownName, match="unknown expert 'lift'; experts: open, press, push, reach, shut"):
        Expert().begin(0, blind("panda", "lift"), 0)
