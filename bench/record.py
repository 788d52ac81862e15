"""Where measured numbers go: `bench/results/<name>.json`, with machine, versions and date."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from robocat.checkpoint import versions, write_json

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, object]:
    """Processor, cores and system."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "load_before": load,
    }


def write(name: str, figures: Mapping[str, Any]) -> Path:
    """Writes a measurement and prints where.

    Folders of this machine are of no use elsewhere: of an absolute path the last three parts are kept.
    """
    path = RESULTS / f"{name}.json"
    record = {
        "machine": machine(),
        "versions": versions(),
        "measured": datetime.now(UTC).isoformat(),
        **_portable(dict(figures)),
    }
    write_json(path, record)
    print(path)
    return path


def _portable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _portable(each) for key, each in cast(dict[Any, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_portable(each) for each in cast(list[Any], value)]
    if isinstance(value, str) and value.startswith("/"):
        return "/".join(Path(value).parts[1:][-3:])
    return value
