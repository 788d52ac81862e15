"""Many worlds at once: the bits of single environments, whatever the workers, and Gymnasium's customs."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.error import Error as GymnasiumError
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from sim.arms import ARMS
from sim.env import ManipulationEnv, make
from sim.registration import environment_ids
from sim.scene import Scene
from sim.tasks import TASKS
from sim.tasks.lift import LIFT
from sim.tasks.task import Task
from sim.vector import VectorManipulationEnv

Predicate = Callable[[Scene, str], bool]
WORLDS = 5  # more than workers, and a number that they cannot share evenly


def _soon(success: Predicate, scene: Scene, variation: str) -> bool:
    """Success of itself after a while if the task is the first thing's; else as it was."""
    first = variation.startswith(next(iter(scene.things)))
    return success(scene, variation) or (first and bool(scene.data.time > 0.25))


def _brief(task: str, horizon_s: float = 1.0) -> Task:
    """A task whose episodes soon end, some with success and some for want of time."""
    return replace(
        TASKS[task], name=f"brief-{task}", success=partial(_soon, TASKS[task].success), horizon_s=horizon_s
    )


def _vector(count: int = WORLDS, arm: str = "panda", task: str | Task = "lift", **options: Any) -> Any:
    options = {"size": 16, "workers": 1, **options}
    return VectorManipulationEnv(count, arm, task, **options)


def _singles(count: int, arm: str, task: str | Task, **options: Any) -> SyncVectorEnv:
    """The reference: Gymnasium's own loop over single environments."""
    return SyncVectorEnv([lambda: ManipulationEnv(arm, task, size=16, **options)] * count)


def _moves(env: VectorManipulationEnv, steps: int, seed: int = 0) -> np.ndarray:
    """Random actions (steps, worlds, A)."""
    shape = (steps, *cast("tuple[int, ...]", env.action_space.shape))
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def _assert_same(one: Any, other: Any, at: str) -> None:
    """Same keys, dtypes, shapes and bits, all the way down."""
    assert type(one) is type(other), at
    if isinstance(one, dict):
        assert set(one) == set(other), at
        for name in one:
            _assert_same(one[name], other[name], f"{at} {name}")
    elif isinstance(one, tuple):
        for i, (each, its) in enumerate(zip(one, other, strict=True)):
            _assert_same(each, its, f"{at} {i}")
    else:
        assert (one.dtype, one.shape) == (other.dtype, other.shape), at
        np.testing.assert_array_equal(one, other, err_msg=at)


def _assert_same_worlds(env: VectorManipulationEnv, singles: SyncVectorEnv) -> None:
    scenes = [cast("ManipulationEnv", each).scene for each in singles.envs]
    np.testing.assert_array_equal(env.states(), [scene.state() for scene in scenes])


@pytest.fixture(scope="module")
def two() -> Iterator[VectorManipulationEnv]:
    """Five worlds with two workers, for tests that leave them usable."""
    env = _vector(workers=2)
    yield env
    env.close()


@pytest.mark.parametrize(
    ("arm", "task", "workers", "count", "options"),
    [
        ("panda", "lift", 2, WORLDS, {}),
        ("kuka_hand", "push", 3, 4, {"control_hz": 20, "cameras": ("wrist",)}),
        ("so101", "press-button", 1, 3, {"cameras": ()}),
        ("xarm7", "open-drawer", 1, 2, {}),
        ("viperx_300s", "stack", 1, 2, {"cameras": ()}),
        ("ur5e", "insert-gear", 1, 1, {"cameras": ("front",)}),
    ],
)
def test_worlds_are_as_alone(arm: str, task: str, workers: int, count: int, options: dict[str, Any]) -> None:
    """Through many an end of an episode: observations, rewards, ends, infos and states."""
    brief = _brief(task)
    env, singles = (
        _vector(count, arm, brief, workers=workers, **options),
        _singles(count, arm, brief, **options),
    )
    assert (env.workers, env.num_envs) == (workers, count)
    for mine, its in (
        (env.observation_space, singles.observation_space),
        (env.single_observation_space, singles.single_observation_space),
        (env.action_space, singles.action_space),
        (env.single_action_space, singles.single_action_space),
    ):
        assert mine == its
    _assert_same(env.reset(seed=3), singles.reset(seed=3), "reset")
    ends = np.zeros(2, int)
    for i, actions in enumerate(_moves(env, 3 * env.single.max_steps)):
        mine = env.step(actions)
        _assert_same(mine, singles.step(actions), f"step {i}")
        _assert_same_worlds(env, singles)
        assert mine[0] in env.observation_space
        ends += mine[2].sum(), mine[3].sum()
    assert ends.sum() >= 2 * count
    if count > 1:
        assert ends.min() > 0, "success and want of time have both been seen"
    env.close()


