"""The store's promise: an episode whose commit returned survives a kill -9 at any later instruction, and an
uncommitted one is never visible. Recorders are killed at random moments, and at every call to the kernel."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from demos.episode import Episode
from demos.store import EpisodeStore
from tests.fakes import same_episode
from tests.recorder import recorded


class Recorders:
    """Starts recorders, hears what they announce and sees them die."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.recorder"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        self.announced: dict[int, list[str]] = defaultdict(list)

    def start(self, path: Path, writer: int, start: int, count: int, die_at: int = 0) -> int:
        """Starts a recorder and returns its pid."""
        order = {"path": str(path), "writer": writer, "start": start, "count": count, "die_at": die_at}
        self._order(order)
        return self._hear("started")

    def reap(self) -> int:
        """Waits for a recorder's end and returns its pid; all that it announced is heard by then."""
        self._order("reap")
        return self._hear("dead")

    def await_any(self) -> None:
        """Waits until some recorder has announced an episode."""
        self._hear("")

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    def _order(self, order: object) -> None:
        assert self._process.stdin
        print(json.dumps(order), file=self._process.stdin, flush=True)

    def _hear(self, awaited: str) -> int:
        """Reads on until the word is said ("": any id), and returns who said it."""
        assert self._process.stdout
        while line := self._process.stdout.readline():
            pid, _, word = line.rstrip("\n").partition(" ")
            assert not word.startswith("failed"), word
            if word == awaited:
                return int(pid)
            self.announced[int(pid)].append(word)
            if not awaited and word not in ("started", "dead", "finished"):
                return int(pid)
        raise AssertionError("the recorders' process ended")


@pytest.fixture(scope="module")
def recorders() -> Iterator[Recorders]:
    started = Recorders()
    yield started
    started.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: what a kill leaves is the same, and fsync is free."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


def _verify(path: Path, announced: dict[str, Episode], possible: dict[str, Episode]) -> EpisodeStore:
    """What was announced is there, and what is there is whole and was meant."""
    store = EpisodeStore(path)
    ids = set(store.ids()) if (path / "manifest.jsonl").exists() else set[str]()
    assert announced.keys() <= ids <= possible.keys()
    for each in ids:
        assert same_episode(store.load(each), possible[each])
    return store


def _verify_repaired(store: EpisodeStore) -> None:
    """After a repair nothing is found, nothing was lost, and the files are exactly those of the entries."""
    before = set(store.entries())
    lost = ("missing", "damaged", "unreadable", "damaged line", "no manifest")
    assert not [finding for finding in store.repair() if finding.kind in lost]
    assert store.check() == []
    assert before <= set(store.entries())
    files = {path.relative_to(store.path).as_posix() for path in store.path.glob("episodes/*/*")}
    assert files == {entry.file for entry in store.entries()}
    assert not list(store.path.glob("tmp/*"))


def _kill_often(recorders: Recorders, path: Path, kills: int, seed: int) -> None:
    """Records into one store through many kills, sometimes by two writers, repairing it now and then."""
    draw = random.Random(seed)
    made: dict[str, Episode] = {}
    announced: dict[str, Episode] = {}
    after = [0, 0]
    for kill in range(kills):
        writers = [0, 1] if kill % 3 == 2 else [kill % 2]
        pids: list[int] = []
        for writer in writers:
            possible = [recorded(number, writer) for number in range(after[writer], after[writer] + 40)]
            made |= {episode.id: episode for episode in possible}
            pids.append(recorders.start(path, writer, after[writer], 40))
        recorders.await_any()
        time.sleep(draw.uniform(0, 0.015))
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert {recorders.reap() for _ in pids} == set(pids)
        for writer, pid in zip(writers, pids, strict=True):
            heard = [word for word in recorders.announced.pop(pid, []) if word in made]
            announced |= {each: made[each] for each in heard}
            after[writer] += len(heard)  # the next recorder begins with what may have been interrupted
        store = _verify(path, announced, made)
        if draw.random() < 0.5:
            _verify_repaired(store)
    _verify_repaired(_verify(path, announced, made))
    assert len(announced) > kills


def test_random_kills(recorders: Recorders, folder: Path) -> None:
    _kill_often(recorders, folder / "store", kills=20, seed=0)


@pytest.mark.slow
def test_many_random_kills(recorders: Recorders, folder: Path) -> None:
    for seed in range(1, 11):
        _kill_often(recorders, folder / str(seed), kills=30, seed=seed)


def _kill_at_call(recorders: Recorders, path: Path, call: int, old: int, new: int) -> bool:
    """Kills a recorder before its nth call into the kernel and goes on; False if it finished before that."""
    made = {episode.id: episode for episode in map(recorded, range(old + new))}
    announced = dict(list(made.items())[:old])
    if old:
        EpisodeStore(path).commit_many(announced.values())
    pid = recorders.start(path, writer=0, start=old, count=new, die_at=call)
    assert recorders.reap() == pid
    words = recorders.announced.pop(pid, [])
    announced |= {word: made[word] for word in words if word in made}
    store = _verify(path, announced, made)
    if call % 2 and (path / "manifest.jsonl").exists():
        _verify_repaired(store)
    store.commit_many(made.values())
    _verify(path, made, made)
    _verify_repaired(store)
    return "finished" not in words


@pytest.mark.parametrize("old", [0, 2], ids=["first commit", "later commits"])
def test_kill_at_every_call(recorders: Recorders, folder: Path, old: int) -> None:
    """A commit and a batch of two, killed before each single call and in the middle of writes."""
    call = 1
    while _kill_at_call(recorders, folder / str(call), call, old=old, new=3):
        call += 1
    assert call > 40
