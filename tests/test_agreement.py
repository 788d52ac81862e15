"""How verdicts agree with labels: by hand, in words, and as a store holds both."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from demos.episode import Outcome
from demos.rate import Rate
from demos.store import EpisodeStore
from robocat.agreement import MODEL, Agreement, by_cell, heard, in_percent
from tests.small_store import small_episode

REACH, LIFT = ("panda", "reach"), ("panda", "lift")


def test_rates_by_hand() -> None:
    said = np.array([1, 1, 0, 0, 1], dtype=bool)
    done = np.array([1, 0, 1, 0, 1], dtype=bool)
    agreed = Agreement.of(said, done)
    assert agreed == Agreement(n=5, done=3, said=3, both=2)
    assert agreed.precision == agreed.recall == Rate.of(2, 3)
    assert agreed.record() == asdict(agreed) | {
        "precision": asdict(Rate.of(2, 3)), "recall": asdict(Rate.of(2, 3)),
    }  # fmt: skip
    assert str(agreed) == "precision 67 (21-94) %, n 3, recall 67 (21-94) %, n 3"


def test_what_was_never_said_or_done_has_no_rate() -> None:
    nothing = Agreement.of(np.zeros(4, bool), np.zeros(4, bool))
    assert nothing.precision is None and nothing.recall is None
    assert str(nothing) == "precision none, recall none"
    assert nothing.record()["precision"] is None
    assert in_percent(asdict(Rate.of(1, 1))) == "100 (21-100), n 1"


@pytest.mark.parametrize("counts", [(4, 2, 2, 3), (4, 3, 3, 1), (4, 2, 2, -1)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected both within done and said") as refused:
        Agreement(*counts)
    assert "\n" not in str(refused.value)


def test_by_arm_and_task() -> None:
    verdicts = [(REACH, True, True), (LIFT, True, False), (REACH, False, True), (LIFT, False, False)]
    assert by_cell(verdicts) == {LIFT: Agreement(2, 0, 1, 0), REACH: Agreement(2, 2, 1, 1)}
    assert by_cell([]) == {}


def test_a_store_holds_both_verdicts(tmp_path: Path) -> None:
    """The predicate's stands in the steps, the model's in the outcome; who else judged is left out."""
    store = EpisodeStore(tmp_path)
    verdicts = [
        (True, True, MODEL + "0"),
        (True, False, MODEL + "0"),
        (False, True, MODEL + "0"),
        (True, True, "predicate"),
        (False, False, "nobody"),
    ]
    for number, (said, done, who) in enumerate(verdicts):
        episode = small_episode(2 * number, success=done, arm="panda", task="reach")
        store.commit(replace(episode, meta=replace(episode.meta, outcome=Outcome(said, who))))
    assert heard(store) == {REACH: Agreement(n=3, done=2, said=2, both=1)}