def test_a_world_after_autoreset_is_a_single_environment_reset_without_a_seed() -> None:
    """Or, the same: one whose generator has been through as many episodes."""
    brief = _brief("lift")
    env, alone = _vector(2, task=brief), ManipulationEnv("panda", brief, size=16)
    env.reset(seed=8)
    ended = np.zeros(2, bool)
    for actions in _moves(env, 12):
        observation, rewards, terminated, truncated, infos = env.step(actions)
        if ended[1]:
            break
        ended = terminated | truncated
    assert rewards[1] == 0.0 and not terminated[1] and not truncated[1] and not infos["is_success"][1]
    alone.reset(seed=9)
    first, info = alone.reset()
    assert infos["variation"][1] == info["variation"]
    np.testing.assert_array_equal(env.states()[1], alone.scene.state())
    np.testing.assert_array_equal(observation["images"]["front"][1], first["images"]["front"])
    np.testing.assert_array_equal(observation["goal"]["wrist"][1], first["goal"]["wrist"])


def test_every_id_has_a_vector_entry_point() -> None:
    for name in environment_ids():
        assert gym.registry[name].vector_entry_point == "sim.vector:VectorManipulationEnv"


def test_gymnasium_makes_it() -> None:
    env = gym.make_vec(
        "robocat/panda-lift-v0", num_envs=3, vectorization_mode="vector_entry_point", size=16, workers=1
    )
    assert isinstance(env, VectorManipulationEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert env.spec is not None and env.spec.id == "robocat/panda-lift-v0"
    assert (env.num_envs, env.single.size, env.single.arm.name) == (3, 16, "panda")
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    # Gymnasium's own wrappers work on it, and other ways of its to make vectors have stayed.
    counted = gym.wrappers.vector.RecordEpisodeStatistics(env)
    counted.reset(seed=0)
    counted.step(env.action_space.sample())
    counted.close()
    assert env.closed
    other = gym.make_vec("robocat/panda-lift-v0", num_envs=2, vectorization_mode="sync", size=16)
    assert isinstance(other, SyncVectorEnv)


def test_it_has_the_metadata_of_a_single_one() -> None:
    metadata = _vector(1).metadata
    assert {**ManipulationEnv.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP} == metadata
    assert "autoreset_mode" not in ManipulationEnv.metadata


def test_a_seed_for_all_is_one_more_for_each(two: VectorManipulationEnv) -> None:
    two.reset(seed=4)
    counted = two.states()
    two.reset(seed=[4, 5, 6, 7, 8])
    np.testing.assert_array_equal(two.states(), counted)
    two.reset(seed=tuple(np.arange(4, 9)))
    np.testing.assert_array_equal(two.states(), counted)
    two.reset(seed=np.int64(4))  # type: ignore[arg-type]
    np.testing.assert_array_equal(two.states(), counted)
    two.reset(seed=[8, None, 4, None, 4])
    states = two.states()
    np.testing.assert_array_equal(states[[0, 2, 4]], counted[[4, 0, 0]])
    # Without a seed each goes on with its own generator.
    alone = make("panda", "lift", cameras=())
    alone.reset(seed=5)
    alone.reset()
    np.testing.assert_array_equal(states[1], alone.scene.state())


def test_options_are_for_all_or_for_each(two: VectorManipulationEnv) -> None:
    _, infos = two.reset(seed=0, options={"variation": "blue"})
    assert infos["variation"].tolist() == ["blue"] * WORLDS
    names = ["red", "green", "blue", "red", "green"]
    _, infos = two.reset(seed=0, options={"variation": names})
    assert infos["variation"].tolist() == names
    image = np.full((16, 16, 3), 9, np.uint8)
    seen, _ = two.reset(seed=0, options={"goal": {"front": image, "wrist": image}})
    assert (seen["goal"]["front"] == 9).all() and (seen["goal"]["wrist"] == 9).all()
    images = np.stack([image + i for i in range(WORLDS)])
    seen, _ = two.reset(seed=0, options={"goal": {"front": images, "wrist": image}})
    np.testing.assert_array_equal(seen["goal"]["front"], images)
    assert (seen["goal"]["wrist"] == 9).all()


def test_states_are_restored(two: VectorManipulationEnv) -> None:
    """Worlds go on from states as they went on from them; one state will do for all."""
    goal = two.reset(seed=1, options={"variation": "red"})[0]["goal"]
    moves = _moves(two, 12)
    for actions in moves[:6]:
        two.step(actions)
    states = two.states()
    on = [two.step(actions) for actions in moves[6:]]
    two.reset(options={"state": states, "variation": "red", "goal": goal})
    np.testing.assert_array_equal(two.states(), states)
    for i, (actions, before) in enumerate(zip(moves[6:], on, strict=True)):
        _assert_same(two.step(actions), before, f"step {i}")
    two.reset(options={"state": states[3]})
    np.testing.assert_array_equal(two.states(), [states[3]] * WORLDS)


def test_a_mask_says_which_worlds_are_reset(two: VectorManipulationEnv) -> None:
    singles = _singles(WORLDS, "panda", "lift")
    two.reset(seed=2)
    singles.reset(seed=2)
    for actions in _moves(two, 3):
        two.step(actions)
        singles.step(actions)
    mask = np.array([True, False, False, True, False])
    seeds = [20, 21, 22, 23, 24]
    mine = two.reset(seed=seeds, options={"reset_mask": mask})
    _assert_same(mine, singles.reset(seed=seeds, options={"reset_mask": mask}), "masked reset")
    for i, actions in enumerate(_moves(two, 3, seed=1)):
        _assert_same(two.step(actions), singles.step(actions), f"step {i}")
    assert mask.tolist() == [True, False, False, True, False], "what was given is as it was"


@pytest.mark.parametrize(
    ("seed", "options", "message"),
    [
        ([1, 2], {}, "2 seeds for 5 worlds, expected as many or one"),
        (0, {"gaol": {}}, "unknown reset option 'gaol'; did you mean 'goal'?"),
        (0, {"variation": "rd"}, "unknown lift variation 'rd'; did you mean 'red'?"),
        (0, {"variation": ["red", "blue"]}, "variation has 2 rows, expected one for each of 5 worlds"),
        (0, {"variation": ["red"] * 4 + ["rd"]}, "unknown lift variation 'rd'; did you mean 'red'?"),
        (0, {"state": np.zeros(7)}, "state has shape (7,), expected ("),
        (0, {"state": np.zeros((4, 7))}, "state has 4 rows, expected one for each of 5 worlds"),
        (0, {"goal": {"front": np.zeros((16, 16, 3), np.uint8)}}, "goal has cameras ['front'], expected"),
        (
            0,
            {"goal": dict.fromkeys(("front", "wrist"), np.zeros((2, 16, 16, 3), np.uint8))},
            "goal 'front' has 2 rows, expected one for each of 5 worlds",
        ),
        (0, {"reset_mask": np.ones(5)}, "reset_mask is float64 (5,), expected bool (5,)"),
        (0, {"reset_mask": np.ones(4, bool)}, "reset_mask is bool (4,), expected bool (5,)"),
        (0, {"reset_mask": np.zeros(5, bool)}, "reset_mask has no world, expected at least one"),
    ],
)
def test_wrong_resets_are_named(
    two: VectorManipulationEnv, seed: Any, options: dict[str, Any], message: str
) -> None:
    two.reset(seed=0)
    with pytest.raises(ValueError, match=re.escape(message)):
        two.reset(seed=seed, options=options)
    two.reset(seed=0)
    two.step(np.zeros((WORLDS, 5), np.float32))


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((4, 5), np.float32), "actions have shape (4, 5), expected (5, 5)"),
        (np.zeros(5, np.float32), "actions have shape (5,), expected (5, 5)"),
        (np.float32(0), "actions have shape (), expected (5, 5)"),
        (
            np.diag([0, 0, np.nan, 0, 0]),
            "action of world 2 has numbers that are not finite: [ 0.  0. nan  0.  0.]",
        ),
        (
            np.diag([0, 0, 0, 0, np.inf]),
            "action of world 4 has numbers that are not finite: [ 0.  0.  0.  0. inf]",
        ),
    ],
)
def test_impossible_actions_are_refused_and_change_nothing(
    two: VectorManipulationEnv, actions: Any, message: str
) -> None:
    two.reset(seed=0)
    before = two.states()
    with pytest.raises(ValueError, match=re.escape(message)):
        two.step(actions)
    np.testing.assert_array_equal(two.states(), before)
    move = _moves(two, 1)[0]
    two.step(move)
    after = two.states()
    two.reset(seed=0)
    two.step(move)
    np.testing.assert_array_equal(two.states(), after)


