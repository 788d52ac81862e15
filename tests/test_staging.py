"""Writing: in which order, what happens when it fails, and who may write at the same time."""

import errno
import fcntl
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demos import staging as staging_module
from demos.manifest import Manifest
from demos.staging import leftovers, staging
from demos.store import EpisodeStore, StoreError
from tests.fakes import same_episode
from tests.small_store import assert_clean, filled, small_episode

ROOT = Path(__file__).parents[1]


def test_order_of_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut keeps what was fsynced before it: file, then its name, then its line."""
    store, _ = filled(tmp_path)
    names: dict[int, str] = {}
    calls: list[str] = []
    real = {name: getattr(os, name) for name in ("open", "write", "fsync", "rename")}

    def opened(path: Path, *args: Any) -> int:
        fd = real["open"](path, *args)
        names[fd] = Path(path).relative_to(tmp_path).parts[0] + ("/" if Path(path).is_dir() else "")
        return fd

    def renamed(source: Path, target: Path) -> None:
        calls.append(f"rename to {target.relative_to(tmp_path).parts[0]}")
        real["rename"](source, target)

    def on(name: str) -> Callable[..., Any]:
        return lambda fd, *args: (calls.append(f"{name} {names[fd]}"), real[name](fd, *args))[1]

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(os, "write", on("write"))
    monkeypatch.setattr(os, "fsync", on("fsync"))
    store.commit(small_episode(3))
    assert calls == [
        "write tmp",
        "fsync tmp",
        "rename to episodes",
        "fsync episodes/",
        "write manifest.jsonl",
        "fsync manifest.jsonl",
    ]


def test_interrupt_after_the_line_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between the line and the return: the episode stays, line and file."""
    store, _ = filled(tmp_path)
    real = Manifest.append

    def interrupted(self: Manifest, entries: Any) -> None:
        real(self, entries)
        raise KeyboardInterrupt

    monkeypatch.setattr(Manifest, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.commit(small_episode(3))
    assert len(store) == 4
    assert_clean(store)


def test_writers_wait_for_the_lock(tmp_path: Path) -> None:
    store, _ = filled(tmp_path)
    other = threading.Thread(target=EpisodeStore(tmp_path).commit, args=[small_episode(3)])
    with Manifest(tmp_path).locked():
        other.start()
        other.join(0.2)
        assert other.is_alive() and len(store) == 3
    other.join(10)
    assert not other.is_alive() and len(store) == 4


def test_check_waits_for_the_lock(tmp_path: Path) -> None:
    """Otherwise it would take a file for an orphan whose line is about to follow."""
    filled(tmp_path)
    other = threading.Thread(target=EpisodeStore(tmp_path).check)
    with Manifest(tmp_path).locked():
        other.start()
        other.join(0.1)
        assert other.is_alive()
    other.join(10)
    assert not other.is_alive()


def test_many_writers_of_the_same_episodes(tmp_path: Path) -> None:
    """Each episode is entered once, and nobody's line is lost, whatever the order of the writers."""
    episodes = [small_episode(seed) for seed in range(12)]

    def write(start: int) -> None:
        store = EpisodeStore(tmp_path)
        for index in range(12):
            store.commit(episodes[(start + index) % 12])

    writers = [threading.Thread(target=write, args=[start]) for start in range(0, 12, 3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    store = EpisodeStore(tmp_path)
    assert all(same_episode(store.load(episode.id), episode) for episode in episodes)
    assert len((tmp_path / "manifest.jsonl").read_bytes().splitlines()) == 12
    assert_clean(store)


def test_claim_taken_by_a_repair_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, taken = fcntl.flock, list[Path]()

    def lock(fd: int, operation: int) -> None:
        if not taken:
            taken.extend(staged for staged in (tmp_path / "tmp").iterdir())
            taken[0].unlink()
        real(fd, operation)

    with monkeypatch.context() as patch:
        patch.setattr(staging_module.fcntl, "flock", lock)
        with staging(tmp_path) as write:
            path = write(b"content")
            assert path.read_bytes() == b"content" and leftovers(tmp_path) == []
    assert taken and list((tmp_path / "tmp").iterdir()) == []


def _failing(monkeypatch: pytest.MonkeyPatch, name: str, nth: int, code: int) -> Callable[[], int]:
    """Makes the nth call of a function of `os` fail; a failing write first takes half. Returns a counter."""
    real, calls = getattr(os, name), [0]

    def fail(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] < nth:
            return real(*args, **options)
        if name == "write" and len(args[1]) > 1 and calls[0] == nth:
            return real(args[0], args[1][: len(args[1]) // 2])
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, name, fail)
    return lambda: calls[0]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["write", "fsync", "rename"])
def test_full_disk_changes_nothing(tmp_path: Path, name: str, batch: int) -> None:
    """Whichever call the disk runs full at, nothing new stays and everything old is there."""
    store, _ = filled(tmp_path)
    before = store.entries()
    more = [small_episode(seed) for seed in range(3, 3 + batch)]
    for nth in range(1, 40):
        with pytest.MonkeyPatch.context() as patch:
            calls = _failing(patch, name, nth, errno.ENOSPC)
            try:
                store.commit_many(more)
            except StoreError as error:
                what = "|".join([*(episode.id for episode in more), f"{batch} episodes"])
                place = f"{tmp_path}; nothing committed was changed"
                assert re.fullmatch(f"no space left writing ({what}) to {place}", str(error))
            else:
                assert calls() < nth
                break
        assert store.entries() == EpisodeStore(tmp_path).entries() == before
        assert list((tmp_path / "tmp").iterdir()) == []
        assert_clean(store)
    assert nth > 1 and len(store) == 3 + batch
    assert_clean(store)


def test_limit_on_file_size(tmp_path: Path) -> None:
    store, _ = filled(tmp_path)
    big = small_episode(3, size=64)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StoreError) as error:
            store.commit(big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(error.value) == (
        f"no space left writing {big.id} to {tmp_path}; nothing committed was changed"
    )
    assert_clean(store)


@contextmanager
def _small_disk(path: Path) -> Iterator[None]:
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_disk_that_is_really_full(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk"):
        store = EpisodeStore(tmp_path / "disk" / "store")
        committed = 0
        with pytest.raises(StoreError, match="^no space left writing .*; nothing committed was changed$"):
            for seed in range(100):
                store.commit(small_episode(seed, size=16))
                committed += 1
        assert committed > 3 and len(store) == committed
        assert all(same_episode(store.load(each), small_episode(i, size=16)) for i, each in _by_seed(store))
        assert list((store.path / "tmp").iterdir()) == []
        assert_clean(store)


def _by_seed(store: EpisodeStore) -> list[tuple[int, str]]:
    return [(entry.seed, entry.id) for entry in store.entries()]


_AS_NOBODY = """
import os, sys
from demos.store import EpisodeStore, StoreError
from tests.small_store import small_episode
os.setgid(65534), os.setuid(65534)
store = EpisodeStore(sys.argv[1])
print(len(store), store.load(small_episode(0).id).length, store.check())
try:
    store.commit(small_episode(5))
except StoreError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
def test_folder_that_cannot_be_written() -> None:
    # Not in `tmp_path`, whose parents other users may not enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        store, _ = filled(Path(folder) / "store")
        command = [sys.executable, "-c", _AS_NOBODY, str(store.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        lines = done.stdout.splitlines()
        assert lines[0] == "3 2 []"
        why = f"Permission denied writing the store to {store.path}; nothing committed was changed"
        assert lines[1] == why
        assert_clean(store)
