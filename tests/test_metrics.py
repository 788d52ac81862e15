"""Metrics survive crashes and resumption."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robocat import metrics
from robocat.metrics import Metrics, read_metrics
from sim.names import UnknownName

ROOT = Path(__file__).parents[1]


def _log(folder: Path, steps: range, *, resume_step: int | None = None) -> None:
    with Metrics(folder, "test", {}, resume_step=resume_step) as log:
        for step in steps:
            log.log(step, {"loss": step / 10})


def _steps(folder: Path) -> list[float]:
    return [row["step"] for row in read_metrics(folder)]


def test_rows_come_back(tmp_path: Path) -> None:
    with Metrics(tmp_path / "new" / "run", "test", {}) as log:
        log.log(0, {"loss": 2, "rate": np.float32(0.5)})
        log.log(10, {"accuracy": 0.25})
    first, second = read_metrics(tmp_path / "new" / "run")
    assert first == {"step": 0, "wall_time": first["wall_time"], "loss": 2.0, "rate": 0.5}
    assert second == {"step": 10, "wall_time": second["wall_time"], "accuracy": 0.25}
    assert second["wall_time"] >= first["wall_time"] > 1.7e9


def test_nothing_logged_reads_as_nothing(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []


def test_a_line_is_on_disk_as_soon_as_it_is_logged(tmp_path: Path) -> None:
    with Metrics(tmp_path, "test", {}) as log:
        log.log(1, {"loss": 1.0})
        assert _steps(tmp_path) == [1]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_null(tmp_path: Path, value: float) -> None:
    with Metrics(tmp_path, "test", {}) as log:
        log.log(1, {"loss": value})
    assert json.loads((tmp_path / metrics.FILE).read_text(), parse_constant=pytest.fail)["loss"] is None
    assert math.isnan(read_metrics(tmp_path)[0]["loss"])


def test_reserved_names_are_refused(tmp_path: Path) -> None:
    with Metrics(tmp_path, "test", {}) as log, pytest.raises(ValueError, match="'step'"):
        log.log(1, {"step": 1.0})
    assert _steps(tmp_path) == []


def test_resuming_drops_the_lost_steps(tmp_path: Path) -> None:
    _log(tmp_path, range(10))
    _log(tmp_path, range(6, 12), resume_step=6)
    assert _steps(tmp_path) == list(range(12))


def test_reopening_without_resuming_keeps_every_line(tmp_path: Path) -> None:
    _log(tmp_path, range(3))
    _log(tmp_path, range(2))
    assert _steps(tmp_path) == [0, 1, 2, 0, 1]


@given(st.integers(0, 200), st.integers(0, 6))
def test_a_file_cut_anywhere_resumes(cut: int, resume_step: int) -> None:
    """Whatever a crash leaves of the file, the resumed run's file has each step once."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _log(folder, range(5))
        whole = (folder / metrics.FILE).read_bytes()
        (folder / metrics.FILE).write_bytes(whole[: min(cut, len(whole))])
        left = len(_steps(folder))
        _log(folder, range(resume_step, 8), resume_step=resume_step)
        assert _steps(folder) == [*range(min(left, resume_step)), *range(resume_step, 8)]


def test_foreign_line_is_named(tmp_path: Path) -> None:
    (tmp_path / metrics.FILE).write_text("hello\n")
    with pytest.raises(ValueError, match=r"metrics\.jsonl holds 'hello"):
        Metrics(tmp_path, "test", {})


def test_a_run_that_fails_keeps_its_numbers(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Metrics(tmp_path, "test", {}) as log:
        log.log(1, {"loss": 1.0})
        raise RuntimeError
    assert _steps(tmp_path) == [1]


def test_unknown_wandb_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownName, match="did you mean 'offline'"):
        Metrics(tmp_path, "test", {}, wandb_mode="offlin")
    monkeypatch.setenv("WANDB_MODE", "onlin")
    with pytest.raises(UnknownName, match="did you mean 'online'"):
        Metrics(tmp_path, "test", {})


def test_absent_wandb_is_one_notice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with Metrics(tmp_path, "test", {}, wandb_mode="offline") as log:
        log.log(1, {"loss": 1.0})
    assert capsys.readouterr().err == "wandb is not installed: metrics go to metrics.jsonl alone\n"
    assert _steps(tmp_path) == [1]


def test_wandb_offline_is_silent_and_stays_in_the_folder(tmp_path: Path) -> None:
    """In a process of its own, because wandb starts a service and changes the process it runs in."""
    code = (
        "from robocat.metrics import Metrics\n"
        f"with Metrics({str(tmp_path)!r}, 'test', {{'width': 8}}, wandb_mode='offline') as log:\n"
        "    log.log(1, {'loss': 1.0})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert _steps(tmp_path) == [1]
    assert len(list(tmp_path.glob("wandb/offline-run-*/*.wandb"))) == 1