def test_the_action_of_a_world_that_is_reset_is_ignored() -> None:
    env = _vector(2, task=_brief("reach", 0.2), cameras=())
    env.reset(seed=0)
    still = np.zeros((2, 5), np.float32)
    env.step(still)
    assert env.step(still)[3].all()
    observation, *_ = env.step(np.full((2, 5), np.nan))
    assert np.isfinite(observation["proprio"]).all()


def test_actions_are_not_rounded() -> None:
    """An action of float64 does what it does to a single environment."""
    env, alone = _vector(1, cameras=()), make("panda", "lift", cameras=())
    env.reset(seed=0)
    alone.reset(seed=0)
    move = np.full(5, 1 / 3)
    env.step(move[None])
    alone.step(move)  # type: ignore[arg-type]
    np.testing.assert_array_equal(env.states()[0], alone.scene.state())


def test_observations_are_the_receivers_own(two: VectorManipulationEnv) -> None:
    first, infos = two.reset(seed=0)
    kept, progress = first["images"]["front"].copy(), infos["progress"].copy()
    second, *_ = two.step(_moves(two, 1)[0])
    np.testing.assert_array_equal(first["images"]["front"], kept)
    np.testing.assert_array_equal(infos["progress"], progress)
    second["goal"]["front"][:] = 0
    third, *_ = two.step(_moves(two, 1)[0])
    assert third["goal"]["front"].any()


