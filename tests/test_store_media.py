"""Media that cannot be written, files cut short, writers who disagree: one clear line, and nothing lost."""

import dataclasses
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demos.episode import Episode
from demos.store import EpisodeStore, StoreError
from robocat.cli import main
from tests.fakes import same_episode
from tests.small_store import assert_clean, file_of, filled, flip, kinds, loads, small_episode


def _mount(*words: str) -> bool:
    done = subprocess.run(["mount", *words], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_read_only_media(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not _mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)):
        pytest.skip("no file system may be mounted here")
    try:
        store, episodes = filled(disk / "store")
        damaged = file_of(store, episodes[2])
        flip(damaged, 50)
        assert _mount("-o", "remount,ro", str(disk))
        store = EpisodeStore(store.path)
        assert len(store) == 3 and same_episode(store.load(episodes[0].id), episodes[0])
        assert kinds(store) == ["damaged"]
        uses: tuple[tuple[str, Callable[[], object]], ...] = (
            ("the store", lambda: store.commit(small_episode(5))),
            ("the store", lambda: EpisodeStore(disk / "new").commit(small_episode(5))),
            ("the repair", store.repair),
        )
        for what, use in uses:
            with pytest.raises(
                StoreError, match=f"^Read-only file system writing {what} to {disk}.*changed$"
            ):
                use()
        assert main(["data", "repair", str(store.path)]) == 1
        assert capsys.readouterr().err.count("\n") == 1
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@settings(deadline=None, max_examples=10)
@given(victim=st.integers(0, 2), share=st.floats(0, 1, exclude_max=True))
def test_any_file_cut_short_is_found(
    tmp_path_factory: pytest.TempPathFactory, victim: int, share: float
) -> None:
    store, episodes = filled(tmp_path_factory.mktemp("store"))
    path = file_of(store, episodes[victim])
    os.truncate(path, int(share * path.stat().st_size))
    with pytest.raises(StoreError, match=r"is damaged \(its bytes changed\).*`robocat data repair"):
        store.load(episodes[victim].id)
    assert [loads(store, episode) for episode in episodes] == [i != victim for i in range(3)]
    assert kinds(store) == ["damaged"]
    store.repair()
    assert_clean(store)


@settings(deadline=None, max_examples=10)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_manifest_cut_short_loses_no_episode(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    store, episodes = filled(tmp_path_factory.mktemp("store"))
    manifest, before = store.path / "manifest.jsonl", store.digest()
    os.truncate(manifest, int(share * manifest.stat().st_size))
    store = EpisodeStore(store.path)
    assert "orphan" in kinds(store)
    store.repair()
    assert store.digest() == before and all(loads(store, episode) for episode in episodes)
    assert_clean(store)


def test_two_writers_who_disagree(tmp_path: Path) -> None:
    """Under one id at the same time: the first is kept, the other is told."""
    one = small_episode(0)
    other = dataclasses.replace(one, state=one.state + 1)
    start, said = threading.Barrier(2), list[str]()

    def write(episode: Episode) -> None:
        start.wait()
        try:
            EpisodeStore(tmp_path).commit(episode)
        except StoreError as error:
            said.append(str(error))

    writers = [threading.Thread(target=write, args=(each,)) for each in (one, other)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    (line,) = said
    assert "with other content" in line and "an id names one attempt" in line and "\n" not in line
    store = EpisodeStore(tmp_path)
    assert loads(store, one) != loads(store, other)
    assert_clean(store)
