"""What is wrong with a store, and setting it right without deleting anything.

`examine` reports; `mend` moves whatever it takes out of the store to `quarantine/<time>/`, each file beside a
note that says why, together with the manifest as it was.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from demos.episode_file import decode_sealed
from demos.manifest import Entry, Manifest
from demos.marks import Marks
from demos.staging import leftovers, staging, sync_folders, write_durably

Kind = Literal[
    "missing",  # an entry without its file
    "damaged",  # a file whose bytes changed
    "unreadable",  # a file with the right bytes that is no valid episode, or not the one of the entry
    "outdated",  # an entry from before a manifest told that nobody has judged an episode
    "orphan",  # a file without an entry: interrupted just before, or the entry was lost
    "damaged line",  # a complete line of the manifest that its checksum does not fit, or that is no entry
    "no manifest",
    "damaged mark",  # a complete line of the marks that its checksum does not fit, or that is no mark
    "torn line",  # the start of a line at the manifest's end
    "torn mark",  # the start of a line at the marks' end
    "leftover",  # a file that a killed writer had not finished
]
# What a killed writer leaves behind; the store never held it, so nothing is damaged.
REMNANTS: tuple[Kind, ...] = ("torn line", "torn mark", "leftover")

_UNFIT = "the checksum does not fit, or it is no"
_OF_MARKS: set[Kind] = {"damaged mark", "torn mark"}

# Shows progress over the episodes as they are read; the default shows nothing.
Watch = Callable[[Sequence[Entry]], Iterable[Entry]]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        where: A path relative to the store; for the manifest, with the line.
        remedy: What `mend` did about it; empty when only examined.
    """

    kind: Kind
    where: str
    detail: str
    remedy: str = ""

    @property
    def damage(self) -> bool:
        return self.kind not in REMNANTS


def examine(root: Path, watch: Watch = iter) -> list[Finding]:
    """Reads and verifies every episode of a store; writers may go on meanwhile.

    Raises:
        StoreError: The store holds episodes of another format.
    """
    manifest = Manifest(root)
    with manifest.locked(shared=True):
        findings = _survey(manifest)
    return findings + _verify(manifest, watch)


def mend(root: Path, watch: Watch = iter) -> list[Finding]:
    """Examines a store and sets right what it finds; writers wait meanwhile.

    Killed half-way, it can be run again: the manifest is replaced last, in one step.

    Raises:
        StoreError: The store holds episodes of another format.
    """
    manifest = Manifest(root)
    with manifest.locked():
        findings = _survey(manifest) + _verify(manifest, watch)
        if not findings:
            return []
        folder = quarantine(root)
        entries = dict(manifest.entries)
        mended = [_mend_one(root, folder, entries, finding) for finding in findings]
        kinds = {finding.kind for finding in findings}
        if kinds & _OF_MARKS:
            marks = Marks(root)
            _replace(root, marks.path, folder, marks.intact())
        if kinds - _OF_MARKS - {"leftover"}:
            lines = b"".join(entry.to_line() for _, entry in sorted(entries.items()))
            _replace(root, manifest.path, folder, lines)
    return mended


def adopt(root: Path, path: Path) -> Entry:
    """The entry for an episode's file that has none.

    Raises:
        ValueError: The file is damaged, or not where an episode of its name belongs.
    """
    data = path.read_bytes()
    episode, content = decode_sealed(data)
    entry = Entry.of(episode, content, data)
    if root / entry.file != path:
        raise ValueError(f"holds an episode that belongs into {entry.file}")
    return entry


def quarantine(root: Path) -> Path:
    """Makes a new folder for what is taken out of a store."""
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    folder = root / "quarantine" / name
    folder.mkdir(parents=True)
    sync_folders([root, folder.parent])
    return folder


