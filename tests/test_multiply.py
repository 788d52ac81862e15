"""From a few demonstrations to many: as many as asked for, whatever the workers, once, and counted."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from demos import multiply as verb
from demos import workers
from demos.collect import Collection, collect_experts
from demos.controller import Act
from demos.episode import EpisodeMeta, Provenance
from demos.locks import Busy, alone_with
from demos.multiplied import Multiplied
from demos.multiply import multiply
from demos.select import Selection
from demos.store import EpisodeStore
from demos.tally import FILE, Tally
from demos.workers import Ended, Piece, WorkerDied, work
from sim.env import ManipulationEnv, Observation
from sim.names import UnknownName
from tests.fakes import fake_episode

ENDED = Ended("a", "panda", "lift", "red", 7, True, 9, True)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six demonstrations of two tasks."""
    store = tmp_path_factory.mktemp("few") / "demos"
    collect_experts(store, Collection(("panda",), ("reach", "stack"), 3, 0, 16), 1, "demos")
    return store


def _many(few: Path, out: Path, episodes: int = 3, **options: object) -> EpisodeStore:
    arguments: dict[str, object] = {"tasks": ("reach",), "workers": 1, **options}
    multiply(few, out=out, episodes=episodes, **arguments)  # pyright: ignore
    return EpisodeStore(out)


