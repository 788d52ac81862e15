"""What a run of the cycle left on disk, read and checked; a stage not yet there is absent, not an error.

    run.json                    preset, seed, start, versions, machine, config: what makes a folder a run
    stages/<NN>-<name>.json     what each finished stage took
    stores/<name>/              episode stores: demos, adaptation, goals, practice, clips
    tokeniser[-1]/              checkpoint, with card.json, metrics.jsonl and reconstructions.npz; that of the
                                next generation has a number, if it has one of its own
    models/<name>/              checkpoints, with metrics.jsonl
    scores/[gate-]<name>.json   evaluations; those of the gate are on seeds of their own
    gate.json                   the verdict

Files may hold more than is read here; what is read is required, and an error names the file and the key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demos.intervals import Difference
from demos.manifest import Entry
from demos.store import EpisodeStore
from finetune.gate import Cell, Verdict
from finetune.records import build, need, read
from robocat.agreement import Agreement
from robocat.extension import Effect
from robocat.metrics import FILE as METRICS
from robocat.metrics import read_metrics
from robocat.scores import Scores

# Within a round, in the order in which the cycle makes them.
_KINDS = ("control", "scratch", "branch", "generalist")


@dataclass(frozen=True)
class Stage:
    """What a finished stage took; memory at its peak and disk at its end [MiB] may be unknown."""

    name: str
    seconds: float
    peak_memory_mib: float | None
    disk_mib: float | None
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
    """A trained agent: what it is and where it comes from.

    `parent_tokeniser` is None where parent and child read the same one.
    """

    name: str
    generation: int | None
    parent: str | None
    steps: int
    parameters: int
    tokeniser: str
    parent_tokeniser: str | None
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class TokeniserCard:
    """How well the tokeniser's codes say what images show, on images it was not trained on."""

    psnr_db: float
    codes_used: int
    codes: int


@dataclass(frozen=True)
class TokeniserOrigin:
    """A trained tokeniser: its hash and size, how many images it learnt, of which stores (path, digest).

    `parent` is the hash of the one that it was extended from, if any.
    """

    weights: str
    parameters: int
    images: int
    stores: tuple[tuple[str, str], ...]
    parent: str | None


@dataclass(frozen=True)
class TokeniserRecord:
    """What is known of a tokeniser: how good it is, whence it comes, and of an extended one what that did."""

    card: TokeniserCard | None
    origin: TokeniserOrigin | None
    effects: dict[str, Effect]


@dataclass(frozen=True)
class Run:
    """All that a run's folder says. Mappings are in the order in which the cycle makes things.

    Attributes:
        curves: Rows of metrics by training.
        scores: The cycle's evaluations, by model.
        gate_scores: Those of the gate, on scenes of their own, by model.
        other_scores: Further evaluations, each on scenes of its own, by file.
    """

    path: Path
    preset: str
    seed: int
    started: str
    versions: dict[str, Any]
    machine: dict[str, Any]
    config: dict[str, Any]
    stages: tuple[Stage, ...]
    stores: dict[str, Stock]
    tokenisers: dict[str, TokeniserRecord]
    models: dict[str, Checkpoint]
    curves: dict[str, list[dict[str, float]]]
    scores: dict[str, Scores]
    gate_scores: dict[str, Scores]
    other_scores: dict[str, Scores]
    gate: Verdict | None

    @property
    def new_cells(self) -> set[Cell]:
        """What the branch adapted to: arms at tasks that are in no demonstration of the first generalist."""
        adaptation, demos = self.stores.get("adaptation"), self.stores.get("demos")
        new = set() if adaptation is None or demos is None else set(adaptation.cells) - set(demos.cells)
        return new | ({cell for cell, *_ in self.gate.new} if self.gate is not None else set())

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
    about = read(file)
    folders = sorted((path / "models").glob("*/config.json"), key=lambda file: rank(file.parent.name))
    scores = _scores(path / "scores")
    return Run(
        path=path,
        preset=need(about, "preset", str, file),
        seed=need(about, "seed", int, file),
        started=need(about, "started", str, file),
        versions=need(about, "versions", dict, file),
        machine=need(about, "machine", dict, file),
        config=need(about, "config", dict, file),
        stages=tuple(_stage(file) for file in sorted((path / "stages").glob("*.json"))),
        stores={stock.name: stock for stock in _stocks(path / "stores")},
        tokenisers={folder.name: _tokeniser(folder) for folder in sorted(path.glob("tokeniser*"))},
        models={file.parent.name: _checkpoint(file) for file in folders},
        curves=_curves(path),
        scores={stem: each for stem, each in scores.items() if stem == each.model},
        gate_scores={each.model: each for stem, each in scores.items() if stem == f"gate-{each.model}"},
        other_scores={
            stem: each for stem, each in scores.items() if stem not in (each.model, f"gate-{each.model}")
        },
        gate=_verdict(path / "gate.json"),
    )


