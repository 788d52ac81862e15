"""What is odd about content: each finding is planted once, and experts' episodes give none."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos.collect import Collection, collect_experts
from demos.content import FEW, MEANING, Inspector, Oddity
from demos.episode import NOBODY, Episode, Outcome
from demos.expert import SILENT, Noise
from demos.store import EpisodeStore
from robocat.cli import main
from tests.fakes import fake_episode

STEPS = 30


def _clean(**meta: Any) -> Episode:
    """An episode of 30 steps at 10 Hz that moves steadily, in real time."""
    rng = np.random.default_rng(meta.get("seed", 0))
    episode = fake_episode(rng, steps=STEPS, **meta)
    ramp = np.linspace(-1.0, 1.0, STEPS + 1, dtype=np.float32)[:, None]
    acts = np.repeat(np.sin(ramp[1:]), episode.action.shape[1], axis=1)
    proprio = np.repeat(ramp, episode.proprio.shape[1], axis=1)
    return replace(episode, proprio=proprio, action=acts, label=acts, wall_time=np.arange(STEPS + 1) / 10.0)


def _found(episode: Episode) -> list[Oddity]:
    return Inspector().look(episode)


def _changed(key: str, change: Callable[[Any], None], **meta: Any) -> Episode:
    episode = _clean(**meta)
    array = getattr(episode, key).copy()
    change(array)
    return replace(episode, **{key: array})


def _hold_head(proprio: Any) -> None:
    proprio[:13] = proprio[13]


def _hold_tail(proprio: Any) -> None:
    proprio[-13:] = proprio[-13]


def _leap(proprio: Any) -> None:
    proprio[20:, 1] += 2.5


def _chatter(label: Any) -> None:
    label[10:14, 1] = [-1.0, 1.0, -1.0, 1.0]


def _saturate(action: Any) -> None:
    action[:, 0] = 1.0


def _back(wall_time: Any) -> None:
    wall_time[9] = wall_time[7]


def _late(wall_time: Any) -> None:
    wall_time[9:] += 0.2


PLANTED = [
    ("idle head", 1.3, 1.0, _changed("proprio", _hold_head)),
    ("idle tail", 1.2, 1.0, _changed("proprio", _hold_tail)),
    ("proprio jump", 2.5 / 6 + 1 / 90, 0.3, _changed("proprio", _leap)),
    ("action chatter", 3, 3, _changed("label", _chatter)),
    ("saturated action", 1.0, 0.9, _changed("action", _saturate)),
    ("clock goes back", -0.1, 0.0, _changed("wall_time", _back)),
    ("bad cadence", 2.0, 0.5, _changed("wall_time", _late, controller="teleop")),
    ("goal missing", 0, 2, replace(_clean(controller="policy", policy="cat", generation=1), goal={})),
]


@pytest.mark.parametrize(("what", "figure", "threshold", "episode"), PLANTED, ids=[p[0] for p in PLANTED])
def test_what_is_planted_is_found(what: str, figure: float, threshold: float, episode: Episode) -> None:
    (odd,) = [each for each in _found(episode) if each.what != "clock goes back" or what == each.what]
    assert (odd.what, odd.episode, odd.threshold) == (what, episode.id, threshold)
    assert odd.figure == pytest.approx(figure, abs=1e-4)


def test_a_camera_that_froze() -> None:
    episode = _clean()
    front = episode.images["front"].copy()
    front[5:10] = front[5]
    (odd,) = _found(replace(episode, images={**episode.images, "front": front}))
    assert (odd.what, odd.where, odd.figure) == ("duplicate frames", "front", 4)


def test_a_clean_episode_gives_nothing() -> None:
    assert _found(_clean()) == _found(_clean(controller="teleop")) == []


def test_a_late_step_of_a_simulation_is_none() -> None:
    assert _found(_changed("wall_time", _late)) == []


def test_a_joint_that_passes_the_end_of_its_turn_does_not_jump() -> None:
    episode = _clean()
    meta = replace(episode.meta, proprio_ranges=((-np.pi, np.pi),) * 3)
    wrapped = ((episode.proprio * 4 + np.pi) % (2 * np.pi) - np.pi).astype(np.float32)
    assert np.abs(np.diff(wrapped, axis=0)).max() > 5
    assert _found(replace(episode, meta=meta, proprio=wrapped)) == []


def test_an_arm_that_feels_nothing_is_not_idle() -> None:
    episode = _clean()
    meta = replace(episode.meta, proprio_names=(), proprio_units=(), proprio_ranges=())
    assert _found(replace(episode, meta=meta, proprio=episode.proprio[:, :0])) == []


def _together(episodes: list[Episode]) -> list[Oddity]:
    inspector = Inspector()
    for episode in episodes:
        inspector.look(episode)
    odd = inspector.together()
    assert {each.what for each in odd} <= set(MEANING)
    return odd


def test_a_dimension_that_is_dead() -> None:
    label = _clean().label.copy()
    label[:, 1] = 0.25
    (odd,) = _together([replace(_clean(seed=seed), label=label) for seed in range(FEW)])
    assert (odd.episode, odd.what, odd.where, odd.figure) == ("panda", "dead action", "action1", 0.0)


def test_a_variation_that_is_rare() -> None:
    some = [_clean(seed=seed, variation="red" if seed else "blue") for seed in range(2 * FEW)]
    (odd,) = _together(some)
    assert (odd.what, odd.where, odd.episode) == ("rare variation", "blue", "panda lift")
    assert odd.figure == pytest.approx(2 / (2 * FEW)) and odd.figure < odd.threshold


@pytest.mark.parametrize("success", [True, False])
def test_outcomes_that_are_all_alike(success: bool) -> None:
    acted: dict[str, Any] = {"controller": "policy", "policy": "cat", "generation": 1}
    some = [_clean(seed=seed, **acted) for seed in range(FEW)]
    outcome = Outcome(success, "model")
    some = [replace(each, meta=replace(each.meta, outcome=outcome)) for each in some]
    (odd,) = _together(some)
    assert (odd.what, odd.where) == ("one-sided outcome", "failure" if success else "success")
    nobody = [replace(each, meta=replace(each.meta, outcome=Outcome(False, NOBODY))) for each in some]
    assert _together(nobody) == [], "what nobody has judged is no failure"
    assert _together([_clean(seed=seed) for seed in range(FEW)]) == []


@pytest.mark.parametrize("noise", [Noise(), SILENT], ids=["noise", "no noise"])
def test_experts_give_nothing(tmp_path: Path, noise: Noise) -> None:
    plan = Collection(("panda", "ur5e", "kuka_hand"), ("reach", "push", "lift", "stack"), 2, 0, 32, noise)
    collect_experts(tmp_path, plan, 1, "demonstrations")
    store, inspector = EpisodeStore(tmp_path), Inspector()
    assert [odd for id in store.ids() for odd in inspector.look(store.load(id))] == []
    assert inspector.together() == []


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = EpisodeStore(tmp_path)
    store.commit_many([_clean(seed=1), _changed("proprio", _leap, seed=2)])
    assert main(["data", "check", str(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["damaged"] == 0 and said["findings"] == []
    assert {(odd["what"], odd["threshold"]) for odd in said["content"]} == {("proprio jump", 0.3)}
    assert main(["data", "check", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "2 episodes, all intact" in said and "jump" in said


def test_every_figure_stands_under_what_it_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    store = EpisodeStore(tmp_path)
    named = [replace(odd, meta=replace(odd.meta, id=f"{i}-odd")) for i, (*_, odd) in enumerate(PLANTED)]
    store.commit_many(named)
    assert main(["data", "check", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines if line.startswith("  "))
    flat = " ".join(" ".join(lines).split())
    for i, (what, figure, *_) in enumerate(PLANTED):
        assert f"{what}: {MEANING[what]}" in flat
        assert any(line.startswith(f"  {figure:.3g} ") and line.endswith(f" {i}-odd") for line in lines), what
