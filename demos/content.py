"""What is odd about the content of intact episodes: each finding has a figure and the threshold it passed.

The thresholds stand well clear of what the scripted experts do, measured on 228 of their episodes (Panda,
Sawyer, UR5e, xArm 7 and a KUKA with a hand; reach, push, lift and stack, with noise). A finding says "look
here", not "this is damaged".
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from demos.episode import Episode, EpisodeMeta
from sim.arms.arm import PARTNER

IDLE_S = 1.0  # standing still at an end [s]; experts never do, and a person's hesitation is shorter
STILL = 1e-3  # share of a channel's range within which a step is none; experts' least is 2.3e-3
LEAP = 0.3  # share of a joint's or tool channel's range in one step; experts' most is 0.11
CHATTER = 1.5  # change of a meant action, of 2 at most; experts reach 1.9, but never twice running
CHATTERS = 3  # such changes running
SATURATED = 0.9  # share of steps at an end of [-1, 1]; experts' most is 0.44
FROZEN = 3  # pictures running that repeat the one before although the arm moves; experts have none
MOVES = 0.01  # share of a channel's range that must show in a picture
CADENCE = 0.5  # of the control period, by which a person's steps may be early or late
FEW = 20  # episodes from which shares mean something
RARE = 0.25  # of its even share, below which a variation is rare
ONE_SIDED = 0.05  # share of either outcome, below which a judge of success learns nothing of it
# Grippers and fingers go from end to end at once, and stay there: what is odd for an arm is not for them.
_HANDS = ("gripper", "width", "finger")

MEANING = {
    "idle head": f"the arm stands still at the beginning, for longer than {IDLE_S:g} s",
    "idle tail": f"the arm stands still at the end, for longer than {IDLE_S:g} s",
    "proprio jump": f"what the arm feels leaps by more than {LEAP:g} of its range in one step",
    "action chatter": f"what was meant leaps by more than {CHATTER:g} of 2, {CHATTERS} steps running or more",
    "saturated action": f"what was done is at an end of its range in more than {SATURATED:g} of the steps",
    "duplicate frames": f"{FROZEN} pictures running or more repeat the one before although the arm moves",
    "clock goes back": "an observation is no later than the one before it",
    "bad cadence": f"a person's step is early or late by more than {CADENCE:g} of the control period",
    "goal missing": "a policy acted without a goal image for each camera",
    "dead action": f"this number of the arm's actions is the same at every step of {FEW} episodes or more",
    "rare variation": f"it has less than {RARE:g} of an even share of the task's episodes",
    "one-sided outcome": f"under {ONE_SIDED:g} of policies' judged episodes end so, too few to learn from",
}


@dataclass(frozen=True)
class Oddity:
    """One odd thing.

    Attributes:
        episode: The episode's id; of what only many show, its arm and task.
        what: Which check, one of `MEANING`.
        where: The channel, dimension, camera or variation; "" where it is the whole episode.
        figure: What was measured.
        threshold: What it was held against, in the same unit.
        unit: Such as "s" or "of range".
    """

    episode: str
    what: str
    where: str
    figure: float
    threshold: float
    unit: str


def to_json(oddities: Iterable[Oddity]) -> list[dict[str, object]]:
    """The findings as plain records."""
    return json.loads(json.dumps([asdict(each) for each in oddities]))


class Inspector:
    """Looks at episodes one by one, and at the end at what only all of them show."""

    def __init__(self) -> None:
        self._metas: list[EpisodeMeta] = []
        self._spans: dict[tuple[str, tuple[str, ...]], NDArray[np.float32]] = {}
        self._counts: dict[tuple[str, tuple[str, ...]], int] = {}

    def look(self, episode: Episode) -> list[Oddity]:
        """What is odd about an episode, loaded with its images; it counts for `together`."""
        meta = episode.meta
        self._metas.append(meta)
        key = (meta.arm, meta.action_names)
        ends = np.stack([episode.label.min(0), episode.label.max(0)])
        if (known := self._spans.get(key)) is not None:
            ends = np.stack([np.minimum(known[0], ends[0]), np.maximum(known[1], ends[1])])
        self._spans[key] = ends
        self._counts[key] = self._counts.get(key, 0) + 1
        return [odd for check in _CHECKS for odd in check(episode)]

    def together(self) -> list[Oddity]:
        """What is odd about the episodes seen, taken together."""
        return [*self._dead(), *_balance(self._metas)]

    def _dead(self) -> Iterator[Oddity]:
        for (arm, names), (low, high) in self._spans.items():
            for name, span in zip(names, high - low, strict=True):
                if not _is_hand(name) and span <= 0.0 and self._counts[arm, names] >= FEW:
                    yield Oddity(arm, "dead action", name, float(span), 0.0, "of 2")


def _is_hand(name: str) -> bool:
    return name.removeprefix(PARTNER).startswith(_HANDS)


def _moves(episode: Episode) -> NDArray[np.float64]:
    """How far each channel goes in each step (T, P), as a share of its range; a full turn is none."""
    low, high = np.array(episode.meta.proprio_ranges, np.float64).reshape(-1, 2).T
    moves = np.abs(np.diff(episode.proprio.astype(np.float64), axis=0))
    turns = np.array([unit == "rad" for unit in episode.meta.proprio_units], np.bool_) & (
        high - low >= 2 * np.pi - 1e-3
    )
    moves[:, turns] = np.minimum(moves[:, turns], np.abs(2 * np.pi - moves[:, turns]))
    return moves / (high - low)


def _idle(episode: Episode) -> Iterator[Oddity]:
    if not episode.meta.proprio_names:
        return  # Nothing says whether the arm moved.
    moving = np.any(_moves(episode) > STILL, axis=1)
    for what, some in (("idle head", moving), ("idle tail", np.flip(moving))):
        idle_s = int(np.append(some, True).argmax()) / episode.meta.control_hz
        if idle_s > IDLE_S:
            yield Oddity(episode.id, what, "", idle_s, IDLE_S, "s")


def _leaps(episode: Episode) -> Iterator[Oddity]:
    for name, most in zip(episode.meta.proprio_names, _moves(episode).max(axis=0), strict=True):
        if most > LEAP and not _is_hand(name):
            yield Oddity(episode.id, "proprio jump", name, float(most), LEAP, "of range in a step")


def _actions(episode: Episode) -> Iterator[Oddity]:
    leaps = np.abs(np.diff(episode.label, axis=0)) > CHATTER
    ends = (np.abs(episode.action) >= 0.999).mean(axis=0)
    for i, name in enumerate(episode.meta.action_names):
        if _is_hand(name):
            continue
        if (most := _longest(leaps[:, i])) >= CHATTERS:
            yield Oddity(episode.id, "action chatter", name, most, CHATTERS, "leaps running")
        if ends[i] > SATURATED:
            yield Oddity(episode.id, "saturated action", name, float(ends[i]), SATURATED, "of steps")


def _pictures(episode: Episode) -> Iterator[Oddity]:
    moved = np.any(_moves(episode) > MOVES, axis=1)
    for camera, frames in episode.images.items():
        same = (frames[1:] == frames[:-1]).reshape(episode.length, -1).all(axis=1)
        if (most := _longest(same & moved)) >= FROZEN:
            yield Oddity(episode.id, "duplicate frames", camera, most, FROZEN, "running")


def _cadence(episode: Episode) -> Iterator[Oddity]:
    """Time goes forward; only a person acts in real time, a simulation runs as fast as it can."""
    gaps = np.diff(episode.wall_time)
    if gaps.min() <= 0.0:
        yield Oddity(episode.id, "clock goes back", "", float(gaps.min()), 0.0, "s")
    elif episode.meta.provenance.controller == "teleop":
        off = float(np.abs(gaps * episode.meta.control_hz - 1.0).max())
        if off > CADENCE:
            yield Oddity(episode.id, "bad cadence", "", off, CADENCE, "of the period")


def _goals(episode: Episode) -> Iterator[Oddity]:
    """A policy acts on a goal image per camera; others need none."""
    shown, needed = len(episode.goal), len(episode.meta.cameras)
    if episode.meta.provenance.controller == "policy" and shown < needed:
        where = " ".join(sorted(set(episode.meta.cameras) - set(episode.goal)))
        yield Oddity(episode.id, "goal missing", where, shown, needed, "goal images")


_CHECKS = (_idle, _leaps, _actions, _pictures, _cadence, _goals)


def _balance(metas: Sequence[EpisodeMeta]) -> Iterator[Oddity]:
    """Rare variations, and outcomes of policies that are all alike; experts are meant to succeed."""
    for arm, task in sorted({(meta.arm, meta.task) for meta in metas}):
        some = [meta for meta in metas if (meta.arm, meta.task) == (arm, task)]
        where, names = f"{arm} {task}", sorted({meta.variation for meta in some})
        if len(some) >= FEW * len(names):
            for name in names:
                share = sum(meta.variation == name for meta in some) * len(names) / len(some)
                if share < RARE:
                    yield Oddity(where, "rare variation", name, share, RARE, "of its even share")
        policies = [meta.outcome for meta in some if meta.provenance.controller == "policy"]
        acted = [outcome.success for outcome in policies if outcome.judged]
        if len(acted) >= FEW:
            share = min(sum(acted), len(acted) - sum(acted)) / len(acted)
            if share < ONE_SIDED:
                rare = "success" if sum(acted) * 2 < len(acted) else "failure"
                yield Oddity(where, "one-sided outcome", rare, share, ONE_SIDED, "of episodes")


def _longest(flags: NDArray[np.bool_]) -> int:
    """Length of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
