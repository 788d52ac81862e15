"""A run as a list of stages, each done when its manifest exists: a killed run goes on at the first undone."""

import json
import platform
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from robocat.checkpoint import (
    CheckpointError,
    config_hash,
    read_json,
    versions,
    write_atomically,
    write_json,
)
from robocat.config import Preset

Summary = dict[str, float | int | str]
SHOWN = 3  # settings that a message names: a line holds no more


@dataclass(frozen=True)
class Stage:
    """One part of a cycle.

    Attributes:
        name: Such as "demonstrations".
        work: Does it, resuming if it was interrupted, and says what came of it in a few numbers.
    """

    name: str
    work: Callable[[], Summary]


def open_run(folder: Path, preset_name: str, preset: Preset) -> None:
    """Starts a run or goes on with it.

    Raises:
        CheckpointError: If the folder holds a run with other settings: its stages would not fit together.
    """
    path = folder / "run.json"
    identity = config_hash(preset)
    if path.exists():
        there = read_json(path)
        if there.get("identity") != identity:
            apart = _apart(there.get("config", {}), asdict(preset))
            raise CheckpointError(
                f"{folder} holds a run with other settings ({apart}); choose another --out, or move the "
                "folder away"
            )
        return
    machine = {"processor": _processor(), "system": platform.platform(), "python": platform.python_version()}
    record = {
        "preset": preset_name,
        "identity": identity,
        "seed": preset.seed,
        "started": datetime.now(UTC).isoformat(),
        "versions": versions(),
        "machine": machine,
        "config": asdict(preset),
    }
    write_json(path, record)


def run_stages(folder: Path, stages: Sequence[Stage], workers: int) -> None:
    """Does the stages that are not done, in order.

    A stage's seconds include those of attempts that an error or Ctrl-C ended; those of a kill -9 are lost.
    """
    console = Console(stderr=True)
    for number, stage in enumerate(stages):
        manifest = folder / "stages" / f"{number:02d}-{stage.name}.json"
        if manifest.exists():
            continue
        console.rule(f"{number + 1}/{len(stages)} {stage.name}")
        spent = _seconds_before(manifest)
        started = time.monotonic()
        try:
            summary = stage.work()
        except BaseException:
            _note_seconds(manifest, spent + time.monotonic() - started)
            raise
        record = {
            "name": stage.name,
            "seconds": spent + time.monotonic() - started,
            "peak_memory_mib": peak_memory_mib(workers),
            "disk_mib": disk_mib(folder),
            "finished": datetime.now(UTC).isoformat(),
            "summary": summary,
        }
        write_json(manifest, record)
        _spent_path(manifest).unlink(missing_ok=True)
        console.print("  " + ", ".join(f"{key} {value}" for key, value in summary.items()), markup=False)


def peak_memory_mib(workers: int) -> float:
    """An upper bound of what the run has held at once: this process, and each worker at its peak [MiB]."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return (own + workers * child) / 1024  # Linux counts KiB


def disk_mib(folder: Path) -> float:
    """What the folder holds on disk [MiB]."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def _spent_path(manifest: Path) -> Path:
    return manifest.with_suffix(".spent")


def _seconds_before(manifest: Path) -> float:
    """Seconds that interrupted attempts at a stage have taken."""
    path = _spent_path(manifest)
    return float(path.read_text()) if path.exists() else 0.0


def _note_seconds(manifest: Path, seconds: float) -> None:
    write_atomically(_spent_path(manifest), f"{seconds:.1f}".encode())


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _apart(there: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """The settings that differ, such as "collection.tasks: asked for ['stack'], there ['lift']"."""
    now, then = _flat(json.loads(json.dumps(asked))), _flat(there)
    said = [
        f"{name}: asked for {now.get(name, 'nothing')!r}, there {then.get(name, 'nothing')!r}"
        for name in {**now, **then}
        if now.get(name, "nothing") != then.get(name, "nothing")
    ]
    return "; ".join([*said[:SHOWN], *([f"and {len(said) - SHOWN} more"] if len(said) > SHOWN else [])])


def _flat(record: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Settings by their whole names."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, dict) else {before + name: value}
    return found
