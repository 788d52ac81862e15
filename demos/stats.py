"""`robocat data stats`: what a store's episodes look like in numbers, by arm and task."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

from demos.cadence import LATE_S
from demos.episode import EpisodeMeta
from demos.manifest import Entry
from demos.progress import progress
from demos.select import ALL, Choice
from demos.stock import outcomes, share
from demos.store import EpisodeStore

QUANTILES = (0.0, 0.01, 0.5, 0.99, 1.0)


class _Motion(NamedTuple):
    """Of an episode, what is looked at: all of a big store's states would fill the memory.

    Attributes:
        meta: Who and what.
        action: (T, A).
        proprio: (T + 1, P).
        periods_s: (T,) from one observation to the next [s].
    """

    meta: EpisodeMeta
    action: NDArray[np.float32]
    proprio: NDArray[np.float32]
    periods_s: NDArray[np.float64]


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

    Channels stand by name, each with its unit; quantiles are those of `QUANTILES`, over all steps. Where a
    person acted, "cadence" says how the control period was kept, by the times of the observations.

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
                periods_s = np.diff(episode.wall_time)
                read.append(_Motion(episode.meta, episode.action, episode.proprio, periods_s))
                advance(1)
            lengths = np.array([entry.length for entry in group])
            row: dict[str, Any] = {"arm": arm, "task": task, "episodes": len(group)}
            row |= {"steps": int(lengths.sum()), **outcomes(group)}
            rows.append(row | {"length": _quantiles(lengths), **_channels(read), **_cadence(read)})
    return rows


def _channels(read: Sequence[_Motion]) -> dict[str, Any]:
    first = read[0].meta
    for each in (motion.meta for motion in read):
        got, expected = each.proprio_names + each.action_names, first.proprio_names
        if got != expected + first.action_names:
            raise ValueError(f"episodes {each.id} and {first.id} have different channels; filter them apart")
    action = np.concatenate([motion.action for motion in read])
    proprio = np.concatenate([motion.proprio for motion in read])
    units = zip(first.proprio_names, first.proprio_units, proprio.T, strict=True)
    return {
        "action": {
            name: {"unit": "", "quantiles": _quantiles(values)}
            for name, values in zip(first.action_names, action.T, strict=True)
        },
        "proprio": {name: {"unit": unit, "quantiles": _quantiles(values)} for name, unit, values in units},
    }


def _cadence(read: Sequence[_Motion]) -> dict[str, Any]:
    """How the beat of control was kept where a person acted; others act as fast as the simulation goes."""
    acted = [motion for motion in read if motion.meta.provenance.controller == "teleop"]
    if not acted:
        return {}
    periods_s = np.concatenate([motion.periods_s for motion in acted])
    late = sum(int((each.periods_s > 1.0 / each.meta.control_hz + LATE_S).sum()) for each in acted)
    middle, high = np.percentile(1000.0 * periods_s, [50, 95]).round(3).tolist()
    return {"cadence": {"p50_ms": middle, "p95_ms": high, "late": late, "ticks": len(periods_s)}}


def _quantiles(values: NDArray[Any]) -> list[float]:
    return [round(float(value), 6) for value in np.quantile(values, QUANTILES)]


def _show(row: dict[str, Any]) -> None:
    title = f"{row['arm']} {row['task']}: {row['episodes']} episodes, {share(row)}, {row['steps']} steps"
    table = Table("", "unit", *(f"{quantile:.0%}" for quantile in QUANTILES), title=title)
    table.add_row("length", "steps", *(f"{value:.0f}" for value in row["length"]))
    for kind in ("action", "proprio"):
        for name, each in row[kind].items():
            table.add_row(f"{kind} {name}", each["unit"], *(f"{value:.3f}" for value in each["quantiles"]))
    Console().print(table)
    if (beat := row.get("cadence")) is not None:
        print(
            f"{row['arm']} {row['task']}, where a person acted: control period {beat['p50_ms']:.1f} ms "
            f"(median), {beat['p95_ms']:.1f} ms (p95), {beat['late']} of {beat['ticks']} late by more than "
            f"{1000 * LATE_S:.0f} ms"
        )
