"""The environment, for every arm and task: spaces, determinism, exact restoration, endings and refusals."""

import re
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from sim.arms import ARMS, MESHED, PAIRS
from sim.env import ManipulationEnv, make
from sim.names import AT_MOST, UnknownName
from sim.registration import environment_id, environment_ids, register_all
from sim.tasks import FOR_PAIRS, TASKS
from sim.tasks.reach import hover_point_m
from sim.tasks.task import HOLD_S
from tests.worlds import ALIKE, FEW, actions, bits, blind, play

pairs = pytest.mark.parametrize(("arm", "task"), ALIKE)
few = pytest.mark.parametrize(("arm", "task"), FEW)


@few
def test_gymnasium_accepts_it(arm: str, task: str) -> None:
    env = gym.make(f"sim.registration:{environment_id(arm, task)}", render_mode="rgb_array", size=16)
    check_env(env.unwrapped)
    # Once more through Gymnasium's own wrappers, one of which checks each step.
    _, info = env.reset(seed=1)
    assert info["is_success"] is False
    for _ in range(3):
        env.step(env.action_space.sample())
    picture = env.render()
    assert isinstance(picture, np.ndarray) and picture.shape == (16, 16, 3)
    env.close()


def test_importing_the_registration_is_enough() -> None:
    env = gym.make("robocat/panda-lift-v0", size=16).unwrapped
    assert isinstance(env, ManipulationEnv)
    assert (env.arm.name, env.task.name, env.size) == ("panda", "lift", 16)
    assert len(environment_ids()) == len(ARMS) * len(TASKS) + 1 == len(set(environment_ids()))
    register_all()  # Gymnasium warns, so this raises, if an id were registered twice.
    assert set(environment_ids()) <= set(gym.registry)


@pairs
def test_spaces_are_those_declared(arm: str, task: str) -> None:
    env = make(arm, task, size=16)
    observation, _ = env.reset(seed=0)
    assert env.action_space == gym.spaces.Box(-1.0, 1.0, (ARMS[arm].action_size,), np.float32)
    space = env.observation_space
    assert isinstance(space, gym.spaces.Dict)
    assert list(space) == ["goal", "images", "proprio"]
    proprio = space["proprio"]
    assert isinstance(proprio, gym.spaces.Box)
    assert proprio.low.tolist() == [np.float32(channel.low) for channel in env.channels]
    assert proprio.high.tolist() == [np.float32(channel.high) for channel in env.channels]
    for kind in ("images", "goal"):
        assert space[kind] == gym.spaces.Dict(
            {camera: gym.spaces.Box(0, 255, (16, 16, 3), np.uint8) for camera in ("front", "wrist")}
        )
    for move in actions(env, 5):
        assert observation in space
        assert {type(image) for image in observation["images"].values()} == {np.ndarray}
        observation = env.step(move)[0]


@few
def test_one_seed_is_one_episode(arm: str, task: str) -> None:
    env = make(arm, task, size=16)
    moves = actions(env, 6)
    first = play(env, moves, seed=3)
    assert play(env, moves, seed=3) == first, "after a reset"
    assert play(make(arm, task, size=16), moves, seed=3) == first, "in another environment"
    assert play(env, moves[:0], seed=4)[0] != first[0]


@pytest.mark.parametrize(
    "worlds",
    [
        [("panda", "lift", 64)] * 3,
        [("panda", "stack", 64), ("ur5e", "push", 64), ("kuka_iiwa14", "reach", 64)],
        [("sawyer", "lift", 32), ("sawyer", "lift", 64), ("sawyer", "push", 64)],
    ],
    ids=["same", "different", "sizes"],
)
def test_environments_side_by_side_are_as_alone(worlds: list[tuple[str, str, int]]) -> None:
    alone: list[list[bytes]] = []
    for seed, (arm, task, size) in enumerate(worlds):
        env = make(arm, task, size=size)
        alone.append(play(env, actions(env, 10, seed), seed))
    envs = [make(arm, task, size=size) for arm, task, size in worlds]
    together = [[bits(env, env.reset(seed=seed)[0])] for seed, env in enumerate(envs)]
    moves = [actions(env, 10, seed) for seed, env in enumerate(envs)]
    for step in range(10):
        for env, seen, its in zip(envs, together, moves, strict=True):
            seen.append(bits(env, env.step(its[step])[0]))
    assert together == alone


@pairs
def test_a_restored_state_goes_on_to_the_same_bits(arm: str, task: str) -> None:
    env = make(arm, task, size=16)
    moves = actions(env, 12)
    goal = env.reset(seed=5)[0]["goal"]
    for move in moves[:6]:
        env.step(move)
    state, variation = env.scene.state(), env.variation
    on = [bits(env, env.step(move)[0]) for move in moves[6:]]
    restored = play(make(arm, task, size=16), moves[6:], state=state, goal=goal, variation=variation)
    assert restored[1:] == on


