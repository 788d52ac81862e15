"""Segments in other scenes: the tool goes where it went about the thing, by ways that the arm can keep to."""

from dataclasses import replace

import numpy as np
import pytest

from demos.roles import alike, casts
from demos.segments import Segment
from demos.transfer import SPEED, moved, path
from sim.env import make
from sim.poses import rotation_z
from sim.scene import Scene
from sim.tasks import find_task
from sim.tool_control import TILT_LIMIT_RAD, fence_m


def _segment(**changes: object) -> Segment:
    """Down to a thing at the origin that is not turned, with jaws that open and then shut."""
    plain = Segment(
        at="red",
        way=None,
        held=None,
        origin_m=np.zeros(3),
        heading_rad=0.0,
        turns=4,
        period_s=0.1,
        grip_m=np.array([[0.05, 0.0, 0.1], [0.01, 0.0, 0.05], [0.01, 0.0, 0.0]]),
        tilt_rad=np.zeros((3, 3)),
        opened=np.array([[1.0], [1.0], [-1.0]]),
        in_hand_m=np.zeros(3),
        in_hand_rad=0.0,
        held_turns=4,
        left_m=0.0,
    )
    return replace(plain, **changes)  # pyright: ignore[reportArgumentType]


def _scene(task: str = "lift", arm: str = "panda") -> Scene:
    env = make(arm, task, cameras=())
    env.reset(seed=3)
    return env.scene


def _place(scene: Scene, name: str, at_m: tuple[float, float, float], yaw_rad: float = 0.0) -> None:
    scene.place(name, np.array(at_m), yaw_rad)
    scene.forward()


@pytest.mark.parametrize("yaw_rad", [0.0, 0.4, -0.7])
def test_the_frame_is_the_things(yaw_rad: float) -> None:
    scene, segment = _scene(), _segment()
    _place(scene, "green", (0.55, 0.1, 0.02), yaw_rad)
    there = moved(segment, {"red": "green"}, scene)
    expected = np.array([0.55, 0.1, 0.02]) + segment.grip_m @ rotation_z(yaw_rad).T
    np.testing.assert_allclose(there.grip_m, expected, atol=1e-9)
    np.testing.assert_allclose(there.tilt_rad, [[0.0, 0.0, yaw_rad]] * 3, atol=1e-9)


@pytest.mark.parametrize(
    ("turns", "tool_rad", "yaw_rad", "turned_rad"),
    [
        (4, 0.0, 1.2, 1.2 - np.pi / 2),  # a cube's next face is nearer
        (4, 0.7, 0.6, 0.6 - np.pi / 2),  # the nearest is beyond what the tool may turn
        (2, 0.0, 2.9, 2.9 - np.pi),
        (1, 0.0, 0.3, 0.3),
        (0, 0.0, 1.2, 0.0),  # round
    ],
)
def test_a_turn_is_the_least_that_is_as_good(
    turns: int, tool_rad: float, yaw_rad: float, turned_rad: float
) -> None:
    scene = _scene()
    _place(scene, "red", (0.5, 0.0, 0.02), yaw_rad)
    segment = _segment(turns=turns, tilt_rad=np.array([[0.0, 0.0, tool_rad]] * 3))
    yaws = moved(segment, {"red": "red"}, scene).tilt_rad[:, 2]
    assert yaws == pytest.approx(tool_rad + turned_rad)
    assert np.abs(yaws).max() < TILT_LIMIT_RAD[2]


def test_a_push_turns_with_its_way_and_the_tool_as_little_as_it_must() -> None:
    scene = _scene("push")
    _place(scene, "red", (0.5, 0.0, 0.02), 0.3)
    _place(scene, "target", (0.4, 0.0, 0.0))
    back = moved(_segment(way=("red", "target")), {"red": "red", "target": "target"}, scene)
    np.testing.assert_allclose(back.grip_m[0], [0.45, 0.0, 0.12], atol=1e-9)
    np.testing.assert_allclose(back.tilt_rad, 0.0, atol=1e-9)