def set_aside(folder: Path, path: Path, reason: str) -> str:
    """Moves a file into a quarantine folder, beside a note with the reason; returns what was done."""
    target = folder / path.relative_to(folder.parent.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_durably(target.with_name(f"{path.name}.reason.txt"), f"{path}\n{reason}\n".encode())
    os.rename(path, target)
    sync_folders([target.parent, folder, path.parent])
    return f"moved to quarantine/{folder.name}"


def _survey(manifest: Manifest) -> list[Finding]:
    """Compares names with the manifest. Under the lock, so that no writer is between the two."""
    manifest.refresh()
    root = manifest.root
    files = {path.relative_to(root).as_posix() for path in (root / "episodes").rglob("*") if path.is_file()}
    findings = [
        Finding("damaged line", f"{manifest.path.name} line {number}", f"{_UNFIT} entry")
        for number in sorted(manifest.damaged)
    ]
    if not manifest.exists and files:
        findings.append(Finding("no manifest", manifest.path.name, f"but {len(files)} files in episodes"))
    if manifest.torn:
        findings.append(Finding("torn line", f"{manifest.path.name} end", f"{manifest.torn} bytes"))
    marks = Marks(root)
    marks.refresh()
    findings += [
        Finding("damaged mark", f"{marks.path.name} line {number}", f"{_UNFIT} mark")
        for number in sorted(marks.damaged)
    ]
    if marks.torn:
        findings.append(Finding("torn mark", f"{marks.path.name} end", f"{marks.torn} bytes"))
    findings += [
        Finding("leftover", path.relative_to(root).as_posix(), "an interrupted write")
        for path in leftovers(root)
    ]
    listed = {entry.file for entry in manifest.entries.values()}
    findings += [Finding("orphan", file, "not in the manifest") for file in sorted(files - listed)]
    return findings


def _verify(manifest: Manifest, watch: Watch) -> list[Finding]:
    """Reads every listed file and compares what it holds with its entry."""
    entries = [entry for _, entry in sorted(manifest.entries.items())]
    return [finding for entry in watch(entries) if (finding := _verify_one(manifest.root, entry))]


def _verify_one(root: Path, entry: Entry) -> Finding | None:
    try:
        data = (root / entry.file).read_bytes()
    except FileNotFoundError:
        return Finding("missing", entry.file, "no such file")
    except OSError as error:
        return Finding("damaged", entry.file, error.strerror or str(error))
    if not entry.describes(data):
        return Finding("damaged", entry.file, "its bytes changed: the SHA-256 does not fit")
    try:
        episode, content = decode_sealed(data)
    except ValueError as error:
        return Finding("unreadable", entry.file, str(error))
    return _compare(entry, Entry.of(episode, content, data))


def _compare(entry: Entry, found: Entry) -> Finding | None:
    """An entry with the one that its file would have now."""
    if found == entry:
        return None
    if replace(found, judged=True) == entry:
        return Finding("outdated", entry.file, "nobody has judged it, which its entry does not tell")
    return Finding("unreadable", entry.file, f"the manifest describes another episode than {found.id}")


def _mend_one(root: Path, folder: Path, entries: dict[str, Entry], finding: Finding) -> Finding:
    """Deals with one finding, changing `entries` to what the manifest shall hold."""
    path = root / finding.where
    match finding.kind:
        case "orphan" | "outdated":
            try:
                entry = adopt(root, path)
                entries[entry.id] = entry
                remedy = "entered into the manifest"
            except ValueError as error:
                remedy = set_aside(folder, path, str(error))
        case "leftover":
            remedy = set_aside(folder, path, finding.detail)
        case "missing" | "damaged" | "unreadable":
            lost = next(entry.id for entry in entries.values() if entry.file == finding.where)
            del entries[lost]
            remedy = "taken out of the manifest"
            if finding.kind != "missing":
                remedy = set_aside(folder, path, finding.detail)
        case "damaged mark" | "torn mark":
            remedy = f"marks rewritten without it; as they were: quarantine/{folder.name}"
        case _:
            remedy = f"manifest rewritten; as it was: quarantine/{folder.name}"
    return replace(finding, remedy=remedy)


def _replace(root: Path, path: Path, folder: Path, data: bytes) -> None:
    """Puts other bytes into a journal of the store, in one step; what it held goes to quarantine."""
    if path.exists():
        write_durably(folder / path.name, path.read_bytes())
        sync_folders([folder])
    with staging(root) as write:
        os.rename(write(data), path)
        sync_folders([root])