def test_a_state_is_restored_before_anything_is_seen() -> None:
    env = make("panda", "lift")
    env.reset(seed=5)
    for move in actions(env, 10):
        last = env.step(move)[0]
    again = env.reset(options={"state": env.scene.state()})[0]
    assert all(np.array_equal(last["images"][camera], again["images"][camera]) for camera in env.cameras)
    np.testing.assert_array_equal(again["proprio"], last["proprio"])


def test_what_is_drawn_does_not_depend_on_goals_and_cameras() -> None:
    """Three resets in a row from one seed, of which only the first is given."""
    seen: list[list[bytes]] = []
    image = np.zeros((64, 64, 3), np.uint8)
    given: list[tuple[ManipulationEnv, dict[str, Any]]] = [
        (make("panda", "lift"), {}),
        (make("panda", "lift"), {"goal": {"front": image, "wrist": image}}),
        (make("panda", "lift", size=16, cameras=("wrist",)), {}),
        (blind("panda", "lift"), {}),
    ]
    for env, options in given:
        env.reset(seed=8, options=options)
        states = [env.scene.state().tobytes()]
        for _ in range(2):
            env.reset(options=options)
            states.append(env.scene.state().tobytes() + env.variation.encode())
        seen.append(states)
    assert all(states == seen[0] for states in seen)
    assert len(set(seen[0])) == 3


def test_posing_a_goal_leaves_no_trace() -> None:
    """The first observation is the same whether the goal was posed or given."""
    env = make("ur5e", "stack")
    moves = actions(env, 5)
    posed = play(env, moves, seed=2)
    goal = env.reset(seed=2)[0]["goal"]
    assert play(env, moves, seed=2, goal=goal) == posed


def test_observations_are_the_receivers_own() -> None:
    env = make("panda", "reach")
    first, _ = env.reset(seed=0)
    second = env.step(np.zeros(5, np.float32))[0]
    for kind in ("images", "goal"):
        for camera in env.cameras:
            assert not np.shares_memory(first[kind][camera], second[kind][camera])
            second[kind][camera][:] = 0
    third = env.step(np.zeros(5, np.float32))[0]
    assert third["goal"]["front"].any()


def test_a_goal_that_is_given_is_shown() -> None:
    env = make("panda", "lift", size=16, cameras=("front",))
    goal = {"front": np.full((16, 16, 3), 7, np.uint8)}
    observation, _ = env.reset(seed=0, options={"goal": goal})
    np.testing.assert_array_equal(observation["goal"]["front"], goal["front"])


def test_a_variation_is_drawn_or_given() -> None:
    env = blind("panda", "stack")
    drawn = {env.reset(seed=seed)[1]["variation"] for seed in range(60)}
    assert drawn == set(env.task.variations)
    for variation in env.task.variations:
        assert env.reset(seed=0, options={"variation": variation})[1]["variation"] == variation


def test_success_ends_the_episode_once_it_has_held() -> None:
    """A reach that holds still over its block: the reward comes HOLD_S after the predicate."""
    env = blind("panda", "reach")
    env.reset(seed=0)
    above = hover_point_m(env.scene, env.variation)
    env.scene.limbs[0].set_joints(env._control.tools[0].reach(above))
    env.scene.limbs[0].command_tool(above, np.zeros(3))
    env.scene.forward()
    rewards: list[float] = []
    still = np.array([0, 0, 0, 0, 1], np.float32)
    for _ in range(5):
        _, reward, terminated, truncated, info = env.step(still)
        rewards.append(reward)
        assert terminated == info["is_success"] == (reward == 1.0)
        assert not truncated
    assert rewards == [0.0] * (round(HOLD_S * 10) - 1) + [1.0]


def test_time_runs_out() -> None:
    for hz in (10, 20):
        env = blind("panda", "reach", control_hz=hz)
        env.reset(seed=0)
        still = np.zeros(5, np.float32)
        ends = [env.step(still)[2:4] for _ in range(env.max_steps)]
        assert env.max_steps == env.task.horizon_s * hz
        assert ends == [(False, False)] * (env.max_steps - 1) + [(False, True)]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros(4, np.float32), r"action has shape \(4,\), panda expects \(5,\)"),
        (np.zeros((1, 5), np.float32), r"action has shape \(1, 5\), panda expects \(5,\)"),
        (np.float32(0), r"action has shape \(\), panda expects \(5,\)"),
        (np.array([0, np.nan, 0, 0, 0]), "action has numbers that are not finite: .*nan"),
        (np.array([0, 0, 0, 0, np.inf]), "action has numbers that are not finite: .*inf"),
    ],
)
def test_impossible_actions_are_refused_and_change_nothing(action: Any, message: str) -> None:
    env = blind("panda", "lift")
    env.reset(seed=0)
    before = env.scene.state()
    with pytest.raises(ValueError, match=message):
        env.step(action)
    np.testing.assert_array_equal(env.scene.state(), before)


