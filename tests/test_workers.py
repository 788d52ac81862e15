"""Many attempts on several processes: the same however many and however often interrupted; errors arrive."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from demos import workers
from demos.expert import Expert, Noise
from demos.rollout import Attempt
from demos.store import EpisodeStore
from demos.workers import Ended, Piece, WorkerDied, cut, in_parallel, run, work

ROOT = Path(__file__).parents[1]
SIZE = 32  # of images [px]; this module stays without torch, which workers would load


def _pieces(store: Path | None, count: int = 4) -> list[Piece]:
    """Noisy reaching by the expert, two attempts a piece."""
    make = partial(Expert, Noise())
    attempts = [Attempt(seed) for seed in range(2 * count)]
    return [
        Piece("panda", "reach", SIZE, tuple(attempts[i : i + 2]), make, store) for i in range(0, 2 * count, 2)
    ]


# What workers do in these tests; they find it by name.


def _pid(_: object) -> int:
    return os.getpid()


def _fail_or_sleep(which: str) -> None:
    if which == "fail":
        raise ValueError("one line about what is wrong")
    if which == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(120)


def test_cut() -> None:
    parts = list(cut(range(2 * workers.PIECE + 3)))
    assert [len(part) for part in parts] == [workers.PIECE, workers.PIECE, 3]
    assert sum(parts, ()) == tuple(range(2 * workers.PIECE + 3))
    assert list(cut([])) == []


def test_one_worker_or_several_make_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PIECE", 2)
    ended = {n: run(_pieces(tmp_path / f"{n}"), n, "test") for n in (1, 2)}
    assert ended[1] == ended[2]
    assert [each.seed for each in ended[1]] == list(range(8))
    assert EpisodeStore(tmp_path / "1").digest() == EpisodeStore(tmp_path / "2").digest()


def test_what_ended_is_what_is_stored(tmp_path: Path) -> None:
    ended = run(_pieces(tmp_path, 2), 1, "test")
    entries = EpisodeStore(tmp_path).entries()
    told = [Ended(e.id, e.arm, e.task, e.variation, e.seed, e.success, e.length, e.success) for e in entries]
    assert sorted(ended, key=lambda each: each.id) == told


@pytest.mark.parametrize("done", [0, 1, 3])
def test_interrupted_and_repeated_makes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    run(_pieces(tmp_path / "whole"), 1, "test")
    left = iter(range(done))

    def interrupted(piece: Piece) -> list[Ended]:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return work(piece)

    monkeypatch.setattr(workers, "work", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(_pieces(tmp_path / "part"), 1, "test")
    monkeypatch.undo()
    store = EpisodeStore(tmp_path / "part")
    assert (len(store) if store.exists else 0) == 2 * done
    run(_pieces(store.path), 1, "test")
    assert store.digest() == EpisodeStore(tmp_path / "whole").digest()


def test_some_or_none_are_kept(tmp_path: Path) -> None:
    (piece,) = _pieces(tmp_path / "some", 1)
    assert len(work(replace(piece, keep=1))) == 2
    assert [entry.seed for entry in EpisodeStore(tmp_path / "some").entries()] == [0]
    assert work(replace(piece, store=None)) == work(piece)  # all, and the one that is there stays
    assert [entry.seed for entry in EpisodeStore(tmp_path / "some").entries()] == [0, 1]


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    """Its own content stands, though the attempt would now go another way."""
    (piece,) = _pieces(tmp_path, 1)
    work(piece)
    before = EpisodeStore(tmp_path).digest()
    work(replace(piece, make=Expert))
    assert EpisodeStore(tmp_path).digest() == before


def test_no_more_processes_than_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fewer attempts than make a piece are made here, however many pieces they are."""
    monkeypatch.setattr(workers, "processes", None)
    assert len(run(_pieces(tmp_path), 8, "test")) == 8


def test_results_come_in_the_order_of_the_pieces() -> None:
    pids = list(in_parallel(_pid, range(6), 2))
    assert len(pids) == 6 and os.getpid() not in pids and len(set(pids)) <= 2
    assert set(in_parallel(_pid, range(3), 1)) == {os.getpid()}


@pytest.mark.parametrize(
    ("which", "kind", "said"),
    [
        ("fail", ValueError, "^one line about what is wrong$"),
        (
            "die",
            WorkerDied,
            "^a worker process was killed or ran out of memory; .* run the same command again",
        ),
    ],
)
def test_an_error_is_raised_at_once(which: str, kind: type[Exception], said: str) -> None:
    """Without waiting for what the others do: that would be two minutes."""
    started = time.monotonic()
    with pytest.raises(kind, match=said):
        list(in_parallel(_fail_or_sleep, [which, "sleep"], 2))
    assert time.monotonic() - started < 60
    assert issubclass(WorkerDied, OSError)  # so the command line says it in one line


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_workers_end_with_the_process_that_started_them(end: signal.Signals) -> None:
    code = (
        "import signal, time\n"
        # A run in the background may have been started with Ctrl-C ignored, which children inherit.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from demos.workers import processes\n"
        "from tests.test_workers import _pid, _fail_or_sleep\n"
        "if __name__ == '__main__':\n"
        "    with processes(2) as pool:\n"
        "        print(*{*pool.map(_pid, range(8))}, flush=True)\n"
        "        list(pool.map(_fail_or_sleep, ['sleep'] * 2))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert pids and all(map(_alive, pids))
        process.send_signal(end)
        said = process.stderr.read()
    assert ("KeyboardInterrupt" in said) == (end == signal.SIGINT)
    _wait(lambda: not any(map(_alive, pids)))


def _wait(done: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
