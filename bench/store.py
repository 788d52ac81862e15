"""The store at scale: how long appending, opening and reading take among ten thousand episodes, and the disk.

python -m bench store

The Panda's and the UR5e's lifts are recorded by the scripted experts, played on end until they are as long as
is asked (a lift takes some 20 steps), and committed under further seeds; these commits are timed. The rest of
the store is hard links to their files, each with a line of its own in the manifest: opening and finding cost
what they would, and the disk stays small. The files read are therefore in the system's cache.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import spread
from bench.record import write
from demos.collect import Collection, collect_experts
from demos.compact import LEAST_DB, compacted
from demos.episode import Episode, Outcome, episode_id
from demos.fidelity import errors, psnr_db
from demos.manifest import Entry, Manifest
from demos.store import EpisodeStore

STEPS = 100
# What is aimed at, and the keys of the figures that are to stay below: milliseconds, and bytes an episode.
TARGETS = {
    "append_ms": 20.0,
    "open_ms": 1000.0,
    "arrays_ms": 1.0,
    "image_ms": 5.0,
    "png_ms": 5.0,
    "bytes": 150_000.0,
}


def main(episodes: int = 10_000, real: int = 10, appends: int = 100, size: int = 128, seed: int = 0) -> None:
    """Builds a store, measures it and writes results/store.json; nothing of the store is left.

    Args:
        episodes: In the store.
        real: Attempts recorded of each of two arms.
        appends: Commits that are timed; what they wrote is what the rest of the store links to.
        size: Of the pictures of both cameras [px].
        seed: Of the recordings, and of what is read.
    """
    if not 1 <= appends <= episodes:
        raise ValueError(f"appends {appends} is out of range; expected 1 to {episodes}, the episodes")
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        sources = lifts(Path(folder) / "real", real, size, seed)
        store = EpisodeStore(Path(folder) / "store")
        copies = [_under_seed(sources[i % len(sources)], 10_000 + i) for i in range(appends)]
        append = [_milliseconds(lambda each=each: store.commit(each)) for each in copies]
        _fill(store, episodes)
        opening = [_milliseconds(lambda: len(EpisodeStore(store.path))) for _ in range(5)]
        figures = {"append_ms": spread(append), "open_ms": spread(opening), **_read(store, rng)}
        figures["bytes"] = spread([entry.bytes for entry in store.entries()[:appends]])
        small = _compacted(sources, Path(folder), rng)
    missed = {
        name: [key for key, goal in TARGETS.items() if key in each and each[key]["median"] > goal]
        for name, each in (("exact", figures), ("compact", small))
    }
    what = {"episodes": episodes, "real": len(sources), "appends": appends, "size": size, "seed": seed}
    for name, each in (("exact", figures), ("compact", small)):
        print(*(f"{name} {key}: {value}" for key, value in each.items()), sep="\n")
    print(f"targets {TARGETS}, missed {missed}")
    built = "recordings of some 20 steps on end; the commits are whole files, the rest is hard links to them"
    record = {**what, "steps": STEPS, "built": built, "figures": figures, "compact": small}
    write("store", {**record, "targets": TARGETS, "missed": missed})


def lifts(folder: Path, real: int, size: int, seed: int) -> list[Episode]:
    """Long episodes of two arms, made of so many attempts of each, with pictures of that size [px]."""
    plan = Collection(("panda", "ur5e"), ("lift",), real, seed, size)
    collect_experts(folder, plan, 2, "recordings")
    return _sources(EpisodeStore(folder))


def _of_length(episodes: Sequence[Episode], steps: int) -> Episode:
    """Episodes of one arm on end, cut to a length; under the first one's name."""
    joined: dict[str, Any] = {
        key: np.concatenate([getattr(each, key)[: each.length] for each in episodes])
        for key in ("proprio", "progress", "state", "wall_time", "action", "label", "success")
    }
    for key, array in joined.items():
        joined[key] = array[: steps + (key in ("proprio", "progress", "state", "wall_time"))]
    joined["images"] = {
        camera: np.concatenate([each.images[camera][: each.length] for each in episodes])[: steps + 1]
        for camera in episodes[0].images
    }
    outcome = Outcome(bool(joined["success"].any()))
    return replace(episodes[0], meta=replace(episodes[0].meta, outcome=outcome), **joined)


