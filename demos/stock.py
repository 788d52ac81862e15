"""`robocat data info | merge | filter | split`: what a store holds, and stores made of others.

robocat data info runs/cycle/stores/practice
robocat data filter runs/cycle/stores/practice --out runs/mine/good --outcome success
robocat data merge runs/mine/good runs/cycle/stores/demos --out runs/mine/all
robocat data split runs/mine/all --out runs/mine/parts --shares 0.8 0.2

A source is never changed; the same episodes are committed to other stores, byte for byte the same content.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, arg

from demos.episode_file import Packed
from demos.manifest import Entry
from demos.progress import progress
from demos.select import ALL, Choice
from demos.store import EpisodeStore

AT_ONCE = 20  # episodes a commit: memory stays small, and a kill costs little work


def info(store: Positional[Path], *, pick: Choice = ALL, as_json: bool = False) -> None:
    """Says what a store holds: episodes, successes, steps and bytes, by arm, task and who acted.

    Args:
        store: The store.
        pick: Only such episodes.
        as_json: Print JSON instead of a table.
    """
    rows = summary(pick.of(EpisodeStore(store)))
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    table = Table("arm", "task", "acted by", "episodes", "outcome", "steps", "MB", title=str(store))
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f}"
        table.add_row(
            row["arm"], row["task"], row["by"], f"{row['episodes']}", share(row), f"{row['steps']}", size
        )
    Console().print(table)
    totals = {key: sum(row[key] for row in rows) for key in ("episodes", "successful", "unjudged", "steps")}
    told = {key: count for key, count in totals.items() if count or key != "unjudged"}
    print(f"{store}: " + ", ".join(f"{count} {key}" for key, count in told.items()))


def summary(entries: list[Entry]) -> list[dict[str, Any]]:
    """Counts of episodes by arm, task and who acted."""
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.arm, entry.task, _actor(entry)), []).append(entry)
    return [
        {
            "arm": arm,
            "task": task,
            "by": by,
            "episodes": len(each),
            **outcomes(each),
            "steps": sum(entry.length for entry in each),
            "bytes": sum(entry.bytes for entry in each),
            "variations": dict(sorted(Counter(entry.variation for entry in each).items())),
        }
        for (arm, task, by), each in sorted(groups.items())
    ]


def outcomes(entries: Sequence[Entry]) -> dict[str, int]:
    """How many of some episodes are "successful", and how many "unjudged"."""
    count = Counter(entry.outcome for entry in entries)
    return {"successful": count["success"], "unjudged": count["unjudged"]}


def share(row: Mapping[str, int]) -> str:
    """What a row's episodes came to, in words; the share is of those that were judged."""
    judged, unjudged = row["episodes"] - row["unjudged"], f"{row['unjudged']} unjudged"
    told = [f"{row['successful']} ({row['successful'] / judged:.0%}) successful"] if judged else []
    return ", ".join(told + [unjudged] if row["unjudged"] else told)


def _actor(entry: Entry) -> str:
    if entry.policy is None:
        return entry.controller
    return f"{entry.controller} {entry.policy}, generation {entry.generation}"


def merge(stores: Annotated[Positional[tuple[Path, ...]], arg(metavar="STORE ...")], *, out: Path) -> None:
    """Commits the episodes of several stores to one.

    Args:
        stores: The stores.
        out: The store that takes them; it may be there already.
    """
    if not stores:
        raise ValueError("no store to merge; expected one or more")
    target = EpisodeStore(out)
    refuse_itself(out, stores)
    new = sum(_copied(EpisodeStore(path), EpisodeStore(path).entries(), target) for path in stores)
    print(f"{out}: {new} new episodes; {len(target)} in all")


def filter_(store: Positional[Path], *, out: Path, pick: Choice = ALL) -> None:
    """Commits some episodes of a store to another one.

    Args:
        store: The store.
        out: The store that takes them; it may be there already.
        pick: Which episodes.
    """
    refuse_itself(out, (store,))
    source, target = EpisodeStore(store), EpisodeStore(out)
    new = _copied(source, pick.of(source), target)
    print(f"{out}: {new} new episodes; {len(target)} in all")


def split(store: Positional[Path], *, out: Path, shares: tuple[float, ...] = (0.9, 0.1)) -> None:
    """Deals a store's episodes out to several, by their ids alone: the same however often it is done.

    Args:
        store: The store.
        out: Folder that takes the stores, named 0, 1 and so on.
        shares: Share of the episodes that each is to have; together 1.
    """
    if min(shares) <= 0.0 or abs(sum(shares) - 1.0) > 1e-9:
        raise ValueError(f"shares {' '.join(map(str, shares))} are not above 0 with a sum of 1")
    source = EpisodeStore(store)
    parts: list[list[Entry]] = [[] for _ in shares]
    for entry in source.entries():
        parts[part_of(entry.id, shares)].append(entry)
    for number, part in enumerate(parts):
        target = EpisodeStore(out / str(number))
        new = _copied(source, part, target)
        print(f"{target.path}: {new} new episodes; {len(part)} of {len(source)}")


def part_of(id: str, shares: tuple[float, ...]) -> int:
    """Which part an episode belongs to, where each has a share: by its id alone."""
    place, edge = int(hashlib.sha256(f"split {id}".encode()).hexdigest()[:8], 16) / 2**32, 0.0
    for number, share in enumerate(shares):
        edge += share
        if place < edge:
            return number
    return len(shares) - 1


def _copied(source: EpisodeStore, entries: list[Entry], target: EpisodeStore) -> int:
    """Commits episodes of a store to another one, as they are; returns how many were not there yet."""
    before = len(target) if target.exists else 0
    rewrite(source, target, [entry.id for entry in entries])
    return (len(target) if target.exists else 0) - before


def rewrite(
    source: EpisodeStore,
    target: EpisodeStore,
    ids: Sequence[str],
    change: Callable[[Packed], Packed] = lambda given: given,
) -> None:
    """Commits episodes of a store to another one, some at a time; their images stay packed as they are.

    Args:
        source: A store, which stays as it is.
        target: Another.
        ids: Which of its episodes.
        change: What is to be committed for each.

    Raises:
        StoreError: An episode is damaged, or the target has it with other content.
    """
    with progress(f"{source.path.name} to {target.path.name}", len(ids)) as advance:
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            target.commit_many(change(source.load_packed(id)) for id in some)
            advance(len(some))


def refuse_itself(out: Path, stores: tuple[Path, ...]) -> None:
    """Refuses to write to a store that is read.

    Raises:
        ValueError: `out` is one of them.
    """
    if out.resolve() in {path.resolve() for path in stores}:
        raise ValueError(f"--out {out} is one of the stores themselves; expected another folder")
