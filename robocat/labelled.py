"""Labelled steps of stores, and which of them a success model learns from.

A step is labelled as done if the episode's own label says so within `HOLD_S` seconds after it: a label that
asks success to hold says "done" only at the end of that time. Half of the steps drawn are done, a quarter are
from shortly before, and a quarter from anywhere else. Those that are done are each other's goals, and all
are of a few arms and tasks, so that many meet goals of other variations too, for which they are not done. Of
the episodes kept apart, half calibrate and half are measured.

Shapes: N steps, E episodes, B steps drawn, V cameras, C codes an image.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from demos.episode import NOBODY, PEOPLE, Episode
from demos.store import EpisodeStore
from robocat.mixture import Kind, held_out
from robocat.success import hold_steps
from robocat.tokens import TokenEpisode, TokenSet

Index = NDArray[np.int64]
SHORTLY = 8  # steps before the task is done
CELLS = 4  # arms and tasks of which a batch is drawn
MORE = "the stores need more episodes"


@dataclass(frozen=True)
class Labelled:
    """Steps of many episodes in one array, and which of them are done.

    Attributes:
        codes: Image codes (N, V, C).
        done: Whether a step's task is done (N,).
        episode_of: Number of a step's episode (N,).
        episodes: What is said of them.
        ends: Row after an episode's last one (E,).
        hold: Steps for which a success is asked to hold.
    """

    codes: NDArray[np.uint16]
    done: NDArray[np.bool_]
    episode_of: Index
    episodes: tuple[TokenEpisode, ...]
    ends: Index
    hold: int

    def part(self, chosen: NDArray[np.bool_]) -> "Labelled":
        """Some of the episodes (E,)."""
        rows = chosen[self.episode_of]
        number = np.cumsum(chosen) - 1
        owner = number[self.episode_of[rows]]
        episodes = tuple(e for e, keep in zip(self.episodes, chosen, strict=True) if keep)
        ends = np.cumsum(np.bincount(owner, minlength=len(episodes)))
        return Labelled(self.codes[rows], self.done[rows], owner, episodes, ends, self.hold)


def labelled(stores: Sequence[Path], sets: Sequence[TokenSet]) -> Labelled:
    """The steps of stores with their labels.

    Raises:
        ValueError: If the stores' episodes differ in how often a second they act, or nobody has judged any.
    """
    codes: list[NDArray[np.uint16]] = []
    done: list[NDArray[np.bool_]] = []
    episodes: list[TokenEpisode] = []
    holds: set[int] = set()
    for path, tokens in zip(stores, sets, strict=True):
        store = EpisodeStore(path)
        for each in tokens.episodes:
            episode = store.load(each.id, images=False)
            if (success := shown(episode)) is None:
                continue
            holds.add(hold := hold_steps(episode.meta.control_hz))
            codes.append(tokens.arms[each.arm].codes[each.start : each.start + each.rows])
            done.append(labels(success, hold))
            episodes.append(each)
    if not episodes:
        raise ValueError(f"nobody has judged an episode in {', '.join(map(str, stores))}; mark some")
    if len(holds) != 1:
        raise ValueError(f"success holds for {sorted(holds)} steps in these stores: their rates differ")
    lengths = [len(each) for each in done]
    owner, ends = np.repeat(np.arange(len(episodes)), lengths), np.cumsum(lengths)
    return Labelled(np.concatenate(codes), np.concatenate(done), owner, tuple(episodes), ends, holds.pop())


def shown(episode: Episode) -> NDArray[np.bool_] | None:
    """Whether the task was done after each step (T,), as far as is known; None if nobody has judged.

    A person, whose word goes before the predicate's, speaks of an episode's end. A model's is none to learn
    from: the predicate's stands beside it.
    """
    outcome = episode.meta.outcome
    if outcome.judged_by == NOBODY:
        return None
    if not outcome.judged_by.startswith(PEOPLE):
        return episode.success
    if not outcome.success:
        return np.zeros_like(episode.success)
    said = episode.success.copy()
    said[-1] = True
    return said


def labels(success: NDArray[np.bool_], hold: int) -> NDArray[np.bool_]:
    """Whether each observation (T+1,) shows the task done, given the labels after each step (T,)."""
    after = np.concatenate([[False], success])
    done = after.copy()
    for ahead in range(1, hold):
        done[:-ahead] |= after[ahead:]
    return done


def split(everything: Labelled, share: float) -> dict[str, Labelled]:
    """Episodes to "fit", "calibrate" and "measure", decided by their ids alone.

    Raises:
        ValueError: If one of the sides has no success, or none that another one's end can be the goal of.
    """
    apart = np.array([held_out(e.id, share) for e in everything.episodes])
    half = np.array([held_out(f"measure {e.id}", 0.5) for e in everything.episodes])
    sides = {"fit": ~apart, "calibrate": apart & ~half, "measure": apart & half}
    parts = {name: everything.part(chosen) for name, chosen in sides.items()}
    for name, part in parts.items():
        if not part.done.any():
            raise ValueError(f"of {len(part.episodes)} episodes to {name} none is a success: {MORE}")
        if max(map(len, goal_rows(part).values()), default=0) < 2:
            raise ValueError(
                f"of {len(part.episodes)} episodes to {name} no two are successes of one arm, task and "
                f"variation: {MORE}"
            )
    return parts


class Drawn(NamedTuple):
    """Steps to learn from.

    Attributes:
        codes: Image codes (B, V, N).
        done: Whether what their goal asks for is done (B,).
        kind: Number of what their goal asks for (B,): an arm, a task and a variation.
        cell: Number of its arm and task (B,).
        episode: Number of their episode (B,).
    """

    codes: Tensor
    done: Tensor
    kind: Tensor
    cell: Tensor
    episode: Tensor


class Pool:
    """Draws steps to learn from, of `CELLS` arms and tasks at a time."""

    def __init__(self, data: Labelled) -> None:
        self._data = data
        kinds = sorted({kind_of(each) for each in data.episodes})
        cells = sorted({kind[:2] for kind in kinds})
        kind_of_episode = np.array([kinds.index(kind_of(each)) for each in data.episodes])
        self._kind = kind_of_episode[data.episode_of]
        self._cell = np.array([cells.index(kind[:2]) for kind in kinds])[self._kind]
        soon = np.zeros_like(data.done)
        for ahead in range(1, SHORTLY + 1):
            same = data.episode_of[:-ahead] == data.episode_of[ahead:]
            soon[:-ahead] |= data.done[ahead:] & same
        self._parts: list[tuple[Index, Index, Index]] = []
        for cell in range(len(cells)):
            own = self._cell == cell
            done, others = np.flatnonzero(own & data.done), np.flatnonzero(own & ~data.done)
            shortly = np.flatnonzero(own & ~data.done & soon)
            if len(done):  # of an arm and task at which nobody has succeeded nothing is learnt
                others = others if len(others) else done
                self._parts.append((done, shortly if len(shortly) else others, others))
        sizes = np.array([sum(map(len, part)) for part in self._parts])
        self._weights = sizes / sizes.sum()

    def draw(self, rng: np.random.Generator, batch: int) -> Drawn:
        """Steps of a few arms and tasks, each drawn by how many it has; half of them are done."""
        cells = min(CELLS, len(self._parts))
        rows: list[Index] = []
        for cell in rng.choice(len(self._parts), cells, replace=False, p=self._weights):
            done, shortly, others = self._parts[cell]
            quarter = batch // cells // 4
            rows += [
                rng.choice(done, batch // cells - 2 * quarter),
                rng.choice(shortly, quarter),
                rng.choice(others, quarter),
            ]
        chosen, data = np.concatenate(rows), self._data
        arrays = data.done, self._kind, self._cell, data.episode_of
        return Drawn(
            torch.from_numpy(data.codes[chosen].astype(np.int64)),
            *(torch.from_numpy(array[chosen]) for array in arrays),
        )


def kind_of(episode: TokenEpisode) -> Kind:
    """Whose successes are goals for each other."""
    return episode.arm, episode.task, episode.variation


def rivals_of(kind: Kind, kinds: Iterable[Kind]) -> list[Kind]:
    """The other variations of an arm's task."""
    return [other for other in kinds if other[:2] == kind[:2] and other != kind]


def goal_rows(data: Labelled) -> dict[Kind, Index]:
    """Last rows of successes, which lend goal images, by kind."""
    rows: dict[Kind, list[int]] = {}
    for each, end in zip(data.episodes, data.ends, strict=True):
        if data.done[end - 1]:
            rows.setdefault(kind_of(each), []).append(int(end) - 1)
    return {kind: np.array(each) for kind, each in rows.items()}
