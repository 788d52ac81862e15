"""Weights on disk: a folder with `model.safetensors` and `config.json`, complete or absent; never a pickle.

    <folder>/model.safetensors   the network's tensors
    <folder>/config.json         what it is: kind, network config, what it learnt from, versions; written last
    <folder>/resume/             private: the optimiser's state of an unfinished training, see `save_state`

Loading is strict: tensors that are missing, left over or of another shape are refused by name.
"""

import hashlib
import json
import platform
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_type_hints

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from demos.staging import sync_folders, write_durably

T = TypeVar("T")
Models = Mapping[str, nn.Module]
Optimisers = Mapping[str, torch.optim.Optimizer]
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
    """Writes a file so that it is there whole or not at all, whatever happens meanwhile.

    Raises:
        OSError: If it cannot be written; what was there before is as it was.
    """
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(aside, data)
        aside.replace(path)
        sync_folders([path.parent])
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # the folder itself may be what is wrong
            aside.unlink(missing_ok=True)


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Writes a record as indented JSON, atomically."""
    write_atomically(path, (json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Reads a record.

    Raises:
        CheckpointError: If the file is absent or holds no JSON object.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"no {path.name} in {path.parent}: absent, or never finished") from None
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    if not isinstance(record, dict):
        raise CheckpointError(f"{path} is damaged: it holds a {type(record).__name__}, expected an object")
    return cast(dict[str, Any], record)


def from_dict(kind: type[T], record: Mapping[str, Any]) -> T:
    """Builds a config dataclass, and those inside it, from JSON, refusing unknown and missing names.

    Names in the class's `BEFORE` may be missing: they came later, and it says what was before.
    """
    names = {field.name for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    record = {**getattr(kind, "BEFORE", {}), **record}
    if wrong := sorted(set(record) ^ names):
        wrong = ", ".join(wrong)
        raise CheckpointError(f"{kind.__name__} in the record differs from this version's in: {wrong}")
    hints = get_type_hints(kind)
    return kind(**{name: _typed(hints[name], value) for name, value in record.items()})


def _typed(hint: Any, value: Any) -> Any:
    """A value of JSON as a field has it: lists as tuples, and records as what the field says they are."""
    if isinstance(value, list):
        return tuple(_typed(None, each) for each in cast(list[Any], value))
    kinds = (hint, *get_args(hint))  # of "this or none"
    found = next((each for each in kinds if isinstance(each, type) and is_dataclass(each)), None)
    return from_dict(found, value) if found is not None and isinstance(value, dict) else value


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


def finished(folder: Path) -> bool:
    """Whether a folder holds a checkpoint; what is not yet finished has no record."""
    return (folder / "config.json").exists()


def read_config(folder: Path, kind: str, keys: Sequence[str] = ()) -> dict[str, Any]:
    """The record of a finished checkpoint.

    Args:
        folder: The checkpoint.
        kind: "tokeniser" or "agent": what it must be.
        keys: What the record must hold besides.

    Raises:
        CheckpointError: If there is none, it is of another kind or format, or it lacks a key.
    """
    record = read_json(folder / "config.json")
    if (found := record.get("format_version")) != FORMAT_VERSION:
        raise CheckpointError(f"{folder} has format {found}, expected {FORMAT_VERSION}")
    if (found := record.get("kind")) != kind:
        raise CheckpointError(f"{folder} is a checkpoint of kind {found!r}, expected {kind!r}")
    if missing := sorted({"weights", *keys} - set(record)):
        raise CheckpointError(f"{folder / 'config.json'} lacks {', '.join(missing)}")
    return record


def load_weights(folder: Path, model: nn.Module, expected: str) -> None:
    """Loads weights strictly and verifies their hash.

    Raises:
        CheckpointError: If the file is absent or damaged, or tensors do not fit.
    """
    path = folder / "model.safetensors"
    tensors = _read_tensors(path)
    if digest(tensors) != expected:
        raise CheckpointError(f"{path} is damaged: its hash is not {expected}, as config.json says")
    _fill(model, tensors, path)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"no {path.name} in {path.parent}") from None
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None


def _fill(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Puts tensors into a network that has exactly these."""
    own = model.state_dict()
    shapes = {name: tensor.shape for name, tensor in own.items()}
    wrong = sorted(
        name
        for name in shapes.keys() | tensors.keys()
        if name not in shapes or name not in tensors or shapes[name] != tensors[name].shape
    )
    if wrong:
        named = ", ".join(wrong[:4])
        raise CheckpointError(f"{path} does not fit this network in {len(wrong)} tensors: {named}")
    model.load_state_dict(tensors)


# An unfinished training, private to it: model, optimiser and step, from which it goes on bit for bit.


def save_state(folder: Path, step: int, models: Models, optimisers: Optimisers, identity: str) -> None:
    """Writes `<folder>/resume/step-<N>.safetensors` and drops older ones once it is safe.

    Args:
        folder: Where the training's checkpoint will be.
        step: Steps taken.
        models: Networks by name.
        optimisers: Their optimisers.
        identity: Hash of what is trained on what: nothing else may go on from here.
    """
    tensors = {
        f"model.{m}.{name}": tensor.detach().contiguous()
        for m, model in models.items()
        for name, tensor in model.state_dict().items()
    }
    for o, optimiser in optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"optimiser.{o}.{index}.{name}"] = torch.as_tensor(value).detach().contiguous()
    path = folder / "resume" / f"step-{step:08d}.safetensors"
    write_atomically(path, save(tensors, {"identity": identity}))
    for old in path.parent.glob("step-*.safetensors"):
        if old != path:
            old.unlink()


def load_state(folder: Path, models: Models, optimisers: Optimisers, identity: str, steps: int) -> int:
    """Restores the newest state of an unfinished training of so many steps.

    Returns:
        How many steps it had taken, 0 if there is none.

    Raises:
        CheckpointError: If the state is damaged, of another network or other data, or beyond the end.
    """
    saved = sorted((folder / "resume").glob("step-*.safetensors"))
    if not saved:
        return 0
    path = saved[-1]
    tensors = _read_tensors(path)
    with safe_open(path, "pt") as file:  # pyright: ignore[reportUnknownVariableType, reportGeneralTypeIssues]
        metadata: dict[str, str] = file.metadata() or {}
    if metadata.get("identity") != identity:
        raise CheckpointError(
            f"{path.parent} holds an unfinished training of another network, seed or data; "
            "move it away, or write to another folder"
        )
    if (step := int(path.stem.removeprefix("step-"))) > steps:
        raise CheckpointError(
            f"{path.parent} holds a training at step {step}, beyond the {steps} steps asked for; "
            "move it away, or ask for more steps"
        )
    for m, model in models.items():
        _fill(model, _under(tensors, f"model.{m}."), path)
    for o, optimiser in optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under(tensors, f"optimiser.{o}.").items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return step


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def clear_state(folder: Path) -> None:
    """Drops the resume state of a finished training, and what a kill left of files half written."""
    shutil.rmtree(folder / "resume", ignore_errors=True)
    for left in folder.glob(".*.safetensors.*"):
        left.unlink(missing_ok=True)


def config_hash(*configs: Any) -> str:
    """Short hash of dataclasses and plain values, to tell whether what goes on is what was started."""
    plain = [asdict(c) if hasattr(c, "__dataclass_fields__") else c for c in configs]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def seeded(*numbers: int) -> np.random.Generator:
    """A generator that depends on all the numbers and nothing else: one per step makes training resumable."""
    return np.random.default_rng(list(numbers))
