"""A trained agent as a controller: many slots as one, its window, what it refuses, and how it explores."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from demos.controller import Act
from robocat.agent import Agent, Choose, Window
from robocat.agent_checkpoint import load_agent
from robocat.checkpoint import CheckpointError
from robocat.data import Data
from robocat.policy import Policy
from robocat.tokeniser import load_tokeniser, save_tokeniser
from robocat.vocabulary import decode_action, encode, encode_action
from robocat.vqgan import VQGAN
from sim.env import ManipulationEnv, Observation, make
from tests.tiny import AGENT, SIZE, TRAINING, VQ, learn

CONTEXT = 3


@pytest.fixture(scope="module")
def remembering(data: Data, agent: Path) -> Path:
    """An agent that sees three steps."""
    longer, brief = replace(AGENT, context=CONTEXT), replace(TRAINING, steps=2)
    return learn(data, agent.parent / "remembering", longer, brief)


def _env(seed: int, arm: str = "panda") -> tuple[ManipulationEnv, Observation]:
    env = make(arm, "lift", size=SIZE)
    return env, env.reset(seed=seed)[0]


class _Heard:
    """Keeps the logits that a policy decides by."""

    def __init__(self, choose: Choose) -> None:
        self._choose, self.logits = choose, list[Tensor]()

    def __call__(self, logits_BZ: Tensor) -> Tensor:
        self.logits.append(logits_BZ)
        return self._choose(logits_BZ)


def _listen(policy: Policy) -> _Heard:
    heard = _Heard(policy._choose)  # pyright: ignore[reportPrivateUsage]
    policy._choose = heard  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    return heard


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Window, NDArray[np.int64]]]:
    """Every window that an agent is shown from now on, and the bins it answers with."""
    seen: list[tuple[Window, NDArray[np.int64]]] = []
    act = Agent.act

    def noted(self: Agent, window: Window, *args: object) -> Tensor:
        bins = act(self, window, *args)  # pyright: ignore[reportArgumentType, reportCallIssue]
        seen.append((window, bins.numpy()))
        return bins

    monkeypatch.setattr(Agent, "act", noted)
    return seen


@pytest.mark.parametrize("arm", ["panda", "ur5e"])
def test_many_slots_act_as_one_would(agent: Path, tokeniser: Path, arm: str) -> None:
    worlds = [_env(seed, arm) for seed in range(3)]
    together, alone = Policy(agent, tokeniser), Policy(agent, tokeniser)
    heard, other = _listen(together), _listen(alone)
    for slot, (env, _) in enumerate(worlds):
        together.begin(slot, env, seed=slot)
        alone.begin(slot, env, seed=slot)
    acts = together.act([0, 1, 2], [observation for _, observation in worlds])
    singles = [alone.act([slot], [observation])[0] for slot, (_, observation) in enumerate(worlds)]
    numbers = worlds[0][0].arm.action_size
    batched = torch.stack(heard.logits, dim=1)
    single = torch.cat(other.logits).view(3, numbers, -1)
    torch.testing.assert_close(batched[:, 0], single[:, 0], rtol=1e-4, atol=1e-4)
    for one, many in zip(singles, acts, strict=True):
        # The same bins, but for a tie that the last bits of a batch may turn.
        assert np.abs(one.label - many.label).max() < 2.1 * 2 / 1024
        assert many.label.shape == (numbers,) and many.label.dtype == many.action.dtype == np.float32


def test_labels_are_the_agents_bins(
    agent: Path, tokeniser: Path, windows: list[tuple[Window, NDArray[np.int64]]]
) -> None:
    env, observation = _env(0)
    policy = Policy(agent, tokeniser)
    policy.begin(0, env, seed=0)
    (act,) = policy.act([0], [observation])
    assert np.array_equal(act.label, decode_action(windows[0][1][0]))
    assert np.array_equal(act.action, act.label)


def test_window_of_three_steps(
    remembering: Path, tokeniser: Path, windows: list[tuple[Window, NDArray[np.int64]]]
) -> None:
    """It fills up and then slides; past actions are what was meant; a new episode starts it again."""
    codes, (env, observation) = load_tokeniser(tokeniser), _env(0)
    low, high = np.array([(channel.low, channel.high) for channel in env.channels]).T
    policy = Policy(remembering, tokeniser, explore=0.3)
    for seed in (4, 5):
        policy.begin(0, env, seed)
        observation, _ = env.reset(seed=seed)
        seen: list[Observation] = []
        acts: list[Act] = []
        for step in range(5):
            seen.append(observation)
            acts += policy.act([0], [observation])
            observation = env.step(acts[-1].action)[0]
            window, past = windows[-1][0], min(step + 1, CONTEXT)
            recent = seen[-past:]
            assert window.proprio.shape[:2] == window.codes.shape[:2] == window.action.shape[:2] == (1, past)
            assert np.array_equal(
                window.proprio[0], encode(np.stack([each["proprio"] for each in recent]), low, high)
            )
            for view, camera in enumerate(env.cameras):
                images = np.stack([each["images"][camera] for each in recent])
                assert np.array_equal(window.codes[0, :, view], codes.encode(images))
                assert np.array_equal(window.goal[0, view], codes.encode(seen[0]["goal"][camera]))
            meant = [encode_action(act.label).tolist() for act in acts[-past:-1]]
            assert window.action[0, :-1].tolist() == meant
            assert not window.action[0, -1].any()


@pytest.mark.parametrize(
    "options",
    [{}, {"at_once": True}, {"at_once": True, "context": CONTEXT}],
    ids=["in-turn", "at-once", "context"],
)
def test_plans_are_executed_before_the_agent_is_asked_again(
    data: Data,
    tokeniser: Path,
    tmp_path: Path,
    windows: list[tuple[Window, NDArray[np.int64]]],
    options: dict[str, Any],
) -> None:
    """Two of three planned steps; a slot that begins meanwhile asks at once; a new episode has no plan."""
    config = replace(AGENT, chunk=3, execute=2, **options)
    planner = learn(data, tmp_path / "models" / "planner", config, replace(TRAINING, steps=2))
    worlds = [_env(0), _env(1)]
    policy = Policy(planner, tokeniser)
    policy.begin(0, worlds[0][0], seed=0)
    size = worlds[0][0].arm.action_size
    acts: list[Act] = []
    observation = worlds[0][1]
    for _ in range(4):
        acts += policy.act([0], [observation])
        observation = worlds[0][0].step(acts[-1].action)[0]
    assert len(windows) == 2
    for i, (window, bins) in enumerate(windows):
        plan = bins.reshape(3, size)
        assert np.array_equal(acts[2 * i].label, decode_action(plan[0]))
        assert np.array_equal(acts[2 * i + 1].label, decode_action(plan[1]))
        # A longer window holds the steps at which nobody was asked as well.
        assert window.proprio.shape[1] == (min(2 * i + 1, CONTEXT) if config.context > 1 else 1)
    policy.act([0], [observation])
    policy.begin(1, worlds[1][0], seed=1)
    asked = len(windows)
    policy.act([0, 1], [observation, worlds[1][1]])  # the first goes on with its plan
    assert [len(window.proprio) for window, _ in windows[asked:]] == [1]
    policy.begin(0, worlds[0][0], seed=0)
    policy.act([0], [observation])
    assert len(windows) == asked + 2


def test_slots_at_different_steps(remembering: Path, tokeniser: Path) -> None:
    """An episode that has just begun acts beside one that is under way as each would alone."""
    (first, seen), (second, _) = _env(0), _env(1)
    mixed, alone = Policy(remembering, tokeniser), Policy(remembering, tokeniser)
    for policy in (mixed, alone):
        policy.begin(0, first, seed=0)
        policy.act([0], [seen])
        policy.begin(1, second, seed=1)
    later = first.step(np.zeros(5, np.float32))[0]
    fresh = second.reset(seed=1)[0]
    acts = mixed.act([1, 0], [fresh, later])
    singles = [alone.act([1], [fresh])[0], alone.act([0], [later])[0]]
    for act, single in zip(acts, singles, strict=True):
        assert np.array_equal(act.label, single.label)


def test_exploration_strays_from_the_label_by_its_seed(agent: Path, tokeniser: Path) -> None:
    env, observation = _env(0)
    exact = Policy(agent, tokeniser)
    exact.begin(0, env, seed=1)
    (meant,) = exact.act([0], [observation])
    acts: list[Act] = []
    for seed in (1, 1, 2):
        policy = Policy(agent, tokeniser, explore=0.2)
        policy.begin(0, env, seed)
        acts += policy.act([0], [observation])
    for act in acts:
        assert np.array_equal(act.label, meant.label)
        assert act.action.dtype == np.float32 and np.abs(act.action).max() <= 1
        assert (act.action[:-1] != act.label[:-1]).all()
        assert act.action[-1] == act.label[-1]  # the gripper does not stray
    assert np.array_equal(acts[0].action, acts[1].action)
    assert not np.array_equal(acts[0].action, acts[2].action)


def test_exploration_has_the_declared_size(agent: Path, tokeniser: Path) -> None:
    env, observation = _env(0)
    policy = Policy(agent, tokeniser, explore=0.05)
    strays: list[NDArray[np.float32]] = []
    for seed in range(40):
        policy.begin(0, env, seed)
        (act,) = policy.act([0], [observation])
        strays.append(act.action - act.label)
    assert np.std(np.stack(strays)[:, :-1]) == pytest.approx(0.05, rel=0.25)


def test_one_thread_wherever_it_acts(agent: Path, tokeniser: Path) -> None:
    """So that a worker and the first process make the same episode; the caller's number comes back."""
    env, observation = _env(0)
    policy, before = Policy(agent, tokeniser), torch.get_num_threads()
    used: list[int] = []

    class Counted:
        def __call__(self, logits_BZ: Tensor) -> Tensor:
            used.append(torch.get_num_threads())
            return logits_BZ.argmax(dim=-1)

    policy._choose = Counted()  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    policy.begin(0, env, seed=0)
    torch.set_num_threads(2)
    try:
        policy.act([0], [observation])
        assert (set(used), torch.get_num_threads()) == ({1}, 2)
    finally:
        torch.set_num_threads(before)


