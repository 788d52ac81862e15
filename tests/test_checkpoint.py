"""Weights on disk: bit for bit, strictly, whole or not at all; a refusal is one line that names the thing."""

import json
import os
import re
import resource
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from robocat import checkpoint
from robocat.agent_checkpoint import cached_agent, load_agent, read_card
from robocat.agent_config import AgentConfig
from robocat.checkpoint import (
    CheckpointError,
    clear_state,
    config_hash,
    digest,
    from_dict,
    load_state,
    load_weights,
    read_config,
    read_json,
    save_checkpoint,
    save_state,
    seeded,
    versions,
    write_atomically,
    write_json,
)
from robocat.tokeniser import load_tokeniser, save_tokeniser
from robocat.vqgan import VQGAN
from tests.tiny import VQ


@dataclass(frozen=True)
class _Shape:
    width: int = 3
    name: str = "x"


def _network(seed: int = 0, width: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width))


def _saved(folder: Path, seed: int = 0) -> nn.Module:
    network = _network(seed)
    save_checkpoint(folder, network, {"kind": "agent"})
    return network


def _same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def _load(folder: Path, network: nn.Module) -> None:
    load_weights(folder, network, read_config(folder, "agent")["weights"])


def _tamper(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Changes the tensors of a checkpoint and its hash with them: what is wrong is then the fit alone."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    record = read_json(folder / "config.json")
    write_json(folder / "config.json", record | {"weights": digest(tensors)})


def test_bit_for_bit(tmp_path: Path) -> None:
    network, other = _saved(tmp_path), _network(seed=1)
    _load(tmp_path, other)
    assert _same(network, other)
    record = read_config(tmp_path, "agent")
    assert record["weights"] == digest(network.state_dict())
    assert record["versions"] == versions() and {"python", "torch", "mujoco"} <= set(versions())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda tensors: tensors.pop("0.bias"), "0.bias"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "extra"),
        (lambda tensors: tensors.update({"0.bias": torch.zeros(5)}), "0.bias"),
    ],
    ids=["missing", "left over", "another shape"],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, change: Callable[[dict[str, torch.Tensor]], None], named: str
) -> None:
    _saved(tmp_path)
    _tamper(tmp_path, change)
    other = _network(seed=1)
    with pytest.raises(CheckpointError, match=f"does not fit this network in 1 tensors: {named}$"):
        _load(tmp_path, other)
    assert _same(other, _network(seed=1))  # and nothing of it was loaded


@pytest.mark.parametrize("place", ["head", "middle", "last"])
def test_a_damaged_byte_is_noticed(tmp_path: Path, place: str) -> None:
    _saved(tmp_path)
    path = tmp_path / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[{"head": 1, "middle": len(data) - 40, "last": len(data) - 1}[place]] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"model.safetensors is damaged: ") as refused:
        _load(tmp_path, _network())
    assert "\n" not in str(refused.value)


def test_a_cut_file_is_noticed(tmp_path: Path) -> None:
    _saved(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(CheckpointError, match="model.safetensors is damaged"):
        _load(tmp_path, _network())
    path.unlink()
    with pytest.raises(CheckpointError, match="no model.safetensors in "):
        _load(tmp_path, _network())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "tokeniser"}, "is a checkpoint of kind 'tokeniser', expected 'agent'"),
        ({"format_version": 99}, "has format 99, expected 1"),
        ({"weights": None}, "config.json lacks name, weights"),
    ],
)
def test_another_record_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    _saved(tmp_path)
    record = {k: v for k, v in (read_json(tmp_path / "config.json") | change).items() if v is not None}
    write_json(tmp_path / "config.json", record)
    with pytest.raises(CheckpointError, match=re.escape(said)):
        read_config(tmp_path, "agent", ["name"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is damaged: "),
        ("[1]", "is damaged: it holds a list, expected an object"),
        ("\xff", "is damaged: "),
    ],
)
def test_damaged_json_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=f"config.json {said}") as refused:
        read_json(tmp_path / "config.json")
    assert "\n" not in str(refused.value)