def test_pictures_are_those_of_each_world() -> None:
    env = _vector(3, workers=2, render_mode="rgb_array")
    seen, _ = env.reset(seed=0)
    pictures = env.render()
    assert pictures is not None
    np.testing.assert_array_equal(np.stack(pictures), seen["images"]["front"])
    env.close()
    assert _vector(1).render() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arm": "pnada"}, "unknown arm 'pnada'; did you mean 'panda'?"),
        ({"task": "lft"}, "unknown task 'lft'; did you mean 'lift'?"),
        ({"cameras": ("frnt",)}, "unknown camera 'frnt'; did you mean 'front'?"),
        ({"size": 4}, "image size 4 px is out of range; expected 8 to 1024"),
        ({"count": 0}, "num_envs is 0, expected 1 or more"),
        ({"workers": 0}, "workers is 0, expected 1 or more"),
        ({"randomise": "moderate"}, "randomise is 'moderate', expected None: worlds of a batch share"),
    ],
)
def test_what_is_not_offered_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        _vector(**options)


def test_a_task_that_cannot_be_sent_is_refused() -> None:
    def held_anyhow(scene: Scene, variation: str) -> bool:
        return LIFT.success(scene, variation)

    task = replace(LIFT, name="mine", success=held_anyhow)
    with pytest.raises(ValueError, match="task 'mine' cannot be sent to a worker .*workers=1"):
        _vector(task=task, workers=2)
    _vector(task=task, workers=1).reset(seed=0)


def test_there_are_no_more_workers_than_worlds() -> None:
    assert _vector(1, workers=None).workers == 1
    assert _vector(1, workers=4).workers == 1


def test_a_step_needs_a_reset() -> None:
    env = _vector(2)
    with pytest.raises(ResetNeeded, match="step before reset"):
        env.step(np.zeros((2, 5), np.float32))
    with pytest.raises(ResetNeeded, match="have not been reset yet"):
        env.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(ValueError, match="unknown lift variation"):
        env.reset(options={"variation": ["red", "rd"]})
    with pytest.raises(ResetNeeded, match="step before reset"):
        env.step(np.zeros((2, 5), np.float32))


@pytest.mark.parametrize("workers", [1, 2])
def test_closing_twice_is_closing_once(workers: int) -> None:
    env = _vector(2, workers=workers, cameras=())
    env.reset(seed=0)
    env.close()
    env.close()
    assert env.closed
    with pytest.raises(ClosedEnvironmentError, match="step after close"):
        env.step(np.zeros((2, 5), np.float32))
    with pytest.raises(ClosedEnvironmentError, match="reset after close"):
        env.reset(seed=0)


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_are_of_the_same_kind_whatever_the_workers(workers: int) -> None:
    env = _vector(2, workers=workers, cameras=())
    with pytest.raises(GymnasiumError, match="-1"):
        env.reset(seed=-1)
    env.close()


def _breaks(scene: Scene, variation: str) -> bool:
    if scene.arm.name != "panda":  # on which tasks are tried before they are used
        raise ArithmeticError("no success today")
    return LIFT.success(scene, variation)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_step_that_fails_half_way_asks_for_a_reset(workers: int) -> None:
    env = _vector(2, "sawyer", replace(LIFT, name="breaks", success=_breaks), workers=workers, cameras=())
    env.reset(seed=0)
    with pytest.raises(ArithmeticError, match="no success today"):
        env.step(np.zeros((2, 5), np.float32))
    with pytest.raises(ResetNeeded, match="step before reset"):
        env.step(np.zeros((2, 5), np.float32))
    env.close()


def test_a_worker_that_dies_is_reported_and_the_others_are_ended() -> None:
    env = _vector(2, workers=2, cameras=())
    env.reset(seed=0)
    processes = [link._process for link in env._links]
    os.kill(processes[1].pid, signal.SIGKILL)
    with pytest.raises(ChildProcessError, match="a worker process ended by itself"):
        env.step(np.zeros((2, 5), np.float32))
    assert env.closed
    for process in processes:
        with pytest.raises(ValueError, match="process object is closed"):
            process.is_alive()


def test_arms_act_in_numbers_of_their_own() -> None:
    for arm in ("so101", "kuka_hand"):
        env = _vector(2, arm, cameras=())
        assert env.action_space.shape == (2, ARMS[arm].action_size)
