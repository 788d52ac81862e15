"""Marks: said, undone, read by others at once; what was recorded is untouched, and no line is ever gone."""

import json
import zlib
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from demos.journal import line
from demos.marks import Marks, Outrun
from demos.relabel import relabel
from demos.store import EpisodeStore, StoreError
from tests.killing import killed
from tests.small_store import assert_clean, filled, flip


def test_marks_are_said_undone_and_read_by_others(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "all")
    entries = {entry.id: entry for entry in store.entries()}
    one, two, three = entries.values()
    digest = store.digest()
    marks, other = Marks(store.path), Marks(store.path)
    marks.refresh()
    assert not marks.path.exists() and marks.last is None and marks.among(entries) == {}
    marks.mark(one, "failure")
    marks.mark(two, "success")
    other.mark(one, "success")
    marks.refresh()
    assert marks.among(entries) == other.among(entries) == {one.id: "success", two.id: "success"}
    marks.mark(two, None)
    other.refresh()
    assert other.of(two) is None and other.of(three) is None
    while (last := marks.last) is not None:
        marks.undo(last.key)
    assert marks.among(entries) == {} and marks.lines == 8, "four said, four undone, all kept"
    assert store.digest() == digest
    assert_clean(store)


def test_an_undo_brings_back_what_was_said_before(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "all")
    entry = store.entries()[0]
    marks = Marks(store.path)
    for said in ("failure", "success", None):
        marks.mark(entry, said)
    found = []
    while (last := marks.last) is not None:
        marks.undo(last.key)
        found.append(marks.of(entry))
    assert found == ["success", "failure", None]
    marks.mark(entry, None)
    assert marks.lines == 6, "nothing new was said"


def test_two_people_undo_what_they_see_or_nothing(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "all")
    one, two, _ = store.entries()
    mine, theirs = Marks(store.path), Marks(store.path)
    mine.mark(one, "failure")
    seen = mine.last
    theirs.mark(two, "failure")
    assert seen is not None
    with pytest.raises(Outrun, match="nothing was undone"):
        mine.undo(seen.key)
    assert (mine.of(one), mine.of(two)) == ("failure", "failure"), "and what they did is read"


def test_a_mark_is_of_the_content_that_was_seen(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "all")
    entry = store.entries()[0]
    marks = Marks(store.path)
    marks.mark(entry, "failure")
    assert marks.of(replace(entry, content="another")) is None
    with pytest.raises(ValueError, match="mark 'good': expected one of success, failure, or none"):
        marks.mark(entry, "good")  # pyright: ignore[reportArgumentType]


def test_a_killed_writer_leaves_the_marks_before(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "all")
    code = (
        f"store = EpisodeStore({str(store.path)!r}); marks = Marks(store.path); entries = store.entries()\n"
    )
    killed(
        "from demos.marks import Marks\nfrom demos.store import EpisodeStore",
        "(os, 'fsync')",
        2,  # of the folder, and of the first line
        f"{code}for entry in entries: marks.mark(entry, 'failure')",
    )
    entries = store.entries()
    marks = Marks(store.path)
    marks.refresh()
    assert marks.of(entries[0]) == "failure" and marks.of(entries[2]) is None
    with open(marks.path, "ab") as file:
        file.write(b"the start of a li")
    marks.mark(entries[2], "success")
    assert marks.damaged == set() and marks.of(entries[2]) == "success"


def test_relabel_makes_marks_into_outcomes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, episodes = filled(tmp_path / "all")
    entries = {entry.id: entry for entry in store.entries()}
    marks = Marks(store.path)
    with pytest.raises(ValueError, match="nothing is marked in .*--serve"):
        relabel(store.path, out=tmp_path / "better")
    with pytest.raises(ValueError, match="2 ids without an outcome; expected --outcome"):
        relabel(store.path, ids=("a", "b"), out=tmp_path / "better")
    assert not (tmp_path / "better").exists()
    marks.mark(entries[episodes[0].id], "failure")
    marks.mark(entries[episodes[1].id], "success")
    relabel(store.path, out=tmp_path / "better")
    assert "1 set to failure by hand; 1 had that outcome already; 3 in all" in capsys.readouterr().out
    better = EpisodeStore(tmp_path / "better")
    assert better.load(episodes[0].id).meta.outcome.judged_by == "hand, before: success by predicate"
    assert [each.succeeded for each in map(better.load, (e.id for e in episodes))] == [False, True, True]
    flip(marks.path, 20)
    with pytest.raises(StoreError, match="marks.jsonl is damaged in line 1; `robocat data repair"):
        relabel(store.path, out=tmp_path / "again")


