"""`robocat data compact`: a store's episodes with their images kept as video, for less disk.

robocat data compact runs/mine/all --out runs/mine/small

For archives, sharing and full disks. Recording keeps every bit, because it must not wait for a video codec
and what is lost does not come back; so this makes another store, and the first stays until you delete it.
What is lost is bounded: each camera's images keep `--least-db`, or they stay exact, as they do where video
saves nothing. All other arrays and the goal images are as they were. An episode's content is then another
one: the two stores cannot be merged.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tyro.conf import Positional

from demos import h264
from demos.episode_file import Packed
from demos.images import unpack
from demos.manifest import Entry
from demos.staging import whole
from demos.stock import refuse_itself, rewrite
from demos.store import EpisodeStore

LEAST_DB = 38.0
NOTE = "compact.json"  # in the store that is made: how


def compact(store: Positional[Path], *, out: Path, least_db: float = LEAST_DB) -> None:
    """Commits a store's episodes to another one, their images as video; goes on where it was interrupted.

    Args:
        store: The store; it stays as it is.
        out: The store that takes them.
        least_db: Peak signal-to-noise ratio that each camera's images are to keep over an episode [dB].

    Raises:
        ValueError: `out` is the store itself or made otherwise, or has an episode with another outcome; or
            `least_db` is out of range.
        MissingExtra: PyAV is not installed.
    """
    if not 20.0 <= least_db <= 48.0:
        raise ValueError(
            f"least_db {least_db:g} is out of range; expected 20, where little is to be seen, to 48, above "
            "which the colours' rounding is"
        )
    refuse_itself(out, (store,))
    source, target = EpisodeStore(store), EpisodeStore(out)
    entries = source.entries()
    _claim(target, least_db)
    there = {entry.id: entry for entry in target.entries()} if target.exists else {}
    lacking = [entry.id for entry in entries if not _has(there, entry, out)]
    rewrite(source, target, lacking, lambda given: compacted(given, least_db))
    made = {entry.id: entry.bytes for entry in target.entries()}
    before, after = sum(entry.bytes for entry in entries), sum(made[entry.id] for entry in entries)
    print(f"{out}: {len(entries)} episodes, {before / 1e6:.1f} MB as {after / 1e6:.1f} MB")


def _has(there: Mapping[str, Entry], entry: Entry, out: Path) -> bool:
    """Whether an episode is there already, as far as a manifest tells: but for its images as it is here.

    Raises:
        ValueError: There is another one of its name.
    """
    if (made := there.get(entry.id)) is None:
        return False
    if replace(made, content=entry.content, sha256=entry.sha256, bytes=entry.bytes) != entry:
        raise ValueError(
            f"{entry.id} is in {out} as {made.outcome} of {made.length} steps, here as {entry.outcome} of "
            f"{entry.length}; expected another --out"
        )
    return True


def _claim(target: EpisodeStore, least_db: float) -> None:
    """Notes in a store how it is made, so that a later call goes on with that and nothing else.

    Raises:
        ValueError: It was made otherwise.
    """
    note = target.path / NOTE
    if note.exists():
        made = json.loads(note.read_text())["least_db"]
        if made != least_db:
            raise ValueError(
                f"{target.path} was made with --least-db {made:g}, expected {least_db:g}: "
                "say the same, or another --out"
            )
    elif target.exists:
        raise ValueError(f"{target.path} is a store that was not made by this; expected another --out")
    else:
        target.path.mkdir(parents=True, exist_ok=True)
        with whole(note) as part:
            part.write_text(json.dumps({"least_db": least_db}))


def compacted(given: Packed, least_db: float) -> Packed:
    """An episode with the images that video leaves of it, but for cameras where that is too little."""
    packed = dict(given.images)
    for camera, images in given.episode.images.items():
        if not h264.is_video(packed[camera][0]):
            video = h264.pack(images, least_db)
            if video is not None and len(video[0]) < len(packed[camera][0]):
                packed[camera] = video
    size = given.episode.meta.image_size
    images = {camera: unpack(*blobs, size) for camera, blobs in packed.items()}
    return Packed(replace(given.episode, images=images), packed)
