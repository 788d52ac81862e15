"""The tasks, for every arm: placements, variations, predicates, progress, and what a goal shows."""

from itertools import combinations

import numpy as np
import pytest

from demos.aims import aim
from demos.expert import action_towards
from sim.names import UnknownName
from sim.scene import TABLE_CENTRE_M
from sim.tasks import TASKS, find_task, place, push, stack
from sim.tasks.catalogue import HELD_OUT, TRAINING
from sim.tasks.task import GAP_M, PATCH_M, WIDE_PATCH_M, closeness, names, scatter, scatter_outside, spread
from sim.things.blocks import COLOURS
from sim.things.thing import Solid
from tests.worlds import ALIKE, PAIRS, blind

pairs = pytest.mark.parametrize(("arm", "task"), PAIRS)
alike = pytest.mark.parametrize(("arm", "task"), ALIKE)
SEEDS = range(50)


def test_table_is_keyed_by_the_tasks_names() -> None:
    assert all(name == task.name for name, task in TASKS.items())
    assert find_task("lift") is TASKS["lift"]
    with pytest.raises(UnknownName, match="did you mean 'stack'"):
        find_task("stak")


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_whole(name: str) -> None:
    task = TASKS[name]
    assert len(set(task.variations)) == len(task.variations) >= 2
    assert task.summary and not task.summary.endswith(".")
    assert 1.0 < task.horizon_s < 60.0
    assert len({thing.name for thing in task.things}) == len(task.things)


@pytest.mark.parametrize("name", TASKS)
def test_placements_are_inside_the_patch_stand_and_vary(name: str) -> None:
    env = blind("panda", name)
    spots: list[np.ndarray] = []
    for seed in SEEDS:
        env.reset(seed=seed)
        at = {thing: env.scene.position_m(thing) for thing in env.scene.things}
        for thing, position in at.items():
            patch = PATCH_M if env.task.place is scatter else WIDE_PATCH_M
            if isinstance(env.scene.things[thing], Solid):
                assert np.all(np.abs(position[:2] - TABLE_CENTRE_M) <= patch)
                assert position[2] >= env.scene.solid(thing).rest_m - 1e-9
        spots.append(np.concatenate([position[:2] for position in at.values()]))
    assert np.ptp(np.array(spots), axis=0).min() > 0.01, "something is always in one place"


@pytest.mark.parametrize("name", [n for n, task in TASKS.items() if task.place in (scatter, scatter_outside)])
def test_what_is_scattered_is_apart_and_anywhere(name: str) -> None:
    env = blind("panda", name)
    spots: list[np.ndarray] = []
    for seed in SEEDS:
        env.reset(seed=seed)
        scene = env.scene
        for one, other in combinations(scene.things.values(), 2):
            apart = np.linalg.norm((scene.position_m(one.name) - scene.position_m(other.name))[:2])
            assert apart >= one.radius_m + other.radius_m + GAP_M - 1e-9
        spots.append(scene.position_m(names(env.task.things)[0])[:2])
    assert np.all(np.ptp(np.array(spots), axis=0) > 1.5 * PATCH_M), "the first thing is always in one place"


def test_what_is_meant_lies_outside_where_nothing_else_does() -> None:
    env = blind("panda", "lift-outside")
    for seed in SEEDS:
        env.reset(seed=seed)
        assert np.any(np.abs(env.scene.position_m(env.variation)[:2] - TABLE_CENTRE_M) > PATCH_M)


def test_there_are_as_many_tasks_as_robocat_had_and_what_measures_is_apart() -> None:
    """253 tasks trained on and 141 variations measured (see the README); no thing or light is in both."""
    trained = [(task.name, v) for task in TRAINING for v in task.variations]
    measured = [(task.name, v) for task in HELD_OUT for v in task.variations]
    assert len(trained) >= 253 and len(measured) == 141
    assert not {task.name for task in TRAINING} & {task.name for task in HELD_OUT}
    assert not any(task.held_out for task in TRAINING) and all(task.held_out for task in HELD_OUT)
    seen = {(task.things, task.light, task.place) for task in TRAINING}
    assert not seen & {(task.things, task.light, task.place) for task in HELD_OUT}


@pytest.mark.parametrize("name", TASKS)
def test_what_was_placed_stays_where_it_is(name: str) -> None:
    """Nothing overlaps or falls: with a still arm, a second later everything is where it was put."""
    env = blind("panda", name)
    for seed in range(3):
        env.reset(seed=seed)
        before = {thing: env.scene.position_m(thing) for thing in env.scene.things}
        for _ in range(10):
            env.step(np.array([0, 0, 0, 0, 1], np.float32))
        for thing, position in before.items():
            np.testing.assert_allclose(env.scene.position_m(thing), position, atol=2e-3, err_msg=thing)


@alike
def test_no_episode_starts_in_success(arm: str, task: str) -> None:
    env = blind(arm, task)
    seen: set[str] = set()
    for seed in SEEDS:
        _, info = env.reset(seed=seed)
        assert not env.task.success(env.scene, env.variation), f"seed {seed}"
        assert 0.0 <= info["progress"] < 1.0
        seen.add(env.variation)
    assert seen == set(env.task.variations), "a variation never occurs"