def test_what_is_held_comes_to_the_same_place() -> None:
    """It lies 1 cm farther forward in the jaws than it did: the tool stays 1 cm behind."""
    scene = _scene("stack")
    segment = _segment(at="blue", held="red")
    _place(scene, "blue", (0.5, 0.1, 0.02))
    _place(scene, "red", tuple(scene.grip_m + [0.01, 0.0, 0.0]))
    there = moved(segment, {"blue": "blue", "red": "red"}, scene)
    expected = np.array([0.5, 0.1, 0.02]) + segment.grip_m - [0.01, 0.0, 0.0]
    np.testing.assert_allclose(there.grip_m, expected, atol=1e-6)


@pytest.mark.parametrize("arm", ["panda", "jaco2"])
def test_a_path_keeps_to_speed_and_fence(arm: str) -> None:
    scene = _scene(arm=arm)
    _place(scene, "red", (0.62, 0.21, 0.02), 0.5)
    segment = moved(_segment(), {"red": "red"}, scene)
    way = path(segment, scene, 10)
    steps = np.diff(np.vstack([scene.grip_m, way.grip_m]), axis=0)
    assert np.linalg.norm(steps, axis=1).max() <= SPEED * scene.arm.linear_m_s / 10 + 1e-9
    low, high = fence_m(scene.arm)
    assert np.all(way.grip_m >= low) and np.all(way.grip_m <= high)
    np.testing.assert_allclose(way.grip_m[-1], np.clip(segment.grip_m[-1], low, high))
    assert way.opened[0] == 1.0 and way.opened[-1] == -1.0
    assert np.sum(np.diff(way.opened[:, 0]) != 0.0) == 1


def test_a_path_begins_by_rising() -> None:
    """From the table to above something else: what lies between is not swept away."""
    env = make("panda", "lift", cameras=())
    env.reset(seed=3)
    for _ in range(15):
        env.step(np.array([-0.5, 0.0, -1.0, 0.0, 1.0], dtype=np.float32))
    scene = env.scene
    _place(scene, "red", (0.6, 0.1, 0.02))
    start = scene.grip_m
    assert start[2] < 0.03
    way = path(moved(_segment(), {"red": "red"}, scene), scene, 10).grip_m
    across = np.linalg.norm(way[:, :2] - start[:2], axis=1)
    assert way[across < 0.02][-1, 2] > 0.1 and np.argmax(way[:, 2]) >= 2


@pytest.mark.parametrize(
    ("task", "used", "before", "after", "expected"),
    [
        ("lift", ["red"], "red", "blue", [{"red": "blue"}]),
        ("stack", ["red", "green"], "red-on-green", "green-on-red", [{"red": "green", "green": "red"}]),
        ("sort", ["red", "red-disc", "blue", "blue-disc"], "red-and-blue", "green-and-blue",
         [{"red": "green", "red-disc": "green-disc", "blue": "blue", "blue-disc": "blue-disc"}]),
        ("push", ["red", "target"], "red", "green", [{"red": "green", "target": "target"}]),
        ("sort", ["red"], "all", "red-and-blue", []),
        ("sort", ["red", "red-disc"], "all", "all", [
            {"red": name, "red-disc": f"{name}-disc"} for name in ("red", "green", "blue")]),
        ("lift-fruit", ["apple"], "apple", "banana", []),
        ("lift-fruit", ["apple"], "apple", "apple", [{"apple": "apple"}]),
        ("pyramid", ["red", "green", "blue"], "blue", "red", [
            {"blue": "red", "red": "green", "green": "blue"},
            {"blue": "red", "red": "blue", "green": "green"}]),
    ],
)  # fmt: skip
def test_who_stands_for_whom(
    task: str, used: list[str], before: str, after: str, expected: list[dict[str, str]]
) -> None:
    things = {thing.name: thing for thing in find_task(task).things}
    assert list(casts(used, things, before, after)) == expected


def test_only_name_and_colour_may_differ() -> None:
    blocks = {thing.name: thing for thing in find_task("push").things}
    assert alike(blocks["red"], blocks["blue"])
    assert not alike(blocks["red"], blocks["target"])
    drawers = find_task("open-drawer").things
    assert alike(drawers[0], drawers[1])
    large = {thing.name: thing for thing in find_task("lift-large").things}
    assert not alike(blocks["red"], next(iter(large.values())))
