"""What a run of the cycle left on disk, read and checked; a stage that is not there yet is absent, not an error.

    run.json                    preset, seed, start, versions, machine, config: what makes a folder a run
    stages/<NN>-<name>.json     what each finished stage took
    stores/<name>/              episode stores: demos, adaptation, goals, practice, clips
    tokeniser/                  checkpoint, with card.json, metrics.jsonl and reconstructions.npz
    models/<name>/              checkpoints, with metrics.jsonl
    scores/[gate-]<name>.json   evaluations; those of the gate are on seeds of their own
    gate.json                   the verdict

Files may hold more than is read here; what is read is required, and an error names the file and the key.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from demos.manifest import Entry
from demos.store import EpisodeStore
from robocat.intervals import Difference
from robocat.metrics import FILE as METRICS
from robocat.metrics import read_metrics
from robocat.scores import Scores

T = TypeVar("T")
Cell = tuple[str, str]
"""An arm and a task."""

# Within a round, in the order in which the cycle makes them.
_KINDS = ("control", "scratch", "branch", "generalist")


@dataclass(frozen=True)
class Stage:
    """What a finished stage took; `peak_memory_mib` [MiB] may be unknown."""

    name: str
    seconds: float
    peak_memory_mib: float | None
    finished: str
    summary: dict[str, float | str]


@dataclass(frozen=True)
class Stock:
    """What a store holds, from its manifest."""

    name: str
    digest: str
    entries: tuple[Entry, ...]

    @property
    def steps(self) -> int:
        return sum(entry.length for entry in self.entries)

    @property
    def successes(self) -> int:
        return sum(entry.success for entry in self.entries)

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.entries)

    @property
    def cells(self) -> list[Cell]:
        return sorted({(entry.arm, entry.task) for entry in self.entries})


@dataclass(frozen=True)
class Source:
    """A store that a checkpoint was trained on, as it was then; `share` of the windows."""

    path: str
    digest: str
    episodes: int
    steps: int
    share: float


@dataclass(frozen=True)
class Checkpoint:
    """A trained agent: what it is and where it comes from."""

    name: str
    generation: int | None
    parent: str | None
    steps: int
    parameters: int
    tokeniser: str
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class TokeniserCard:
    """How well the tokeniser's codes say what images show, on images it was not trained on."""

    psnr_db: float
    codes_used: int
    codes: int


@dataclass(frozen=True)
class Verdict:
    """The gate's decision. Differences are the new generalist's rate minus the other's, on the same scenes."""

    accepted: bool
    reasons: tuple[str, ...]
    new: Cell
    versus_parent: Difference
    versus_control: Difference
    old: tuple[tuple[Cell, Difference], ...]
    old_mean: Difference


@dataclass(frozen=True)
class Run:
    """All that a run's folder says. Mappings are in the order in which the cycle makes things."""

    path: Path
    preset: str
    seed: int
    started: str
    versions: dict[str, Any]
    machine: dict[str, Any]
    config: dict[str, Any]
    stages: tuple[Stage, ...]
    stores: dict[str, Stock]
    tokeniser: TokeniserCard | None
    models: dict[str, Checkpoint]
    curves: dict[str, list[dict[str, float]]]
    scores: dict[str, Scores]
    gate_scores: dict[str, Scores]
    gate: Verdict | None

    @property
    def new_cells(self) -> set[Cell]:
        """What the branch adapted to: arms at tasks that are in no demonstration of the first generalist."""
        adaptation, demos = self.stores.get("adaptation"), self.stores.get("demos")
        new = set() if adaptation is None or demos is None else set(adaptation.cells) - set(demos.cells)
        return new | ({self.gate.new} if self.gate is not None else set())

    def seconds(self, name: str) -> float | None:
        """How long a stage took, None if it has not finished."""
        return next((stage.seconds for stage in self.stages if stage.name == name), None)


def read_run(path: Path) -> Run:
    """Reads a run's folder.

    Raises:
        ValueError: It is no run, or a file in it holds something else than it should; one line.
    """
    if not (path / "run.json").is_file():
        what = "holds no run.json" if path.is_dir() else "is no folder"
        raise ValueError(f"{path} {what}, so there is no run to report; `robocat improve` makes one")
    file = path / "run.json"
    about = _read(file)
    folders = sorted((path / "models").glob("*/config.json"), key=lambda file: rank(file.parent.name))
    scores = sorted((path / "scores").glob("*.json"), key=lambda file: rank(file.stem.removeprefix("gate-")))
    return Run(
        path=path,
        preset=_need(about, "preset", str, file),
        seed=_need(about, "seed", int, file),
        started=_need(about, "started", str, file),
        versions=_need(about, "versions", dict, file),
        machine=_need(about, "machine", dict, file),
        config=_need(about, "config", dict, file),
        stages=tuple(_stage(file) for file in sorted((path / "stages").glob("*.json"))),
        stores={stock.name: stock for stock in _stocks(path / "stores")},
        tokeniser=_card(path / "tokeniser" / "card.json"),
        models={file.parent.name: _checkpoint(file) for file in folders},
        curves=_curves(path),
        scores={file.stem: Scores.load(file) for file in scores if not file.stem.startswith("gate-")},
        gate_scores={file.stem[5:]: Scores.load(file) for file in scores if file.stem.startswith("gate-")},
        gate=_verdict(path / "gate.json"),
    )