def test_actions_out_of_range_are_clipped() -> None:
    env = blind("panda", "lift")
    large = np.array([[3, -7, 2, 9, -4]], np.float32)
    assert play(env, large) == play(env, np.sign(large))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"arm": "pnada"},
            f"unknown arm 'pnada'; did you mean 'panda'? arms: "
            f"{', '.join(sorted([*ARMS, *MESHED, *PAIRS]))}; "
            "an arm of your own is given by the path of its .py file",
        ),
        (
            {"task": "lft"},
            "unknown task 'lft'; did you mean 'lift'? tasks: "
            f"{', '.join(sorted([*TASKS, *FOR_PAIRS])[:AT_MOST])}, "
            f"and {len(TASKS) + len(FOR_PAIRS) - AT_MOST} more; "
            "one of your own is given by the path of its .py file",
        ),
        ({"cameras": ("frnt",)}, "unknown camera 'frnt'; did you mean 'front'? cameras: front, wrist"),
        (
            {"cameras": ("front", "front")},
            "cameras ('front', 'front') name one twice; expected each at most once",
        ),
        ({"control_hz": 15}, "control_hz 15 is not offered; expected one of (10, 20)"),
        ({"size": 4}, "image size 4 px is out of range; expected 8 to 1024"),
        ({"size": 2000}, "image size 2000 px is out of range; expected 8 to 1024"),
        ({"render_mode": "human"}, "unknown render mode 'human'; render modes: rgb_array"),
        (
            {"render_mode": "rgb_array", "cameras": ()},
            "render mode 'rgb_array' needs a camera; cameras: front, wrist",
        ),
    ],
)
def test_what_is_not_offered_is_named(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What other tests have declared is offered too.
    monkeypatch.setattr("sim.arms.OWN_ARMS", {})
    monkeypatch.setattr("sim.tasks.OWN_TASKS", {})
    with pytest.raises(ValueError, match=re.escape(message) + "$"):
        make(**{"arm": "panda", "task": "lift", **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variation": "rd"}, "unknown lift variation 'rd'; did you mean 'red'?"),
        ({"gaol": {}}, "unknown reset option 'gaol'; did you mean 'goal'?"),
        (
            {"goal": {"front": np.zeros((8, 8, 3), np.uint8)}},
            "goal has cameras ['front'], expected ['front', 'wrist']",
        ),
        (
            {"goal": dict.fromkeys(("front", "wrist"), np.zeros((9, 8, 3), np.uint8))},
            "is uint8 (9, 8, 3), expected",
        ),
        (
            {"goal": dict.fromkeys(("front", "wrist"), np.zeros((8, 8, 3)))},
            "is float64 (8, 8, 3), expected uint8",
        ),
        ({"goal": dict.fromkeys(("front", "wrist"), "cat.png")}, "is str (), expected uint8 (8, 8, 3)"),
        ({"state": np.zeros(7)}, "state has shape (7,), expected ("),
    ],
)
def test_wrong_reset_options_are_named(options: dict[str, Any], message: str) -> None:
    env = make("panda", "lift", size=8)
    with pytest.raises(ValueError, match=re.escape(message)):
        env.reset(seed=0, options=options)


def test_an_unknown_name_is_its_own_error() -> None:
    with pytest.raises(UnknownName):
        make("panda", "juggle")


def test_without_a_render_mode_there_is_no_picture() -> None:
    env = make("panda", "lift", size=8)
    env.reset(seed=0)
    assert env.render() is None


def test_twice_as_many_steps_lead_to_the_same_place() -> None:
    """20 Hz works as 10 Hz does: after equal times and speeds the tool is in one place, within 5 mm."""
    for arm, task in FEW:
        slow, fast = blind(arm, task), blind(arm, task, control_hz=20)
        slow.reset(seed=0)
        fast.reset(seed=0)
        for move in actions(slow, 6, size=0.5):
            slow.step(move)
            fast.step(move)
            fast.step(move)
        assert np.linalg.norm(slow.scene.tool_m - fast.scene.tool_m) < 0.005
        assert slow.scene.data.time == pytest.approx(fast.scene.data.time)


def test_the_same_seed_puts_things_elsewhere_for_another_arm_or_task() -> None:
    """Or an agent could learn a scene's target by heart from another arm or task in the same scene."""
    places: dict[tuple[str, str], tuple[float, ...]] = {}
    for arm, task in (("panda", "reach"), ("panda", "lift"), ("sawyer", "reach"), ("sawyer", "lift")):
        env = make(arm, task, cameras=())
        env.reset(seed=7, options={"variation": "red", "goal": {}})
        places[arm, task] = tuple(env.scene.position_m("red"))
    assert len(set(places.values())) == len(places)
