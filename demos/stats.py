"""`robocat data stats`: what a store's episodes look like in numbers, by arm and task."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

from demos.episode import EpisodeMeta
from demos.manifest import Entry
from demos.progress import progress
from demos.select import ALL, Choice
from demos.store import EpisodeStore

QUANTILES = (0.0, 0.01, 0.5, 0.99, 1.0)
# Of an episode, what is looked at: all of a big store's states would fill the memory.
_Motion = tuple[EpisodeMeta, NDArray[np.float32], NDArray[np.float32]]


def stats(
    store: Positional[Path], *, pick: Choice = ALL, as_json: Annotated[bool, arg(name="json")] = False
) -> None:
    """Says, by arm and task, how many episodes there are, how long, how successful, and how they move.

    Args:
        store: The store.
        pick: Only such episodes.
        as_json: Print JSON instead of tables.
    """
    source = EpisodeStore(store)
    rows = figures(source, pick.of(source))
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        _show(row)


def figures(store: EpisodeStore, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """One record for each arm and task, with quantiles of lengths [steps], actions and proprioception.

    Channels stand by name, each with its unit; quantiles are those of `QUANTILES`, over all steps.

    Raises:
        StoreError: An episode is damaged.
        ValueError: Episodes of one arm and task have different channels.
    """
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.arm, entry.task), []).append(entry)
    rows: list[dict[str, Any]] = []
    with progress("reading", len(entries)) as advance:
        for (arm, task), group in sorted(groups.items()):
            read: list[_Motion] = []
            for entry in group:
                episode = store.load(entry.id, images=False)
                read.append((episode.meta, episode.action, episode.proprio))
                advance(1)
            lengths = np.array([entry.length for entry in group])
            row: dict[str, Any] = {"arm": arm, "task": task, "episodes": len(group)}
            row |= {"steps": int(lengths.sum()), "successful": sum(entry.success for entry in group)}
            rows.append(row | {"length": _quantiles(lengths), **_channels(read)})
    return rows


def _channels(read: Sequence[_Motion]) -> dict[str, Any]:
    first = read[0][0]
    for each, _, _ in read:
        got, expected = each.proprio_names + each.action_names, first.proprio_names
        if got != expected + first.action_names:
            raise ValueError(f"episodes {each.id} and {first.id} have different channels; filter them apart")
    action = np.concatenate([action for _, action, _ in read])
    proprio = np.concatenate([proprio for _, _, proprio in read])
    units = zip(first.proprio_names, first.proprio_units, proprio.T, strict=True)
    return {
        "action": {
            name: {"unit": "", "quantiles": _quantiles(values)}
            for name, values in zip(first.action_names, action.T, strict=True)
        },
        "proprio": {name: {"unit": unit, "quantiles": _quantiles(values)} for name, unit, values in units},
    }


def _quantiles(values: NDArray[Any]) -> list[float]:
    return [round(float(value), 6) for value in np.quantile(values, QUANTILES)]


def _show(row: dict[str, Any]) -> None:
    share = f"{row['successful']} ({row['successful'] / row['episodes']:.0%}) successful"
    title = f"{row['arm']} {row['task']}: {row['episodes']} episodes, {share}, {row['steps']} steps"
    table = Table("", "unit", *(f"{quantile:.0%}" for quantile in QUANTILES), title=title)
    table.add_row("length", "steps", *(f"{value:.0f}" for value in row["length"]))
    for kind in ("action", "proprio"):
        for name, each in row[kind].items():
            table.add_row(f"{kind} {name}", each["unit"], *(f"{value:.3f}" for value in each["quantiles"]))
    Console().print(table)
