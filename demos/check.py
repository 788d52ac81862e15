"""`robocat data check <store>` and `robocat data repair <store>`."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.progress import track
from rich.table import Table
from tyro.conf import Positional, arg

from demos.audit import Finding
from demos.content import MEANING, Inspector, Oddity, to_json
from demos.manifest import Entry
from demos.store import EpisodeStore


def check(
    path: Positional[Path], *, content: bool = True, as_json: Annotated[bool, arg(name="json")] = False
) -> None:
    """Verifies every episode of a store and says what is odd in it; ends with exit code 1 if any is damaged.

    Odd content (idle ends, jumps, dead or saturated actions, repeated pictures, bad cadence, lopsided labels,
    missing goals) is no damage and leaves the exit code as it is.

    Args:
        path: Folder of the store.
        content: Whether to look at what intact episodes hold too, which takes twice as long.
        as_json: Print one JSON object instead of tables.
    """
    store = EpisodeStore(path)
    findings = store.check(_watch)
    damage = sum(finding.damage for finding in findings)
    odd = _oddities(store) if content and not damage else []
    if as_json:
        intact = [asdict(finding) for finding in findings]
        print(json.dumps({"damaged": damage, "findings": intact, "content": to_json(odd)}, indent=2))
        if damage:
            raise SystemExit(1)
        return
    _show(findings, f"{path}: {len(findings)} found")
    if damage:
        print(
            f"{path}: {damage} damaged; `robocat data repair {path}` sets the damage aside, deleting nothing"
        )
        raise SystemExit(1)
    _show_content(odd, f"{path}: {len(odd)} odd, though intact")
    rest = f"; {len(findings)} remnants of killed writers, harmless, which repair tidies" if findings else ""
    print(f"{path}: {len(store)} episodes, all intact{rest}")


def _oddities(store: EpisodeStore) -> list[Oddity]:
    inspector = Inspector()
    odd = [each for entry in _watch(store.entries()) for each in inspector.look(store.load(entry.id))]
    return odd + inspector.together()


def repair(path: Positional[Path]) -> None:
    """Moves what is damaged into the store's `quarantine` and enters episodes that lost their line.

    Args:
        path: Folder of the store.
    """
    store = EpisodeStore(path)
    findings = store.repair(_watch)
    _show(findings, f"{path}: {len(findings)} mended")
    lost = sum(finding.kind in ("missing", "damaged", "unreadable") for finding in findings)
    rest = f"; {lost} lost" if lost else ""
    print(f"{path}: {len(store)} episodes, all intact{rest}")


def _watch(entries: Sequence[Entry]) -> Iterable[Entry]:
    # On stderr and gone at the end, so that what is printed can be piped.
    return track(entries, "reading", console=Console(stderr=True), transient=True)


def _show(findings: Sequence[Finding], title: str) -> None:
    if not findings:
        return
    table = Table(title=title)
    for heading in ("what", "where", "detail", "remedy"):
        table.add_column(heading, overflow="fold")  # a path cut short could not be copied
    for finding in findings:
        table.add_row(finding.kind, finding.where, finding.detail, finding.remedy)
    Console().print(table)


def _show_content(odd: Sequence[Oddity], title: str) -> None:
    """Kind by kind: what it means, and below it what was measured where."""
    if not odd:
        return
    console = Console(highlight=False)
    console.print(title, markup=False)
    for what in dict.fromkeys(each.what for each in odd):
        console.print(f"{what}: {MEANING[what]}", style="bold", markup=False)
        table = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(3):
            table.add_column(overflow="fold")
        for each in odd:
            if each.what == what:
                table.add_row(f"  {each.figure:.3g} {each.unit}", each.where, each.episode)
        console.print(table)
