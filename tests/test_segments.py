"""What a demonstration did about each thing: found from its states, with no word about its task."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from demos.demonstration import read_demonstrations
from demos.episode import Episode
from demos.expert import Expert, Noise
from demos.rollout import Attempt, rollout
from demos.segments import NEAR_M, Segment, find_works, segments
from demos.store import EpisodeStore
from demos.track import Track, read_track
from sim.env import make
from sim.tasks import find_task


@lru_cache
def _shown(task: str, variation: str, seed: int = 0, arm: str = "panda") -> tuple[Episode, Track]:
    env = make(arm, task, cameras=())
    (episode,) = rollout([env], Expert(Noise().scaled(0.5)), [Attempt(seed, variation)])
    assert episode.succeeded
    return episode, read_track(episode)


def _cut(task: str, variation: str, arm: str = "panda") -> list[Segment]:
    things = {thing.name: thing for thing in find_task(task).things}
    return segments(_shown(task, variation, arm=arm)[1], things)


@pytest.mark.parametrize(
    ("task", "variation", "works"),
    [
        ("reach", "green", []),
        ("lift", "green", [("green", True, None)]),
        ("push", "blue", [("blue", False, "target")]),
        ("place", "red", [("red", True, "target")]),
        ("stack", "red-on-blue", [("red", True, "blue")]),
        ("tower", "red-on-blue-on-green", [("blue", True, "green"), ("red", True, "blue")]),
        ("sort", "red-and-blue", [("red", True, "red-disc"), ("blue", True, "blue-disc")]),
        ("open-drawer", "red", [("red", False, None)]),
        ("press-button", "green", [("green", False, None)]),
    ],
)
def test_works_are_found(task: str, variation: str, works: list[tuple[str, bool, str | None]]) -> None:
    found = find_works(_shown(task, variation)[1])
    assert [(each.thing, each.carried, each.goal) for each in found] == works
    assert all(a.start < a.stop <= b.start for a, b in zip(found, found[1:], strict=False))


def _pushed(at_m: dict[str, list[float]]) -> Track:
    """A tool that moves nothing of itself, and things that slide along x as told [m], one number a step."""
    steps = len(next(iter(at_m.values())))
    none = {name: np.zeros(steps, np.bool_) for name in at_m}
    return Track(
        id="made-up",
        task="push",
        variation="a",
        period_s=0.1,
        grip_m=np.zeros((steps, 3)),
        tilt_rad=np.zeros((steps, 3)),
        opened=-np.ones((steps - 1, 1)),
        at_m={name: np.array([[x, 0.05 * i, 0.0] for x in xs]) for i, (name, xs) in enumerate(at_m.items())},
        yaw_rad={name: np.zeros(steps) for name in at_m},
        slide_m={},
        touched=none,
        grasped=none,
    )


def test_of_things_that_move_at_once_the_one_that_moves_most_is_meant() -> None:
    xs = [0.0, 0.0, 0.03, 0.06, 0.09, 0.12, 0.12, 0.12]
    bumped = [0.5, 0.5, 0.5, 0.5, 0.52, 0.54, 0.54, 0.54]
    found = find_works(_pushed({"a": xs, "b": bumped}))
    assert [(each.thing, each.start, each.stop) for each in found] == [("a", 1, 5)]
    assert found[0].moved_m == pytest.approx(0.12)
    brushed = find_works(_pushed({"a": [0.0, 0.0, 0.004, 0.008, 0.008]}))
    assert brushed == []


def test_a_try_is_left_out_and_what_came_before_it() -> None:
    xs = [0.0, 0.02, 0.04, *[0.04] * 6, 0.07, 0.10, 0.13, 0.13]
    track = _pushed({"a": xs, "b": [0.13] * len(xs)})
    track.grip_m[:, 0] = np.linspace(0.0, 0.1, len(xs))
    works = find_works(track)
    assert [each.thing for each in works] == ["a", "a"] and works[-1].goal == "b"
    things = {name: thing for name, thing in zip("ab", find_task("push").things[2:], strict=True)}
    cut = segments(track, things)
    assert [s.at for s in cut] == ["a", "b", "b"]
    assert cut[0].grip_m[0, 0] >= track.grip_m[works[0].stop, 0]
    # From (9, 5) cm before its goal to (0, 5): along the way that is 25 of 103 mm.
    assert cut[1].left_m == pytest.approx(0.05**2 / np.hypot(0.09, 0.05))


def test_segments_are_about_what_the_tool_is_near() -> None:
    cut = _cut("stack", "red-on-blue")
    assert [(s.at, s.held) for s in cut] == [("red", None), ("red", "red"), ("blue", "red"), ("blue", None)]
    for each in cut:
        assert len(each.grip_m) == len(each.tilt_rad) == len(each.opened) >= 1
        # A step of the way may begin outside.
        assert np.linalg.norm(each.grip_m[1:] - each.origin_m, axis=1).max(initial=0.0) < NEAR_M + 0.03
    assert np.all(cut[1].opened < 0.0) and cut[3].opened[-1] > 0.0


def test_a_push_is_seen_along_its_way() -> None:
    episode, track = _shown("push", "blue")
    way, final, _ = _cut("push", "blue")
    assert way.way == final.way == ("blue", "target") and way.held is None
    offset = track.at_m["target"][0] - track.at_m["blue"][0]
    assert way.heading_rad == pytest.approx(np.arctan2(offset[1], offset[0]))
    assert episode.meta.task == track.task


def test_a_track_is_what_the_scene_was() -> None:
    episode, track = _shown("lift", "green")
    env = make("panda", "lift", cameras=())
    env.scene.restore(episode.state[7])
    np.testing.assert_array_equal(track.grip_m[7], env.scene.grip_m)
    np.testing.assert_array_equal(track.at_m["blue"][7], env.scene.position_m("blue"))
    assert track.length == episode.length and track.period_s == 0.1
    assert track.grasped["green"][-1] and not track.grasped["red"].any()


def test_states_of_another_model_are_refused() -> None:
    episode, _ = _shown("lift", "green")
    other = replace(episode, meta=replace(episode.meta, model_hash="0" * 64))
    with pytest.raises(ValueError, match="its states are of model 00000000, expected"):
        read_track(other)


def test_two_arms_are_refused() -> None:
    env = make("panda_pair", "handover", cameras=())
    (episode,) = rollout([env], Expert(), [Attempt(0)])
    with pytest.raises(ValueError, match="panda_pair is two arms; expected what one arm did"):
        read_track(episode)


def test_nothing_is_read_of_failures(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = EpisodeStore(tmp_path_factory.mktemp("failed"))
    env = make("panda", "lift", size=8)
    env.max_steps = 5
    store.commit_many(rollout([env], Expert(), [Attempt(0), Attempt(1)]))
    with pytest.raises(ValueError, match="of 2 episodes of lift none succeeded; expected one or more"):
        read_demonstrations(store, "lift")