@alike
def test_progress_is_one_exactly_in_success(arm: str, task: str) -> None:
    """All along the way of an expert, who also lets go again."""
    env = blind(arm, task)
    env.reset(seed=1)
    progress: list[float] = []
    for _ in range(env.max_steps):
        action = action_towards(env.scene.limbs[0], aim(env.task, env.scene, env.variation), env.control_hz)
        if 1.0 in progress:
            action[2:] = 1.0  # Up and open: out of most successes.
        *_, info = env.step(action)
        progress.append(info["progress"])
        assert 0.0 <= progress[-1] <= 1.0
        assert (progress[-1] == 1.0) == env.task.success(env.scene, env.variation)
        if 1.0 in progress[:-10]:
            break
    assert 1.0 in progress
    assert progress[0] < 0.8


@pairs
def test_the_goal_that_is_posed_is_a_success(arm: str, task: str) -> None:
    """Also after half a second of physics with the gripper as posed: what the image shows can stay so."""
    env = blind(arm, task)
    for seed, variation in enumerate(TASKS[task].variations):
        env.reset(seed=seed, options={"variation": variation})
        env._pose_success(np.random.default_rng(seed))
        scene = env.scene
        scene.limbs[0].command_tool(scene.tool_m, np.zeros(3))
        jaws = -1.0 if scene.width_m < 0.065 else 1.0
        still = np.zeros(env.arm.action_size, np.float32)
        still[env.arm.cartesian_dof :] = jaws
        if env.task.family != "lift":  # There, the jaws touch the thing but do not press yet.
            assert env.task.success(scene, variation)
        for step in range(5):
            *_, info = env.step(still)
            assert env.task.success(scene, variation), f"{variation}: lost in step {step}"
        assert info["is_success"]


def test_a_push_is_as_long_as_declared_and_its_way_is_free() -> None:
    env = blind("panda", "push")
    for seed in SEEDS:
        env.reset(seed=seed)
        way = push.offset_m(env.scene, env.variation)
        start = env.scene.position_m(env.variation)[:2]
        assert push.TRAVEL_M[0] <= np.linalg.norm(way) <= push.TRAVEL_M[1]
        for name in {*COLOURS} - {env.variation}:
            for share in np.linspace(0.0, 1.0, 11):
                apart = env.scene.position_m(name)[:2] - start - share * way
                assert np.linalg.norm(apart) > push.CORRIDOR_M


def test_a_stack_in_the_hand_is_none_yet() -> None:
    """Letting go is part of it; touching it from the side is not letting go."""
    env = blind("panda", "stack")
    env.reset(seed=0, options={"variation": "red-on-blue"})
    env._pose_success(np.random.default_rng(0))
    scene = env.scene
    assert stack.moves(scene, "red-on-blue")[0].lies(scene) and env.task.success(scene, "red-on-blue")
    assert not env.task.success(scene, "green-on-blue") and not env.task.success(scene, "blue-on-red")
    scene.limbs[0].set_joints(env._control.tools[0].reach(scene.position_m("red")))
    scene.limbs[0].set_gripper(0.0395)
    scene.forward()
    assert scene.grasped("red") and stack.moves(scene, "red-on-blue")[0].lies(scene)
    assert not env.task.success(scene, "red-on-blue")


def test_a_block_held_on_the_disc_is_not_placed_yet() -> None:
    """Nor is one above it, nor another block."""
    env = blind("panda", "place")
    env.reset(seed=0, options={"variation": "green"})
    env._pose_success(np.random.default_rng(0))
    scene, move = env.scene, place.moves(env.scene, "green")[0]
    assert move.lies(scene) and move.done(scene) and env.task.success(scene, "green")
    assert not env.task.success(scene, "red")
    scene.limbs[0].set_joints(env._control.tools[0].reach(scene.position_m("green")))
    scene.limbs[0].set_gripper(0.0395)
    scene.forward()
    assert scene.grasped("green") and move.lies(scene)
    assert not move.done(scene) and not env.task.success(scene, "green")
    scene.place("green", scene.position_m("green") + np.array([0.0, 0.0, 0.03]))
    scene.forward()
    assert not move.lies(scene)


def test_a_block_thrown_into_the_air_is_not_lifted() -> None:
    env = blind("panda", "lift")
    env.reset(seed=0, options={"variation": "red"})
    env.scene.place("red", np.array([0.5, 0.1, 0.2]))
    env.scene.forward()
    assert not env.task.success(env.scene, "red")
    assert env.task.progress(env.scene, "red") < 0.5


def test_what_a_fixture_has_not_is_not_asked_of_it() -> None:
    scene = blind("panda", "push").scene
    with pytest.raises(ValueError, match="'target' is not free to move; things that are: red, green, blue"):
        scene.solid("target")


def test_points_that_do_not_fit_at_first_are_found_in_the_end() -> None:
    for seed in range(20):
        points = spread(np.random.default_rng(seed), [0.03] * 4, gap_m=0.09)
        assert min(np.linalg.norm(one - other) for one, other in combinations(points, 2)) >= 0.15


def test_closeness_falls_from_one_to_zero() -> None:
    assert [closeness(d, 0.1, 0.2) for d in (0.0, 0.1, 0.2, 0.3, 9.0)] == pytest.approx([1, 1, 0.5, 0, 0])
