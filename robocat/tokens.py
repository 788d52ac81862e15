"""Stores as tokens: memory-mapped uint16 arrays, a row an observation; rebuilt if store or tokeniser change.

    <folder>/<key>/<arm>.proprio.npy   (N, P)       bins, see `robocat.vocabulary`
    <folder>/<key>/<arm>.codes.npy     (N, V, C)    image codes of V cameras, C codes each
    <folder>/<key>/<arm>.action.npy    (N, A)       bins of the label, the target; 0 in an episode's last row
    <folder>/<key>/<arm>.progress.npy  (N,)         the task's progress in 65,535ths
    <folder>/<key>/index.json          episodes in canonical order, written last

The key is a hash of the tokeniser's weights and the store's contents. Parts are written by workers and
survive a kill; an unfinished build goes on with the next part.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demos.episode import Episode
from demos.locks import alone
from demos.progress import progress
from demos.store import EpisodeStore
from demos.workers import in_parallel
from robocat.checkpoint import read_json, write_atomically, write_json
from robocat.threads import one_thread
from robocat.tokeniser import Tokeniser, load_tokeniser
from robocat.vocabulary import encode, encode_action

FORMAT_VERSION = 3  # since 3 with what is not told; since 2 with the progress, and the actions' names
PART = 48  # episodes a part: a second or two of work
ARRAYS = ("proprio", "codes", "action", "progress")
WHOLE = 65_535  # a progress of 1
Rows = NDArray[np.uint16]


@dataclass(frozen=True)
class TokenEpisode:
    """Where an episode's rows are, and what is said of it.

    Attributes:
        start: First row in its arm's arrays.
        rows: Number of rows: steps + 1.
        told: Whether its progress says anything, see `demos.episode.Episode.told`.
    """

    id: str
    arm: str
    task: str
    variation: str
    success: bool
    controller: str
    start: int
    rows: int
    told: bool


@dataclass(frozen=True)
class ArmTokens:
    """The rows of one arm, memory-mapped.

    Attributes:
        proprio: (N, P).
        codes: (N, V, C).
        action: (N, A).
        progress: (N,), `WHOLE` is all of it.
        proprio_names: P channel names.
        action_names: A names.
        episodes: In canonical order.
    """

    proprio: Rows
    codes: Rows
    action: Rows
    progress: Rows
    proprio_names: tuple[str, ...]
    action_names: tuple[str, ...]
    episodes: tuple[TokenEpisode, ...]


class TokenSet:
    """A store's tokens, by arm."""

    def __init__(self, folder: Path) -> None:
        index = read_json(folder / "index.json")
        self.folder = folder
        self.store_digest: str = index["store_digest"]
        self.tokeniser: str = index["tokeniser"]
        episodes = [TokenEpisode(**record) for record in index["episodes"]]
        self.arms: dict[str, ArmTokens] = {}
        for arm, (channels, actions) in index["names"].items():
            arrays = [np.load(folder / f"{arm}.{key}.npy", mmap_mode="r") for key in ARRAYS]
            own = tuple(episode for episode in episodes if episode.arm == arm)
            self.arms[arm] = ArmTokens(
                *arrays, proprio_names=tuple(channels), action_names=tuple(actions), episodes=own
            )

    @property
    def episodes(self) -> Iterator[TokenEpisode]:
        """Every episode of every arm."""
        for tokens in self.arms.values():
            yield from tokens.episodes


def build(store_path: Path, tokeniser_path: Path, folder: Path, workers: int = 2) -> TokenSet:
    """The tokens of a store, built by worker processes unless they are there already.

    Args:
        store_path: An `EpisodeStore`.
        tokeniser_path: A tokeniser's checkpoint.
        folder: Where token sets are kept.
        workers: Processes.

    Raises:
        OSError: If the store has no episodes or an episode is damaged.
        CheckpointError: If there is no such tokeniser.
    """
    store = EpisodeStore(store_path)
    store_digest, weights = store.digest(), load_tokeniser(tokeniser_path).weights
    key = hashlib.sha256(f"{FORMAT_VERSION} {weights} {store_digest}".encode()).hexdigest()[:16]
    final, ids = folder / key, store.ids()
    if not ids:
        raise OSError(f"the store at {store_path} has no episodes; `robocat collect` makes some")
    if not (final / "index.json").exists():
        with alone(final, wait=True):
            if not (final / "index.json").exists():  # nor has another training made it meanwhile
                paths = _make_parts(store_path, tokeniser_path, ids, final / "parts", workers)
                _join(final, paths, {"store_digest": store_digest, "tokeniser": weights})
    if (final / "parts").exists():  # also where a kill left them right after the index was written
        shutil.rmtree(final / "parts", ignore_errors=True)
    return TokenSet(final)


