"""An episode as the page of a store is told it: everything but its pictures."""

import dataclasses
import json
from itertools import groupby
from typing import Any

from demos.episode import CONTROLLERS, Episode
from demos.manifest import Entry
from demos.page import curves
from demos.store import EpisodeStore


def shown(store: EpisodeStore, entry: Entry) -> dict[str, Any]:
    """What can be shown of one of a store's episodes, for JSON.

    Raises:
        StoreError: It is damaged: all of its file was verified.
    """
    episode, keys = store.load(entry.id, images=False), store.picture_keys(entry.id)
    meta = episode.meta
    return {
        "id": meta.id,
        "success": episode.succeeded,
        "judged_by": meta.outcome.judged_by,
        "control_hz": meta.control_hz,
        "moments": episode.length + 1,
        "image_size": meta.image_size,
        "cameras": meta.cameras,
        "goals": [camera for camera in meta.cameras if f"goal/{camera}" in keys],
        "acted": _acted(episode),
        "curves": curves(episode),
        "facts": _facts(episode, entry),
    }


def _acted(episode: Episode) -> list[tuple[str, int]]:
    """Who acted, and for how many steps, one after another."""
    if episode.actor is None:
        return [(episode.meta.provenance.controller, episode.length)]
    return [(CONTROLLERS[number], len(list(steps))) for number, steps in groupby(episode.actor.tolist())]


def _facts(episode: Episode, entry: Entry) -> list[tuple[str, str]]:
    """Names and values of what is told in words."""
    meta, who = episode.meta, episode.meta.provenance
    first, seconds = episode.first_success, episode.length / meta.control_hz
    facts = {
        "episode": meta.id,
        "created": meta.created,
        "acted by": who.controller,
        "policy": who.policy,
        "generation": who.generation,
        "seed": who.seed,
        "outcome": f"{'success' if episode.succeeded else 'failure'}, said the {meta.outcome.judged_by}",
        "predicate held": "never" if first is None else f"first after step {first + 1}",
        "length": f"{episode.length} steps, {seconds:.1f} s at {meta.control_hz:g} Hz",
        "cameras": f"{', '.join(meta.cameras)}, {meta.image_size[1]} x {meta.image_size[0]} px",
        "drawn by": meta.gl_renderer,
        "MuJoCo": meta.mujoco_version,
        "model": meta.model_hash,
        "file": f"{entry.file}, {entry.bytes / 1e6:.2f} MB",
        "content": entry.content,
        "format": meta.format_version,
    }
    told = [(name, str(value)) for name, value in facts.items() if value is not None]
    for name, record in (("randomisation", meta.randomisation), ("drawn", meta.drawn)):
        if record is not None:
            told.append((name, json.dumps(dataclasses.asdict(record))))
    return told
