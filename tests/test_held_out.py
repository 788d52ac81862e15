"""What is held out is measured, and neither collected for training nor trained on, whoever asks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from demos.collect import collect
from demos.goals import GoalBank
from demos.store import EpisodeStore
from finetune.practice import practise_episodes
from robocat.config import Practice
from robocat.data import Data, sources_of
from robocat.evaluate import Bench, Cell, make_goals
from robocat.presets import PRESETS
from robocat.train_tokeniser import draw_images
from sim.tasks import TASKS, refuse_held_out
from tests.small_store import small_episode
from tests.tiny import SIZE

TASK = "lift-large"
SAID = f"{TASK}: held out, to measure what was never trained on; "


def _collect(out: Path, **options: object) -> None:
    collect(out=out, arms=("panda",), episodes=2, size=SIZE, workers=1, **options)  # pyright: ignore


def test_those_that_are_held_out_are_named() -> None:
    refuse_held_out(["lift", "stack", "none of ours"], "")
    with pytest.raises(ValueError, match="^lift-large, lift-evening: held out, .*; so nothing$"):
        refuse_held_out(["lift-large", "lift", "lift-evening", "lift-large"], "so nothing")


def test_they_are_collected_only_when_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError) as refused:
        _collect(tmp_path, tasks=("lift", TASK))
    assert str(refused.value) == SAID + "--held-out collects it all the same, for goal images"
    assert not EpisodeStore(tmp_path).exists
    _collect(tmp_path, tasks=(TASK,), held_out=True)
    assert {entry.task for entry in EpisodeStore(tmp_path).entries()} == {TASK}


def test_goals_are_made_of_them(tokeniser: Path, tmp_path: Path) -> None:
    make_goals(Bench(tokeniser, tmp_path / "goals", workers=1), [Cell("panda", TASK, 3, 0)], 300)
    assert [GoalBank(tmp_path / "goals").count("panda", TASK, v) for v in TASKS[TASK].variations] == [1, 1, 1]


@pytest.mark.parametrize("part", ["collection", "adaptation"])
def test_no_cycle_collects_them(part: str) -> None:
    preset = PRESETS["debug"]
    for allowed in (False, True):
        plan = replace(getattr(preset, part), tasks=("reach", TASK), held_out=allowed)
        with pytest.raises(ValueError, match=SAID + "a cycle cannot collect it"):
            replace(preset, **{part: plan})


def test_nobody_practises_them(agent: Path, tokeniser: Path, demos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=SAID + "nothing is practised"):
        bench = Bench(tokeniser, demos, workers=1)
        practise_episodes(agent, ("panda", TASK), bench, out=tmp_path, plan=Practice(episodes=1))
    assert not EpisodeStore(tmp_path).exists


def test_no_agent_is_trained_on_them(tokeniser: Path, demos: Path, tmp_path: Path) -> None:
    _collect(tmp_path / "goals", tasks=(TASK,), held_out=True)
    data = Data((demos, tmp_path / "goals"), (0.5, 0.5), tokeniser, tmp_path / "tokens")
    with pytest.raises(ValueError, match=SAID + f"{tmp_path}/goals has episodes of it"):
        sources_of(data)


def test_no_tokeniser_is_trained_on_them(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    store.commit_many([small_episode(0), small_episode(1, task=TASK)])
    with pytest.raises(ValueError, match=SAID + "its images are not learnt"):
        draw_images([tmp_path], 10, 4, np.random.default_rng(0))
