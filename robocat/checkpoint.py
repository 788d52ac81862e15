"""Weights on disk: a folder with `model.safetensors` and `config.json`, complete or absent; never a pickle.

    <folder>/model.safetensors   the network's tensors
    <folder>/config.json         what it is: kind, network config, what it was trained on, versions; written last
    <folder>/resume/             private: the optimiser's state of an unfinished training, see `save_state`

Loading is strict: tensors that are missing, left over or of another shape are refused by name.
"""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

T = TypeVar("T")
FORMAT_VERSION = 1
LIBRARIES = ("robocat", "torch", "mujoco", "mink", "numpy", "gymnasium")


class CheckpointError(ValueError):
    """A checkpoint that is absent, incomplete or does not fit."""


def versions() -> dict[str, str]:
    """Versions of Python and the libraries that decide results."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except ImportError:  # not installed as a distribution, e.g. run from a source folder
            found[name] = "source"
    return found


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file so that it is there whole or not at all, whatever happens meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise OSError(f"cannot write {path}: {error.strerror}") from error


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Writes a record as indented JSON, atomically."""
    write_atomically(path, (json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Reads a record.

    Raises:
        CheckpointError: If the file is absent or no JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise CheckpointError(f"no {path.name} at {path.parent}; it is not there or was never finished") from None
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None


def from_dict(kind: type[T], record: Mapping[str, Any]) -> T:
    """Builds a flat config dataclass from JSON, refusing unknown and missing names."""
    names = {field.name for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    if set(record) != names:
        wrong = ", ".join(sorted(set(record) ^ names))
        raise CheckpointError(f"{kind.__name__} in the checkpoint differs from this version's in: {wrong}")
    return kind(**record)


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Hash of named tensors, the identity of weights."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(name.encode())
        total.update(tensors[name].detach().contiguous().cpu().numpy().tobytes())
    return total.hexdigest()[:16]


def save_checkpoint(folder: Path, model: nn.Module, config: Mapping[str, Any]) -> None:
    """Writes weights and record; the record, written last, makes the checkpoint exist."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    write_atomically(folder / "model.safetensors", save(tensors))
    record = {"format_version": FORMAT_VERSION, "weights": digest(tensors), "versions": versions(), **config}
    write_json(folder / "config.json", record)


def read_config(folder: Path, kind: str) -> dict[str, Any]:
    """The record of a finished checkpoint.

    Args:
        folder: The checkpoint.
        kind: "tokeniser" or "agent": what it must be.

    Raises:
        CheckpointError: If there is none, or it is of another kind or format.
    """
    record = read_json(folder / "config.json")
    if record.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(f"{folder} has format {record.get('format_version')}, expected {FORMAT_VERSION}")
    if record.get("kind") != kind:
        raise CheckpointError(f"{folder} is a checkpoint of kind {record.get('kind')!r}, expected {kind!r}")
    return record


def load_weights(folder: Path, model: nn.Module, expected: str) -> None:
    """Loads weights strictly and verifies their hash.

    Raises:
        CheckpointError: If the file is absent or damaged, or tensors do not fit.
    """
    path = folder / "model.safetensors"
    try:
        tensors = load_file(path)
    except (FileNotFoundError, SafetensorError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from None
    if digest(tensors) != expected:
        raise CheckpointError(f"{path} is damaged: its hash is not {expected}, as config.json says")
    own = model.state_dict()
    wrong = sorted(n for n in set(own) | set(tensors) if n not in own or n not in tensors or own[n].shape != tensors[n].shape)
    if wrong:
        raise CheckpointError(f"{path} does not fit this network in {len(wrong)} tensors: {', '.join(wrong[:4])}")
    model.load_state_dict(tensors)


# An unfinished training, private to it: model, optimiser and step, from which it goes on bit for bit.


def save_state(folder: Path, step: int, models: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Optimizer]) -> None:
    """Writes `<folder>/resume/step-<N>.safetensors` and drops older ones once it is safe."""
    tensors = {f"model.{m}.{name}": t.detach().contiguous() for m, model in models.items() for name, t in model.state_dict().items()}
    for o, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimiser.{o}.{index}.{name}"] = torch.as_tensor(value).detach().contiguous()
    path = folder / "resume" / f"step-{step:08d}.safetensors"
    write_atomically(path, save(tensors))
    for old in path.parent.glob("step-*.safetensors"):
        if old != path:
            old.unlink()


def load_state(folder: Path, models: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Optimizer]) -> int:
    """Restores the newest state of an unfinished training; returns its step, 0 if there is none."""
    saved = sorted((folder / "resume").glob("step-*.safetensors"))
    if not saved:
        return 0
    tensors = load_file(saved[-1])
    for m, model in models.items():
        prefix = f"model.{m}."
        model.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
    for o, optimiser in optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimiser.{o}."):
                index, key = name.removeprefix(f"optimiser.{o}.").split(".")
                state.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(saved[-1].stem.removeprefix("step-"))


def clear_state(folder: Path) -> None:
    """Drops the resume state of a finished training."""
    shutil.rmtree(folder / "resume", ignore_errors=True)


def config_hash(*configs: Any) -> str:
    """Short hash of dataclasses and plain values, to tell whether a stage is still the one that was started."""
    plain = [asdict(c) if hasattr(c, "__dataclass_fields__") else c for c in configs]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def seeded(*numbers: int) -> np.random.Generator:
    """A generator that depends on all the numbers and nothing else: one per step makes training resumable."""
    return np.random.default_rng(list(numbers))