def _sources(recorded: EpisodeStore) -> list[Episode]:
    """Long episodes, each beginning with another of the recorded ones."""
    found: list[Episode] = []
    for arm in sorted({entry.arm for entry in recorded.entries()}):
        each = [recorded.load(entry.id) for entry in recorded.entries() if entry.arm == arm]
        enough = 1 + STEPS // min(episode.length for episode in each)
        found += [
            _of_length([each[(i + k) % len(each)] for k in range(enough)], STEPS) for i in range(len(each))
        ]
    return found


def _under_seed(episode: Episode, seed: int) -> Episode:
    meta = episode.meta
    who = replace(meta.provenance, seed=seed)
    named = episode_id(meta.arm, meta.task, meta.variation, who.controller, None, None, seed)
    return replace(episode, meta=replace(meta, id=named, provenance=who))


def _fill(store: EpisodeStore, episodes: int) -> None:
    """Links to the files that are there until the store has that many episodes."""
    there = store.entries()
    lines: list[Entry] = []
    for i in range(episodes - len(there)):
        source, seed = there[i % len(there)], 100_000 + i
        named = episode_id(source.arm, source.task, source.variation, source.controller, None, None, seed)
        file = f"episodes/{source.arm}/{named}.safetensors"
        os.link(store.path / source.file, store.path / file)
        lines.append(replace(source, id=named, seed=seed, file=file))
    manifest = Manifest(store.path)
    with manifest.locked():
        manifest.refresh()
        manifest.append(lines)


def _read(store: EpisodeStore, rng: np.random.Generator, times: int = 300) -> dict[str, dict[str, float]]:
    """Arrays of any step, and any single image as an array or as the PNG of a page; episodes in no order."""
    ids = [str(id) for id in rng.choice(store.ids(), times)]
    steps = rng.integers(0, STEPS, times)
    arrays = [
        _milliseconds(lambda id=id, t=t: store.load(id, images=False).proprio[t])
        for id, t in zip(ids, steps, strict=True)
    ]
    camera = store.load(ids[0], images=False).meta.cameras[-1]
    images = [
        _milliseconds(lambda id=id, t=t: store.frames(id, camera, [int(t)]))
        for id, t in zip(ids, steps, strict=True)
    ]
    pngs = [
        _milliseconds(lambda id=id, t=t: store.png(id, f"images/{camera}", int(t)))
        for id, t in zip(ids, steps, strict=True)
    ]
    return {"arrays_ms": spread(arrays), "image_ms": spread(images), "png_ms": spread(pngs)}


def _compacted(sources: Sequence[Episode], folder: Path, rng: np.random.Generator) -> dict[str, Any]:
    """The same of a store whose images are kept as video, and how much is left of them."""
    exact, small = EpisodeStore(folder / "exact"), EpisodeStore(folder / "small")
    exact.commit_many(sources)
    spent = [
        _milliseconds(lambda id=id: small.commit_many([compacted(exact.load_packed(id), LEAST_DB)]))
        for id in exact.ids()
    ]
    left = [
        errors(images, small.load(id).images[camera])
        for id in exact.ids()
        for camera, images in exact.load(id).images.items()
    ]
    of_cameras = [float(psnr_db(each.mean())) for each in left]
    worst = [float(psnr_db(each.max())) for each in left]
    figures = {"bytes": spread([entry.bytes for entry in small.entries()]), **_read(small, rng)}
    return {
        **figures,
        "compact_ms": spread(spent),
        "psnr_db": spread(of_cameras),
        "psnr_db_least": min(of_cameras),
        "psnr_db_single": spread(worst),
        "psnr_db_single_least": min(worst),
    }


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)
