"""The tasks, for every arm: placements, variations, predicates, progress, and what a goal shows."""

from itertools import combinations

import numpy as np
import pytest

from demos.aims import AIMS
from demos.expert import action_towards
from sim.names import UnknownName
from sim.scene import TABLE_CENTRE_M
from sim.tasks import TASKS, find_task, place, push, stack
from sim.tasks.task import CLEARANCE_M, COLOUR_NAMES, PATCH_M, closeness, side_m, spread
from sim.things.blocks import TARGET
from tests.worlds import PAIRS, blind

pairs = pytest.mark.parametrize(("arm", "task"), PAIRS)
SEEDS = range(50)


def test_table_is_keyed_by_the_tasks_names() -> None:
    assert all(name == task.name for name, task in TASKS.items())
    assert find_task("lift") is TASKS["lift"]
    with pytest.raises(UnknownName, match="did you mean 'stack'"):
        find_task("stak")


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_whole(name: str) -> None:
    task = TASKS[name]
    assert len(set(task.variations)) == len(task.variations) >= 3
    assert task.summary and not task.summary.endswith(".")
    assert 1.0 < task.horizon_s < 60.0
    assert len({thing.name for thing in task.things}) == len(task.things)


@pytest.mark.parametrize("name", TASKS)
def test_placements_are_clear_of_each_other_inside_the_patch_and_varied(name: str) -> None:
    env = blind("panda", name)
    spots: list[np.ndarray] = []
    for seed in SEEDS:
        env.reset(seed=seed)
        scene = env.scene
        at = {thing: scene.position_m(thing) for thing in scene.things}
        for one, other in combinations(at, 2):
            # A disc may lie nearer to a block than two blocks do: nothing is grasped there.
            least = 0.07 if name == "push" else CLEARANCE_M
            assert np.linalg.norm((at[one] - at[other])[:2]) >= least
        for thing, position in at.items():
            assert np.all(np.abs(position[:2] - TABLE_CENTRE_M) <= PATCH_M)
            if thing != TARGET.name:
                assert position[2] == pytest.approx(side_m(scene, thing) / 2)
        spots.append(at[COLOUR_NAMES[0]][:2])
    spread_m = np.ptp(np.array(spots), axis=0)
    assert np.all(spread_m > 1.5 * PATCH_M), "the red block is always in one place"


@pytest.mark.parametrize("name", TASKS)
def test_what_was_placed_stays_where_it_is(name: str) -> None:
    """Nothing overlaps or falls: with a still arm, a second later everything is where it was put."""
    env = blind("panda", name)
    for seed in range(5):
        env.reset(seed=seed)
        before = {thing: env.scene.position_m(thing) for thing in env.scene.things}
        for _ in range(10):
            env.step(np.array([0, 0, 0, 0, 1], np.float32))
        for thing, position in before.items():
            np.testing.assert_allclose(env.scene.position_m(thing), position, atol=1e-3)


@pairs
def test_no_episode_starts_in_success(arm: str, task: str) -> None:
    env = blind(arm, task)
    seen: set[str] = set()
    for seed in SEEDS:
        _, info = env.reset(seed=seed)
        assert not env.task.success(env.scene, env.variation), f"seed {seed}"
        assert 0.0 <= info["progress"] < 1.0
        seen.add(env.variation)
    assert seen == set(env.task.variations), "a variation never occurs"


@pairs
def test_progress_is_one_exactly_in_success(arm: str, task: str) -> None:
    """All along the way of an expert, who also lets go again."""
    env = blind(arm, task)
    env.reset(seed=1)
    progress: list[float] = []
    for step in range(60):
        action = action_towards(env.scene, AIMS[task](env.scene, env.variation), env.control_hz)
        if step > 45:
            action[2:] = 1.0  # Up and open: out of most successes.
        *_, info = env.step(action)
        progress.append(info["progress"])
        assert 0.0 <= progress[-1] <= 1.0
        assert (progress[-1] == 1.0) == env.task.success(env.scene, env.variation)
    assert 1.0 in progress
    assert progress[0] < 0.8


