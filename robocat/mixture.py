"""Drawing training windows from token sets: which data, in which shares, with which goals.

The declared rule of whose actions are learnt is `robocat.worth.worth_learning`. What it leaves out of a
policy's own episodes teaches how far along a task is, see `Mixture`; and nothing leaves the store.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray

from robocat.agent import Window
from robocat.config import Practised
from robocat.objective import weigh
from robocat.tokens import WHOLE, ArmTokens, TokenEpisode, TokenSet
from robocat.vocabulary import BINS, Embodiment, embodiment
from robocat.worth import first_rows, own_end, worth_learning

Index = NDArray[np.int64]
Kind = tuple[str, str, str]  # arm, task and variation: any success of one is a goal for another
Steps = int | Callable[[ArmTokens], int]  # control steps a window, of every arm or by arm


class NothingToLearn(ValueError):
    """Stores without anything worth learning on the side that was asked for."""


@dataclass(frozen=True)
class Source:
    """A token set and its share of the windows (shares need not sum to one)."""

    tokens: TokenSet
    share: float = 1.0


@dataclass(frozen=True)
class _Starts:
    """Where windows can start: first those whose actions are learnt, then those that are only judged."""

    rows: Index  # (M,) first rows of windows
    episode_of: Index  # (M,) index into the pool's episodes
    learnt: int  # how many are learnt
    worth: NDArray[np.bool_]  # (R,) of each of the arm's rows, whether its action is learnt

    def pick(self, rng: np.random.Generator, count: int, judged: float) -> Index:
        """Indices (count,): of those that are only judged a share `judged`, where there are both."""
        rest = len(self.rows) - self.learnt
        if not (rest and self.learnt):
            return rng.integers(len(self.rows), size=count)
        learnt, others = rng.integers(self.learnt, size=count), rng.integers(rest, size=count)
        return np.where(rng.random(count) < judged, self.learnt + others, learnt)


@dataclass(frozen=True)
class _Pool:
    """Episodes of one source, arm and task, with the rows at which a window can start."""

    body: Embodiment
    tokens: ArmTokens
    weight: float
    episodes: tuple[TokenEpisode, ...]
    starts: _Starts
    context: int  # control steps a window
    meaning_of: Index  # (E,) a number for what each episode's goal asks for
    last_of: Index  # (E,) last row of each episode
    told: NDArray[np.bool_]  # (E,) whether each episode's progress says anything


def held_out(id: str, share: float) -> bool:
    """Whether an episode is kept from training: decided by its id alone, so by every run alike."""
    return int(hashlib.sha256(id.encode()).hexdigest()[:8], 16) / 2**32 < share


def steps_of(context: Steps, tokens: ArmTokens) -> int:
    """Control steps a window of an arm."""
    return context if isinstance(context, int) else context(tokens)


class Mixture:
    """Windows from several sources: a source by its share, then any of its steps alike.

    Args:
        sources: Token sets with shares.
        held_out_share: Share of episodes kept apart.
        context: Control steps a window, of every arm or by arm; episodes shorter than that are passed over.
        validation: Draw from those kept apart instead of from the others.
        rise: Whose actions are learnt of a policy's own steps, see `worth_learning`.
        judged: Share of a policy's windows that are drawn from its other steps, for what they show of how far
            along a task is; their actions are not learnt. 0 leaves them out.
        chunk: Control steps whose actions are planned at a time, see `Window.later`.
        practised: What is learnt of a policy's own episodes, see `worth_learning`.

    Raises:
        NothingToLearn: If there is nothing of that on the side asked for.
        ValueError: If token sets were made by different tokenisers, or shares are no shares.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        held_out_share: float,
        context: Steps = 1,
        *,
        validation: bool = False,
        rise: float = 0.0,
        judged: float = 0.0,
        chunk: int = 1,
        practised: Practised = "progress",
    ) -> None:
        tokenisers = {source.tokens.tokeniser for source in sources}
        if len(tokenisers) != 1:
            named = ", ".join(sorted(tokenisers)) or "none given"
            raise ValueError(f"token sets of {len(tokenisers)} tokenisers cannot be mixed: {named}")
        self._context, self._rise, self._judged, self._chunk = context, rise, judged, chunk
        self._practised: Practised = practised
        self._pools: list[_Pool] = []
        self._goals: dict[Kind, list[tuple[ArmTokens, TokenEpisode]]] = {}
        sides = [_side(source, held_out_share, validation) for source in sources]
        for source, episodes in zip(sources, sides, strict=True):
            self._add_goals(source, episodes)
        for source, episodes in zip(sources, sides, strict=True):
            self._add(source, episodes)
        if not any(pool.starts.learnt for pool in self._pools):
            side = "kept apart" if validation else "to learn from"
            length = f"{context} steps" if isinstance(context, int) else "its window"
            raise NothingToLearn(f"no successful episode {side} that is longer than {length}")
        weights = np.array([pool.weight for pool in self._pools])
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
            shares = ", ".join(f"{source.share:g}" for source in sources)
            raise ValueError(f"shares {shares} of the windows; expected 0 or more each, and one above 0")
        self._weights = weights / weights.sum()

    def _add_goals(self, source: Source, episodes: Sequence[TokenEpisode]) -> None:
        for episode in episodes:
            if episode.success:
                tokens = source.tokens.arms[episode.arm]
                self._goals.setdefault(_kind(episode), []).append((tokens, episode))

    def _add(self, source: Source, episodes: Sequence[TokenEpisode]) -> None:
        """A pool for each arm and task; what nobody has brought about gives windows only in hindsight."""
        groups: dict[tuple[str, str], list[TokenEpisode]] = {}
        for episode in episodes:
            if _kind(episode) in self._goals or own_end(episode, self._practised):
                groups.setdefault((episode.arm, episode.task), []).append(episode)
        arms = dict.fromkeys(arm for arm, _ in groups)
        worth = {arm: self._worth(source.tokens.arms[arm], arm, episodes) for arm in arms}
        starts = {
            (arm, task): self._starts(source.tokens.arms[arm], each, worth[arm])
            for (arm, task), each in groups.items()
        }
        windows = sum(len(each.rows) for each in starts.values())
        for (arm, task), each in sorted(groups.items()):
            if count := len(starts[arm, task].rows):
                tokens = source.tokens.arms[arm]
                body = embodiment(tokens.proprio_names, tokens.action_names)
                meanings = np.array([self._meaning(episode) for episode in each], dtype=np.int64)
                last = np.array([episode.start + episode.rows - 1 for episode in each], dtype=np.int64)
                weight = source.share * count / windows
                context, start = steps_of(self._context, tokens), starts[arm, task]
                told = np.array([episode.told for episode in each])
                self._pools.append(
                    _Pool(body, tokens, weight, tuple(each), start, context, meanings, last, told)
                )

    def _worth(self, tokens: ArmTokens, arm: str, episodes: Sequence[TokenEpisode]) -> NDArray[np.bool_]:
        """Of each row of an arm, whether its action is learnt, whatever the window that it stands in (R,)."""
        worth = np.zeros(len(tokens.action), dtype=np.bool_)
        for each in episodes:
            if each.arm == arm:
                worth[worth_learning(tokens, each, 1, self._rise, self._practised)] = True
        return worth

    def _starts(
        self, tokens: ArmTokens, episodes: Sequence[TokenEpisode], worth: NDArray[np.bool_]
    ) -> _Starts:
        """Where the windows of a pool can start."""
        context = steps_of(self._context, tokens)
        learnt = [worth_learning(tokens, each, context, self._rise, self._practised) for each in episodes]
        rest = [
            np.setdiff1d(first_rows(each, context), rows)
            if self._judged and each.told and each.controller == "policy"
            else rows[:0]
            for each, rows in zip(episodes, learnt, strict=True)
        ]
        both = [*learnt, *rest]
        owners = [np.full(len(rows), i % len(episodes)) for i, rows in enumerate(both)]
        return _Starts(np.concatenate(both), np.concatenate(owners), sum(map(len, learnt)), worth)

    @property
    def windows(self) -> int:
        """Windows that can be drawn."""
        return sum(len(pool.starts.rows) for pool in self._pools)

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
        parts = {key: torch.from_numpy(array[order].astype(np.int64)) for key, array in joined.items()}
        weights = weigh(parts.pop("learnt"), parts.get("later"))
        return Window(**parts, learnt=weights)

    def _rows(
        self, pool: _Pool, rng: np.random.Generator, count: int, future: int, hindsight: float
    ) -> dict[str, NDArray[np.uint16] | Index]:
        starts = pool.starts
        pick = starts.pick(rng, count, self._judged)
        row, owner = starts.rows[pick], starts.episode_of[pick]
        last = pool.last_of[owner]
        window = row[:, None] + np.arange(pool.context)  # (B, T)
        ahead = np.minimum(window + future, last[:, None])
        tokens = pool.tokens
        progress = tokens.progress[window].astype(np.int64) * BINS // (WHOLE + 1)
        planned = {"later": self._later(tokens, window, last)} if self._chunk > 1 else {}
        return planned | {
            "proprio": tokens.proprio[window],
            "codes": tokens.codes[window],
            "action": tokens.action[window],
            "future": tokens.codes[ahead],
            "goal": np.stack([self._goal(pool, rng, int(o), hindsight) for o in owner]),
            "meaning": pool.meaning_of[owner],
            "progress": np.where(pool.told[owner][:, None], progress, -1),
            "learnt": starts.worth[window].astype(np.int64),
        }

    def _later(self, tokens: ArmTokens, window: Index, last: Index) -> Index:
        """Actions after each step's own (B, T, C - 1, A), -1 where the episode is over."""
        rows = window[..., None] + np.arange(1, self._chunk)
        over = rows >= last[:, None, None]  # the last row has no action
        later = tokens.action[np.where(over, window[..., None], rows)].astype(np.int64)
        return np.where(over[..., None], -1, later)

    def _goal(
        self, pool: _Pool, rng: np.random.Generator, owner: int, hindsight: float
    ) -> NDArray[np.uint16]:
        """Codes of a goal image (V, C): an episode's own last, or that of another success of its meaning."""
        episode, tokens = pool.episodes[owner], pool.tokens
        elsewhere = rng.random() >= hindsight or not episode.success
        if elsewhere and not own_end(episode, self._practised):
            others = self._goals[_kind(episode)]
            tokens, episode = others[int(rng.integers(len(others)))]
        return tokens.codes[episode.start + episode.rows - 1]

    def _meaning(self, episode: TokenEpisode) -> int:
        """A number for what an episode's goal asks for, the same whichever arm is to bring it about."""
        asked = episode.id if own_end(episode, self._practised) else f"{episode.task} {episode.variation}"
        return crc32(asked.encode())


def _side(source: Source, share: float, validation: bool) -> list[TokenEpisode]:
    """The episodes of a source that are kept apart, or the others."""
    return [each for each in source.tokens.episodes if held_out(each.id, share) == validation]


def _kind(episode: TokenEpisode) -> Kind:
    return episode.arm, episode.task, episode.variation
