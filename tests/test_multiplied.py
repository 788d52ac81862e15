"""Demonstrations done again: in other scenes, on other arms, after mishaps, at any rate of control."""

from functools import lru_cache

import numpy as np
import pytest

from demos.demonstration import Demonstration, demonstration
from demos.episode import Episode
from demos.expert import SILENT, Expert, Noise
from demos.multiplied import Multiplied
from demos.rollout import Attempt, rollout
from demos.track import read_track
from sim.env import ManipulationEnv, make
from sim.tasks import find_task


@lru_cache
def _shown(task: str, variations: tuple[str, ...], arm: str = "panda", hz: int = 10) -> tuple[Episode, ...]:
    env = make(arm, task, cameras=(), control_hz=hz)
    attempts = [Attempt(seed, variation) for seed, variation in enumerate(variations)]
    return tuple(rollout([env], Expert(Noise().scaled(0.5)), attempts))


def _demonstrations(
    task: str, variations: tuple[str, ...], arm: str = "panda", hz: int = 10
) -> list[Demonstration]:
    things = {thing.name: thing for thing in find_task(task).things}
    made: list[Demonstration] = []
    for episode in _shown(task, variations, arm, hz):
        assert episode.succeeded
        made.append(demonstration(read_track(episode), things))
    return made


def _again(
    shown: list[Demonstration], env: ManipulationEnv, variation: str, seeds: range, noise: Noise = SILENT
) -> list[Episode]:
    return list(rollout([env], Multiplied(shown, noise), [Attempt(seed, variation) for seed in seeds]))


SEEDS = range(50, 54)


@pytest.mark.parametrize("arm", ["panda", "ur5e", "kuka_hand"])
@pytest.mark.parametrize(
    ("task", "shown", "variation"),
    [
        ("reach", ("red", "green"), "blue"),
        ("lift", ("red", "green"), "blue"),
        ("stack", ("red-on-green", "green-on-blue"), "blue-on-red"),
        ("place", ("red", "green"), "blue"),
        ("press-button", ("red", "green"), "blue"),
        ("open-drawer", ("red",), "blue"),
    ],
)
def test_it_is_done_again(arm: str, task: str, shown: tuple[str, ...], variation: str) -> None:
    """Two demonstrations on a Panda, of other colours: one of four scenes may be too much."""
    env = make(arm, task, cameras=())
    done = _again(_demonstrations(task, shown), env, variation, SEEDS)
    assert sum(each.succeeded for each in done) >= 3
    ids = {episode.id for episode in _shown(task, shown)}
    for each in done:
        who = each.meta.provenance
        assert who.controller == "multiplied" and set(who.sources) <= ids and len(who.sources) == 1
        assert not each.goal
        np.testing.assert_array_equal(each.action, each.label)


@pytest.mark.parametrize(("shown_hz", "hz"), [(20, 10), (10, 20)])
def test_at_another_rate(shown_hz: int, hz: int) -> None:
    env = make("panda", "lift", cameras=(), control_hz=hz)
    done = _again(_demonstrations("lift", ("red", "green"), hz=shown_hz), env, "blue", SEEDS)
    assert all(each.succeeded for each in done)


def test_in_worlds_that_differ() -> None:
    """Of demonstrations whose worlds were randomised, too."""
    env = make("panda", "lift", cameras=(), randomise="moderate")
    things = {thing.name: thing for thing in find_task("lift").things}
    episodes = list(
        rollout([env], Expert(), [Attempt(seed, name) for seed, name in enumerate(("red", "blue"))])
    )
    shown = [demonstration(read_track(episode), things) for episode in episodes if episode.succeeded]
    done = _again(shown, env, "green", SEEDS)
    assert sum(each.succeeded for each in done) >= 3
    assert all(each.meta.drawn is not None for each in done)


def test_of_a_hand_for_jaws() -> None:
    env = make("panda", "lift", cameras=())
    done = _again(_demonstrations("lift", ("red", "green"), arm="kuka_hand"), env, "blue", SEEDS)
    assert all(each.succeeded for each in done)


def test_noise_is_not_in_the_label_and_comes_from_the_seed() -> None:
    shown, env = _demonstrations("lift", ("red", "green")), make("panda", "lift", cameras=())
    one, two = (_again(shown, env, "red", range(60, 61), Noise())[0] for _ in range(2))
    assert not np.array_equal(one.action, one.label)
    np.testing.assert_array_equal(one.state, two.state)
    other = _again(shown, env, "red", range(61, 62), Noise())[0]
    assert one.id != other.id and not np.array_equal(one.action[:5], other.action[:5])


def test_what_was_dropped_is_fetched_again() -> None:
    """The jaws are forced open once while they carry."""

    class Clumsy(Multiplied):
        dropped = False

        def act(self, slots, observations):  # pyright: ignore
            (act,) = super().act(slots, observations)
            if env.scene.position_m("blue")[2] > 0.06 and not Clumsy.dropped:
                Clumsy.dropped = True
                act = act._replace(action=np.array([0.0, 0.0, 0.0, 0.0, 1.0], dtype=np.float32))
            return [act]

    env = make("panda", "lift", cameras=())
    shown = _demonstrations("lift", ("red", "green"))
    (episode,) = rollout([env], Clumsy(shown), [Attempt(50, "blue")])
    assert Clumsy.dropped and episode.succeeded
    assert np.sum(np.diff(episode.label[:, -1]) < 0.0) == 2  # shut, and shut again


def test_nothing_fits() -> None:
    env = make("panda", "lift-fruit", cameras=())
    shown = _demonstrations("lift-fruit", ("apple",))
    assert _again(shown, env, "apple", SEEDS)[0].succeeded
    with pytest.raises(ValueError, match="no demonstration can be done as lift-fruit 'banana'; expected"):
        _again(shown, env, "banana", SEEDS)
