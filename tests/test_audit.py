"""What interrupted writers leave and what decays: found, named and set aside, and nothing else is lost."""

import dataclasses
import fcntl
import json
import os
import shutil
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demos.check import check, repair
from demos.journal import line
from demos.store import EpisodeStore, StoreError
from tests.fakes import same_episode
from tests.small_store import assert_clean, file_of, filled, flip, kinds, loads, small_episode


def test_torn_line_is_ignored_and_cut_off(tmp_path: Path) -> None:
    store, episodes = filled(tmp_path)
    with open(tmp_path / "manifest.jsonl", "ab") as file:
        file.write(b"01234567 {torn")
    assert len(EpisodeStore(tmp_path)) == 3 and kinds(store) == ["torn line"]
    store.commit(small_episode(3))
    assert len(EpisodeStore(tmp_path)) == 4
    assert_clean(store)


def test_torn_line_is_repaired(tmp_path: Path) -> None:
    store, _ = filled(tmp_path)
    with open(tmp_path / "manifest.jsonl", "ab") as file:
        file.write(b"\0" * 50)
    assert [finding.kind for finding in store.repair()] == ["torn line"]
    kept = next(tmp_path.glob("quarantine/*/manifest.jsonl"))
    assert kept.read_bytes().endswith(b"\0" * 50) and len(store) == 3
    assert_clean(store)


@pytest.mark.parametrize("spoilt", [{"colour": "red"}, {"id": ["a"]}, None])
def test_an_intact_line_that_is_no_entry_is_damage(tmp_path: Path, spoilt: dict[str, object] | None) -> None:
    store, _ = filled(tmp_path)
    record = dataclasses.asdict(store.entries()[0])
    with open(tmp_path / "manifest.jsonl", "ab") as file:
        file.write(line(record | spoilt if spoilt else {"format_version": record["format_version"]}))
    with pytest.raises(StoreError, match="manifest.jsonl is damaged in line 4"):
        EpisodeStore(tmp_path).ids()
    assert kinds(store) == ["damaged line"]
    store.repair()
    assert_clean(store)


def test_leftovers_of_the_dead_are_told_from_the_living(tmp_path: Path) -> None:
    store, _ = filled(tmp_path)
    (tmp_path / "tmp" / "dead").touch()
    (tmp_path / "tmp" / "dead.0").write_bytes(b"half an epi")
    living = os.open(tmp_path / "tmp" / "living", os.O_CREAT | os.O_RDWR)
    (tmp_path / "tmp" / "living.0").write_bytes(b"half an epi")
    fcntl.flock(living, fcntl.LOCK_EX)
    assert kinds(store) == ["leftover", "leftover"]
    assert all("moved to quarantine" in finding.remedy for finding in store.repair())
    assert store.check() == [] and len(list((tmp_path / "tmp").iterdir())) == 2
    assert next(tmp_path.glob("quarantine/*/tmp/dead.0")).read_bytes() == b"half an epi"
    os.close(living)
    assert kinds(store) == ["leftover", "leftover"]


def test_orphan_is_entered_by_repair(tmp_path: Path) -> None:
    store, episodes = filled(tmp_path)
    before = store.entries()
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:-1]))
    store = EpisodeStore(tmp_path)
    assert len(store) == 2 and kinds(store) == ["orphan"]
    assert [finding.remedy for finding in store.repair()] == ["entered into the manifest"]
    assert store.entries() == before
    assert_clean(store)


def test_orphan_is_used_by_committing_again(tmp_path: Path) -> None:
    store, episodes = filled(tmp_path, count=1)
    entry = store.entries()[0]
    (tmp_path / "manifest.jsonl").write_bytes(b"")
    store = EpisodeStore(tmp_path)
    later = dataclasses.replace(episodes[0], wall_time=episodes[0].wall_time + 9)
    assert store.commit(later) == entry  # what lies there is taken: it is the same episode
    assert_clean(store)


