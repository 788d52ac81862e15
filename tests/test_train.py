"""Loop two: interrupted and resumed equals uninterrupted, bit for bit; what is logged; how weights start."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from demos.store import EpisodeStore
from robocat import loop
from robocat import train as training
from robocat.agent_checkpoint import AgentCard, load_agent, read_agent, read_card
from robocat.batch import draw_batch
from robocat.checkpoint import CheckpointError, digest, read_json
from robocat.config import Training
from robocat.data import Data, sources_of
from robocat.metrics import read_metrics
from robocat.mixture import Mixture, NothingToLearn, held_out
from robocat.schedule import TrainingDiverged, learning_rate
from robocat.tokeniser import load_tokeniser
from robocat.train import describe, make_optimiser, precision
from robocat.train_tokeniser import train_tokeniser
from tests.tiny import AGENT, TOKENISER, TRAINING, VQ, demonstrate, interrupted, learn, measured

# Learns nothing in so few steps; every fourth step and the last are measured, every second is a state.
TEN = replace(TRAINING, steps=10)


def _train(data: Data, out: Path, parent: Path | None = None, **changes: Any) -> Path:
    card = AgentCard("test", 0, None if parent is None else str(parent))
    training.train(data, out, AGENT, replace(TEN, **changes), card, seed=0, parent=parent)
    return out


def _left(folder: Path) -> dict[str, object]:
    """What a training leaves, without the times."""
    weights = (folder / "model.safetensors").read_bytes()
    return {"weights": weights, "rows": measured(folder), "record": read_json(folder / "config.json")}


@pytest.fixture(scope="module")
def uninterrupted(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _train(data, tmp_path_factory.mktemp("agent") / "whole")


@pytest.mark.parametrize("stops", [(1,), (4,), (5, 5, 9)], ids=str)
def test_resumed_equals_uninterrupted(
    data: Data, uninterrupted: Path, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    """Before the first state, right after one, and several times; stochastic depth and goals included."""
    for stop in stops:
        with interrupted(stop):
            _train(data, tmp_path)
        with pytest.raises(CheckpointError, match="never finished"):
            read_card(tmp_path)
    _train(data, tmp_path)
    assert _left(tmp_path) == _left(uninterrupted)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json", "metrics.jsonl", "model.safetensors"
    ]  # fmt: skip


def test_interrupted_at_the_very_end(
    data: Data, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for name in ("save_agent", "clear_state"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(training, name, interrupt)
            _train(data, tmp_path)
        assert (tmp_path / "resume").exists()
    _train(data, tmp_path)
    assert _left(tmp_path) == _left(uninterrupted)
    assert not (tmp_path / "resume").exists()


def test_what_is_finished_is_left_alone(data: Data, uninterrupted: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")}
    _train(replace(data, stores=(Path("nowhere"),)), uninterrupted)
    assert {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")} == before


def test_another_training_may_not_go_on(data: Data, tmp_path: Path) -> None:
    with interrupted(5):
        _train(data, tmp_path)
    for other in (replace(data, shares=(1.0, 1.0), stores=data.stores * 2), data):
        changes: dict[str, Any] = {"hindsight": 0.9} if other is data else {}
        with pytest.raises(CheckpointError, match="unfinished training of another network, seed or data"):
            _train(other, tmp_path, **changes)
    with pytest.raises(CheckpointError, match="at step 4, beyond the 3 steps asked for"):
        _train(data, tmp_path, steps=3)


def test_what_is_logged(uninterrupted: Path) -> None:
    """Each step once: the first of every twenty, and those at which the held-out loss is measured."""
    rows = read_metrics(uninterrupted)
    assert [row["step"] for row in rows] == [0, 3, 7, 9]
    for row in rows:
        step = int(row["step"])
        assert row["learning_rate"] == learning_rate(step, 10, TEN.learning_rate, TEN.warm_up, TEN.floor)
        assert {"loss", "action_loss", "future_loss", "goal_loss", "progress_loss", "gradient_norm"} <= set(
            row
        )
        assert ("held_out_action_loss" in row) == (step in (3, 7, 9))
        expected = row["action_loss"] + AGENT.future_weight * row["future_loss"]
        expected += AGENT.goal_weight * row["goal_loss"] + AGENT.progress_weight * row["progress_loss"]
        assert row["loss"] == pytest.approx(expected, rel=1e-5)
    losses = [row["held_out_action_loss"] for row in rows[1:]]
    assert losses == sorted(losses, reverse=True)


def test_no_held_out_loss_where_nothing_is_kept_apart(data: Data, tmp_path: Path) -> None:
    rows = read_metrics(_train(data, tmp_path, steps=2, held_out=0.0))
    assert [row["step"] for row in rows] == [0, 1]
    assert not any(name.startswith("held_out") for row in rows for name in row)


@pytest.mark.parametrize("name", ["loss", "gradient_norm"])
def test_numbers_that_are_not_finite_stop_it(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The state from before stays; from there it can go on with a lower learning rate."""
    take, steps = training.train_step, iter(range(100))

    def diverging(*args: Any, **more: Any) -> dict[str, Tensor | float]:
        return take(*args, **more) | ({name: math.inf} if next(steps) == 5 else {})

    monkeypatch.setattr(training, "train_step", diverging)
    with pytest.raises(TrainingDiverged, match=f"^{name} not finite at step 5; see .* with a lower learning"):
        _train(data, tmp_path)
    evidence = json.loads((tmp_path / "diverged.json").read_text())
    assert (evidence["step"], evidence["losses"][name]) == (5, "inf")
    assert [path.name for path in (tmp_path / "resume").iterdir()] == ["step-00000004.safetensors"]
    assert not (tmp_path / "model.safetensors").exists()
    monkeypatch.undo()
    _train(data, tmp_path, learning_rate=1e-5)