def test_what_is_asked_for(few: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = _many(few, tmp_path, arms=("panda", "ur5e"))
    assert capsys.readouterr().out.endswith(f"{tmp_path}: 6 episodes in all, made of 3\n")
    entries = store.entries()
    assert {(e.arm, e.task, e.controller) for e in entries} == {
        (arm, "reach", "multiplied") for arm in ("panda", "ur5e")
    }
    assert all(e.success for e in entries) and len({e.variation for e in entries}) == 3
    shown = set(EpisodeStore(few).ids())
    for entry in entries:
        meta = store.load(entry.id).meta
        assert set(meta.provenance.sources) <= shown and meta.image_size == (16, 16)
        assert EpisodeMeta.from_json(meta.to_json()) == meta
    assert len(Selection(controllers=("multiplied",)).of(store)) == 6
    assert not store.check()


class Lazy(Multiplied):
    """Does nothing where the seed is a multiple of three."""

    def begin(self, slot: int, env: ManipulationEnv, seed: int) -> None:
        super().begin(slot, env, seed)
        self._lazy = {**getattr(self, "_lazy", {}), slot: seed % 3 == 0}

    def act(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[Act]:
        acts = super().act(slots, observations)
        still = [np.zeros_like(act.action) for act in acts]
        return [
            Act(none, none) if self._lazy[slot] else act
            for slot, act, none in zip(slots, acts, still, strict=True)
        ]


def test_failures_are_counted_and_made_up_for(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never one too many is kept, and every attempt stands in the count."""
    monkeypatch.setattr(verb, "Multiplied", Lazy)
    store = _many(few, tmp_path / "a", 5, first_seed=901)
    (record,) = json.loads((store.path / FILE).read_text()).values()
    (row,) = record["yields"]
    # Seeds 901 to 905 have one multiple of three; for the fifth success 906 is tried, and then 907.
    assert [attempt[4] for attempt in record["attempts"]] == [*range(901, 908)]
    assert row["rate"]["successes"] == 5 == len(store) and row["rate"]["n"] == 7
    assert "71 %" in capsys.readouterr().out
    kept = _many(few, tmp_path / "b", 5, first_seed=901, keep_failures=True)
    assert len(kept) == 7 and set(store.ids()) == {e.id for e in kept.entries() if e.success}


def test_what_hardly_ever_succeeds_is_given_up(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb, "Multiplied", Lazy)
    monkeypatch.setattr(verb, "MOST", 1)
    assert len(_many(few, tmp_path, 3, first_seed=900)) == 2
    assert "panda reach: given up after 3 attempts, 1 for each episode" in capsys.readouterr().out


def test_what_is_there_is_not_made_again(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = _many(few, tmp_path).digest()
    monkeypatch.setattr(verb, "run", None)
    assert _many(few, tmp_path).digest() == digest


@pytest.mark.parametrize("done", [0, 1, 2])
def test_interrupted_and_repeated_makes_the_same(
    few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    monkeypatch.setattr(workers, "PIECE", 2)
    whole, left = _many(few, tmp_path / "whole", 5), iter(range(done))

    def dying(piece: Piece) -> list[Ended]:
        if next(left, None) is None:
            raise WorkerDied
        return work(piece)

    with monkeypatch.context() as patch, pytest.raises(WorkerDied):
        patch.setattr(workers, "work", dying)
        _many(few, tmp_path / "part", 5)
    part = _many(few, tmp_path / "part", 5)
    assert part.digest() == whole.digest()
    assert (part.path / FILE).read_text() == (whole.path / FILE).read_text()


@pytest.mark.slow  # the same of any controller is in test_workers.py
def test_several_workers_make_the_same(few: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PIECE", 2)
    one, two = (_many(few, tmp_path / f"{n}", 5, workers=n) for n in (1, 2))
    assert one.digest() == two.digest()


def test_an_episode_that_was_lost_is_made_again(few: Path, tmp_path: Path) -> None:
    store = _many(few, tmp_path)
    digest = store.digest()
    (store.path / store.entries()[1].file).write_bytes(b"")
    store.repair()
    assert len(store) == 2
    assert _many(few, tmp_path).digest() == digest


def test_what_would_be_made_otherwise_is_refused(few: Path, tmp_path: Path) -> None:
    """Ids do not tell 8 px from 16: they would count as made and not be there."""
    digest = _many(few, tmp_path).digest()
    with pytest.raises(ValueError, match="made with another size and noise; expected the same"):
        _many(few, tmp_path, size=32, noise=False)
    assert EpisodeStore(tmp_path).digest() == digest


def test_one_process_multiplies_at_a_time(few: Path, tmp_path: Path) -> None:
    out = tmp_path / "many"
    with alone_with(out, "multiply"), pytest.raises(Busy):
        _many(few, out)
    assert not out.exists()


def test_other_demonstrations_are_counted_apart(tmp_path: Path) -> None:
    one, two = ({"task": "lift", "sources": {"a": each}} for each in ("x", "y"))
    Tally(tmp_path, one).add([ENDED])
    Tally(tmp_path, two).add([ENDED, ENDED])
    assert Tally(tmp_path, one).of("panda") == [ENDED]
    assert len(Tally(tmp_path, two).of("panda", first_seed=7)) == 2
    assert not Tally(tmp_path, two).of("panda", first_seed=8) and not Tally(tmp_path, one).of("ur5e")


def test_sources_name_an_episode_and_only_a_multiplied_one_has_them() -> None:
    rng = np.random.default_rng(0)
    made = [
        fake_episode(np.random.default_rng(0), controller="multiplied", sources=(source,))
        for source in ("one", "two")
    ]
    assert "sources" in made[0].meta.to_json() and made[0].meta.provenance.sources == ("one",)
    assert "sources" not in fake_episode(rng).meta.to_json()
    for who in (Provenance("multiplied"), Provenance("expert", sources=("one",))):
        with pytest.raises(ValueError, match="sources: got"):
            fake_episode(rng, controller=who.controller, sources=who.sources)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"arms": ("pnada",)}, UnknownName, "unknown arm 'pnada'; did you mean 'panda'"),
        ({"arms": ("panda_pair",)}, ValueError, "panda_pair is two arms; expected one"),
        (
            {"tasks": ("lift",)},
            UnknownName,
            "unknown demonstrated task 'lift'; .* tasks: reach, stack",
        ),
        ({"episodes": 0}, ValueError, "episodes 0 is out of range; expected at least 1"),
        ({"among": 0}, ValueError, "among 0 is out of range; expected at least 1"),
        ({"workers": 0}, ValueError, "workers 0 is out of range; expected at least 1"),
        ({"randomise": "wild"}, UnknownName, "unknown"),
    ],
)
def test_what_cannot_be_multiplied(
    few: Path, tmp_path: Path, change: dict[str, object], kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said) as refused:
        _many(few, tmp_path, **change)  # pyright: ignore
    assert "\n" not in str(refused.value)
    assert not EpisodeStore(tmp_path).exists


def test_held_out_tasks_are_refused(tmp_path: Path) -> None:
    plan = Collection(("panda",), ("push-other-colours",), 1, 0, 16, held_out=True)
    collect_experts(tmp_path / "demos", plan, 1, "demos")
    with pytest.raises(ValueError, match="push-other-colours: held out"):
        multiply(tmp_path / "demos", out=tmp_path / "out", workers=1)


def test_worlds_may_differ(few: Path, tmp_path: Path) -> None:
    store = _many(few, tmp_path, randomise="moderate")
    assert all(store.load(id).meta.drawn is not None for id in store.ids())
    assert len(_many(few, tmp_path)) == 6


def test_nothing_is_made_of_failures(tmp_path: Path) -> None:
    EpisodeStore(tmp_path / "bad").commit(fake_episode(np.random.default_rng(0), success=False))
    with pytest.raises(ValueError, match="no episode succeeded; nothing is multiplied from failures"):
        multiply(tmp_path / "bad", out=tmp_path / "out")
    with pytest.raises(ValueError, match=re.escape("is one of the stores themselves")):
        multiply(tmp_path / "bad", out=tmp_path / "bad")
