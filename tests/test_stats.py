"""Statistics of a store, worked out again from its episodes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos.stats import QUANTILES, figures
from demos.store import EpisodeStore
from robocat.cli import main
from tests.fakes import fake_episode


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    rng = np.random.default_rng(0)
    store = EpisodeStore(tmp_path)
    for seed in range(6):
        kind: dict[str, Any] = {"arm": ("panda", "ur5e")[seed % 2], "task": "lift"}
        store.commit(fake_episode(rng, steps=3 + seed, seed=seed, success=seed > 1, **kind))
    return store


def test_figures_are_those_of_the_episodes(store: EpisodeStore) -> None:
    rows = figures(store, store.entries())
    assert [(row["arm"], row["episodes"], row["successful"]) for row in rows] == [
        ("panda", 3, 2),
        ("ur5e", 3, 2),
    ]
    panda = [store.load(entry.id) for entry in store.entries() if entry.arm == "panda"]
    action = np.concatenate([each.action for each in panda])
    assert rows[0]["steps"] == len(action) == 3 + 5 + 7
    assert rows[0]["length"] == pytest.approx(np.quantile([3, 5, 7], QUANTILES))
    assert rows[0]["action"]["action1"]["quantiles"] == pytest.approx(
        np.quantile(action[:, 1], QUANTILES), abs=1e-5
    )
    assert rows[0]["proprio"]["joint0"]["unit"] == "rad"


def test_the_beat_of_teleoperation_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two people's episodes at 10 Hz, one tick of them 20 ms late; an expert's time means nothing."""
    rng, store = np.random.default_rng(0), EpisodeStore(tmp_path)
    late = np.array([0.0, 0.1, 0.2, 0.32, 0.4])
    for seed, times in enumerate((late, np.arange(5) / 10)):
        episode = fake_episode(rng, steps=4, seed=seed, controller="teleop")
        store.commit(replace(episode, wall_time=1e9 + times))
    store.commit(fake_episode(rng, steps=4, seed=9))
    (row,) = figures(store, store.entries())
    assert row["cadence"]["p50_ms"] == pytest.approx(100.0, abs=0.01)
    assert row["cadence"]["p95_ms"] == pytest.approx(113.0, abs=0.1)
    assert (row["cadence"]["late"], row["cadence"]["ticks"]) == (1, 8)
    assert main(["data", "stats", str(store.path)]) == 0
    assert "control period 100.0 ms (median), 113.0 ms (p95), 1 of 8 late" in capsys.readouterr().out
    assert "cadence" not in figures(store, [store.entries()[0]])[0]


def test_other_channels_are_refused(store: EpisodeStore) -> None:
    store.commit(fake_episode(np.random.default_rng(1), seed=99, actions=4))
    with pytest.raises(ValueError, match="have different channels; filter them apart"):
        figures(store, store.entries())


def test_on_the_command_line(store: EpisodeStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "stats", str(store.path), "--json", "--arms", "ur5e"]) == 0
    assert [row["arm"] for row in json.loads(capsys.readouterr().out)] == ["ur5e"]
    assert main(["data", "stats", str(store.path)]) == 0
    assert "panda lift: 3 episodes, 2 (67%) successful, 15 steps" in capsys.readouterr().out
