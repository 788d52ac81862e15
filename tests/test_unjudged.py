"""What nobody has judged is neither success nor failure, wherever an outcome is told."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from demos.browse.index import Index
from demos.episode import NOBODY, Outcome
from demos.journal import line
from demos.marks import Marks
from demos.page import facts, page
from demos.relabel import relabel
from demos.select import Selection
from demos.stats import figures
from demos.stock import info
from demos.store import EpisodeStore
from demos.view import INKS, sheet
from tests.small_store import assert_clean, kinds, small_episode


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    """Of one arm: a success, a failure and two that nobody has judged."""
    store = EpisodeStore(tmp_path / "store")
    store.commit(small_episode(0))
    store.commit(small_episode(2, success=False))
    for seed in (4, 6):
        store.commit(small_episode(seed, success=False, judged_by=NOBODY))
    return store


def _seeds(store: EpisodeStore, outcome: str) -> list[int]:
    return [entry.seed for entry in Selection(outcome=outcome).of(store)]


def test_each_outcome_is_selected_by_its_word(store: EpisodeStore) -> None:
    assert _seeds(store, "failure") == [2] and _seeds(store, "success") == [0]
    assert _seeds(store, "unjudged") == [4, 6] and _seeds(store, "any") == [0, 2, 4, 6]


def test_shares_are_of_what_was_judged(store: EpisodeStore, capsys: pytest.CaptureFixture[str]) -> None:
    info(store.path, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["episodes"], row["successful"], row["unjudged"]) == (4, 1, 2)
    info(store.path)
    told = capsys.readouterr().out
    assert "4 episodes, 1 successful, 2 unjudged, 8 steps" in told and "(50%)" in told
    (row,) = figures(store, store.entries())
    assert (row["successful"], row["unjudged"]) == (1, 2)
    info(store.path, pick=Selection(outcome="unjudged"))
    assert "%" not in capsys.readouterr().out


def test_the_list_of_the_page_has_the_third_outcome(store: EpisodeStore) -> None:
    index = Index(store)
    index.refresh()
    listed = index.listed({}, "", 0)
    assert listed["facets"]["outcome"] == [("failure", 1), ("success", 1), ("unjudged", 2)]
    assert (listed["successful"], listed["unjudged"]) == (1, 2)


@pytest.mark.parametrize("word", ["success", "failure", "unjudged"])
def test_pictures_and_words_of_an_episode_say_it(word: str) -> None:
    judge = NOBODY if word == "unjudged" else "predicate"
    episode = small_episode(0, success=word == "success", judged_by=judge)
    said = word if word == "unjudged" else f"{word}, said the predicate"
    assert dict(facts(episode))["outcome"] == said
    assert f'"outcome": "{word}", "said": "{said}"' in page(episode, {})
    colours = {colour for _, colour in sheet(episode, {}, 2).getcolors(1 << 20) or ()}
    assert {each for each in ("success", "failure") if INKS[each] in colours} == {word} - {"unjudged"}


def test_a_mark_of_failure_judges_it(store: EpisodeStore, tmp_path: Path) -> None:
    marks, entry = Marks(store.path), store.entries()[3]
    marks.mark(entry, "failure")
    relabel(store.path, out=tmp_path / "judged")
    outcome = EpisodeStore(tmp_path / "judged").load(entry.id).meta.outcome
    assert outcome == Outcome(False, "hand, before: unjudged")
    assert _seeds(EpisodeStore(tmp_path / "judged"), "failure") == [2, 6]


def test_entries_from_before_are_told_and_mended(store: EpisodeStore) -> None:
    manifest, entries = store.path / "manifest.jsonl", store.entries()
    before = [{**dataclasses.asdict(entry), "judged": None} for entry in entries]
    for record in before:
        del record["judged"]
    manifest.write_bytes(b"".join(map(line, before)))
    assert kinds(store) == ["outdated", "outdated"]
    store.repair()
    assert store.entries() == entries and np.sum([not entry.judged for entry in entries]) == 2
    assert_clean(store)