def test_provenance_names_the_weights(agent: Path, tokeniser: Path) -> None:
    weights = load_agent(agent, load_tokeniser(tokeniser).weights).weights
    who = Policy(agent, tokeniser).provenance(seed=7)
    assert (who.controller, who.policy, who.generation, who.seed) == (
        "policy", f"generalist-0@{weights}", 0, 7
    )  # fmt: skip


def test_other_cameras_are_refused(agent: Path, tokeniser: Path) -> None:
    env = make("panda", "lift", size=SIZE, cameras=("front",))
    with pytest.raises(CheckpointError, match="generalist-0 reads 2 cameras, the environment has 1: front"):
        Policy(agent, tokeniser).begin(0, env, seed=0)


def test_images_of_another_size_are_refused(agent: Path, tokeniser: Path) -> None:
    env = make("panda", "lift", size=64)
    with pytest.raises(CheckpointError, match="reads pictures of 32 px, the environment's are of 64 px"):
        Policy(agent, tokeniser).begin(0, env, seed=0)


def test_an_agent_that_is_absent_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no config.json in .*nobody"):
        Policy(tmp_path / "nobody", tmp_path / "tokeniser")


def test_another_tokeniser_is_refused(agent: Path, tmp_path: Path) -> None:
    save_tokeniser(tmp_path, VQGAN(VQ), {})
    with pytest.raises(CheckpointError, match="reads the codes of tokeniser"):
        Policy(agent, tmp_path)
