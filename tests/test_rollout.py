"""The environment loop: what it records, that batch and order do not matter, and exact replay."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from demos.controller import Act
from demos.episode import Episode, Provenance
from demos.episode_file import content_hash
from demos.expert import Expert, Noise
from demos.replay import Replay, environment, replay
from demos.rollout import Attempt, model_hash, rollout
from demos.store import EpisodeStore
from sim.env import ManipulationEnv, Observation, make
from tests.worlds import FEW, blind


class Still:
    """A policy that does nothing, and remembers which goals it was shown."""

    def __init__(self) -> None:
        self.goals: list[np.ndarray] = []
        self._sizes: dict[int, int] = {}

    def provenance(self, seed: int) -> Provenance:
        return Provenance(controller="policy", policy="still", generation=2, seed=seed)

    def begin(self, slot: int, env: ManipulationEnv, seed: int) -> None:
        del seed
        self._sizes[slot] = env.arm.action_size

    def act(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[Act]:
        self.goals += [observation["goal"]["front"] for observation in observations]
        return [Act(*[np.zeros(self._sizes[slot], np.float32)] * 2) for slot in slots]


def _recorded(arm: str, task: str, seed: int = 0, size: int = 32) -> Episode:
    return next(rollout([make(arm, task, size=size)], Expert(Noise()), [Attempt(seed)]))


@pytest.fixture(scope="module", params=FEW, ids="-".join)
def episode(request: pytest.FixtureRequest) -> Episode:
    """An expert's, of each task; pytest keeps one at a time for the tests of it."""
    return _recorded(*request.param, size=16)


def test_an_episode_replays_to_the_last_bit(episode: Episode) -> None:
    again = replay(episode)
    assert (again.meta.provenance.controller, again.meta.provenance.seed) == ("replay", 0)
    assert again.meta.variation == episode.meta.variation
    theirs = again.arrays()
    for key, array in episode.arrays().items():
        if key != "wall_time":
            np.testing.assert_array_equal(theirs[key], array, err_msg=key)
    assert episode.goal == {}, "an expert was shown no goal"


