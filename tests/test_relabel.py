"""Outcomes set by hand: the chosen ones only, the old word kept, the source as it was."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from demos.episode import NOBODY
from demos.relabel import relabel
from demos.store import EpisodeStore, StoreError
from sim.names import UnknownName
from tests.fakes import fake_episode, same_episode
from tests.small_store import assert_clean, filled


def test_chosen_outcomes_are_set_and_the_old_word_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, episodes = filled(tmp_path / "all")
    before, chosen = store.digest(), episodes[1].id
    relabel(store.path, ids=(chosen,), outcome="failure", out=tmp_path / "set")
    other = EpisodeStore(tmp_path / "set")
    outcome = other.load(chosen).meta.outcome
    assert (outcome.success, outcome.judged_by) == (False, "hand, before: success by predicate")
    assert all(same_episode(other.load(each.id), each) for each in episodes if each.id != chosen)
    assert store.digest() == before and len(other) == 3
    assert "1 set to failure by hand; 3 in all" in capsys.readouterr().out
    assert_clean(other)
    relabel(other.path, ids=(chosen,), outcome="success", out=tmp_path / "back")
    judged_by = EpisodeStore(tmp_path / "back").load(chosen).meta.outcome.judged_by
    assert judged_by == "hand, before: failure by hand, before: success by predicate"


def test_an_outcome_that_is_so_already(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, episodes = filled(tmp_path / "all")
    relabel(store.path, ids=(episodes[0].id,), outcome="success", out=tmp_path / "set")
    assert EpisodeStore(tmp_path / "set").digest() == store.digest()
    assert "0 set by hand; 1 had that outcome already" in capsys.readouterr().out


def test_what_cannot_be_relabelled(tmp_path: Path) -> None:
    store, episodes = filled(tmp_path / "all")
    out = tmp_path / "set"
    with pytest.raises(UnknownName, match="unknown episode in .* 'nobody'"):
        relabel(store.path, ids=(episodes[0].id, "nobody"), outcome="failure", out=out)
    with pytest.raises(ValueError, match="no ids; expected"):
        relabel(store.path, ids=(), outcome="failure", out=out)
    with pytest.raises(ValueError, match="is one of the stores themselves"):
        relabel(store.path, ids=(episodes[0].id,), outcome="failure", out=store.path)
    assert not out.exists()
    EpisodeStore(out).commit(episodes[0])
    with pytest.raises(StoreError, match="with other content"):
        relabel(store.path, ids=(episodes[0].id,), outcome="failure", out=out)


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_a_persons_word_counts_where_nobody_had_judged(
    tmp_path: Path, outcome: Literal["success", "failure"]
) -> None:
    """To call a failure what nobody had called anything is news."""
    store = EpisodeStore(tmp_path / "store")
    entry = store.commit(fake_episode(np.random.default_rng(0), success=False, judged_by=NOBODY))
    relabel(store.path, ids=(entry.id,), outcome=outcome, out=tmp_path / "better")
    said = EpisodeStore(tmp_path / "better").load(entry.id).meta.outcome
    assert (said.success, said.judged_by) == (outcome == "success", "hand, before: unjudged")
