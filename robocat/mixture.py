"""Drawing training windows from token sets: which data, in which shares, with which goals.

The declared rule of what is learnt from is `worth_learning`. Everything else stays in the store.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray

from robocat.agent import Window
from robocat.tokens import ArmTokens, TokenEpisode, TokenSet
from robocat.vocabulary import Embodiment, embodiment

Index = NDArray[np.int64]
Kind = tuple[str, str, str]  # arm, task and variation: any success of one is a goal for another


class NothingToLearn(ValueError):
    """Stores without a success on the side that was asked for."""


@dataclass(frozen=True)
class Source:
    """A token set and its share of the windows (shares need not sum to one)."""

    tokens: TokenSet
    share: float = 1.0


@dataclass(frozen=True)
class _Pool:
    """Episodes of one source, arm and task, with the rows at which a window can start."""

    body: Embodiment
    tokens: ArmTokens
    weight: float
    episodes: tuple[TokenEpisode, ...]
    rows: Index  # (M,) first rows of windows
    episode_of: Index  # (M,) index into episodes
    meaning_of: Index  # (E,) a number for what each episode's goal asks for


def held_out(id: str, share: float) -> bool:
    """Whether an episode is kept from training: decided by its id alone, so by every run alike."""
    return int(hashlib.sha256(id.encode()).hexdigest()[:8], 16) / 2**32 < share


def worth_learning(episodes: Iterable[TokenEpisode], quick: float) -> list[TokenEpisode]:
    """Successes; and of those that a policy made, for each arm, task and variation, the quickest share.

    A policy's own success may hold long dithering, which would be most of what is learnt: steps are drawn
    alike, so the slower an episode the more it counts.

    Raises:
        ValueError: A share that is none.
    """
    if not 0.0 < quick <= 1.0:
        raise ValueError(f"quick {quick} is out of range; expected above 0 and at most 1")
    successes = [episode for episode in episodes if episode.success]
    practised: dict[Kind, list[TokenEpisode]] = {}
    for episode in successes:
        if episode.controller == "policy":
            practised.setdefault(_kind(episode), []).append(episode)
    kept = {
        episode.id
        for each in practised.values()
        for episode in sorted(each, key=lambda e: (e.rows, e.id))[: math.ceil(quick * len(each))]
    }
    return [episode for episode in successes if episode.controller != "policy" or episode.id in kept]


class Mixture:
    """Windows from several sources: a source by its share, then any of its steps alike.

    Args:
        sources: Token sets with shares.
        held_out_share: Share of episodes kept apart.
        context: Control steps a window; episodes shorter than that are passed over.
        validation: Draw from those kept apart instead of from the others.
        quick: Share of a policy's successes that is learnt from, see `worth_learning`.

    Raises:
        NothingToLearn: If there is no success on the side asked for.
        ValueError: If token sets were made by different tokenisers, or shares are no shares.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        held_out_share: float,
        context: int = 1,
        validation: bool = False,
        quick: float = 1.0,
    ) -> None:
        tokenisers = {source.tokens.tokeniser for source in sources}
        if len(tokenisers) != 1:
            named = ", ".join(sorted(tokenisers)) or "none given"
            raise ValueError(f"token sets of {len(tokenisers)} tokenisers cannot be mixed: {named}")
        self._context, self._quick = context, quick
        self._pools: list[_Pool] = []
        self._goals: dict[Kind, list[tuple[ArmTokens, TokenEpisode]]] = {}
        for source in sources:
            self._add(source, held_out_share, validation)
        if not self._pools:
            side = "kept apart" if validation else "to learn from"
            raise NothingToLearn(f"no successful episode {side} that is longer than {context} steps")
        weights = np.array([pool.weight for pool in self._pools])
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
            shares = ", ".join(f"{source.share:g}" for source in sources)
            raise ValueError(f"shares {shares} of the windows; expected 0 or more each, and one above 0")
        self._weights = weights / weights.sum()

    def _add(self, source: Source, share: float, validation: bool) -> None:
        groups: dict[tuple[str, str], list[TokenEpisode]] = {}
        for episode in worth_learning(source.tokens.episodes, self._quick):
            if held_out(episode.id, share) != validation:
                continue
            tokens = source.tokens.arms[episode.arm]
            self._goals.setdefault(_kind(episode), []).append((tokens, episode))
            if episode.rows > self._context:
                groups.setdefault((episode.arm, episode.task), []).append(episode)
        windows = sum(e.rows - self._context for episodes in groups.values() for e in episodes)
        for (arm, _), episodes in sorted(groups.items()):
            tokens = source.tokens.arms[arm]
            rows = [np.arange(e.start, e.start + e.rows - self._context) for e in episodes]
            owner = [np.full(len(r), i) for i, r in enumerate(rows)]
            weight = source.share * sum(map(len, rows)) / windows
            body = embodiment(tokens.proprio_names, tokens.action_names)
            pool = _Pool(
                body,
                tokens,
                weight,
                tuple(episodes),
                rows=np.concatenate(rows),
                episode_of=np.concatenate(owner),
                meaning_of=np.array([_meaning(episode) for episode in episodes], dtype=np.int64),
            )
            self._pools.append(pool)

    @property
    def windows(self) -> int:
        """Windows that can be drawn."""
        return sum(len(pool.rows) for pool in self._pools)

    def draw(
        self, rng: np.random.Generator, batch: int, future: int, hindsight: float
    ) -> list[tuple[Embodiment, Window]]:
        """A batch as one window tensor for each body in it; arms with the same slots share one.

        Args:
            rng: Decides everything.
            batch: Windows in all.
            future: How many steps ahead the future images are.
            hindsight: Share of goals from the same episode's end.
        """
        counts = rng.multinomial(batch, self._weights)
        bodies = dict.fromkeys(pool.body for pool, count in zip(self._pools, counts, strict=True) if count)
        return [(body, self._windows(body, rng, counts, future, hindsight)) for body in bodies]

    def draw_alike(
        self, rng: np.random.Generator, batch: int, future: int, hindsight: float
    ) -> tuple[Embodiment, Window]:
        """A batch of windows of one body, which is drawn by its share: over many batches the same mixture as
        `draw` gives, half again as fast to train on as several small parts.
        """
        body = self._pools[int(rng.choice(len(self._pools), p=self._weights))].body
        weights = self._weights * [pool.body == body for pool in self._pools]
        counts = rng.multinomial(batch, weights / weights.sum())
        return body, self._windows(body, rng, counts, future, hindsight)

    def _windows(
        self, body: Embodiment, rng: np.random.Generator, counts: Index, future: int, hindsight: float
    ) -> Window:
        """So many windows of each pool of one body."""
        rows = [
            self._rows(pool, rng, int(count), future, hindsight)
            for pool, count in zip(self._pools, counts, strict=True)
            if count and pool.body == body
        ]
        joined = {key: np.concatenate([part[key] for part in rows]) for key in rows[0]}
        # In random order: processes that share a batch take every second row.
        order = rng.permutation(int(sum(len(part["goal"]) for part in rows)))
        return Window(
            **{key: torch.from_numpy(array[order].astype(np.int64)) for key, array in joined.items()}
        )

    def _rows(
        self, pool: _Pool, rng: np.random.Generator, count: int, future: int, hindsight: float
    ) -> dict[str, NDArray[np.uint16] | Index]:
        pick = rng.integers(len(pool.rows), size=count)
        row, owner = pool.rows[pick], pool.episode_of[pick]
        last = np.array([pool.episodes[o].start + pool.episodes[o].rows - 1 for o in owner])
        window = row[:, None] + np.arange(self._context)  # (B, T)
        ahead = np.minimum(window + future, last[:, None])
        tokens = pool.tokens
        return {
            "proprio": tokens.proprio[window],
            "codes": tokens.codes[window],
            "action": tokens.action[window],
            "future": tokens.codes[ahead],
            "goal": np.stack([self._goal(pool, rng, int(o), hindsight) for o in owner]),
            "meaning": pool.meaning_of[owner],
        }

    def _goal(
        self, pool: _Pool, rng: np.random.Generator, owner: int, hindsight: float
    ) -> NDArray[np.uint16]:
        """Codes of a goal image (V, C): the same episode's last, or another success's of the same meaning."""
        episode, tokens = pool.episodes[owner], pool.tokens
        if rng.random() >= hindsight:
            others = self._goals[_kind(episode)]
            tokens, episode = others[int(rng.integers(len(others)))]
        return tokens.codes[episode.start + episode.rows - 1]


def _kind(episode: TokenEpisode) -> Kind:
    return episode.arm, episode.task, episode.variation


def _meaning(episode: TokenEpisode) -> int:
    """A number for what an episode's goal asks for, the same whichever arm is to bring it about."""
    return crc32(f"{episode.task} {episode.variation}".encode())