def test_configs_are_read_strictly() -> None:
    assert from_dict(_Shape, {"width": 5, "name": "y"}) == _Shape(5, "y")
    with pytest.raises(CheckpointError, match="_Shape in the record differs from .* in: depth, name$"):
        from_dict(_Shape, {"width": 5, "depth": 1})


def test_unfinished_is_absent(tmp_path: Path) -> None:
    """The record is written last: weights alone are no checkpoint."""
    _saved(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(CheckpointError, match="no config.json in .*: absent, or never finished"):
        read_config(tmp_path, "agent")


def test_agent_of_another_tokeniser_is_refused(agent: Path, tokeniser: Path, tmp_path: Path) -> None:
    save_tokeniser(tmp_path, VQGAN(VQ), {})
    other, own = load_tokeniser(tmp_path).weights, load_tokeniser(tokeniser).weights
    with pytest.raises(CheckpointError, match=f"reads the codes of tokeniser {own}, not of {other}"):
        load_agent(agent, other)
    loaded = load_agent(agent, own)
    assert loaded.card == read_card(agent)
    assert loaded.weights == digest(loaded.network.state_dict()) == read_config(agent, "agent")["weights"]
    assert load_agent(agent, own).network is not loaded.network
    here = torch.device("cpu")
    assert cached_agent(agent, own, here) is cached_agent(agent, own, here)


def test_tokeniser_is_no_agent(tokeniser: Path) -> None:
    with pytest.raises(CheckpointError, match="is a checkpoint of kind 'tokeniser', expected 'agent'"):
        read_card(tokeniser)


def test_writing_leaves_the_old_file_where_it_fails(tmp_path: Path) -> None:
    """As on a full disk: a limit on the size of files stops the write half-way."""
    path = tmp_path / "folder" / "file"
    write_atomically(path, b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=f"^cannot write {path}: File too large$"):
            write_atomically(path, b"new" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"old"
    assert [each.name for each in path.parent.iterdir()] == ["file"]
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


def test_writing_where_no_folder_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"^cannot write .*/file/x/y: Not a directory$"):
        write_atomically(tmp_path / "file" / "x" / "y", b"")


def test_numbers_that_json_cannot_say_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


# The state of an unfinished training.


def _trained(steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    network = _network()
    optimiser = torch.optim.AdamW(network.parameters(), 0.1, fused=True)
    for step in range(steps):
        _train(network, optimiser, step)
    return network, optimiser


def _train(network: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    torch.manual_seed(step)
    optimiser.zero_grad()
    network(torch.randn(6, 4)).square().sum().backward()
    optimiser.step()


def test_a_restored_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    network, optimiser = _trained(5)
    save_state(tmp_path, 5, {"a": network}, {"a": optimiser}, "x")
    again, restored = _trained(0)
    assert load_state(tmp_path, {"a": again}, {"a": restored}, "x", steps=8) == 5
    for step in range(5, 8):
        _train(network, optimiser, step)
        _train(again, restored, step)
    assert _same(network, again)


def test_only_the_newest_state_is_kept(tmp_path: Path) -> None:
    for steps in (2, 4, 10):
        save_state(tmp_path, steps, *({"a": each} for each in _trained(steps)), "x")  # pyright: ignore
    assert [path.name for path in (tmp_path / "resume").iterdir()] == ["step-00000010.safetensors"]
    clear_state(tmp_path)
    clear_state(tmp_path)
    assert load_state(tmp_path, {}, {}, "x", steps=9) == 0


def test_a_state_that_was_not_written_whole_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between writing and renaming: the one before is used."""
    network, optimiser = _trained(2)
    save_state(tmp_path, 2, {"a": network}, {"a": optimiser}, "x")

    def killed(aside: Path, path: Path) -> None:
        del path
        (aside.parent / f"{aside.name}-left").write_bytes(aside.read_bytes()[:99])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_state(tmp_path, 4, {"a": network}, {"a": optimiser}, "x")
    monkeypatch.undo()
    assert len(list((tmp_path / "resume").iterdir())) == 2
    assert load_state(tmp_path, {"a": _network()}, {}, "x", steps=9) == 2
    (tmp_path / ".model.safetensors.0123").write_bytes(b"cut")
    clear_state(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("identity", "width", "steps", "said"),
    [
        ("other", 3, 9, "holds an unfinished training of another network, seed or data; move it away"),
        ("x", 5, 9, "does not fit this network in 6 tensors: 0.bias, 0.weight"),
        ("x", 3, 3, "holds a training at step 4, beyond the 3 steps asked for"),
    ],
)
def test_a_state_of_something_else_is_refused(
    tmp_path: Path, identity: str, width: int, steps: int, said: str
) -> None:
    network, optimiser = _trained(4)
    save_state(tmp_path, 4, {"a": network}, {"a": optimiser}, "x")
    with pytest.raises(CheckpointError, match=said):
        load_state(tmp_path, {"a": _network(width=width)}, {}, identity, steps)


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    network, optimiser = _trained(1)
    save_state(tmp_path, 1, {"a": network}, {"a": optimiser}, "x")
    (path,) = (tmp_path / "resume").iterdir()
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(CheckpointError, match="step-00000001.safetensors is damaged"):
        load_state(tmp_path, {"a": network}, {}, "x", steps=9)


# Small things.


def test_hashes_tell_configs_apart() -> None:
    assert config_hash(_Shape(), 1) == config_hash(_Shape(), 1)
    assert len({config_hash(_Shape(), 1), config_hash(_Shape(4), 1), config_hash(_Shape(), 2)}) == 3


def test_digest_tells_names_and_values_apart() -> None:
    ones = torch.ones(3)
    hashes = {digest(each) for each in ({"a": ones}, {"b": ones}, {"a": -ones}, {"a": ones, "b": ones})}
    assert len(hashes) == 4
    assert digest({"a": ones, "b": -ones}) == digest({"b": -ones, "a": ones})


def test_generators_depend_on_all_numbers() -> None:
    draws = [seeded(*numbers).random(4) for numbers in ((1, 2, 3), (1, 2, 4), (2, 1, 3), (1, 2))]
    assert len({each.tobytes() for each in draws}) == 4
    assert np.array_equal(seeded(1, 2, 3).random(4), draws[0])


def test_versions_without_an_installed_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "LIBRARIES", ("numpy", "no-such-library"))
    assert versions()["no-such-library"] == "source"
    assert versions()["numpy"] == np.__version__


def test_records_are_readable_and_sorted(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": 1, "a": [1.5, None]})
    text = (tmp_path / "x.json").read_text()
    assert json.loads(text) == read_json(tmp_path / "x.json") == {"a": [1.5, None], "b": 1}
    assert text.index('"a"') < text.index('"b"') and text.endswith("}\n")
    assert os.stat(tmp_path / "x.json").st_mode & 0o400


def test_options_that_came_later_may_be_missing() -> None:
    """A checkpoint from before says nothing of them and had none; what was always there must be there."""
    now, later = asdict(AgentConfig(width=64)), AgentConfig.BEFORE
    before = {name: value for name, value in now.items() if name not in later}
    then = from_dict(AgentConfig, before)
    assert then == from_dict(AgentConfig, now | later)
    assert (then.context_tokens, then.code_vectors, then.values) == (0, "started", "waves")
    assert (then.mean_over, then.choose, then.chunk, then.at_once) == ("kinds", "mean", 1, False)
    assert (then.patch, then.tape, then.experts) == (0, 0, 0)
    assert from_dict(AgentConfig, now) == AgentConfig(width=64)
    assert {"chunk", "tape", "experts"} < set(later) < set(now)
    for wrong in ({"width": 64}, now | {"depth": 3}):
        with pytest.raises(CheckpointError, match="AgentConfig in the record differs from this version's"):
            from_dict(AgentConfig, wrong)
