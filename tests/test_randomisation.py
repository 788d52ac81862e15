"""Randomised worlds: off changes nothing, on follows from the seed, stays in its ranges and replays."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest

from demos.collect import collect
from demos.episode import Episode, EpisodeMeta
from demos.expert import Expert, Noise
from demos.replay import environment, replay
from demos.rollout import Attempt, rollout
from demos.store import EpisodeStore
from sim.env import make
from sim.names import UnknownName
from sim.randomisation import MODERATE, NOTHING, Drawn, Randomisation
from sim.tasks import TASKS
from tests.worlds import actions, bits, blind, play

SIZE = 32
# Which arrays of a compiled model each range may change, besides what follows from masses.
CHANGES = {
    "table_tint": {"geom_rgba"},
    "thing_tint": {"geom_rgba"},
    "lamp_tint": {"light_diffuse"},
    "lamp": {"light_diffuse"},
    "ambient": set[str](),  # not an array: in `vis.headlight`
    "lamp_turn_rad": {"light_pos", "light_dir"},
    "front_m": {"cam_pos"},
    "front_rad": {"cam_quat"},
    "wrist_m": {"cam_pos"},
    "wrist_rad": {"cam_quat"},
    "friction": {"geom_friction"},
    "pad_friction": {"geom_friction"},
    "mass": {"body_mass", "body_inertia"},
    "gain": {"actuator_gainprm", "actuator_biasprm"},
    "latency_s": {"actuator_delay"},
}
DERIVED = {
    *("body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0", "tendon_invweight0"),
    *("actuator_acc0", "cam_pos0", "cam_poscom0", "cam_mat0", "light_pos0", "light_poscom0", "light_dir0"),
}


@pytest.fixture(scope="module")
def episode() -> Episode:
    env = make("panda", "lift", size=SIZE, randomise="moderate")
    return next(rollout([env], Expert(Noise()), [Attempt(3)]))


def arrays(model: Any) -> dict[str, np.ndarray]:
    found = {name: getattr(model, name) for name in dir(model) if not name.startswith("_")}
    return {name: value.copy() for name, value in found.items() if isinstance(value, np.ndarray)}


@pytest.mark.parametrize("nothing", [None, "none", Randomisation()])
def test_off_is_as_it_was(nothing: Randomisation | str | None) -> None:
    plain, off = make("panda", "lift", size=SIZE), make("panda", "lift", size=SIZE, randomise=nothing)
    assert off.scene.model is plain.scene.model is plain.scene.base
    assert off.drawn is None
    moves = actions(plain, 5)
    assert play(off, moves) == play(plain, moves)


@pytest.mark.parametrize("ranges", [MODERATE, dataclasses.replace(MODERATE, latency_s=(0.0, 0.0))])
def test_a_randomised_world_leaves_the_others_alone(ranges: Randomisation) -> None:
    """Without latency they share one compiled model, and with or without it the process and its renderers."""
    plain = make("ur5e", "push", size=SIZE)
    before = arrays(plain.scene.model)
    moves = actions(plain, 6)
    alone = play(plain, moves)
    other = make("ur5e", "push", size=SIZE, randomise=ranges)
    beside: list[bytes] = []
    for move in (None, *moves):
        seen = [env.reset(seed=0)[0] if move is None else env.step(move)[0] for env in (other, plain)]
        beside.append(bits(plain, seen[1]))
        assert bits(other, seen[0]) != beside[-1]
    assert beside == alone
    after = arrays(plain.scene.model)
    assert all(np.array_equal(after[name], value) for name, value in before.items())


@pytest.mark.parametrize("arm", ["panda", "kuka_hand"])
def test_on_follows_from_the_seed_alone(arm: str) -> None:
    one, two = (make(arm, "stack", size=SIZE, randomise="moderate") for _ in range(2))
    moves = actions(one, 5)
    first = play(one, moves, seed=5)
    play(two, moves, seed=9)
    assert two.drawn != one.drawn
    assert play(two, moves, seed=5) == first and two.drawn == one.drawn
    assert play(one, moves, seed=5) == first, "what was drawn before is left over"


def test_things_lie_where_they_lie_without_it() -> None:
    plain, other = blind("panda", "lift"), blind("panda", "lift", randomise="moderate")
    for seed in range(5):
        plain.reset(seed=seed)
        other.reset(seed=seed)
        assert plain.variation == other.variation
        for name in plain.scene.things:
            np.testing.assert_array_equal(plain.scene.position_m(name), other.scene.position_m(name))


def test_numbers_are_in_their_ranges_fill_them_and_differ() -> None:
    env = blind("panda", "push", randomise="moderate")
    drawn: list[Drawn] = []
    for seed in range(60):
        env.reset(seed=seed)
        assert env.drawn is not None
        drawn.append(env.drawn)
    for field in dataclasses.fields(Drawn):
        span = getattr(MODERATE, field.name)
        low, high = span if isinstance(span, tuple) else (-span, span)
        values = np.array([getattr(each, field.name) for each in drawn])
        assert low <= values.min() < low + 0.2 * (high - low)
        assert high - 0.2 * (high - low) < values.max() <= high
        assert len(np.unique(values)) == values.size, f"{field.name}: numbers go together"


def test_no_range_is_left_out_here() -> None:
    assert list(CHANGES) == [field.name for field in dataclasses.fields(Randomisation)]


@pytest.mark.parametrize("name", CHANGES)
def test_a_range_changes_what_it_is_of_and_nothing_else(name: str) -> None:
    env = blind("sawyer", "lift", randomise=dataclasses.replace(NOTHING, **{name: getattr(MODERATE, name)}))
    before = arrays(env.scene.base)
    env.reset(seed=0)
    after = arrays(env.scene.model)
    changed = {key for key, value in before.items() if not np.array_equal(after[key], value)}
    assert changed - DERIVED == CHANGES[name]
    lights = (env.scene.base.vis.headlight, env.scene.model.vis.headlight)
    assert np.array_equal(lights[0].ambient, lights[1].ambient) == (name != "ambient")


def test_lateness_is_what_was_drawn() -> None:
    """Told to go, an arm that acts 20 ms late moves as one that is told 20 ms later."""
    late = blind("panda", "lift", randomise=dataclasses.replace(NOTHING, latency_s=(0.02, 0.02)))
    prompt = blind("panda", "lift")
    for env in (late, prompt):
        env.reset(seed=0)
    control = np.array(prompt.scene.limbs[0].joint_command_rad) + 0.05
    ways: list[np.ndarray] = []
    for env in (late, prompt):
        model, data = env.scene.model, env.scene.data
        data.ctrl[env.scene.limbs[0].ctrl] = control
        way: list[np.ndarray] = []
        for _ in range(60):
            mujoco.mj_step(model, data)
            way.append(env.scene.limbs[0].joints_rad)
        ways.append(np.array(way))
    np.testing.assert_allclose(ways[0][10:], ways[1][:-10], atol=1e-4)
    assert np.abs(ways[0][:10] - ways[0][0]).max() < 1e-6 < np.abs(ways[1][9] - ways[1][0]).max()


@pytest.mark.parametrize(("arm", "task"), [("panda", "lift"), ("ur5e", "push"), ("sawyer", "stack")])
def test_experts_succeed_on_most(arm: str, task: str) -> None:
    env = blind(arm, task, randomise="moderate")
    made = [each.succeeded for each in rollout([env], Expert(Noise()), [Attempt(seed) for seed in range(20)])]
    assert sum(made) >= 16


def test_an_episode_replays_bit_for_bit_from_what_it_holds(episode: Episode, tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    store.commit(episode)
    stored = store.load(episode.id)
    assert stored.meta == episode.meta
    assert (stored.meta.randomisation, stored.meta.drawn is not None) == (MODERATE, True)
    again = replay(stored)
    assert again.meta.drawn == episode.meta.drawn and again.meta.model_hash == episode.meta.model_hash
    for key, array in episode.arrays().items():
        if key != "wall_time":
            assert array.tobytes() == again.arrays()[key].tobytes(), key
    assert not store.check()


def test_its_goal_is_posed_again_as_it_was(episode: Episode) -> None:
    meta, goals = episode.meta, list[dict[str, np.ndarray]]()
    for _ in range(2):
        env = environment(meta)
        options = {"variation": meta.variation, "state": episode.state[0], "drawn": meta.drawn}
        goals.append(env.reset(seed=meta.provenance.seed, options=options)[0]["goal"])
    first = make("panda", "lift", size=SIZE, randomise="moderate").reset(seed=3)[0]["goal"]
    plain = make("panda", "lift", size=SIZE).reset(seed=3)[0]["goal"]
    for camera in meta.cameras:
        assert np.array_equal(goals[0][camera], goals[1][camera])
        assert np.array_equal(goals[0][camera], first[camera])
        assert not np.array_equal(goals[0][camera], plain[camera])


def test_what_is_not_of_its_world_does_not_replay_there(episode: Episode) -> None:
    with pytest.raises(ValueError, match="it shares its model with others"):
        replay(episode, make("panda", "lift", size=SIZE))
    assert episode.meta.drawn is not None
    other = dataclasses.replace(episode.meta.drawn, friction=1.1)
    changed = dataclasses.replace(episode, meta=dataclasses.replace(episode.meta, drawn=other))
    with pytest.raises(ValueError, match="was recorded with model_hash"):
        replay(changed)


def test_others_are_written_as_before_and_read(episode: Episode) -> None:
    plain = next(rollout([make("panda", "lift", size=SIZE)], Expert(Noise()), [Attempt(3)]))
    record = json.loads(plain.meta.to_json())
    assert not {"randomisation", "drawn"} & set(record)
    assert EpisodeMeta.from_json(plain.meta.to_json()) == plain.meta
    assert plain.id != episode.id, "one attempt in two worlds is two"
    with pytest.raises(ValueError, match="randomisation, drawn: got one of them, expected both or neither"):
        dataclasses.replace(episode.meta, drawn=None)


def test_collecting_adds_randomised_episodes_beside_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def more(randomise: str) -> str:
        options: dict[str, Any] = {"arms": ("panda",), "tasks": ("reach",), "size": 16, "episodes": 3}
        collect(out=tmp_path, workers=1, randomise=randomise, **options)
        return capsys.readouterr().out

    assert [more(each).split(": ")[1].split(",")[0] for each in ("none", "moderate", "none", "moderate")] == [
        "3 new episodes",
        "3 new episodes",
        "nothing new; 6 in all\n",
        "nothing new; 6 in all\n",
    ]
    metas = [EpisodeStore(tmp_path).load(id).meta for id in EpisodeStore(tmp_path).ids()]
    assert sorted(meta.drawn is not None for meta in metas) == [False] * 3 + [True] * 3


def test_gymnasium_takes_it_by_name() -> None:
    env: Any = gym.make("sim.registration:robocat/panda-lift-v0", randomise="moderate", size=SIZE).unwrapped
    moves = actions(env, 3)
    assert play(env, moves) == play(make("panda", "lift", size=SIZE, randomise=MODERATE), moves)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table_tint": -0.1}, "table_tint: got -0.1, expected 0 to 1"),
        ({"front_m": float("nan")}, "front_m: got nan, expected 0 to 1"),
        ({"mass": (1.2, 0.8)}, r"mass: got \(1.2, 0.8\), expected two of 0.001 to 1000, rising"),
        ({"friction": (0.0, 1.0)}, r"friction: got \(0.0, 1.0\), expected two of 0.001"),
        ({"latency_s": (0.0, 0.5)}, r"latency_s: got \(0.0, 0.5\), expected two of 0 to 0.1"),
        ({"gain": (1.0,)}, r"gain: got \(1.0,\), expected two"),
    ],
)
def test_ranges_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"randomisation: {message}"):
        Randomisation(**changes)


def test_unknown_names_are_explained() -> None:
    with pytest.raises(UnknownName, match="did you mean 'moderate'.* randomisations: moderate, none"):
        make("panda", "lift", randomise="moderat")
    with pytest.raises(UnknownName, match="unknown randomisation"):
        collect(randomise="wild")


def test_every_task_has_randomised_worlds() -> None:
    """Also those whose things have parts that move, or are meshes."""
    for name in ("open-drawer", "press-button", "insert-gear", "lift-fruit", "sort"):
        assert name in TASKS
        env = blind("panda", name, randomise="moderate")
        env.reset(seed=0)
        env.step(np.zeros(env.arm.action_size, np.float32))