def _make_parts(
    store_path: Path, tokeniser_path: Path, ids: Sequence[str], folder: Path, workers: int
) -> list[Path]:
    """Tokenises what is not yet there, a part at a time; returns all parts in order."""
    chunks = [ids[i : i + PART] for i in range(0, len(ids), PART)]
    paths = [folder / f"{i:05d}.npz" for i in range(len(chunks))]
    todo = [(chunk, path) for chunk, path in zip(chunks, paths, strict=True) if not path.exists()]
    with progress(f"tokens of {store_path.name}", len(ids)) as advance:
        advance(len(ids) - sum(len(chunk) for chunk, _ in todo))
        for count in in_parallel(partial(_write_part, store_path, tokeniser_path), todo, workers):
            advance(count)
    return paths


def _write_part(store_path: Path, tokeniser_path: Path, part: tuple[Sequence[str], Path]) -> int:
    """One worker's share: episodes to an npz; returns how many."""
    ids, path = part
    store, tokeniser = EpisodeStore(store_path), load_tokeniser(tokeniser_path)
    arrays: dict[str, NDArray[Any]] = {}
    records: list[dict[str, Any]] = []
    for i, id in enumerate(ids):
        episode = store.load(id)
        with one_thread():
            made = tokens_of(episode, tokeniser)
        arrays |= {f"{key}.{i}": rows for key, rows in zip(ARRAYS, made, strict=True)}
        records.append(_record(episode))
    arrays["records"] = np.frombuffer(json.dumps(records).encode(), np.uint8)
    buffer = BytesIO()
    np.savez(buffer, **arrays)  # pyright: ignore[reportArgumentType] its `allow_pickle` is no array of ours
    write_atomically(path, buffer.getvalue())
    return len(ids)


def _record(episode: Episode) -> dict[str, Any]:
    """What is said of an episode in a part; its first row is known when parts are joined."""
    meta = episode.meta
    entry = TokenEpisode(
        id=meta.id,
        arm=meta.arm,
        task=meta.task,
        variation=meta.variation,
        success=meta.outcome.success,
        controller=meta.provenance.controller,
        start=0,
        rows=episode.length + 1,
        told=episode.told,
    )
    return asdict(entry) | {"names": (meta.proprio_names, meta.action_names)}


def tokens_of(episode: Episode, tokeniser: Tokeniser) -> tuple[Rows, Rows, Rows, Rows]:
    """An episode's `ARRAYS`: (T+1, P) bins, (T+1, V, C) codes, (T+1, A) bins and (T+1,) progress."""
    meta = episode.meta
    low, high = (np.array(side) for side in zip(*meta.proprio_ranges, strict=True))
    proprio = encode(episode.proprio, low, high)
    codes = np.stack([tokeniser.encode(episode.images[camera]) for camera in meta.cameras], axis=1)
    action = np.zeros((episode.length + 1, len(meta.action_names)), dtype=np.uint16)
    action[:-1] = encode_action(episode.label)
    progress = np.rint(episode.progress * WHOLE).astype(np.uint16)
    return proprio, codes.astype(np.uint16), action, progress


def _join(final: Path, paths: list[Path], head: dict[str, str]) -> None:
    """Concatenates parts by arm and writes the index last."""
    episodes: list[dict[str, object]] = []
    names: dict[str, list[list[str]]] = {}
    rows: dict[str, dict[str, list[Rows]]] = {}
    counts: dict[str, int] = {}
    for path in paths:
        with np.load(path, allow_pickle=False) as part:
            for i, record in enumerate(json.loads(part["records"].tobytes())):
                arm, own = record["arm"], record.pop("names")
                if names.setdefault(arm, own) != own:
                    raise ValueError(
                        f"{record['id']} has other channels or actions than the {arm} episodes before it"
                    )
                record["start"] = counts.get(arm, 0)
                counts[arm] = record["start"] + record["rows"]
                episodes.append(record)
                for key in ARRAYS:
                    rows.setdefault(arm, {}).setdefault(key, []).append(part[f"{key}.{i}"])
    for arm, arrays in rows.items():
        for key, pieces in arrays.items():
            buffer = BytesIO()
            np.save(buffer, np.concatenate(pieces))
            write_atomically(final / f"{arm}.{key}.npy", buffer.getvalue())
    write_json(final / "index.json", {**head, "names": names, "episodes": episodes})
