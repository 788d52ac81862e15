"""What a demonstration did about each thing: found from its states, with no word about its task."""

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