@pairs
def test_the_goal_that_is_posed_is_a_success(arm: str, task: str) -> None:
    """Also after half a second of physics with the gripper as posed: what the image shows can stay so."""
    for seed, variation in enumerate(TASKS[task].variations):
        env = blind(arm, task)
        env.reset(seed=seed, options={"variation": variation})
        env._pose_success(np.random.default_rng(seed))
        scene = env.scene
        scene.command_tool(scene.tool_m, np.zeros(3))
        jaws = -1.0 if scene.width_m < 0.05 else 1.0
        still = np.zeros(env.arm.action_size, np.float32)
        still[env.arm.cartesian_dof :] = jaws
        if task != "lift":  # There, the jaws touch the block but do not press yet.
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
        for name in set(COLOUR_NAMES) - {env.variation}:
            for share in np.linspace(0.0, 1.0, 11):
                apart = env.scene.position_m(name)[:2] - start - share * way
                assert np.linalg.norm(apart) > push.CORRIDOR_M


def test_a_stack_in_the_hand_is_none_yet() -> None:
    """Letting go is part of it; touching it from the side is not letting go."""
    env = blind("panda", "stack")
    env.reset(seed=0, options={"variation": "red-on-blue"})
    env._pose_success(np.random.default_rng(0))
    scene = env.scene
    assert stack.seated(scene, "red-on-blue") and env.task.success(scene, "red-on-blue")
    assert not env.task.success(scene, "green-on-blue") and not env.task.success(scene, "blue-on-red")
    scene.set_joints(env._control.reach(scene.position_m("red")))
    scene.set_gripper(0.0395)
    scene.forward()
    assert scene.grasped("red") and stack.seated(scene, "red-on-blue")
    assert not env.task.success(scene, "red-on-blue")


def test_a_block_held_on_the_disc_is_not_placed_yet() -> None:
    """Nor is one above it, nor another block."""
    env = blind("panda", "place")
    env.reset(seed=0, options={"variation": "green"})
    env._pose_success(np.random.default_rng(0))
    scene = env.scene
    assert place.lies(scene, "green") and env.task.success(scene, "green")
    assert not env.task.success(scene, "red")
    scene.set_joints(env._control.reach(scene.position_m("green")))
    scene.set_gripper(0.0395)
    scene.forward()
    assert scene.grasped("green") and place.lies(scene, "green")
    assert not env.task.success(scene, "green")
    scene.place("green", scene.position_m("green") + np.array([0.0, 0.0, 0.03]))
    scene.forward()
    assert not place.lies(scene, "green")


def test_a_block_thrown_into_the_air_is_not_lifted() -> None:
    env = blind("panda", "lift")
    env.reset(seed=0, options={"variation": "red"})
    env.scene.place("red", np.array([0.5, 0.1, 0.2]))
    env.scene.forward()
    assert not env.task.success(env.scene, "red")
    assert env.task.progress(env.scene, "red") < 0.5


def test_only_blocks_have_a_side() -> None:
    scene = blind("panda", "push").scene
    with pytest.raises(ValueError, match="'target' is not a block; blocks: red, green, blue"):
        side_m(scene, "target")


def test_points_that_do_not_fit_at_first_are_found_in_the_end() -> None:
    for seed in range(20):
        points = spread(np.random.default_rng(seed), 4, clearance_m=0.15)
        assert min(np.linalg.norm(one - other) for one, other in combinations(points, 2)) >= 0.15


def test_closeness_falls_from_one_to_zero() -> None:
    assert [closeness(d, 0.1, 0.2) for d in (0.0, 0.1, 0.2, 0.3, 9.0)] == pytest.approx([1, 1, 0.5, 0, 0])
