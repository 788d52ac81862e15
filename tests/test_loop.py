"""The whole cycle on preset "debug": at one go, killed and resumed, and each of its verbs by itself."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bench import record
from bench.extension import extension, fork
from bench.judge import judge
from bench.practice import practice
from demos.collect import Collection, collect_experts
from demos.store import EpisodeStore
from finetune.improve import SEEN, Cycle, improve
from finetune.report import render
from finetune.run_folder import read_run
from finetune.stages import run_stages
from robocat import cli, train_tokeniser
from robocat.agent_checkpoint import read_agent, tokeniser_beside
from robocat.agreement import MODEL, heard
from robocat.checkpoint import CheckpointError, read_config, read_json
from robocat.policy import Policy
from robocat.presets import PRESETS
from robocat.scores import Scores
from robocat.tokeniser import extended_from
from tests.page import Page
from tests.tiny import interrupted, measured

ROOT = Path(__file__).parents[1]
STAGES = (
    "demonstrations", "tokeniser", "tokens", "generalist-0", "adaptation", "branch", "practice",
    "generalist-1", "evaluation", "gate",
)  # fmt: skip
MODELS = ("branch", "control-1", "generalist-0", "generalist-1", "scratch")
STORES = ("adaptation", "clips", "demos", "gate-goals", "goals", "practice")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a run that nothing interrupted."""
    folder, threads = tmp_path_factory.mktemp("cycle") / "run", torch.get_num_threads()
    improve("debug", folder)
    yield folder
    torch.set_num_threads(threads)


def _came_of(folder: Path) -> dict[str, object]:
    """What must not depend on how a run went: contents of stores, weights, outcomes and the verdict."""
    found: dict[str, object] = {}
    for path in sorted(folder.glob("stores/*")):
        found[f"store {path.name}"] = EpisodeStore(path).digest()
    for path in sorted(folder.glob("models/*")):
        record = read_agent(path)
        found[f"model {path.name}"] = (record["weights"], record["tokeniser"], record["generation"])
    found["tokeniser"] = read_config(folder / "tokeniser", "tokeniser")["weights"]
    for path in sorted(folder.glob("scores/*.json")):
        found[f"scores {path.name}"] = Scores.load(path).trials
    found["gate"] = read_json(folder / "gate.json")
    for path in sorted(folder.glob("*/metrics.jsonl")) + sorted(folder.glob("models/*/metrics.jsonl")):
        rows = measured(path.parent)
        assert len({row["step"] for row in rows}) == len(rows), path
        found[f"metrics {path.parent.name}"] = rows
    return found


EXTENDED = replace(PRESETS["debug"], extension=PRESETS["debug"].tokeniser, workers=1)  # starts no processes


@pytest.fixture(scope="module")
def extended(run: Path) -> Iterator[Path]:
    """Where that run goes on with its tokeniser extended, interrupted meanwhile, until all is trained."""
    folder = run.with_name("extended")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "debug-extended", EXTENDED)
        fork(run, folder, "debug-extended", EXTENDED)
        with interrupted(7):
            improve("debug-extended", folder)
        run_stages(folder, Cycle(folder, EXTENDED).stages()[:-2], workers=1)
        yield folder


def test_every_stage_leaves_its_manifest(run: Path) -> None:
    names = [path.name for path in sorted((run / "stages").iterdir())]
    assert names == [f"{number:02d}-{name}.json" for number, name in enumerate(STAGES)]
    for name in names:
        assert read_json(run / "stages" / name)["seconds"] > 0
    assert sorted(path.name for path in (run / "models").iterdir()) == sorted(MODELS)
    assert sorted(path.name for path in (run / "stores").iterdir()) == sorted(STORES)
    assert (run / "report.html").read_text().startswith("<!")
    assert not list(run.rglob("resume")) and not list(run.rglob("parts"))