def test_an_episode_goes_on_alike_from_any_of_its_states(episode: Episode) -> None:
    """From the middle, where something is held or pushed, and from shortly before the end."""
    env = environment(episode.meta)
    for start in (episode.length // 2, episode.length - 4):
        env.reset(options={"variation": episode.meta.variation, "state": episode.state[start]})
        for step in range(start, episode.length):
            observation = env.step(episode.action[step])[0]
            np.testing.assert_array_equal(env.scene.state(), episode.state[step + 1])
            for camera in env.cameras:
                np.testing.assert_array_equal(observation["images"][camera], episode.images[camera][step + 1])


@pytest.mark.parametrize(("arm", "task"), [("panda", "stack"), ("ur5e", "push")])
def test_neither_the_batch_nor_the_order_matters(arm: str, task: str) -> None:
    attempts = [Attempt(seed) for seed in range(6)]

    def hashes(count: int, chosen: Sequence[Attempt]) -> dict[str, str]:
        envs = [make(arm, task, size=32) for _ in range(count)]
        return {episode.id: content_hash(episode) for episode in rollout(envs, Expert(Noise()), chosen)}

    alone = hashes(1, attempts)
    assert len(alone) == 6
    assert hashes(4, attempts) == alone
    assert hashes(4, attempts[::-1]) == alone


@pytest.mark.parametrize(("arm", "task"), [("panda", "lift"), ("ur5e", "reach")])
def test_what_is_recorded_is_the_episode(arm: str, task: str, tmp_path: Path) -> None:
    env = make(arm, task, size=32)
    variation = env.task.variations[-1]
    episode = next(rollout([env], Expert(Noise()), [Attempt(7, variation)]))
    meta = episode.meta
    assert (meta.arm, meta.task, meta.variation, meta.control_hz) == (arm, task, variation, 10)
    assert (meta.cameras, meta.image_size) == (("front", "wrist"), (32, 32))
    assert meta.proprio_names == tuple(channel.name for channel in env.channels)
    assert meta.action_names == env.arm.action_names
    assert meta.provenance == Provenance(controller="expert", seed=7)
    assert meta.gl_renderer == env.gl_renderer
    assert meta.model_hash == model_hash(make(arm, task).scene.model)
    assert episode.succeeded and episode.success.tolist() == [False] * (episode.length - 1) + [True]
    assert np.all(np.diff(episode.wall_time) >= 0)
    assert not np.array_equal(episode.action, episode.label)
    store = EpisodeStore(tmp_path)
    store.commit(episode)
    assert store.check() == []
    assert content_hash(store.load(episode.id)) == content_hash(episode)
    # Made again it is the same, so that a second commit changes nothing.
    again = next(rollout([env], Expert(Noise()), [Attempt(7, variation)]))
    assert store.commit(again) == store.entries()[0]
    assert len(store) == 1


def test_failures_are_recorded_too(tmp_path: Path) -> None:
    env = make("panda", "reach", size=16)
    controller = Still()
    episode = next(rollout([env], controller, [Attempt(0)]))
    assert episode.length == env.max_steps == 50
    assert not episode.succeeded and not episode.success.any()
    assert episode.meta.provenance == Provenance("policy", "still", 2, 0)
    # What an agent was shown is part of the record.
    assert set(episode.goal) == {"front", "wrist"}
    assert all(np.array_equal(goal, episode.goal["front"]) for goal in controller.goals)
    EpisodeStore(tmp_path).commit(episode)


def test_a_goal_that_is_given_is_shown_and_recorded() -> None:
    env = make("panda", "reach", size=16)
    goal = {camera: np.full((16, 16, 3), 9, np.uint8) for camera in env.cameras}
    controller = Still()
    episode = next(rollout([env], controller, [Attempt(0, goal=goal)]))
    assert all(np.array_equal(shown, goal["front"]) for shown in controller.goals)
    assert np.array_equal(episode.goal["wrist"], goal["wrist"])
    assert np.array_equal(replay(episode).goal["wrist"], goal["wrist"])


def test_an_episode_without_cameras_is_an_episode() -> None:
    episode = next(rollout([blind("panda", "reach")], Expert(), [Attempt(0)]))
    assert episode.meta.cameras == () and episode.meta.gl_renderer == "none"
    assert np.array_equal(replay(episode).state, episode.state)


def test_no_attempts_are_no_episodes() -> None:
    assert list(rollout([blind("panda", "reach")], Expert(), [])) == []


def test_a_replay_elsewhere_is_refused() -> None:
    episode = _recorded("panda", "reach", size=16)
    for other, message in (
        (make("ur5e", "reach"), "was recorded with arm panda, this is ur5e"),
        (make("panda", "lift"), "was recorded with task reach, this is lift"),
        (make("panda", "reach", control_hz=20), "was recorded with control_hz 10.0, this is 20.0"),
    ):
        with pytest.raises(ValueError, match=message):
            Replay(episode).begin(0, other, 0)
    changed = dataclasses.replace(episode, meta=dataclasses.replace(episode.meta, model_hash="0" * 16))
    with pytest.raises(ValueError, match="was recorded with model_hash 0000000000000000, this is"):
        replay(changed)


def test_a_replay_that_outlasts_its_episode_is_refused() -> None:
    episode = _recorded("panda", "reach", size=16)
    cut = {key: getattr(episode, key)[:3] for key in ("action", "label", "success")}
    cut |= {key: getattr(episode, key)[:4] for key in ("proprio", "progress", "state", "wall_time")}
    images = {camera: image[:4] for camera, image in episode.images.items()}
    outcome = dataclasses.replace(episode.meta.outcome, success=False)
    short = Episode(images=images, meta=dataclasses.replace(episode.meta, outcome=outcome), **cut)
    with pytest.raises(ValueError, match="has ended after 3 steps, and its replay has not"):
        replay(short)


@pytest.mark.parametrize("odd", [{"image_size": (16, 24)}, {"control_hz": 12.5}])
def test_an_episode_of_no_environment_is_named(odd: dict[str, object]) -> None:
    meta = dataclasses.replace(_recorded("panda", "reach", size=16).meta, **odd)
    with pytest.raises(ValueError, match="no environment has"):
        environment(meta)
