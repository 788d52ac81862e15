"""The append-only collection of episodes on disk: one immutable file per episode, one manifest.

    <store>/episodes/<arm>/<id>.safetensors   see `demos.episode_file`
    <store>/manifest.jsonl                    see `demos.manifest`; what stands in no line is not in the store
    <store>/lock                              held by whoever publishes
    <store>/tmp/                              files being written
    <store>/quarantine/<time>/                what `repair` took out, and why

The promise: an episode whose commit returned survives a kill -9 at any later instruction, and a power cut
where the disk honours fsync; an episode is visible whole or not at all; nothing is ever deleted. A commit
writes the file aside, fsyncs it, renames it, fsyncs its folder, and only then appends and fsyncs its line.

Any number of processes may commit and read at once. What is committed does not depend on the order: ids are
listed sorted, and committing again what is there already changes nothing.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from demos import png
from demos.audit import Finding, Watch, adopt, examine, mend, quarantine, set_aside
from demos.episode import Episode, EpisodeMeta
from demos.episode_file import (
    NoSuchPicture,
    Packed,
    content_hash,
    decode,
    decode_frames,
    decode_packed,
    encode,
    read_meta,
    read_picture,
    read_picture_keys,
)
from demos.manifest import Entry, Manifest, StoreError
from demos.staging import staging, sync_folders
from sim.extras import MissingExtra

T = TypeVar("T")

# EFBIG is what a limit on file size gives, EDQUOT one on a user's space.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class _Staged:
    """An episode about to be published; `path` is None where an equal one was seen to be in the store."""

    entry: Entry
    path: Path | None


class EpisodeStore:
    """A store at `path`, which the first commit makes.

    Raises:
        StoreError: `path` is a file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_dir():
            raise StoreError(f"{self.path} is a file, expected the folder of a store")
        self._manifest = Manifest(self.path)
        self._sorted: tuple[dict[str, Entry], list[Entry]] = ({}, [])

    def commit(self, episode: Episode) -> Entry:
        """Adds one episode; see `commit_many`."""
        return self.commit_many([episode])[0]

    def commit_many(self, episodes: Iterable[Episode | Packed]) -> list[Entry]:
        """Adds episodes, all or none; when it returns they survive whatever happens to the process.

        An episode that is there already with equal content, whatever its wall clock, is left as it is.

        Returns:
            The entries of the episodes, in their order.

        Raises:
            StoreError: An id is taken by another content, the disk is full, or the folder cannot be written.
            ValueError: An episode was loaded without its images.
        """
        with self._explained("the store"):
            self._create()
            self._manifest.refresh()
            with staging(self.path) as write:
                staged: list[_Staged] = []
                for episode in episodes:
                    given = episode if isinstance(episode, Packed) else Packed(episode, {})
                    with self._explained(given.episode.id):
                        staged.append(self._stage(given, write))
                what = staged[0].entry.id if len(staged) == 1 else f"{len(staged)} episodes"
                with self._explained(what), self._manifest.locked():
                    return self._publish(staged)

    @property
    def exists(self) -> bool:
        """Whether anything was ever committed here; reading refuses where not."""
        return self._manifest.path.exists()

    def ids(self) -> list[str]:
        """Ids of all episodes, sorted: the canonical order, whatever the order of the commits."""
        return [entry.id for entry in self.entries()]

    def entries(self) -> list[Entry]:
        """What the manifest says about every episode, sorted by id.

        Raises:
            StoreError: There is no store, or its manifest is damaged, so that the list might be incomplete.
        """
        listed = self._listed()
        # A page that shows a store asks every second, and mostly nothing is new.
        if self._sorted[0] is not listed or len(self._sorted[1]) != len(listed):
            self._sorted = (listed, [entry for _, entry in sorted(listed.items())])
        return list(self._sorted[1])

    def entry(self, id: str) -> Entry:
        """What the manifest says about one episode.

        Raises:
            StoreError: There is no such episode.
        """
        if id not in self._manifest.entries:
            self._refresh()
        if (entry := self._manifest.entries.get(id)) is None:
            count = len(self._manifest.entries)
            raise StoreError(f"no episode {id!r} in {self.path}, which holds {count}; `ids()` lists them")
        return entry

    def __len__(self) -> int:
        return len(self._listed())

    def __contains__(self, id: object) -> bool:
        return id in self._listed()

    def digest(self) -> str:
        """A hash of all that the store holds, equal for equal contents; to key what is derived from it."""
        lines = [f"{entry.id} {entry.content}\n" for entry in self.entries()]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def load(self, id: str, images: bool = True) -> Episode:
        """Reads an episode and verifies it.

        Args:
            id: One of `ids()`.
            images: False leaves `images` and `goal` empty, which is several times faster.

        Raises:
            StoreError: There is no such episode, or its file is damaged.
        """
        entry, data = self._read(id)
        with self._understood(entry):
            return decode(data, images)

    def load_packed(self, id: str) -> Packed:
        """Reads an episode to commit it elsewhere with its images packed as here; raises as `load` does."""
        entry, data = self._read(id)
        with self._understood(entry):
            return decode_packed(data)

    def frames(self, id: str, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
        """Reads some images of one camera: all of the file is verified, nothing else decompressed.

        Args:
            id: One of `ids()`.
            camera: One of the episode's cameras.
            indices: Observations 0 to T, in any order; negative ones count from the end.

        Returns:
            (len(indices), H, W, 3) RGB.

        Raises:
            StoreError: There is no such episode, or its file is damaged.
            ValueError: The episode has no such camera or observation.
            MissingExtra: They are kept as video, and PyAV is not installed.
        """
        entry, data = self._read(id)
        with self._understood(entry):
            return decode_frames(data, camera, indices)

    def meta(self, id: str) -> EpisodeMeta:
        """What an episode is, from the head of its file alone; only `load` verifies the rest.

        Raises:
            StoreError: There is no such episode, or the head of its file is damaged.
        """
        return self._part(id, read_meta)

    def picture_keys(self, id: str) -> list[str]:
        """Keys of an episode's pictures for `png`; a goal is there only if the agent was shown one.

        Raises:
            StoreError: There is no such episode, or the head of its file is damaged.
        """
        return self._part(id, read_picture_keys)

    def png(self, id: str, key: str, index: int = 0) -> bytes:
        """One image as a PNG: only what it is packed with is read, and verified; several times faster.

        Args:
            id: One of `ids()`.
            key: "images/<camera>" or "goal/<camera>".
            index: Observation 0 to T, 0 for a goal; negative ones count from the end.

        Raises:
            StoreError: There is no such episode, or what was read of its file is damaged.
            ValueError: The episode has no such picture or observation.
            MissingExtra: It is kept as video, and PyAV is not installed.
        """
        image = self._part(id, lambda path: read_picture(path, key, index))
        return png.pack(image[None])[0].tobytes()

    def check(self, watch: Watch = iter) -> list[Finding]:
        """Reads and verifies everything; empty if all is well. See `demos.audit`."""
        self._refresh(manifest=False)
        with self._explained("the lock"):
            return examine(self.path, watch)

    def repair(self, watch: Watch = iter) -> list[Finding]:
        """Takes what is damaged out of the store into `quarantine/`, enters what lost its line; see `check`.

        Returns:
            What was found, each with its remedy.
        """
        self._refresh(manifest=False)
        with self._explained("the repair"):
            return mend(self.path, watch)

    def _listed(self) -> dict[str, Entry]:
        self._refresh()
        if self._manifest.damaged:
            numbers = ", ".join(map(str, sorted(self._manifest.damaged)))
            raise StoreError(f"{self._manifest.path} is damaged in line {numbers}; {self._cure}")
        return self._manifest.entries

    @property
    def _cure(self) -> str:
        return f"`robocat data repair {self.path}` sets the damage aside"

    def _damaged(self, entry: Entry, why: str) -> StoreError:
        return StoreError(f"episode {entry.id} is damaged ({why}): {self.path / entry.file}; {self._cure}")

    def _refresh(self, manifest: bool = True) -> None:
        """Reads on in the manifest; refuses where there is no store, or no manifest where one is needed."""
        self._manifest.refresh()
        if self._manifest.exists:
            return
        if not self._holds_files():
            raise StoreError(f"no store at {self.path}; `robocat collect` makes one")
        if manifest:
            raise StoreError(
                f"{self._manifest.path} is missing; `robocat data repair {self.path}` rebuilds it"
            )

    def _holds_files(self) -> bool:
        return any(path.is_file() for path in (self.path / "episodes").rglob("*"))

    def _part(self, id: str, read: Callable[[Path], T]) -> T:
        """What `read` finds in an episode's file."""
        entry = self.entry(id)
        with self._understood(entry):
            return read(self.path / entry.file)

    @contextmanager
    def _understood(self, entry: Entry) -> Generator[None]:
        """Tells what is wrong with an episode's file from what was wrong to ask of it."""
        try:
            yield
        except NoSuchPicture as error:
            raise ValueError(f"episode {entry.id}: {error}") from error
        except MissingExtra:
            raise
        except (ValueError, OSError) as error:
            raise self._damaged(entry, str(error)) from error

    def _read(self, id: str) -> tuple[Entry, bytes]:
        entry = self.entry(id)
        try:
            data = (self.path / entry.file).read_bytes()
            problem = "" if entry.describes(data) else "its bytes changed"
        except OSError as error:
            data, problem = b"", error.strerror or str(error)
        if not problem:
            return entry, data
        self._refresh()
        if self._manifest.entries.get(id) != entry:  # Repaired meanwhile, by another process.
            return self._read(id)
        raise self._damaged(entry, problem)

    def _create(self) -> None:
        if self._manifest.path.exists():
            return
        (self.path / "episodes").mkdir(parents=True, exist_ok=True)
        with self._manifest.locked():
            if not self._manifest.path.exists():
                if self._holds_files():
                    self._refresh()  # Refuses: a new manifest would hide the episodes that are there.
                self._manifest.create()

    def _stage(self, given: Packed, write: Callable[[bytes], Path]) -> _Staged:
        episode = given.episode
        content = content_hash(episode)
        known = self._manifest.entries.get(episode.id)
        if known is not None:
            self._expect_equal(known, content)
            return _Staged(known, None)
        data = encode(given, content)
        return _Staged(Entry.of(episode, content, data), write(data))

    def _expect_equal(self, known: Entry, content: str) -> None:
        if known.content != content:
            raise StoreError(
                f"{known.id} is in {self.path} with other content ({known.content[:8]}, not {content[:8]}); "
                "an id names one attempt: use another seed or another store"
            )

    def _publish(self, staged: list[_Staged]) -> list[Entry]:
        """Renames the files into place, then enters them; takes all back if that fails. Under the lock."""
        self._manifest.refresh()
        placed: dict[str, Path] = {}
        entered: dict[str, Entry] = {}
        try:
            for item in staged:
                known = self._manifest.entries.get(item.entry.id) or entered.get(item.entry.id)
                if known is not None:
                    self._expect_equal(known, item.entry.content)
                elif item.path is None:
                    raise StoreError(
                        f"{item.entry.id} was taken out of {self.path} meanwhile; commit it again"
                    )
                else:
                    entered[item.entry.id] = self._place(item.entry, item.path, placed)
            sync_folders(sorted({(self.path / entry.file).parent for entry in entered.values()}))
            # Also with nothing new: who entered these before may have been killed before its fsync.
            self._manifest.append(entered.values())
        except BaseException:
            self._manifest.refresh()
            for id, path in placed.items():
                if id not in self._manifest.entries:
                    path.unlink(missing_ok=True)
            raise
        return [self._manifest.entries[item.entry.id] for item in staged]

    def _place(self, entry: Entry, path: Path, placed: dict[str, Path]) -> Entry:
        """Moves a file to where it belongs; what a killed writer left there is used or set aside."""
        target = self.path / entry.file
        if target.exists():
            try:
                orphan = adopt(self.path, target)
                if orphan.content == entry.content:
                    return orphan
                reason = "holds another content than the episode committed under its name"
            except ValueError as error:
                reason = str(error)
            set_aside(quarantine(self.path), target, reason)
        if not target.parent.exists():
            target.parent.mkdir()
            sync_folders([target.parent.parent])
        os.rename(path, target)
        placed[entry.id] = target
        return entry

    @contextmanager
    def _explained(self, what: str) -> Generator[None]:
        """Turns an error of the operating system into one line."""
        try:
            yield
        except StoreError:
            raise
        except OSError as error:
            problem = "no space left" if error.errno in _FULL else error.strerror or str(error)
            raise StoreError(
                f"{problem} writing {what} to {self.path}; nothing committed was changed"
            ) from error