def test_orphan_in_the_way_is_set_aside(tmp_path: Path) -> None:
    for spoil in (lambda path: flip(path, -1), lambda path: path.write_bytes(b"")):
        store, episodes = filled(tmp_path / str(id(spoil)), count=1)
        (store.path / "manifest.jsonl").write_bytes(b"")
        spoil(file_of(store, episodes[0]))
        store = EpisodeStore(store.path)
        store.commit(episodes[0])
        assert same_episode(store.load(episodes[0].id), episodes[0])
        assert len(list(store.path.glob("quarantine/*/episodes/*/*.reason.txt"))) == 1
        assert_clean(store)


def test_orphan_with_other_content_is_set_aside(tmp_path: Path) -> None:
    store, episodes = filled(tmp_path, count=1)
    (tmp_path / "manifest.jsonl").write_bytes(b"")
    other = dataclasses.replace(episodes[0], state=episodes[0].state + 1)
    store = EpisodeStore(tmp_path)
    store.commit(other)
    assert same_episode(store.load(other.id), other)
    assert "another content" in next(tmp_path.glob("quarantine/**/*.reason.txt")).read_text()
    assert_clean(store)


def test_missing_file(tmp_path: Path) -> None:
    store, episodes = filled(tmp_path)
    file_of(store, episodes[1]).unlink()
    with pytest.raises(StoreError, match=f"{episodes[1].id} is damaged .No such file.*robocat data repair"):
        store.load(episodes[1].id)
    assert kinds(store) == ["missing"]
    assert store.repair()[0].remedy == "taken out of the manifest"
    assert len(store) == 2 and len(EpisodeStore(tmp_path)) == 2
    assert_clean(store)


def test_damaged_file(tmp_path: Path) -> None:
    store, episodes = filled(tmp_path)
    flip(file_of(store, episodes[1]), 1000)
    for read in (store.load, lambda name: store.frames(name, "front", [0])):
        with pytest.raises(StoreError) as error:
            read(episodes[1].id)
        text = str(error.value)
        assert "\n" not in text and str(file_of(store, episodes[1])) in text
        assert f"robocat data repair {tmp_path}" in text
    assert kinds(store) == ["damaged"]
    store.repair()
    assert {episodes[0].id, episodes[2].id} == set(store.ids())
    moved = next(tmp_path.glob(f"quarantine/*/episodes/*/{episodes[1].id}.safetensors"))
    assert "SHA-256" in moved.with_name(moved.name + ".reason.txt").read_text()
    assert_clean(store)
    store.commit(episodes[1])
    assert len(store) == 3


def test_right_bytes_under_a_wrong_entry(tmp_path: Path) -> None:
    """A line can be intact and untrue: its checksum says nothing about the episode."""
    store, episodes = filled(tmp_path, count=1)
    record = dataclasses.asdict(store.entries()[0]) | {"success": False}
    text = json.dumps(record, sort_keys=True).encode()
    (tmp_path / "manifest.jsonl").write_bytes(b"%08x %b\n" % (zlib.crc32(text), text))
    assert kinds(EpisodeStore(tmp_path)) == ["unreadable"]


def test_stray_file_and_misplaced_episode_are_set_aside(tmp_path: Path) -> None:
    store, episodes = filled(tmp_path)
    (tmp_path / "episodes" / "notes.txt").write_text("hello")
    shutil.copy(file_of(store, episodes[0]), tmp_path / "episodes" / "copy.safetensors")
    assert kinds(store) == ["orphan", "orphan"]
    store.repair()
    assert next(tmp_path.glob("quarantine/*/episodes/notes.txt")).read_text() == "hello"
    assert "belongs into" in next(tmp_path.glob("quarantine/*/episodes/copy*.reason.txt")).read_text()
    assert len(store) == 3
    assert_clean(store)


