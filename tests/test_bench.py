"""The benches: their statistics, their table, and that pictures come out the same again."""

import importlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import ablation, agent, agent_data, experts, multiply, parity, record, timed
from bench.__main__ import ALONE, BENCHES, main
from bench.measure import milliseconds, summary
from bench.pictures import CAPTION, SIDE_PX, TILE_PX, portrait, tile
from bench.variants import AS_IT_IS, changed, parse_variants
from robocat.agent_config import AgentConfig
from robocat.checkpoint import read_json
from robocat.objective import losses
from robocat.presets import NANO, PRESETS
from robocat.tokens import TokenSet
from robocat.vocabulary import BINS
from sim.arms import ARMS
from sim.tasks import TASKS


def test_the_table_names_functions(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(ALONE) <= set(BENCHES)
    for target, _ in BENCHES.values():
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function))
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in BENCHES)
    assert main(["smi"]) == 2
    assert "did you mean 'sim'" in capsys.readouterr().err


def test_the_interval_is_students() -> None:
    """Worked by hand: mean 3, standard deviation sqrt(2.5), t = 2.776 for five samples."""
    measured = summary([1.0, 2.0, 3.0, 4.0, 5.0], "ms")
    half = 2.776 * math.sqrt(2.5) / math.sqrt(5)
    assert (measured.mean, measured.low, measured.high) == pytest.approx((3.0, 3.0 - half, 3.0 + half))
    assert str(measured) == "3.00 ± 1.96"
    with pytest.raises(ValueError, match="4 repeats are not offered; expected one of 5, 6"):
        summary([1.0] * 4, "ms")


def test_a_tenth_of_the_calls_warms_up() -> None:
    calls: list[int] = []
    measured = milliseconds(calls.append, calls=20, repeats=5)
    assert calls == 5 * [*range(2), *range(20)]
    assert len(measured.samples) == 5 and measured.unit == "ms"
    assert 0.0 < measured.mean < 1.0


def test_portraits_are_the_same_again_and_show_something() -> None:
    pictures = {name: portrait(arm) for name, arm in ARMS.items() if name in ("panda", "sawyer")}
    for name, pixels in pictures.items():
        assert pixels.shape == (SIDE_PX, SIDE_PX, 3)
        assert 0.2 < (pixels != 255).any(axis=2).mean() < 0.8
        np.testing.assert_array_equal(portrait(ARMS[name]), pixels)
    assert not np.array_equal(*pictures.values())


