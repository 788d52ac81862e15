"""Reading a run's folder: all of it, and what is no run or holds something else than it should."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from finetune.clips import choose
from finetune.gate import Cell
from finetune.report import NAME
from finetune.run_folder import Run, rank, read_run
from finetune.standing import Standing
from tests.fake_run import MODELS, NEW, OLD, STAGES, fake_run, write

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    fake_run(folder, np.random.default_rng(0))
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def test_a_run_is_read_whole(whole: Path) -> None:
    run: Run = read_run(whole)
    assert run.new_cells == {NEW}
    assert [stage.name for stage in run.stages] == list(STAGES)
    assert list(run.models) == list(run.scores) == list(MODELS)
    assert list(run.curves) == ["tokeniser", *MODELS]


@pytest.mark.parametrize("made", [True, False])
def test_what_is_no_run_is_refused(tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "other"
    if made:
        folder.mkdir()
    with pytest.raises(
        ValueError, match=r"other (holds no run\.json|is no folder).*`robocat improve`"
    ) as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)
    assert not (folder / NAME).exists()


def _set(record: dict[str, object], key: str, value: object) -> None:
    record[key] = value


@pytest.mark.parametrize(
    ("file", "damage", "says"),
    [
        ("run.json", lambda record: record.pop("seed"), "'seed'"),
        ("gate.json", lambda record: record.pop("new"), "'new'"),
        ("gate.json", lambda record: record["new"][0]["versus_parent"].pop("n"), "'n'"),
        ("gate.json", lambda record: _set(record["old_mean"], "low", 2.0), "low <= mean"),
        ("models/branch/config.json", lambda record: _set(record, "steps", "many"), "steps: got 'many'"),
        ("models/branch/config.json", lambda record: _set(record, "steps", True), "steps: got True"),
        ("stages/03-generalist-0.json", lambda record: _set(record, "seconds", None), "seconds: got None"),
        ("tokeniser/card.json", lambda record: record.pop("codes"), "'codes'"),
        ("scores/branch.json", lambda record: record.pop("trials"), "trials"),
    ],
)
def test_a_wrong_file_is_named(
    folder: Path, file: str, damage: Callable[[dict[str, object]], object], says: str
) -> None:
    record = json.loads((folder / file).read_text())
    damage(record)
    write(folder / file, record)
    with pytest.raises(ValueError, match=f"{re.escape(file)}.*{re.escape(says)}") as caught:
        read_run(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_damaged_file_is_named(folder: Path, text: str) -> None:
    (folder / "gate.json").write_text(text)
    with pytest.raises(ValueError, match=r"gate\.json"):
        read_run(folder)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (("kuka", "lift"), ("new arm",)),
        (("panda", "stack"), ("new task",)),
        (("kuka", "stack"), ("new arm", "new task")),
        (("ur5e", "lift"), ("new pair",)),
        (("panda", "lift"), ()),
    ],
)
def test_what_is_new_about_it(cell: Cell, said: tuple[str, ...]) -> None:
    shown = frozenset({("panda", "lift"), ("ur5e", "reach")})
    assert Standing({}, frozenset({cell}) - shown, shown).news(cell) == said


def test_models_are_in_the_order_of_the_cycle() -> None:
    names = ["generalist-2", "generalist-1", "branch", "control-1", "generalist-0", "scratch", "control-2"]
    assert sorted(names, key=rank) == [*MODELS, "control-2", "generalist-2"]


def test_scenes_are_chosen_whatever_the_outcome(whole: Path) -> None:
    entries = read_run(whole).stores["clips"].entries
    chosen = choose(entries)
    assert set(chosen) == {*OLD, NEW}
    for cell, scenes in chosen.items():
        assert [scene[0].seed for scene in scenes] == [0, 1]
        met = list(MODELS) if cell == NEW else [name for name in MODELS if name not in ("scratch", "branch")]
        assert [[entry.policy for entry in scene] for scene in scenes] == [
            [f"{name}@0123" for name in met]
        ] * 2


def test_the_verb_says_in_one_line_that_there_is_no_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "robocat", "report", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"robocat report: .* holds no run\.json.*\n", done.stderr)
