"""Statistics of a store, worked out again from its episodes."""

import json
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


def test_other_channels_are_refused(store: EpisodeStore) -> None:
    store.commit(fake_episode(np.random.default_rng(1), seed=99, actions=4))
    with pytest.raises(ValueError, match="have different channels; filter them apart"):
        figures(store, store.entries())


def test_on_the_command_line(store: EpisodeStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "stats", str(store.path), "--json", "--arms", "ur5e"]) == 0
    assert [row["arm"] for row in json.loads(capsys.readouterr().out)] == ["ur5e"]
    assert main(["data", "stats", str(store.path)]) == 0
    assert "panda lift: 3 episodes, 2 (67%) successful, 15 steps" in capsys.readouterr().out