def rank(name: str) -> tuple[float, int, str]:
    """Sorts models as the cycle makes them: generalist-0, scratch, branch, control-1, generalist-1, ..."""
    kind, _, number = name.rpartition("-")
    kind, generation = (kind, float(number)) if kind and number.isdigit() else (name, 0.5)
    return generation, _KINDS.index(kind) if kind in _KINDS else len(_KINDS), name


def _stage(file: Path) -> Stage:
    record = _read(file)
    memory = record.get("peak_memory_mib")
    return Stage(
        name=_need(record, "name", str, file),
        seconds=_need(record, "seconds", float, file),
        peak_memory_mib=None if memory is None else _need(record, "peak_memory_mib", float, file),
        finished=_need(record, "finished", str, file),
        summary=_need(record, "summary", dict, file),
    )


def _stocks(folder: Path) -> list[Stock]:
    order = ("demos", "adaptation", "goals", "practice", "clips")
    names = {file.parent.name for file in folder.glob("*/manifest.jsonl")}
    found: list[Stock] = []
    for name in [*(name for name in order if name in names), *sorted(names - set(order))]:
        store = EpisodeStore(folder / name)
        found.append(Stock(name, store.digest(), tuple(store.entries())))
    return found


def _curves(path: Path) -> dict[str, list[dict[str, float]]]:
    """What every training measured: the tokeniser's first, then the agents'."""
    folders = sorted(
        (file.parent for file in (path / "models").glob(f"*/{METRICS}")), key=lambda each: rank(each.name)
    )
    rows = {folder.name: read_metrics(folder) for folder in (path / "tokeniser", *folders)}
    return {name: measured for name, measured in rows.items() if measured}


def _card(file: Path) -> TokeniserCard | None:
    return _build(TokeniserCard, _read(file), file) if file.exists() else None


def _checkpoint(file: Path) -> Checkpoint:
    record = _read(file)
    lineage = _need(record, "lineage", dict, file)
    sources = _need(lineage, "stores", list, file)
    parent = record.get("parent")
    return Checkpoint(
        name=_need(record, "name", str, file),
        generation=None if record.get("generation") is None else _need(record, "generation", int, file),
        # Written as the folder it was read from.
        parent=None if parent is None else re.split(r"[/\\]", _need(record, "parent", str, file))[-1],
        steps=_need(record, "steps", int, file),
        parameters=_need(record, "parameters", int, file),
        tokeniser=_need(lineage, "tokeniser", str, file),
        sources=tuple(_build(Source, source, file) for source in sources),
    )


def _verdict(file: Path) -> Verdict | None:
    if not file.exists():
        return None
    record = _read(file)
    new = _need(record, "new", dict, file)
    return Verdict(
        accepted=_need(record, "accepted", bool, file),
        reasons=tuple(_need(record, "reasons", list, file)),
        new=_cell(new, file),
        versus_parent=_build(Difference, _need(new, "versus_parent", dict, file), file),
        versus_control=_build(Difference, _need(new, "versus_control", dict, file), file),
        old=tuple(
            (_cell(each, file), _build(Difference, _need(each, "difference", dict, file), file))
            for each in _need(record, "old", list, file)
        ),
        old_mean=_build(Difference, _need(record, "old_mean", dict, file), file),
    )


def _cell(record: Mapping[str, Any], file: Path) -> Cell:
    return _need(record, "arm", str, file), _need(record, "task", str, file)


def _read(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{file}: got a {type(record).__name__}, expected an object")
    return record


def _build(kind: type[T], record: object, file: Path) -> T:
    """A flat dataclass from the keys of its fields; further keys are left alone."""
    if not isinstance(record, dict):
        raise ValueError(f"{file}: got {record!r}, expected the fields of a {kind.__name__}")
    types: dict[str, Any] = {each.name: each.type for each in fields(kind)}  # pyright: ignore[reportArgumentType]
    values = {name: _need(record, name, type, file) for name, type in types.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def _need(record: Mapping[str, Any], key: str, kind: type[T], file: Path) -> T:
    if key not in record:
        raise ValueError(f"{file}: no {key!r}; it holds {', '.join(map(repr, record)) or 'nothing'}")
    value = record[key]
    allowed = (int, float) if kind is float else (kind,)
    # A bool is an int to Python, and JSON's NaN a float.
    wrong = not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool)
    if wrong or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{file}: {key}: got {value!r}, expected a {kind.__name__}")
    return value
