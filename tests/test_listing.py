"""`robocat arms` and `robocat tasks`: everything is listed, readably at any width, without loading torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from sim.arms import ARMS
from sim.listing import FULL_COLUMNS, arms, reach_m, tasks
from sim.registration import environment_ids
from sim.tasks import TASKS

ROOT = Path(__file__).parents[1]


def _listed(capsys: pytest.CaptureFixture[str], columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    arms(sources=True)
    tasks()
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", [80, 200])
def test_all_is_listed_at_any_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    lines = _listed(capsys, columns, monkeypatch)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= columns
    assert "…" not in text
    for name in (*ARMS, *TASKS, *(task.family for task in TASKS.values())):
        assert name in text
    assert "[m]" in text and "[s]" in text, "rich reads brackets as markup"
    flat = " ".join(text.split())
    assert "256 tasks trained on, 141 held out" in flat
    assert f"{len(environment_ids())} environments, each of {len(ARMS)} arms at each name above" in flat
    assert 'gymnasium.make("sim.registration:robocat/<arm>-<name>-v0")' in flat
    assert all(" ".join(task.summary.split()[:3]) in flat for task in TASKS.values())
    assert all(" ".join(arm.source.split()) in flat for arm in ARMS.values())


def test_a_narrow_table_of_arms_keeps_words_whole_and_says_what_it_leaves_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    for columns in (80, FULL_COLUMNS):
        monkeypatch.setenv("COLUMNS", str(columns))
        arms()
        shown.append(capsys.readouterr().out)
        for word in (word for arm in ARMS.values() for word in arm.title.split()):
            assert word in shown[-1], f"{word} is broken at {columns} columns"
    narrow, full = shown
    assert "left out for want of room" in narrow and f"COLUMNS={FULL_COLUMNS} robocat arms" in narrow
    assert "rad/s" not in narrow and "finger_8" not in narrow
    assert "left out" not in full and "rad/s" in full and "finger_8" in full
    assert "robocat arms --sources" in narrow and "figures from:\n" not in narrow


@pytest.mark.parametrize(
    ("arm", "least_m", "most_m"),
    # The maker's reach, from the base's axis to the wrist, and that plus the hand beyond the wrist.
    [
        *(("panda", 0.855, 1.1), ("ur5e", 0.85, 1.2), ("sawyer", 1.2, 1.5), ("kuka_iiwa14", 0.82, 1.15)),
        *(("xarm7", 0.7, 0.95), ("kinova_gen3", 0.902, 1.1)),
    ],
)
def test_reach_is_the_makers_and_the_hands(arm: str, least_m: float, most_m: float) -> None:
    assert least_m < reach_m(ARMS[arm]) < most_m


def test_listing_loads_no_torch_and_no_renderer() -> None:
    code = (
        "import sys\n"
        "from sim.listing import arms, tasks\n"
        "arms()\n"
        "tasks()\n"
        "assert not {'torch', 'OpenGL.GL'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
