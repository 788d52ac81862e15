"""Fine-tuning: a branch begins as its parent and says so; its control knows nothing of either."""

from pathlib import Path

import pytest

from finetune.adapt import finetune
from robocat import train as loop
from robocat.agent_checkpoint import AgentCard, read_agent, read_card
from robocat.checkpoint import CheckpointError
from robocat.data import Data
from robocat.presets import PRESETS
from sim.names import UnknownName


def _finetune(data: Data, parent: Path, out: Path, **options: object) -> Path:
    given: dict[str, object] = {"preset": "debug", "steps": 2} | options
    finetune(
        parent=parent, stores=data.stores, tokeniser=data.tokeniser, out=out, **given  # pyright: ignore
    )  # fmt: skip
    return out


def test_a_branch_comes_from_its_parent(
    agent: Path, data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = _finetune(data, agent, tmp_path / "models" / "lift-branch")
    record, parent = read_agent(out), read_agent(agent)
    assert read_card(out) == AgentCard("lift-branch", 0, str(agent))
    assert record["agent"] == parent["agent"]  # the parent's shape, whatever the preset's is
    assert (record["steps"], record["tokeniser"]) == (2, parent["tokeniser"])
    assert record["lineage"]["stores"][0]["path"] == str(data.stores[0])
    assert record["lineage"]["training"]["learning_rate"] == PRESETS["debug"].finetune.learning_rate
    assert capsys.readouterr().out.startswith(f"{out}: lift-branch@{record['weights']}, ")
    assert (tmp_path / "tokens").is_dir()
    # No steps: the parent itself.
    same = _finetune(data, agent, tmp_path / "models" / "same", steps=0)
    assert read_agent(same)["weights"] == parent["weights"] != record["weights"]


def test_its_control_starts_from_nothing(agent: Path, data: Data, tmp_path: Path) -> None:
    """With the preset's network and rate; no parent need exist."""
    preset = PRESETS["debug"]
    out = _finetune(data, Path("nowhere"), tmp_path / "models" / "scratch", from_scratch=True)
    assert read_card(out) == AgentCard("scratch", None, None)
    training = read_agent(out)["lineage"]["training"]
    assert training["learning_rate"] == preset.train.learning_rate
    assert training["batch"] == preset.finetune.batch
    assert read_agent(out)["agent"]["width"] == preset.agent.width


def test_repeated_it_is_left_alone(
    agent: Path,
    data: Data,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = _finetune(data, agent, tmp_path / "models" / "branch")
    before = read_agent(out)
    monkeypatch.setattr(loop, "train_step", None)
    capsys.readouterr()
    assert read_agent(_finetune(data, agent, out)) == before
    assert capsys.readouterr().out.startswith(f"{out}: finished before, branch@")


def test_what_cannot_be_finetuned(agent: Path, data: Data, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no config.json in nowhere: absent, or never finished"):
        _finetune(data, Path("nowhere"), tmp_path / "models" / "branch")
    with pytest.raises(UnknownName, match="unknown preset 'debugg'; did you mean 'debug'?"):
        _finetune(data, agent, tmp_path / "models" / "branch", preset="debugg")
    with pytest.raises(CheckpointError, match="kind 'tokeniser', expected 'agent'"):
        _finetune(data, data.tokeniser, tmp_path / "models" / "branch")