def test_repair_sets_damaged_marks_aside(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "all")
    one, two, three = store.entries()
    marks = Marks(store.path)
    for entry in (one, two, three):
        marks.mark(entry, "failure")
    written = marks.path.read_bytes()
    flip(marks.path, written.index(b"\n") + 30)
    damaged = marks.path.read_bytes()
    assert [(each.kind, each.where) for each in store.check()] == [("damaged mark", "marks.jsonl line 2")]
    manifest = (store.path / "manifest.jsonl").read_bytes()
    (mended,) = store.repair()
    assert "as they were: quarantine/" in mended.remedy
    marks.refresh()
    assert (marks.of(one), marks.of(two), marks.of(three)) == ("failure", None, "failure")
    assert marks.path.read_bytes().splitlines() == [written.splitlines()[0], written.splitlines()[2]]
    (aside,) = store.path.glob("quarantine/*/marks.jsonl")
    assert aside.read_bytes() == damaged
    assert (store.path / "manifest.jsonl").read_bytes() == manifest
    assert_clean(store)
    marks.undo(marks.last.key if marks.last else "")
    assert marks.of(three) is None


@pytest.mark.parametrize(
    "spoilt",
    [
        {"colour": "red"},
        {"id": None},
        {"id": ["a"]},
        {"said": "good"},
        {"undoes": 3},
        [],
        "success",
    ],
)
def test_an_intact_line_that_is_no_mark_is_damage(tmp_path: Path, spoilt: object) -> None:
    store, _ = filled(tmp_path / "all")
    one, two, _ = store.entries()
    marks = Marks(store.path)
    marks.mark(one, "failure")
    record = asdict(marks.last) | spoilt if marks.last and isinstance(spoilt, dict) else spoilt
    text = json.dumps(record).encode()
    with open(marks.path, "ab") as file:
        file.write(b"%08x %b\n" % (zlib.crc32(text), text))
    marks.refresh()
    assert marks.damaged == {2} and marks.of(one) == "failure"
    marks.mark(two, "success")
    assert [(each.kind, each.where) for each in store.check()] == [("damaged mark", "marks.jsonl line 2")]
    with pytest.raises(StoreError, match="marks.jsonl is damaged in line 2; `robocat data repair"):
        relabel(store.path, out=tmp_path / "again")
    store.repair()
    marks.refresh()
    assert (marks.of(one), marks.of(two)) == ("failure", "success")
    assert_clean(store)


def test_a_torn_mark_is_told_and_set_aside(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "all")
    marks = Marks(store.path)
    marks.mark(store.entries()[0], "failure")
    whole = marks.path.read_bytes()
    marks.path.write_bytes(whole + b"the start of a li")
    (found,) = store.check()
    assert (found.kind, found.where, found.damage) == ("torn mark", "marks.jsonl end", False)
    store.repair()
    assert marks.path.read_bytes() == whole
    assert_clean(store)


def test_marks_of_another_format_are_told_with_their_line(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "all")
    Marks(store.path).path.write_bytes(line({"format_version": 2}))
    with pytest.raises(StoreError, match="marks.jsonl line 1: format_version: got 2, expected 1"):
        Marks(store.path).refresh()


def test_what_cannot_be_written_is_said_in_a_line(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "all")
    marks = Marks(store.path)
    marks.path.mkdir()
    with pytest.raises(StoreError, match="writing .*marks.jsonl; the marks are as they were"):
        marks.mark(store.entries()[0], "failure")