def test_stores_are_sound_and_as_planned(run: Path) -> None:
    preset = PRESETS["debug"]
    counts: dict[str, int] = {}
    for name in STORES:
        store = EpisodeStore(run / "stores" / name)
        assert store.check() == []
        counts[name] = len(store)
    for name, plan in (("demos", preset.collection), ("adaptation", preset.adaptation)):
        assert counts[name] == len(plan.arms) * len(plan.tasks) * plan.episodes
    assert counts["practice"] == len(preset.adaptation.cells) * preset.practice.episodes
    practice = EpisodeStore(run / "stores" / "practice").entries()
    branch = read_agent(run / "models" / "branch")
    assert {(e.controller, e.policy, e.generation) for e in practice} == {
        ("policy", f"branch@{branch['weights']}", 0)
    }


def test_lineage_leads_back_to_the_stores(run: Path) -> None:
    """Every checkpoint names its parent and the very contents of the stores that it learnt from."""
    parents = {name: read_agent(run / "models" / name)["parent"] for name in MODELS}
    base = str(run / "models" / "generalist-0")
    assert parents == dict.fromkeys(MODELS, base) | {"generalist-0": None, "scratch": None}
    learnt: dict[str, set[str]] = {}
    for name in MODELS:
        stores = read_agent(run / "models" / name)["lineage"]["stores"]
        learnt[name] = {Path(store["path"]).name for store in stores}
        for store in stores:
            assert store["digest"] == EpisodeStore(store["path"]).digest()
    assert learnt == {
        "generalist-0": {"demos"},
        "branch": {"demos", "adaptation"},
        "scratch": {"adaptation"},
        "generalist-1": {"demos", "adaptation", "practice"},
        "control-1": {"demos", "adaptation"},
    }


def test_models_are_compared_on_the_same_scenes(run: Path) -> None:
    """And the gate's scenes and goals are used for nothing else."""
    scores = {path.stem: Scores.load(path) for path in (run / "scores").iterdir()}
    scenes = {name: {trial.scene for trial in each.trials} for name, each in scores.items()}
    assert scenes["generalist-0"] == scenes["generalist-1"] == scenes["control-1"]
    assert scenes["branch"] == scenes["scratch"] < scenes["generalist-0"]
    assert scenes["gate-generalist-0"] == scenes["gate-generalist-1"] > scenes["gate-control-1"]
    gate = {name for name in scenes if name.startswith("gate-")}
    seeds = {name: {trial.seed for trial in each.trials} for name, each in scores.items()}
    goals = {name: {trial.goal for trial in each.trials} for name, each in scores.items()}
    for used in (seeds, goals):
        apart = set[object]().union(*(used[name] for name in gate))
        assert not apart & set[object]().union(*(used[name] for name in set(scores) - gate))
    entries = [
        e
        for name in ("demos", "adaptation", "practice")
        for e in EpisodeStore(run / "stores" / name).entries()
    ]
    assert not {e.seed for e in entries} & set[int]().union(*seeds.values())
    verdict = read_json(run / "gate.json")
    new = PRESETS["debug"].adaptation.cells
    paired = scores["gate-generalist-1"].paired_over(scores["gate-generalist-0"], new)
    assert verdict["versus_parent"]["mean"] == paired.mean
    assert [(each["arm"], each["task"]) for each in verdict["new"]] == new


def test_a_generation_has_a_tokeniser_of_its_own(extended: Path, tmp_path: Path) -> None:
    """Extended on all that was seen, as if nothing had interrupted it; who reads which, and where from."""
    names = [path.name.partition("-")[2] for path in sorted((extended / "stages").glob("*.json"))]
    assert names == [f"{name}.json" for name in (*STAGES[:7], "tokeniser-1", "tokens-1", "generalist-1")]
    first, second = (read_config(extended / name, "tokeniser") for name in ("tokeniser", "tokeniser-1"))
    assert extended_from(extended / "tokeniser-1") == first["weights"] != second["weights"]
    stores = [extended / "stores" / name for name in SEEN]
    digests = [EpisodeStore(store).digest() for store in stores]
    assert [each["digest"] for each in second["lineage"]["stores"]] == digests
    how = EXTENDED.vqgan, EXTENDED.tokeniser, EXTENDED.seed
    train_tokeniser.train_tokeniser(stores, tmp_path, *how, parent=extended / "tokeniser")
    assert read_config(tmp_path, "tokeniser")["weights"] == second["weights"]
    later = {"generalist-1", "control-1"}
    for name in MODELS:
        record, own = read_agent(extended / "models" / name), second if name in later else first
        assert record["tokeniser"] == own["weights"]
        assert record["lineage"].get("parent_tokeniser") == (first["weights"] if name in later else None)
        folder = extended / ("tokeniser-1" if name in later else "tokeniser")
        assert tokeniser_beside(extended / "models" / name) == folder
        assert Cycle(extended, EXTENDED).tokeniser(name) == folder
    with pytest.raises(CheckpointError, match="reads the codes of tokeniser"):
        Policy(extended / "models" / "generalist-1", extended / "tokeniser")


