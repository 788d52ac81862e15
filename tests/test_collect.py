"""Demonstrations: what is asked for is in the store, once, whatever interrupts; wrong names are explained."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from demos import workers
from demos.collect import COLLECTIONS, Collection, collect, expert_pieces
from demos.expert import SILENT
from demos.locks import Busy, alone_with
from demos.store import EpisodeStore
from demos.workers import Ended, Piece, WorkerDied, work
from sim.arms import ARMS
from sim.names import UnknownName
from sim.tasks import TASKS


def _collect(out: Path, episodes: int = 4, count: int = 1, **changes: object) -> EpisodeStore:
    options: dict[str, object] = {"arms": ("panda",), "tasks": ("reach",), "size": 16, "first_seed": 7}
    collect(out=out, episodes=episodes, workers=count, **options | changes)  # pyright: ignore
    return EpisodeStore(out)


def test_what_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = _collect(tmp_path, arms=("panda", "ur5e"), tasks=("reach", "lift"), episodes=2)
    assert capsys.readouterr().out == f"{tmp_path}: 8 new episodes, 8 successful; 8 in all\n"
    entries = store.entries()
    assert {(e.arm, e.task, e.seed, e.variation) for e in entries} == {
        (arm, task, 7 + i, TASKS[task].variations[i])
        for arm in ("panda", "ur5e")
        for task in ("reach", "lift")
        for i in range(2)
    }
    assert {(e.controller, e.policy, e.generation) for e in entries} == {("expert", None, None)}
    assert store.load(entries[0].id).meta.image_size == (16, 16)


def test_what_is_there_is_not_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digest = _collect(tmp_path).digest()
    assert _collect(tmp_path).digest() == digest
    assert capsys.readouterr().out.endswith(f"{tmp_path}: nothing new; 4 in all\n")
    assert len(_collect(tmp_path, episodes=6)) == 6
    assert len(_collect(tmp_path, first_seed=100, episodes=1)) == 7
    assert len(_collect(tmp_path, tasks=("lift",), episodes=1)) == 8


def test_two_at_once_do_not_do_the_same_work(tmp_path: Path) -> None:
    """The second is refused in a line, makes nothing, and leaves nothing where what it is asked cannot be."""
    out = tmp_path / "store"
    with pytest.raises(UnknownName):
        _collect(out, arms=("pnada",))
    assert not list(tmp_path.iterdir())
    with alone_with(out, "collect"):
        with pytest.raises(Busy, match="another `robocat collect` is at work in .*store; let it end first$"):
            _collect(out)
        assert not out.exists()
    assert len(_collect(out)) == 4


def test_more_episodes_begin_with_the_same(tmp_path: Path) -> None:
    few, many = _collect(tmp_path / "few", episodes=2), _collect(tmp_path / "many", episodes=5)
    assert set(few.ids()) < set(many.ids())
    contents = {entry.id: entry.content for entry in many.entries()}
    assert all(contents[entry.id] == entry.content for entry in few.entries())


@pytest.mark.slow  # the same of any controller is in test_workers.py
def test_several_workers_make_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PIECE", 2)
    one, two = _collect(tmp_path / "one", count=1), _collect(tmp_path / "two", count=2)
    assert one.digest() == two.digest()


@pytest.mark.parametrize("done", [0, 1, 2])
def test_interrupted_and_repeated_makes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    monkeypatch.setattr(workers, "PIECE", 2)
    whole, left = _collect(tmp_path / "whole", episodes=5), iter(range(done))

    def dying(piece: Piece) -> list[Ended]:
        if next(left, None) is None:
            raise WorkerDied
        return work(piece)

    with monkeypatch.context() as patch, pytest.raises(WorkerDied):
        patch.setattr(workers, "work", dying)
        _collect(tmp_path / "part", episodes=5)
    assert _collect(tmp_path / "part", episodes=5).digest() == whole.digest()


def test_an_episode_that_was_lost_is_made_again(tmp_path: Path) -> None:
    store = _collect(tmp_path / "store")
    digest = store.digest()
    shutil.copytree(tmp_path / "store", tmp_path / "damaged")
    damaged = EpisodeStore(tmp_path / "damaged")
    (damaged.path / damaged.entries()[2].file).write_bytes(b"")
    damaged.repair()
    assert len(damaged) == 3
    assert _collect(damaged.path).digest() == digest


def test_noise_strays_from_the_label_or_not(tmp_path: Path) -> None:
    for noise in (True, False):
        store = _collect(tmp_path / str(noise), episodes=1, noise=noise)
        episode = store.load(store.ids()[0])
        assert np.array_equal(episode.action, episode.label) == (not noise)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"arms": ("pnada",)}, UnknownName, "unknown arm 'pnada'; did you mean 'panda'? arms: "),
        ({"tasks": ("lift", "stak")}, UnknownName, "unknown task 'stak'; did you mean 'stack'? tasks: "),
        ({"preset": "nono"}, UnknownName, "unknown preset 'nono'"),
        ({"episodes": 0}, ValueError, "episodes 0 is out of range; expected at least 1"),
        ({"workers": 0}, ValueError, "workers 0 is out of range; expected at least 1"),
        ({"first_seed": -3}, ValueError, "seed -3 is out of range; expected 0 or more"),
        ({"size": 4}, ValueError, "image size 4 px is out of range"),
    ],
)
def test_what_cannot_be_collected(
    tmp_path: Path, change: dict[str, object], kind: type[Exception], said: str
) -> None:
    options = {"arms": ("panda",), "tasks": ("reach",), "episodes": 1, "workers": 1} | change
    with pytest.raises(kind) as refused:
        collect(out=tmp_path, **options)  # pyright: ignore
    assert str(refused.value).startswith(said) and "\n" not in str(refused.value)
    assert not EpisodeStore(tmp_path).exists


def test_pieces_are_full_and_in_order(tmp_path: Path) -> None:
    pieces = expert_pieces(tmp_path, Collection(("panda",), ("lift", "push"), 60, 10, 32))
    assert [len(piece.attempts) for piece in pieces] == [25, 25, 10] * 2
    assert [a.seed for piece in pieces for a in piece.attempts] == list(range(10, 70)) * 2
    told = [(piece.arm, piece.task, piece.size, piece.store) for piece in pieces]
    assert told == [("panda", "lift", 32, tmp_path)] * 3 + [("panda", "push", 32, tmp_path)] * 3


@pytest.mark.parametrize("name", COLLECTIONS)
def test_presets_name_what_exists(name: str) -> None:
    plan = COLLECTIONS[name]
    assert set(plan.arms) <= set(ARMS) and set(plan.tasks) <= set(TASKS)
    assert plan.noise != SILENT and replace(plan, noise=SILENT) != plan