def test_a_variant_changes_what_it_names() -> None:
    start = NANO.agent
    configs = parse_variants(("small:width=64,goal_weight=0,goal_at=step", "deep:blocks=3"), start)
    assert configs == {
        AS_IT_IS: start,
        "small": replace(start, width=64, goal_weight=0.0, goal_at="step"),
        "deep": replace(start, blocks=3),
    }
    assert changed(configs["small"], start) == {"width": 64, "goal_weight": 0.0, "goal_at": "step"}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("odd:wdth=3",), "unknown field of AgentConfig 'wdth'; did you mean 'width'"),
        (("odd",), "variant 'odd': expected name:field=value"),
        ((":width=3",), "expected name:field=value"),
        (("odd:width",), "expected name:field=value"),
        (("odd:width=2.7",), "variant 'odd:width=2.7': got '2.7', expected a int"),
        (("odd:width=abc",), "got 'abc', expected a int"),
        (("a:width=64", "a:width=96"), "variant 'a:width=96': the name 'a' is taken; names: as-it-is, a"),
        (("as-it-is:width=96",), "the name 'as-it-is' is taken"),
    ],
)
def test_an_odd_variant_is_refused(texts: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_variants(texts, AgentConfig())


def test_experts_are_counted_once_and_the_worst_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the first pair and started again, it tries the others only; another plan tries all."""
    plan, path = experts.Plan(episodes=4, first_seed=7), tmp_path / "so-far.json"
    pairs = [("panda", "lift"), ("ur5e", "lift"), ("ur5e", "lift-large")]
    tried: list[tuple[str, str]] = []

    def successes(plan: experts.Plan, pair: tuple[str, str]) -> dict[str, int]:
        tried.append(pair)
        if len(tried) == 2:
            raise KeyboardInterrupt
        return {"as meant": 4, "with noise": 3 if pair == pairs[1] else 4}

    monkeypatch.setattr(experts, "successes", successes)
    with pytest.raises(KeyboardInterrupt):
        experts.count(path, plan, pairs, workers=1)
    counts = experts.count(path, plan, pairs, workers=1)
    assert tried == [pairs[0], pairs[1], *pairs[1:]]
    assert experts.count(path, plan, pairs, workers=1) == counts
    assert list(counts) == pairs and len(tried) == 4
    said = "worst of 3 pairs: ur5e lift, 4 as meant, 3 with noise of 4; 1 below 95 %"
    assert experts.verdict(counts, plan) == said
    assert experts.read(path, experts.Plan(episodes=5, first_seed=7)) == {}
    shown = experts.table(counts, plan)
    assert [column.header for column in shown.columns] == ["family", "panda", "ur5e"]
    assert [list(column.cells) for column in shown.columns] == [["lift"], ["100, 100"], ["100, 88"]]


def test_experts_are_counted() -> None:
    assert experts.successes(experts.Plan(2, 300_000), ("panda", "reach")) == {"as meant": 2, "with noise": 2}


def test_yields_of_demonstrations(tmp_path: Path) -> None:
    plan = multiply.Plan(demonstrations=3, source_seed=5, attempts=4, first_seed=80, noise=False)
    shown = [multiply.show(plan, tmp_path / f"{number}", number, "reach") for number in range(2)]
    assert {each.id for each in shown[0]}.isdisjoint(each.id for each in shown[1]) and len(shown[0]) == 3
    cells = [(number, "ur5e", "reach") for number in range(2)]
    found = {cell: multiply.tried(plan, cell, shown[cell[0]]) for cell in cells}
    assert [outcome.successes for outcome in found.values()] == [4, 4]
    row = multiply.record(plan, found)["ur5e"]["reach"]
    assert row["by_set"] == [4, 4] and row["yield"]["n"] == 8 and 5.0 < row["steps"] < 40.0
    assert [list(column.cells) for column in multiply.table(plan, found).columns] == [
        ["ur5e"],
        ["100 (68-100)"],
    ]


def test_a_task_is_shown_by_its_goal() -> None:
    name, pixels, _ = tile("panda", TASKS["lift"], 0)
    assert name == "lift" and pixels.shape == (TILE_PX, TILE_PX, 3)
    np.testing.assert_array_equal(tile("panda", TASKS["lift"], 0)[1], pixels)
    assert not np.array_equal(tile("panda", TASKS["lift-evening"], 0)[1], pixels)


def test_every_tasks_name_fits_over_its_picture() -> None:
    assert max(CAPTION.getlength(name) for name in TASKS) <= TILE_PX


def test_parity_is_learnt_and_its_labels_are_right() -> None:
    values, odd = parity.sequences(torch.Generator().manual_seed(0), 500, 9)
    for row, label in zip(values.tolist(), odd.tolist(), strict=True):
        assert label == row.count(2) % 2
    assert set(values.unique().tolist()) == {0, 1, 2}
    plan = parity.Parity(length=3, steps=250, width=16, batch=32, learning_rate=5e-3, most=4)
    plans = [replace(plan, kind=kind) for kind in parity.KINDS]
    reached = [parity.learn(each) for each in plans]
    assert [each.tape is not None for each in reached] == [False, False, True, True]
    assert all(each.right > 0.9 * each.tested for each in reached)
    assert len(parity.table(plans, reached).rows) == 4


def test_what_an_agents_speed_is_made_of() -> None:
    """Two calls of 10 and 30 ms; and, by hand, what a token of a small agent is multiplied with."""
    taken = timed.taken_of([0.01, 0.03])
    assert (taken.n, taken.p50_ms, taken.hz) == (2, pytest.approx(20.0), pytest.approx(50.0))
    assert taken.p99_ms == pytest.approx(29.8) and taken.p99_hz == pytest.approx(1 / 0.0298)
    preset = PRESETS["nano-faithful"]
    network, body = agent.make_agent(preset, torch.device("cpu")), agent.body_of("panda")
    parts = [(body, agent.made_up(network, body, 2, torch.device("cpu")))]
    layout, config = network.layout(body), preset.agent
    assert config.future_cells == 0, "every cell is scored"
    scored = config.cameras * preset.vqgan.cells**2
    read = 5 * config.width * BINS + scored * config.width * preset.vqgan.codes
    meant = 12 * config.blocks * config.width**2 + read / (layout.length - 1)
    assert agent.multiplied_parameters(network, parts) == pytest.approx(meant)
    assert torch.isfinite(losses(network, parts).total)


@pytest.mark.parametrize("options", [{}, {"at_once": True}, {"packed": True}], ids=str)
def test_an_agents_speed(
    options: dict[str, bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    monkeypatch.setattr(timed, "LEAST", 5)
    parts = ("training", "acting")
    agent.main(presets=("debug",), parts=parts, device="cpu", batch=8, arms=(1, 3), seconds=0.01, **options)
    written = json.loads((tmp_path / "agent-debug-cpu.json").read_text())["presets"]["debug"]
    training = written["training"]
    assert training["n"] == len(training["seconds"]) >= timed.LEAST
    assert 0.0 < training["mfu_6n"] < training["mfu_attention"] < 1.0
    assert training["tokens_a_second"] == pytest.approx(
        training["tokens_a_window"] * training["windows_a_second"]
    )
    assert written["acting"]["at_once"] is bool(options.get("at_once"))
    for arms in ("1", "3"):
        found = written["acting"]["by_arms"][arms]
        assert min(found["decide"]["p99_ms"], found["see_and_decide"]["p99_ms"]) > 0.0
    once = written["acting"]["by_arms"]["1"]["flop_a_decision"]
    assert found["flop_a_decision"] == 3 * once
    assert "MFU" in capsys.readouterr().out


def test_made_up_shards_are_drawn_from(tmp_path: Path) -> None:
    preset = PRESETS["debug"]
    shards = agent_data.make_shards(tmp_path, preset, episodes=6)
    assert {arm: len(each.episodes) for arm, each in TokenSet(shards).arms.items()} == {"panda": 6, "ur5e": 6}
    assert agent_data._load(shards, preset, 0.01, seed=0) > 0.0  # pyright: ignore[reportPrivateUsage]
    assert agent_data._tokenise(preset, torch.device("cpu"), 0.01) > 0.0  # pyright: ignore[reportPrivateUsage]


def test_every_option_is_a_variant() -> None:
    """Of the agent, of the training or of the tokeniser: each differs from what is there in one of them."""
    preset = PRESETS["nano"]
    names = (*ablation.OPTIONS, *ablation.TRAININGS, *ablation.TOKENISERS, *ablation.EYES)
    assert len(set(names)) == len(names)
    ways = ablation.variants_of((*names, "wide:width=192"), preset, preset.train)
    start = ways[AS_IT_IS]
    assert list(ways) == [AS_IT_IS, *names, "wide"]
    for name, way in ways.items():
        differs = [
            getattr(way, part) != getattr(start, part) for part in ("agent", "training", "vqgan", "tokeniser")
        ]
        assert sum(differs) == (name != AS_IT_IS), name
    assert ways["fsq"].vqgan.levels == (8, 8, 8) and ways["packed"].training.packed
    assert [name for name, way in ways.items() if way.pixels] == ["patches"]
    refused = {
        ("tpae",): "unknown variant 'tpae'; did you mean 'tape'",
        ("tape", "tape:width=64"): "the name 'tape' is taken",
    }
    for texts, said in refused.items():
        with pytest.raises(ValueError, match=said):
            ablation.variants_of(texts, preset, preset.train)


def test_equal_time_gives_dear_options_fewer_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as take as long, by paces measured once; here a step takes as long as it has blocks."""
    preset = PRESETS["debug"]
    ways = ablation.variants_of(("deep:blocks=4",), preset, replace(preset.train, steps=1000))

    def steps() -> dict[str, int]:
        found = ablation.in_equal_time(ways, preset, tmp_path / "run" / "paces.json")
        return {name: way.training.steps for name, way in found.items()}

    monkeypatch.setattr(ablation, "training_speed", lambda whole, *_: {"p50_ms": float(whole.agent.blocks)})
    first = steps()
    assert first == {AS_IT_IS: 1000, "deep": 250}
    monkeypatch.setattr(ablation, "_pace", lambda *_: pytest.fail("measured again"))
    assert steps() == first, "what was measured before is kept"


def test_the_pace_of_patches_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that reads pixels has no codebook, in the bench neither."""
    monkeypatch.setattr(ablation, "SECONDS", 0.01)
    monkeypatch.setattr(ablation, "TURNS", 1)
    monkeypatch.setattr(timed, "LEAST", 2)
    preset = PRESETS["debug"]
    ways = ablation.variants_of(("patches",), preset, replace(preset.train, batch=4))
    assert ablation._pace(ways["patches"], ways[AS_IT_IS], preset) > 0  # pyright: ignore[reportPrivateUsage]


def test_results_name_no_folder_of_a_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    run = {"stores": [{"path": "/home/me/work/runs/cycle/stores/demos"}], "rates": (1, 2.5), "none": None}
    said = read_json(record.write("some", {"run": run, "at": {0: "/x"}}))
    assert said["at"] == {"0": "x"}
    assert said["run"] == {"stores": [{"path": "cycle/stores/demos"}], "rates": [1, 2.5], "none": None}
    for path in (Path(record.__file__).parent / "results").glob("*.json"):
        assert not re.search(r'": "/', path.read_text(encoding="utf-8")), path.name
