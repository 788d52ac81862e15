"""An episode as the page of a store is told it: everything but its pictures."""

from itertools import groupby
from typing import Any

from demos.episode import CONTROLLERS, Episode
from demos.manifest import Entry
from demos.page import curves, facts
from demos.store import EpisodeStore


def shown(store: EpisodeStore, id: str) -> dict[str, Any]:
    """What can be shown of one of a store's episodes, for JSON.

    Raises:
        StoreError: There is no such episode, or it is damaged: all of its file was verified.
    """
    episode, keys = store.load(id, images=False), store.picture_keys(id)
    meta = episode.meta
    return {
        "id": meta.id,
        "control_hz": meta.control_hz,
        "moments": episode.length + 1,
        "image_size": meta.image_size,
        "cameras": meta.cameras,
        "goals": [camera for camera in meta.cameras if f"goal/{camera}" in keys],
        "acted": _acted(episode),
        "curves": curves(episode),
        "facts": facts(episode) + _file_facts(store.entry(id)),
    }


def _acted(episode: Episode) -> list[tuple[str, int]]:
    """Who acted, and for how many steps, one after another."""
    if episode.actor is None:
        return [(episode.meta.provenance.controller, episode.length)]
    return [(CONTROLLERS[number], len(list(steps))) for number, steps in groupby(episode.actor.tolist())]


def _file_facts(entry: Entry) -> list[tuple[str, str]]:
    return [("file", f"{entry.file}, {entry.bytes / 1e6:.2f} MB"), ("content", entry.content)]
