"""The page about a run: its numbers are the records', it stands alone, and it says what is missing."""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from demos.intervals import Difference
from demos.store import EpisodeStore
from finetune import clips, report_figures
from finetune.loop_picture import about, loop_boxes, loop_drawing
from finetune.markup import duration, percent, points, size
from finetune.report import NAME, SECTIONS, report, summary_table
from finetune.run_folder import read_run
from finetune.standing import Standing
from robocat.agreement import Agreement
from robocat.scores import Scores
from tests.fake_run import MODELS, NEW, OLD, STAGES, fake_run, fake_scores
from tests.page import Page

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def _charts_are_drawn_once() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """Charts depend on their numbers alone and are most of a page's work: the same one is not drawn twice."""
    drawn: dict[str, str] = {}
    draw = report_figures.draw

    def remembered(*series: tuple[list[float], list[float]]) -> str:
        key = repr(series)
        if key not in drawn:
            drawn[key] = draw(*series)
        return drawn[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_figures, "draw", remembered)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run with its page; not to be changed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    fake_run(folder, np.random.default_rng(0))
    report(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(whole, tmp_path / "run"))


def _page(folder: Path) -> Page:
    report(folder)
    return Page((folder / NAME).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(whole: Path) -> Page:
    return Page((whole / NAME).read_text(encoding="utf-8"))


def test_the_page_stands_alone(whole: Path, page: Page) -> None:
    text = (whole / NAME).read_text(encoding="utf-8")
    assert len(text) < 15_000_000
    assert {address[:5].partition("#")[0] for address in page.addresses} == {"data:", ""}
    # Not even as a name space: nothing in the file looks like an address.
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", re.sub(r"base64,[\w+/=]*", "", text))
    assert not {"script", "link", "iframe", "object", "form"} & set(page.tags)


def test_every_anchor_leads_somewhere_and_ids_are_unique(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    links = {address[1:] for address in page.addresses if address.startswith("#")}
    assert links <= set(page.ids)
    assert set(SECTIONS) <= links


def test_success_table_says_what_the_records_say(whole: Path, page: Page) -> None:
    head, *rows = page.tables["success"][0]
    assert [name.split()[0] for name in head] == ["arm", *(name + _role(name, head) for name in MODELS)]
    cells = {row[0]: row[1:] for row in rows}
    assert [name.removesuffix("new arm") for name in cells] == [
        *(" ".join(cell) for cell in OLD),
        " ".join(NEW),
        "all that was known",
    ]
    for column, model in enumerate(MODELS):
        scores = Scores.load(whole / "scores" / f"{model}.json")
        for arm, task in [*OLD, NEW]:
            shown = cells[f"{arm} {task}" + ("new arm" if (arm, task) == NEW else "")][column]
            if (arm, task) not in scores.cells():
                assert shown == "\N{EN DASH}"
                continue
            rate = scores.cell(arm, task)
            span = f"{100 * rate.low:.0f}\N{EN DASH}{100 * rate.high:.0f}"
            assert shown == f"{100 * rate.mean:.0f}%{span} {rate.successes}/{rate.n}"
        if scores.cells() != [NEW]:
            known = scores.pooled(OLD)
            assert cells["all that was known"][column].endswith(f" {known.successes}/{known.n}")


def _role(model: str, head: list[str]) -> str:
    """What follows the model's name without a space: the first word of what it learnt from."""
    (title,) = (name for name in head if name.startswith(model))
    return title.split()[0].removeprefix(model)


def test_gate_says_what_the_record_says(whole: Path, page: Page) -> None:
    record = json.loads((whole / "gate.json").read_text())
    assert ("Accepted" if record["accepted"] else "Rejected") in page.text["gate"]
    for reason in record["reasons"]:
        assert reason in page.text["gate"]
    rows = page.tables["gate"][0][1:]
    expected = [each[key] for each in record["new"] for key in ("versus_parent", "versus_control")]
    expected += [each["difference"] for each in record["old"]] + [record["old_mean"]]
    for row, values in zip(rows, expected, strict=True):
        each = Difference(**values)
        p = "<0.001" if each.p < 0.001 else f"{each.p:.3f}"
        interval = f"{points(each.low)} to {points(each.high)}"
        won = f"{each.only_a} : {each.only_b}"
        assert row[1:] == [points(each.mean), "", interval, f"{each.n:,}", won, p]
    assert [row[0].split()[:2] for row in rows[:2]] == [list(NEW)] * 2
    own = Scores.load(whole / "scores" / "gate-generalist-1.json").cell(*NEW)
    assert f"{own.successes}/{own.n}" in page.tables["gate"][1][-2][-1]


def test_several_new_cells_are_shown_apart_and_together(folder: Path) -> None:
    path = folder / "gate.json"
    record = json.loads(path.read_text())
    record["new"].append(record["new"][0] | {"task": "stack"})
    path.write_text(json.dumps(record))
    names = [row[0] for row in _page(folder).tables["gate"][0][1:]]
    whom = ("generalist 0", "control without practice")
    shown = [
        f"{name} {other}" for name in (" ".join(NEW), f"{NEW[0]} stack", "all that is new") for other in whom
    ]
    assert names[:6] == shown


def test_what_a_success_model_got_wrong_stands_beside_the_gain(folder: Path, page: Page) -> None:
    assert "A success model judged" not in page.text["gate"] + page.text[""]
    path = folder / "gate.json"
    record = json.loads(path.read_text())
    agreed = Agreement(n=90, done=70, said=60, both=57)
    record["judged"] = [{"arm": NEW[0], "task": NEW[1], **agreed.record()}]
    path.write_text(json.dumps(record))
    changed = _page(folder)
    told = "A success model judged the practice: precision 95 (86-98) %, n 60, recall 81 ("
    assert told in changed.text[""]
    _, row = changed.tables["gate"][1]
    assert row[0] == " ".join(NEW) and row[3:] == ["3 of 60", "13 of 70"]
    assert row[1].endswith("57/60") and row[2].endswith("57/70")


def test_loop_counts_what_the_stores_hold(whole: Path, page: Page) -> None:
    said = page.text["loop"]
    assert f"Demonstrations {len(EpisodeStore(whole / 'stores' / 'demos'))} episodes" in said
    practice = EpisodeStore(whole / "stores" / "practice").entries()
    assert f"{len(practice)}attempts{sum(entry.success for entry in practice)} succeeded" in said.replace(
        "\n", ""
    )
    assert "28.1" in said and "498 of 512 codes" in said
    known = Scores.load(whole / "scores" / "generalist-1.json").pooled(OLD)
    assert f"Generalist 1 {percent(known.mean)} on what was known" in said


def test_the_loop_is_a_drawing_of_its_own(whole: Path) -> None:
    """Well-formed, complete, and nothing from elsewhere: it is shown where the page is not."""
    run = read_run(whole)
    standing = Standing.of(run, run.scores)
    drawing = loop_drawing(run, standing)
    root = ElementTree.fromstring(drawing)
    words = " ".join(root.itertext())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert all(box.title in words and box.number in words for box in loop_boxes(run, standing))
    assert "href" not in drawing


def test_how_long_a_stage_took_has_room_beside_its_title() -> None:
    """A time of eleven characters touched "Demonstrations", which is drawn 14 px high in 224 px."""
    times = (3.21, 9.97, 59.6, 60, 674, 3599, 3600, 7500, 36_000, 359_000)
    said = "3.2 s, 10 s, 60 s, 1.0 min, 11 min, 60 min, 1.0 h, 2.1 h, 10 h, 100 h"
    assert ", ".join(map(about, times)) == said
    assert max(len(about(seconds)) for seconds in np.geomspace(0.1, 3.6e6, 999)) <= 7


def test_rollouts_are_small_animations_beside_their_goal(whole: Path) -> None:
    text = (whole / NAME).read_text(encoding="utf-8")
    films = re.findall(r'<img src="data:image/webp;base64,([^"]+)"[^>]*class="film"', text)
    assert len(films) == 2 * (3 * len([*OLD, NEW]) + 2)
    for film in films:
        data = base64.b64decode(film)
        assert len(data) <= clips.MOST_BYTES
        with Image.open(io.BytesIO(data)) as image:
            assert image.n_frames == 5  # pyright: ignore[reportAttributeAccessIssue]
    entries = EpisodeStore(whole / "stores" / "clips").entries()
    won = sum(entry.success for entry in entries)
    assert [text.count(f'class="tile {kind}"') for kind in ("success", "failure")] == [
        won,
        len(entries) - won,
    ]
    # The fake policies were shown a goal each of their own.
    assert text.count('class="tile goal"') == len(entries)


def test_lineage_names_every_parent_and_store(whole: Path, page: Page) -> None:
    rows = page.tables["lineage"][0][1:]
    parents = {
        row[0].partition("generation")[0].strip("\N{BOX DRAWINGS LIGHT UP AND RIGHT} "): row for row in rows
    }
    for name in MODELS:
        config = json.loads((whole / "models" / name / "config.json").read_text())
        own = parents[name]
        assert own[1] == ("nothing" if config["parent"] is None else "generalist-0")
        assert own[2:4] == [f"{config['steps']:,}", "1.23 M"]
        start = rows.index(own)
        for i, store in enumerate(config["lineage"]["stores"]):
            episodes, share = f"{store['episodes']:,}", f"{100 * store['share']:.0f}%"
            shown = [Path(store["path"]).name, episodes, "4,321", share, store["digest"][:12]]
            assert rows[start + i][-5:] == shown
    text = (whole / NAME).read_text(encoding="utf-8")
    for name in ("demos", "adaptation", "practice"):
        assert f'title="{EpisodeStore(whole / "stores" / name).digest()}"' in text


def test_costs_add_up(whole: Path, page: Page) -> None:
    rows = page.tables["cost"][0][1:]
    assert [row[0] for row in rows] == [*STAGES, "in all"]
    records = [json.loads(file.read_text()) for file in sorted((whole / "stages").glob("*.json"))]
    assert [row[1] for row in rows[:-1]] == [duration(record["seconds"]) for record in records]
    assert rows[-1][1] == duration(sum(record["seconds"] for record in records))
    assert rows[-1][3] == size(max(record["peak_memory_mib"] for record in records) * 2**20)


def test_text_is_shown_as_it_is(page: Page) -> None:
    assert "note <all of them>" in page.tables["cost"][0][1][5]
    assert "Some <CPU> & more" in page.text["settings"]


def test_all_settings_are_there(page: Page) -> None:
    for said in ("train.learning_rate0.001", "train.steps4000", "panda, ur5e", "3.17.0", "seed7"):
        assert said in page.text["settings"]


def test_two_reports_of_a_run_are_equal(folder: Path) -> None:
    report(folder)
    first = (folder / NAME).read_bytes()
    report(folder)
    assert (folder / NAME).read_bytes() == first
    assert not list(folder.glob(".report*"))


# What can be missing, and the section that then says so.
PARTS: dict[str, list[str]] = {
    "stages": ["cost"],
    "stores": ["rollouts", "loop"],
    "stores/demos": ["loop"],
    "stores/adaptation": [],
    "stores/practice": ["loop"],
    "stores/clips": ["rollouts"],
    "tokeniser": ["tokeniser", "loop"],
    "tokeniser/card.json": ["tokeniser", "loop"],
    "tokeniser/reconstructions.npz": ["tokeniser"],
    "tokeniser/metrics.jsonl": [],
    "models": ["lineage"],
    "models/branch": [],
    "scores": ["success"],
    "scores/generalist-1.json": [],
    "scores/gate-generalist-1.json": [],
    "gate.json": ["gate", "loop"],
}


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_is_said(folder: Path, part: str) -> None:
    path = folder / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = _page(folder)
    assert set(SECTIONS) <= set(page.text)
    for section in PARTS[part]:
        assert re.search(r"Not in this run|not run", page.text[section]), section
    summary_table(folder)


def test_a_run_that_has_just_begun(whole: Path, tmp_path: Path) -> None:
    shutil.copy(whole / "run.json", tmp_path)
    page = _page(tmp_path)
    for section in set(SECTIONS) - {"settings"}:
        assert re.search(r"Not in this run|not run", page.text[section]), section
    assert summary_table(tmp_path).row_count <= 1


def test_the_verb_needs_no_torch(folder: Path) -> None:
    """What reads a run's record may not need what made it."""
    code = (
        "import sys; from robocat.cli import main\n"
        f"code = main(['report', {str(folder)!r}]); sys.exit(code or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r".*report\.html: \d+\.\d MB\n", done.stdout)


def test_models_on_other_scenes_are_not_said_to_be_comparable(folder: Path, page: Page) -> None:
    assert "Every model met the same scenes" in page.text["success"]
    fake_scores("branch", [NEW], 7, np.random.default_rng(3)).save(folder / "scores" / "branch.json")
    assert "did not all meet the same scenes" in _page(folder).text["success"]


def test_further_evaluations_are_apart(folder: Path) -> None:
    extra = fake_scores("generalist-1", [("panda", "lift")], 7, np.random.default_rng(3))
    extra.save(folder / "scores" / "generalist-1-700000.json")
    page = _page(folder)
    assert "generalist-1-700000" not in page.tables["success"][0][0]
    (name,) = page.tables["success"][1][0][1:]
    assert name.startswith("generalist-1-700000")
    assert page.tables["success"][1][1][1].endswith("/7")


def test_summary_table_pools_what_was_known_by_task(whole: Path) -> None:
    table = summary_table(whole)
    columns = [list(column.cells) for column in table.columns]
    assert columns[0] == ["reach", "lift", "all that was known", "kuka_iiwa14 lift (new arm)"]
    assert [column.header for column in table.columns[1:]] == [name.replace("-", " ") for name in MODELS]
    scores = Scores.load(whole / "scores" / "generalist-1.json")
    rates = [scores.pooled([cell for cell in OLD if cell[1] == task]) for task in ("reach", "lift")]
    rates += [scores.pooled(OLD), scores.cell(*NEW)]
    for shown, rate in zip(columns[-1], rates, strict=True):
        assert shown == f"{100 * rate.mean:.0f} {100 * rate.low:.0f}-{100 * rate.high:.0f}"
    assert columns[2][:3] == ["-"] * 3  # scratch


def test_a_full_page_leaves_rollouts_out_and_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "ALL_BYTES", 4000)
    page = _page(folder)
    assert "left out, the page is full" in page.text["rollouts"]