def test_an_extension_shows_on_the_page(extended: Path) -> None:
    page = Page(render(read_run(extended)))
    effects = read_json(extended / "tokeniser-1" / "card.json")["extended"]
    head, *rows = page.tables["tokeniser"][0]
    assert head[0] == "images of" and [row[0] for row in rows] == sorted(SEEN)
    for store, count, before, after, *_ in rows:
        each = effects[str(extended / "stores" / store)]
        assert (count, before, after) == (
            str(each["images"]),
            f"{each['before_db']:.2f}",
            f"{each['after_db']:.2f}",
        )
    assert "extended from" in page.text["lineage"] and "the parent's:" in page.text["lineage"]
    newest, effect = list(effects.items())[-1]
    assert f"extended: {effect['gain_db']:+.1f} dB on {Path(newest).name}" in page.text["loop"]


@pytest.mark.slow
def test_an_extension_is_measured(
    run: Path, extended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not done yet is done; both ends on the same scenes and goals."""
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    with pytest.raises(ValueError, match="preset 'debug' extends no tokeniser"):
        extension(run, preset="debug", out=extended)
    extension(run, preset="debug-extended", out=extended)
    figures = read_json(tmp_path / "extension-debug.json")
    assert figures["images"].keys() == set(SEEN)
    assert {name: each["difference"]["n"] for name, each in figures["gate"].items()} == {
        "generalist-1 new": 8,
        "control-1 new": 8,
        "generalist-1 old": 2 * len(PRESETS["debug"].collection.cells),
    }
    with pytest.raises(CheckpointError, match="is no other end of"):
        extension(extended, preset="debug-extended", out=extended)


def test_what_practice_is_worth_is_measured(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each way is trained once a seed, and the control beside them; a second time nothing is trained."""
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    for _ in range(2):
        practice(copy, variants=("half:practice=0.2,steps=4",), episodes=1, seeds=(0, 1), workers=2)
    measured_now = read_json(tmp_path / "practice-half-demonstrations-only.json")
    assert measured_now["ways"]["half"]["changed"] == {"practice": 0.2, "steps": 4}
    assert measured_now["ways"]["demonstrations-only"]["changed"].keys() == {"adaptation", "practice"}
    for way in measured_now["ways"].values():
        assert way["by_seed"].keys() == {"0", "1"}
        for tasks in way["by_seed"].values():
            assert {task: each["rate"]["n"] for task, each in tasks.items()} == {"reach": 1, "lift": 1}
    models = sorted(path.name.rpartition("-")[0] for path in (copy / "ways").iterdir())
    assert models == ["as-it-is"] * 2 + ["demonstrations-only"] * 2 + ["half"] * 2


def test_a_finished_run_is_left_alone(run: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    improve("debug", run)
    again = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert {path for path in again if again[path] != files.get(path)} <= {run / "report.html"}


def test_a_store_that_was_added_to_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Later stages would learn from other data than earlier ones, and nobody would know."""
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    collect_experts(copy / "stores" / "demos", Collection(("sawyer",), ("reach",), 1, size=32), 1, "more")
    assert cli.main(["improve", "--preset", "debug", "--out", str(copy)]) == 1
    said = capsys.readouterr().err
    assert "stores/demos has changed since 00-demonstrations finished" in said


def test_another_preset_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["improve", "--preset", "nano", "--out", str(run)]) == 1
    said = capsys.readouterr().err
    assert "holds a run with other settings (collection.arms: asked for ['panda', 'sawyer', 'ur5e']" in said
    assert ", there ['panda', 'ur5e']; " in said and " more); choose another --out" in said
    assert said.count("\n") == 1


def _verbs(run: Path, out: Path) -> list[list[str]]:
    """Each verb on what a run left, with tiny numbers; what it makes goes elsewhere."""
    demos, tokeniser, model = run / "stores" / "demos", run / "tokeniser", run / "models" / "generalist-0"
    learn = f"--preset debug --tokeniser {tokeniser} --steps 2 --out {out / 'models'}"
    lines = [
        f"collect --preset debug --arms panda --tasks reach --episodes 1 --workers 1 --out {out / 'demos'}",
        f"tokenise --preset debug --stores {demos} --steps 2 --out {out / 'tokeniser'}",
        f"train {learn}/generalist --stores {demos} --workers 1",
        f"finetune {learn}/branch --parent {model} --stores {run / 'stores' / 'adaptation'}",
        f"practise --preset debug --branch {out / 'models' / 'branch'} --tokeniser {tokeniser} --episodes 1 "
        f"--goals {run / 'stores' / 'adaptation'} --task lift --workers 1 --out {out / 'practice'}",
        f"evaluate {model} --preset debug --tokeniser {tokeniser} --arms panda --tasks reach --episodes 1 "
        f"--goals {run / 'stores' / 'goals'} --workers 1 --out {out / 'scores.json'}",
        f"report {run}",
        f"data check {demos}",
        f"data info {demos}",
        f"data filter {demos} --tasks reach --outcome success --out {out / 'reach'}",
        f"data merge {demos} {run / 'stores' / 'practice'} --out {out / 'all'}",
        f"data split {demos} --shares 0.5 0.5 --out {out / 'parts'}",
        f"data export lerobot {demos} --arms panda --out {out / 'set'}",
        f"data export robomimic {demos} --arms panda --tasks reach --out {out / 'set.hdf5'}",
        f"data import robomimic {out / 'set.hdf5'} --out {out / 'back'}",
        f"data export minari {demos} --arms panda --tasks reach --out {out / 'minari'}",
        f"view {demos} --out {out / 'pictures'}",
        "arms",
        "tasks",
    ]  # fmt: skip
    return [line.split() for line in lines]


def _check_verbs(out: Path) -> None:
    assert len(EpisodeStore(out / "demos")) == len(EpisodeStore(out / "practice")) == 1
    assert read_config(out / "tokeniser", "tokeniser")["training"]["steps"] == 2
    assert [read_agent(out / "models" / name)["steps"] for name in ("generalist", "branch")] == [2, 2]
    assert len(Scores.load(out / "scores.json").trials) == 1


def test_each_verb_by_itself(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for args in _verbs(run, tmp_path):
        assert cli.main(args) == 0, args
        said = capsys.readouterr()
        assert said.out.strip(), args
        assert "Traceback" not in said.err and "Warning" not in said.err
    _check_verbs(tmp_path)


@pytest.mark.slow
def test_a_cycle_whose_practice_a_model_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its errors stand beside the gain, in the record and on the page; and are measured on fresh attempts."""
    debug = PRESETS["debug"]
    more = replace(debug, collection=replace(debug.collection, arms=("panda",), episodes=24))
    more = replace(more, anew=True, shares=replace(more.shares, replay=0.0))
    monkeypatch.setitem(PRESETS, "debug", more)
    run = tmp_path / "run"
    improve("debug", run, judge=True)
    assert read_agent(run / "models" / "generalist-1")["parent"] is None
    stores = [read_agent(run / "models" / name)["lineage"]["stores"] for name in ("branch", "scratch")]
    assert stores[0] == stores[1], "nothing but what is new"
    name = MODEL + read_config(run / "judge", "success")["weights"]
    practised = EpisodeStore(run / "stores" / "practice")
    assert {practised.meta(id).outcome.judged_by for id in practised.ids()} == {name}
    judged = read_json(run / "gate.json")["judged"]
    counts = {(each["arm"], each["task"]): each["n"] for each in judged}
    assert counts == dict.fromkeys(more.adaptation.cells, more.practice.episodes)
    assert sum(each["said"] for each in judged) == sum(entry.success for entry in practised.entries())
    assert "Who judged the practice" in (run / "report.html").read_text(encoding="utf-8")
    with pytest.raises(CheckpointError, match="other settings"):
        improve("debug", run)
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    judge(run, episodes=2, workers=1)
    judge(run, learnt="demonstrations", episodes=2, workers=1)
    again = read_json(tmp_path / "judge-demonstrations-debug-seed0.json")
    own = read_json(run / "judge" / "config.json")["lineage"]["stores"]
    digests = [[store["digest"] for store in stores] for stores in (again["lineage"]["stores"], own)]
    assert digests[0] == digests[1]
    heard_then = {" ".join(cell): each.record() for cell, each in heard(practised).items()}
    assert again["practice"] == heard_then, "the same model says the same of the same attempts"
    told, entries = (
        read_json(tmp_path / "judge-debug-seed0.json"),
        EpisodeStore(run / "attempts-0.4-800000").entries(),
    )
    cells = [*more.collection.cells, *more.adaptation.cells]
    assert set(told["fresh"]["by_cell"]) == {" ".join(cell) for cell in cells}
    for arm, task in cells:
        won = [entry.success for entry in entries if (entry.arm, entry.task) == (arm, task)]
        found = told["fresh"]["by_cell"][f"{arm} {task}"]
        assert (found["n"], found["done"]) == (len(won), sum(won)) and len(won) == 2
    assert told["fresh"]["by_task"]["lift"]["n"] == 4 and told["fresh"]["in_all"]["n"] == 8
    steps = [cell["steps"] for cell in told["kept_apart"]["by_cell"].values()]
    assert told["kept_apart"]["steps"]["said"] == sum(each["said"] for each in steps)


@pytest.mark.slow
def test_each_verb_as_a_command(run: Path, tmp_path: Path) -> None:
    for args in _verbs(run, tmp_path):
        command = [sys.executable, "-W", "error", "-m", "robocat", *args]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() and "Traceback" not in done.stderr, args
    _check_verbs(tmp_path)


def _stop_after(folder: Path, stages: int, seconds: float, how: signal.Signals) -> None:
    """Runs the cycle as a command and stops it so long after so many of its stages are done.

    A kill meets the first process alone, Ctrl-C all of them, as at a terminal.
    """
    command = [sys.executable, "-m", "robocat", "improve", "--preset", "debug", "--out", str(folder)]
    with (
        (folder.parent / "said").open("w") as said,
        subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said, start_new_session=True) as process,
    ):
        while len(list(folder.glob("stages/*.json"))) < stages:
            assert process.poll() is None, "it ended by itself"
            time.sleep(0.01)
        time.sleep(seconds)
        (os.killpg if how == signal.SIGINT else os.kill)(process.pid, how)
    words = (folder.parent / "said").read_text()
    if how == signal.SIGINT:
        assert process.returncode == 130, words
        assert words.endswith("interrupted; run the same command again to go on\n")
        assert "Traceback" not in words
    else:
        assert process.returncode == -how


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 3])  # between them: tokeniser, training, practice, scores, gate
def test_killed_and_resumed_comes_out_the_same(run: Path, tmp_path: Path, seed: int) -> None:
    """By kill -9, then by Ctrl-C, at moments drawn from the seed; each run goes on where the last one was."""
    draw = random.Random(seed)
    moments = sorted(draw.sample(range(len(STAGES)), 2))
    for stages, how in zip(moments, (signal.SIGKILL, signal.SIGINT), strict=True):
        _stop_after(tmp_path / "run", stages, draw.uniform(0.0, 3.0), how)
    command = [
        sys.executable,
        "-m",
        "robocat",
        "improve",
        "--preset",
        "debug",
        "--out",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected, found = _came_of(run), _came_of(tmp_path / "run")
    assert found.keys() == expected.keys()
    assert [key for key in found if found[key] != expected[key]] == []
    for store in (tmp_path / "run" / "stores").iterdir():
        assert [finding.kind for finding in EpisodeStore(store).check()] == []
