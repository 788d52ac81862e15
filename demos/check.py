"""`robocat data check <store>` and `robocat data repair <store>`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from tyro.conf import Positional

from demos.audit import Finding
from demos.manifest import Entry
from demos.store import EpisodeStore


def check(path: Positional[Path]) -> None:
    """Reads and verifies every episode of a store, and ends with exit code 1 if any is damaged.

    Args:
        path: Folder of the store.
    """
    store = EpisodeStore(path)
    findings = store.check(_watch)
    _show(findings, f"{path}: {len(findings)} found")
    damage = sum(finding.damage for finding in findings)
    if damage:
        print(
            f"{path}: {damage} damaged; `robocat data repair {path}` sets the damage aside, deleting nothing"
        )
        raise SystemExit(1)
    rest = f"; {len(findings)} remnants of killed writers, harmless, which repair tidies" if findings else ""
    print(f"{path}: {len(store)} episodes, all intact{rest}")


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