def _own_bytes() -> int:
    """Memory of this process that is no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (row,) = (line.split() for line in lines if line.startswith("RssAnon:"))
    return 1024 * int(row[1])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says how much memory is held")
def test_memory_stays_flat(data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several epochs. To keep each step's losses would take 18 MB by then."""
    held: list[int] = []
    check = loop.check_finite

    def noted(losses: dict[str, float], folder: Path, step: int) -> None:
        check(losses, folder, step)
        held.append(_own_bytes())

    monkeypatch.setattr(loop, "check_finite", noted)
    long = replace(TRAINING, steps=100, batch=64, evaluate_every=50, checkpoint_every=50)
    learn(data, tmp_path / "agent", AGENT, long)
    windows = sum(episode.rows for source in sources_of(data) for episode in source.tokens.episodes)
    assert len(held) == 100 and 60 * 64 > 3 * windows, "what is compared lies epochs apart"
    early, late = np.median(held[20:30]), np.median(held[90:])
    assert late - early < 8e6, f"{(late - early) / 1e6:.1f} MB more after 70 steps"


def test_nothing_to_learn(data: Data, tmp_path: Path) -> None:
    with pytest.raises(NothingToLearn, match="no successful episode to learn from"):
        _train(data, tmp_path, held_out=1.0)


def test_a_store_without_success_is_said(
    data: Data, demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failures, good = EpisodeStore(tmp_path / "failures"), EpisodeStore(demos)
    episode = good.load(good.ids()[0])
    meta = replace(episode.meta, outcome=replace(episode.meta.outcome, success=False))
    failures.commit(replace(episode, success=np.zeros_like(episode.success), meta=meta))
    both = replace(data, stores=(*data.stores, failures.path), shares=(1.0, 1.0), tokens=tmp_path / "tokens")
    _train(both, tmp_path / "agent", steps=1)
    assert f"{failures.path} holds no action worth learning" in capsys.readouterr().err


def test_another_number_of_cameras_is_refused(data: Data, tmp_path: Path) -> None:
    card = AgentCard("test", 0, None)
    with pytest.raises(ValueError, match=r"episodes in .*demos have 2 cameras, the agent reads 3$"):
        training.train(data, tmp_path, replace(AGENT, cameras=3), TEN, card, seed=0)


def test_matrices_decay_and_vectors_do_not(agent: Path, data: Data) -> None:
    network = load_agent(agent, read_agent(agent)["tokeniser"]).network
    optimiser = make_optimiser(network, Training(weight_decay=0.3))
    decayed = {id(p) for group in optimiser.param_groups if group["weight_decay"] for p in group["params"]}
    assert {group["weight_decay"] for group in optimiser.param_groups} == {0.3, 0.0}
    held = [p for group in optimiser.param_groups for p in group["params"]]
    assert len(held) == len({id(p) for p in held}) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        assert (id(parameter) in decayed) == (parameter.ndim >= 2), name


def test_precisions() -> None:
    matrix = torch.ones(4, 4)
    with precision("fp32"):
        assert (matrix @ matrix).dtype == torch.float32
    with precision("bf16"):
        assert (matrix @ matrix).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="precision 'fp16' is not offered; expected 'fp32' or 'bf16'"):
        precision("fp16")