def test_damaged_line_stops_listing_but_not_loading(tmp_path: Path) -> None:
    store, episodes = filled(tmp_path)
    before = store.entries()
    flip(tmp_path / "manifest.jsonl", 20)
    store = EpisodeStore(tmp_path)
    for listing in (store.ids, store.entries, store.__len__, store.digest):
        with pytest.raises(StoreError, match=r"manifest.jsonl is damaged in line 1; `robocat data repair"):
            listing()
    assert sum(loads(store, episode) for episode in episodes) == 2
    store.commit(small_episode(3))
    assert kinds(store) == ["damaged line", "orphan"]
    store.repair()
    assert len(store) == 4 and set(before) < set(store.entries())
    assert all(loads(store, episode) for episode in episodes)
    assert_clean(store)


def test_missing_manifest(tmp_path: Path) -> None:
    store, episodes = filled(tmp_path)
    before = store.entries()
    (tmp_path / "manifest.jsonl").unlink()
    store = EpisodeStore(tmp_path)
    for use in (store.entries, lambda: store.commit(small_episode(9)), lambda: store.load(episodes[0].id)):
        with pytest.raises(
            StoreError, match="manifest.jsonl is missing; `robocat data repair .* rebuilds it"
        ):
            use()
    assert kinds(store) == ["no manifest", "orphan", "orphan", "orphan"]
    store.repair()
    assert store.entries() == before
    assert_clean(store)


@settings(deadline=None, max_examples=25)
@given(victim=st.integers(0, 2), at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_in_a_file_is_found(
    tmp_path_factory: pytest.TempPathFactory, victim: int, at: float, bit: int
) -> None:
    store, episodes = filled(tmp_path_factory.mktemp("store"))
    path = file_of(store, episodes[victim])
    flip(path, int(at * path.stat().st_size), bit)
    assert [loads(store, episode) for episode in episodes] == [i != victim for i in range(3)]
    assert kinds(store) == ["damaged"]
    store.repair()
    assert len(store) == 2 and all(loads(store, e) for i, e in enumerate(episodes) if i != victim)
    assert_clean(store)


@settings(deadline=None, max_examples=30)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), later=st.booleans())
def test_any_flipped_bit_in_the_manifest_is_found(
    tmp_path_factory: pytest.TempPathFactory, at: float, bit: int, later: bool
) -> None:
    store, episodes = filled(tmp_path_factory.mktemp("store"))
    before = store.entries()
    manifest = store.path / "manifest.jsonl"
    flip(manifest, int(at * manifest.stat().st_size), bit)
    store = EpisodeStore(store.path)
    if later:
        episodes.append(small_episode(3))
        before.append(store.commit(episodes[3]))
    assert "orphan" in kinds(store)
    assert (
        sum(loads(store, episode) for episode in episodes) >= len(episodes) - 2
    )  # a newline joins two lines
    store.repair()
    assert store.entries() == sorted(before, key=lambda entry: entry.id)
    assert all(loads(store, episode) for episode in episodes)
    assert_clean(store)


def test_check_and_repair_verbs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, episodes = filled(tmp_path)
    check(tmp_path, content=False)
    assert capsys.readouterr().out == f"{tmp_path}: 3 episodes, all intact\n"
    flip(file_of(store, episodes[0]), 77)
    (tmp_path / "tmp" / "dead").touch()
    with pytest.raises(SystemExit) as error:
        check(tmp_path, content=False)
    out = capsys.readouterr().out
    assert error.value.code == 1 and "leftover" in out and "1 damaged; `robocat data repair" in out
    repair(tmp_path)
    assert "3 episodes" not in (out := capsys.readouterr().out) and "2 episodes, all intact; 1 lost" in out
    check(tmp_path, content=False)


def test_remnants_are_no_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(tmp_path)
    (tmp_path / "tmp" / "dead").touch()
    check(tmp_path, content=False)
    assert "3 episodes, all intact; 1 remnants of killed writers" in capsys.readouterr().out
