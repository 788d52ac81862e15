"""A run as stages: goes on at the first that is not done, keeps count of time, refuses other settings."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from finetune.stages import Stage, Summary, disk_mib, open_run, run_stages
from robocat.checkpoint import CheckpointError, read_json
from robocat.presets import PRESETS

DEBUG = PRESETS["debug"]


class _Work:
    """Stages that note that they ran; one of them may fail."""

    def __init__(self, failing: str = "", error: type[BaseException] = KeyboardInterrupt) -> None:
        self.failing, self.error, self.ran = failing, error, list[str]()

    def stages(self) -> list[Stage]:
        return [Stage(name, self._named(name)) for name in ("one", "two", "three")]

    def _named(self, name: str) -> Callable[[], Summary]:
        def work() -> Summary:
            self.ran.append(name)
            if name == self.failing:
                raise self.error("stop")
            return {"number": len(name), "rate": 0.5, "word": "[bold]"}

        return work


def _run(folder: Path, work: _Work) -> list[str]:
    run_stages(folder, work.stages(), workers=1)
    return work.ran


def test_stages_in_order_each_once(tmp_path: Path) -> None:
    assert _run(tmp_path, _Work()) == ["one", "two", "three"]
    assert _run(tmp_path, _Work()) == []
    names = sorted(path.name for path in (tmp_path / "stages").iterdir())
    assert names == ["00-one.json", "01-two.json", "02-three.json"]
    record = read_json(tmp_path / "stages" / "01-two.json")
    assert record["name"] == "two" and record["summary"] == {"number": 3, "rate": 0.5, "word": "[bold]"}
    assert record["seconds"] >= 0 and record["peak_memory_mib"] > 10 and record["disk_mib"] > 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_a_stopped_run_goes_on_at_the_first_stage_not_done(
    tmp_path: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error, match="stop"):
        _run(tmp_path, _Work("two", error))
    assert _run(tmp_path, _Work()) == ["two", "three"]


def test_a_stage_whose_manifest_is_gone_is_done_again(tmp_path: Path) -> None:
    _run(tmp_path, _Work())
    (tmp_path / "stages" / "01-two.json").unlink()
    assert _run(tmp_path, _Work()) == ["two"]


def test_what_is_done_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(tmp_path, _Work())
    said = capsys.readouterr()
    assert said.out == ""
    assert "2/3 two" in said.err and "  number 3, rate 0.5, word [bold]\n" in said.err


def test_seconds_add_up_over_interruptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def work(seconds: float, stop: bool) -> Callable[[], Summary]:
        def take() -> Summary:
            now[0] += seconds
            if stop:
                raise KeyboardInterrupt
            return {}

        return take

    for seconds in (3.0, 4.0):
        with pytest.raises(KeyboardInterrupt):
            run_stages(tmp_path, [Stage("slow", work(seconds, stop=True))], 1)
    run_stages(tmp_path, [Stage("slow", work(5.0, stop=False))], 1)
    assert read_json(tmp_path / "stages" / "00-slow.json")["seconds"] == pytest.approx(12.0)
    assert [path.name for path in (tmp_path / "stages").iterdir()] == ["00-slow.json"]


def test_a_run_says_what_it_is(tmp_path: Path) -> None:
    open_run(tmp_path, "debug", DEBUG)
    record = read_json(tmp_path / "run.json")
    assert (record["preset"], record["seed"]) == ("debug", DEBUG.seed)
    assert record["config"]["train"]["steps"] == DEBUG.train.steps
    assert {"processor", "system", "python"} == set(record["machine"])
    assert "torch" in record["versions"] and record["started"].endswith("+00:00")
    before = (tmp_path / "run.json").read_bytes()
    open_run(tmp_path, "debug", DEBUG)
    assert (tmp_path / "run.json").read_bytes() == before


def test_a_run_with_other_settings_is_refused(tmp_path: Path) -> None:
    open_run(tmp_path, "debug", DEBUG)
    for other in (PRESETS["nano"], replace(DEBUG, seed=1), replace(DEBUG, agent=PRESETS["nano"].agent)):
        with pytest.raises(CheckpointError, match="holds a run with other settings .* choose another --out"):
            open_run(tmp_path, "nano", other)
    with pytest.raises(CheckpointError, match=re.escape("settings (seed: asked for 1, there 0); choose")):
        open_run(tmp_path, "debug", replace(DEBUG, seed=1))
    extended = replace(DEBUG, extension=DEBUG.tokeniser)
    with pytest.raises(CheckpointError, match=r"\(extension.* there 'nothing'; .*; and \d+ more\); choose"):
        open_run(tmp_path, "debug", extended)


def test_a_damaged_record_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match="run.json is damaged"):
        open_run(tmp_path, "debug", DEBUG)


def test_disk_counts_every_file(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for path in (tmp_path / "x", tmp_path / "a" / "b" / "y"):
        path.write_bytes(bytes(2**20))
    assert disk_mib(tmp_path) == pytest.approx(2.0)
