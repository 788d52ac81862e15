"""Small stores to break, and what must hold of every store."""

from pathlib import Path
from typing import Any

import numpy as np

from demos.episode import Episode
from demos.store import EpisodeStore, StoreError
from tests.fakes import fake_episode, same_episode

ARMS = ("panda", "ur5e")


def small_episode(seed: int, **overrides: Any) -> Episode:
    options: dict[str, Any] = {"steps": 2, "size": 4, "seed": seed, "arm": ARMS[seed % 2]} | overrides
    return fake_episode(np.random.default_rng(seed), **options)


def filled(path: Path, count: int = 3) -> tuple[EpisodeStore, list[Episode]]:
    store, episodes = EpisodeStore(path), [small_episode(seed) for seed in range(count)]
    store.commit_many(episodes)
    return store, episodes


def file_of(store: EpisodeStore, episode: Episode) -> Path:
    return store.path / "episodes" / episode.meta.arm / f"{episode.id}.safetensors"


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def kinds(store: EpisodeStore) -> list[str]:
    return sorted(finding.kind for finding in store.check())


def assert_clean(store: EpisodeStore) -> None:
    """Nothing to find, and the files are exactly those of the entries."""
    assert store.check() == []
    files = {path.relative_to(store.path).as_posix() for path in store.path.glob("episodes/*/*")}
    assert files == {entry.file for entry in store.entries()}


def loads(store: EpisodeStore, episode: Episode) -> bool:
    try:
        return same_episode(store.load(episode.id), episode)
    except StoreError:
        return False
