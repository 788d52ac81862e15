"""What a store holds, and stores made of others: nothing is lost, changed or counted twice."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demos.manifest import Entry
from demos.select import ALL, Selection
from demos.stock import filter_, info, merge, part_of, split
from demos.store import EpisodeStore
from robocat.cli import main
from sim.names import UnknownName
from tests.fakes import fake_episode, same_episode


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    """Twelve episodes: two arms, two tasks, experts and a policy, some of them failures."""
    rng = np.random.default_rng(0)
    store = EpisodeStore(tmp_path / "store")
    for seed in range(12):
        acted = {"controller": "policy", "policy": "cat", "generation": 1} if seed % 3 == 0 else {}
        what = {"arm": ("panda", "ur5e")[seed % 2], "task": ("lift", "push")[seed // 6]}
        store.commit(fake_episode(rng, seed=seed, success=seed % 4 != 0, **what, **acted))
    return store


def test_a_store_is_counted(store: EpisodeStore, capsys: pytest.CaptureFixture[str]) -> None:
    info(store.path, as_json=True)
    rows, entries = json.loads(capsys.readouterr().out), store.entries()
    assert sum(row["episodes"] for row in rows) == 12
    assert sum(row["steps"] for row in rows) == sum(entry.length for entry in entries)
    assert sum(row["bytes"] for row in rows) == sum(entry.bytes for entry in entries)
    named = {(row["arm"], row["task"], row["by"]): row for row in rows}
    assert named["panda", "lift", "policy cat, generation 1"]["episodes"] == 1
    assert all(sum(row["variations"].values()) == row["episodes"] for row in rows)
    info(store.path, pick=Selection(tasks=("push",)))
    assert "6 episodes, 5 successful" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (ALL, range(12)),
        (Selection(arms=("panda",)), range(0, 12, 2)),
        (Selection(outcome="failure"), (0, 4, 8)),
        (Selection(outcome="success", tasks=("push",)), (6, 7, 9, 10, 11)),
        (Selection(controllers=("policy",)), (0, 3, 6, 9)),
        (Selection(generation=1, arms=("ur5e",)), (3, 9)),
    ],
)
def test_what_is_meant(store: EpisodeStore, selection: Selection, meant: range) -> None:
    assert sorted(entry.seed for entry in selection.of(store)) == [*meant]


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection(arms=("pnada",)), "unknown arm in .* 'pnada'; did you mean 'panda'"),
        (Selection(tasks=("stack",)), "unknown task in .* 'stack'"),
        (Selection(controllers=("human",)), "unknown controller 'human'"),
        (Selection(outcome="good"), "unknown outcome 'good'"),
    ],
)
def test_words_that_fit_nothing(store: EpisodeStore, selection: Selection, said: str) -> None:
    with pytest.raises(UnknownName, match=said):
        selection.of(store)


def test_a_kind_that_is_not_there(store: EpisodeStore) -> None:
    with pytest.raises(ValueError, match="no episode of .* is of that kind; `robocat data info` says"):
        Selection(generation=7).of(store)


def test_filtered_episodes_are_the_same(store: EpisodeStore, tmp_path: Path) -> None:
    filter_(store.path, out=tmp_path / "failures", pick=Selection(outcome="failure"))
    some = EpisodeStore(tmp_path / "failures")
    assert len(some) == 3
    for id in some.ids():
        assert same_episode(some.load(id), store.load(id))
    before = store.digest()
    filter_(store.path, out=tmp_path / "failures", pick=Selection(outcome="failure"))
    assert len(some) == 3 and store.digest() == before


def test_split_and_merged_is_the_whole(store: EpisodeStore, tmp_path: Path) -> None:
    split(store.path, out=tmp_path / "parts", shares=(0.5, 0.3, 0.2))
    parts = sorted((tmp_path / "parts").iterdir())
    assert [path.name for path in parts] == ["0", "1", "2"]
    merge(tuple(parts), out=tmp_path / "again")
    assert EpisodeStore(tmp_path / "again").digest() == store.digest()
    merge((store.path, *parts), out=tmp_path / "again")  # what is there is not counted twice
    assert EpisodeStore(tmp_path / "again").digest() == store.digest()


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5), st.text(max_size=20))
def test_every_episode_has_apart_of(weights: list[float], id: str) -> None:
    shares = tuple(weight / sum(weights) for weight in weights)
    assert 0 <= part_of(id, shares) < len(shares)


def test_parts_have_their_shares() -> None:
    parts = [part_of(f"episode-{i}", (0.6, 0.3, 0.1)) for i in range(4000)]
    assert np.bincount(parts) / 4000 == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


def test_impossible_requests(store: EpisodeStore, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shares 0.5 0.6 are not above 0 with a sum of 1"):
        split(store.path, out=tmp_path / "parts", shares=(0.5, 0.6))
    with pytest.raises(ValueError, match="is one of the stores themselves; expected another folder"):
        merge((store.path,), out=store.path)
    with pytest.raises(ValueError, match="no store to merge"):
        merge((), out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_on_the_command_line(store: EpisodeStore, tmp_path: Path) -> None:
    """A selection's words are flags of their own."""
    words = ["--arms", "ur5e", "--outcome", "success", "--controllers", "expert"]
    assert main(["data", "filter", str(store.path), "--out", str(tmp_path / "some"), *words]) == 0
    kept: list[Entry] = EpisodeStore(tmp_path / "some").entries()
    assert {(entry.arm, entry.success, entry.controller) for entry in kept} == {("ur5e", True, "expert")}