def test_bf16_trains(data: Data, tmp_path: Path) -> None:
    _train(data, tmp_path, steps=2, precision="bf16")
    assert read_agent(tmp_path)["steps"] == 2


def test_portions(data: Data, tmp_path: Path) -> None:
    """In portions of five of sixteen windows it learns as in one; goals must be compared in all of them."""
    with pytest.raises(ValueError, match="micro: got 5 with a goal_weight of 0.1, expected 0"):
        _train(data, tmp_path / "refused", micro=5)
    losses: list[list[float]] = []
    for micro in (0, 5):
        plain, card = replace(AGENT, drop=0.0, future_cells=0, goal_weight=0.0), AgentCard("plain", 0, None)
        out, how = tmp_path / f"{micro}", replace(TEN, steps=4, packed=True, micro=micro)
        training.train(data, out, plain, how, card, seed=0)
        losses.append([row["loss"] for row in read_metrics(out)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4) and losses[0][-1] < losses[0][0]


def test_the_verb_counts_generations(data: Data, agent: Path, tmp_path: Path) -> None:
    out, given = tmp_path / "models" / "next", {"stores": data.stores, "tokeniser": data.tokeniser}
    training.main_train(**given, out=out, preset="debug", parent=agent, steps=1, workers=1)
    assert read_card(out) == AgentCard("next", 1, str(agent))
    scratch = tmp_path / "models" / "scratch"
    training.train(data, scratch, AGENT, replace(TEN, steps=1), AgentCard("scratch", None, None), seed=0)
    out = tmp_path / "models" / "after"
    training.main_train(**given, out=out, preset="debug", parent=scratch, steps=1, workers=1)
    assert read_card(out) == AgentCard("after", 0, str(scratch))


def test_a_child_begins_as_its_parent(data: Data, agent: Path, tmp_path: Path) -> None:
    """With the parent's own shape, whatever the preset says, and on its way from its first step on."""
    training.train(
        data,
        tmp_path / "none",
        replace(AGENT, width=64),
        replace(TEN, steps=0),
        AgentCard("branch", 0, str(agent)),
        seed=1,
        parent=agent,
    )
    assert (tmp_path / "none" / "model.safetensors").read_bytes() == (
        agent / "model.safetensors"
    ).read_bytes()
    some = _train(data, tmp_path / "some", parent=agent)
    assert read_agent(some)["weights"] != read_agent(agent)["weights"]
    assert read_card(some).parent == str(agent)


def test_a_child_may_read_an_extended_tokeniser(data: Data, agent: Path, tmp_path: Path) -> None:
    """If that is asked for, and of the parent's own alone."""
    once = replace(TOKENISER, steps=1, warm_up=0)
    for name, parent in (("next", data.tokeniser), ("after", tmp_path / "next")):
        train_tokeniser(data.stores, tmp_path / name, VQ, once, seed=1, parent=parent)
    own, read = read_agent(agent)["tokeniser"], replace(data, tokeniser=tmp_path / "next")
    with pytest.raises(CheckpointError, match=f"reads the codes of tokeniser {own}, not of"):
        _train(read, tmp_path / "x", parent=agent, steps=1)
    out = _train(replace(read, extended=True), tmp_path / "x", parent=agent, steps=1)
    record = read_agent(out)
    assert record["tokeniser"] == load_tokeniser(tmp_path / "next").weights != own
    assert record["lineage"]["parent_tokeniser"] == own
    with pytest.raises(CheckpointError, match=f"reads the codes of tokeniser {own}, not of"):
        _train(
            replace(read, tokeniser=tmp_path / "after", extended=True), tmp_path / "y", parent=agent, steps=1
        )
    with pytest.raises(CheckpointError, match="got no parent"):
        _train(replace(read, extended=True), tmp_path / "y", steps=1)
    with pytest.raises(CheckpointError, match="was extended from no tokeniser"):
        _train(replace(data, extended=True), tmp_path / "y", parent=agent, steps=1)


def test_lineage_says_what_was_learnt_from(data: Data, agent: Path) -> None:
    record = read_agent(agent)
    (demos,), (store,) = data.stores, record["lineage"]["stores"]
    entries = EpisodeStore(demos).entries()
    used = [e for e in entries if e.success and not held_out(e.id, TRAINING.held_out)]
    assert 0 < len(used) < len(entries)
    assert store == {
        "path": str(demos),
        "digest": EpisodeStore(demos).digest(),
        "episodes": len(entries),
        "used": len(used),
        "steps": sum(entry.length for entry in used),
        "share": 1.0,
        "arms": ["panda", "ur5e"],
        "tasks": ["lift", "reach"],
    }
    assert record["lineage"]["tokeniser"] == record["tokeniser"]
    assert record["steps"] == TRAINING.steps
    assert describe(agent).startswith(f"generalist-0@{record['weights']}, 0.")


def test_shares_are_of_stores(data: Data, tmp_path: Path) -> None:
    more = demonstrate(tmp_path / "more", ("panda",), ("reach",), episodes=2, first_seed=50)
    both = replace(data, stores=(*data.stores, more), shares=(0.25, 0.75), tokens=tmp_path / "tokens")
    record = read_agent(learn(both, tmp_path / "agent", training=replace(TRAINING, steps=1)))
    assert [store["share"] for store in record["lineage"]["stores"]] == [0.25, 0.75]
    assert [store["episodes"] for store in record["lineage"]["stores"]] == [16, 2]


def test_what_is_random_in_a_step_hangs_on_the_step(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, seeds = training.train_step, list[int]()

    def noted(*args: Any, **more: Any) -> dict[str, Tensor]:
        values = take(*args, **more)
        seeds.append(torch.initial_seed())
        return values

    monkeypatch.setattr(training, "train_step", noted)
    with interrupted(5):
        _train(data, tmp_path)
    _train(data, tmp_path)
    assert seeds[4:6] == seeds[6:8]  # steps 4 and 5 were taken again
    assert len(set(seeds)) == 10


def test_a_step_is_the_generators(data: Data, agent: Path) -> None:
    """Equal generators, equal steps, whatever was drawn before."""
    sources = sources_of(data)
    after: list[str] = []
    for seed in (1, 1, 2):
        torch.rand(3)
        network = load_agent(agent, read_agent(agent)["tokeniser"]).network
        optimiser = make_optimiser(network, TEN)
        mixture, rng = Mixture(sources, 0.2), np.random.default_rng(seed)
        batch = draw_batch(mixture, TEN, network.config, rng, torch.device("cpu"))
        training.train_step(network, optimiser, batch, TEN)
        after.append(digest(network.state_dict()))
    assert after[0] == after[1] != after[2]


def test_packed_batches_hold_all_arms_and_resume(data: Data, tmp_path: Path) -> None:
    """Each step sees both arms in one row; an interrupted training ends as one that was not."""
    whole = _train(data, tmp_path / "whole", packed=True)
    with interrupted(5):
        _train(data, tmp_path / "broken", packed=True)
    assert _left(_train(data, tmp_path / "broken", packed=True)) == _left(whole)


def test_packing_is_part_of_what_is_resumed(data: Data, tmp_path: Path) -> None:
    with interrupted(5):
        _train(data, tmp_path)
    with pytest.raises(CheckpointError, match="unfinished training of another network, seed or data"):
        _train(data, tmp_path, packed=True)