def last_part(path: str) -> str:
    """The last part of a path, of whatever system it was written on."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def rank(name: str) -> tuple[float, int, str]:
    """Sorts models as the cycle makes them: generalist-0, scratch, branch, control-1, generalist-1, ..."""
    kind, _, number = name.rpartition("-")
    kind, generation = (kind, float(number)) if kind and number.isdigit() else (name, 0.5)
    return generation, _KINDS.index(kind) if kind in _KINDS else len(_KINDS), name


def _stage(file: Path) -> Stage:
    record = read(file)
    mib = {key: need(record, key, float, file) for key in ("peak_memory_mib", "disk_mib") if key in record}
    return Stage(
        name=need(record, "name", str, file),
        seconds=need(record, "seconds", float, file),
        peak_memory_mib=mib.get("peak_memory_mib"),
        disk_mib=mib.get("disk_mib"),
        finished=need(record, "finished", str, file),
        summary=need(record, "summary", dict, file),
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
    eyes = sorted(file.parent for file in path.glob(f"tokeniser*/{METRICS}"))
    rows = {folder.name: read_metrics(folder) for folder in (*eyes, *folders)}
    return {name: measured for name, measured in rows.items() if measured}


def _scores(folder: Path) -> dict[str, Scores]:
    files = sorted(folder.glob("*.json"), key=lambda file: rank(file.stem.removeprefix("gate-")))
    return {file.stem: Scores.load(file) for file in files}


def _tokeniser(folder: Path) -> TokeniserRecord:
    file = folder / "card.json"
    card = read(file) if file.exists() else None
    effects = {} if card is None else card.get("extended", {})
    return TokeniserRecord(
        card=None if card is None else build(TokeniserCard, card, file),
        origin=_origin(folder / "config.json"),
        effects={last_part(store): build(Effect, effect, file) for store, effect in effects.items()},
    )


def _origin(file: Path) -> TokeniserOrigin | None:
    if not file.exists():
        return None
    record = read(file)
    lineage = need(record, "lineage", dict, file)
    return TokeniserOrigin(
        weights=need(record, "weights", str, file),
        parameters=need(record, "parameters", int, file),
        images=need(lineage, "images", int, file),
        stores=tuple(
            (need(store, "path", str, file), need(store, "digest", str, file))
            for store in need(lineage, "stores", list, file)
        ),
        parent=need(lineage["parent"], "weights", str, file) if "parent" in lineage else None,
    )


def _checkpoint(file: Path) -> Checkpoint:
    record = read(file)
    lineage = need(record, "lineage", dict, file)
    sources = need(lineage, "stores", list, file)
    parent = record.get("parent")
    return Checkpoint(
        name=need(record, "name", str, file),
        generation=None if record.get("generation") is None else need(record, "generation", int, file),
        # Written as the folder it was read from.
        parent=None if parent is None else last_part(need(record, "parent", str, file)),
        steps=need(record, "steps", int, file),
        parameters=need(record, "parameters", int, file),
        tokeniser=need(lineage, "tokeniser", str, file),
        parent_tokeniser=need(lineage, "parent_tokeniser", str, file)
        if "parent_tokeniser" in lineage
        else None,
        sources=tuple(build(Source, source, file) for source in sources),
    )


def _verdict(file: Path) -> Verdict | None:
    if not file.exists():
        return None
    record = read(file)
    return Verdict(
        accepted=need(record, "accepted", bool, file),
        reasons=tuple(need(record, "reasons", list, file)),
        versus_parent=_difference(record, "versus_parent", file),
        versus_control=_difference(record, "versus_control", file),
        new=tuple(
            (
                _cell(each, file),
                _difference(each, "versus_parent", file),
                _difference(each, "versus_control", file),
            )
            for each in need(record, "new", list, file)
        ),
        old=tuple(
            (_cell(each, file), _difference(each, "difference", file))
            for each in need(record, "old", list, file)
        ),
        old_mean=_difference(record, "old_mean", file),
        judged=tuple(
            (_cell(each, file), build(Agreement, each, file))
            for each in (need(record, "judged", list, file) if "judged" in record else [])
        ),
    )


def _difference(record: Mapping[str, Any], key: str, file: Path) -> Difference:
    return build(Difference, need(record, key, dict, file), file)


def _cell(record: Mapping[str, Any], file: Path) -> Cell:
    return need(record, "arm", str, file), need(record, "task", str, file)
