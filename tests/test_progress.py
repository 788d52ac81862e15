"""Progress is readable with and without a terminal."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from demos import progress as module
from demos.progress import progress

ROOT = Path(__file__).parents[1]


class _Clock:
    """Stands in for the module `time`: each look at it is `tick_s` [s] later."""

    def __init__(self, tick_s: float) -> None:
        self.now, self.tick_s = 0.0, tick_s

    def monotonic(self) -> float:
        self.now += self.tick_s
        return self.now


def _say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tick_s: float) -> list[str]:
    monkeypatch.setattr(module, "time", _Clock(tick_s))
    with progress("train", 8) as advance:
        for _ in range(4):
            advance(2, note="loss [0.5]")
    return capsys.readouterr().err.splitlines()


def test_progress_is_silent_when_soon_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _say(monkeypatch, capsys, tick_s=0.001) == []


def test_progress_speaks_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = _say(monkeypatch, capsys, tick_s=4.0)
    assert lines[0] == "train: 6/8 (75%), 0.375/s, 5 s left, loss [0.5]"
    assert lines[-1].startswith("train: 8/8 (100%)")
    assert len(lines) == 2


def test_progress_with_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 0):
        pass
    assert capsys.readouterr().err == ""


def test_progress_draws_a_bar_on_a_terminal() -> None:
    code = (
        "from demos.progress import progress\n"
        "with progress('train', 4) as advance:\n"
        "    for _ in range(4): advance(note='loss [0.5]')\n"
    )
    ours, theirs = pty.openpty()
    env = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, stderr=theirs, check=True)
    os.close(theirs)
    said = os.read(ours, 65536).decode()
    os.close(ours)
    assert "4/4" in said and "loss [0.5]" in said and "━" in said


def test_progress_that_stops_early_says_how_far_it_came(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "time", _Clock(6.0))
    with pytest.raises(RuntimeError), progress("train", 8) as advance:
        for _ in range(5):
            advance()
        raise RuntimeError
    assert capsys.readouterr().err.splitlines()[-1].startswith("train: 5/8 (62%)")
