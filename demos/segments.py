"""Cuts a demonstration into segments, each of which is about one thing; found from what moved, not annotated.

A *work* is a time during which the tool has hold of a thing and moves it: carries it in its jaws, slides it
along, or moves the part of a fixture that moves. To each work belong a way to the thing and, where the thing
ends beside or upon another one, a way there, which is about that other one:

    way to the thing | work: up from where it lay .. down to the other one | away
    about the thing  | about the thing            .. about the other one   | about the other one

Where the tool is high or far from both ("..") nothing is kept: there is nothing to imitate, and in another
scene the way is another one. The idea of such segments, moved to where the things are in another scene and
joined by interpolation, is that of MimicGen (Mandlekar et al. 2023, https://arxiv.org/abs/2310.17596).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from demos.track import Flags, Track
from sim.poses import Array, rotation_exp
from sim.things.thing import Solid, Thing

# Own choices, like those of `demos.transfer` and `demos.multiplied`: tried on the experts' demonstrations.
NEAR_M = 0.12  # from a thing: what the tool does farther away is not about it
TOP_M = 0.015  # below the highest point of a way, within which the tool is high
MOVED_M = 0.010  # how far a thing must be moved, or it was only brushed
SLID_M = 0.003  # and the part of a fixture that moves
STIR_M_S = 0.01  # slower than that a thing lies still,
SLIDE_M_S = 0.002  # and the part of a fixture that moves
GAP_S = 0.3  # for which a contact may be lost, as when it is shaken, without ending a work


@dataclass(frozen=True)
class Work:
    """One time at one thing, in observations.

    Attributes:
        start: When the tool first has hold of it.
        stop: When it no longer has.
        moved_m: How far it is moved meanwhile, or its part [m].
        carried: Whether it is between the jaws.
        goal: The thing that it is brought to; None where it is nearest to where it lay itself.
    """

    thing: str
    start: int
    stop: int
    moved_m: float
    carried: bool
    goal: str | None


About = tuple[str, tuple[str, str] | None, str | None]  # a segment's `at`, `way` and `held`


@dataclass(frozen=True)
class Segment:
    """A part of a demonstration about one thing, in the demonstration's world.

    Attributes:
        at: The thing that it is about.
        way: Two things: the frame's x axis points from the one to the other; None: it is the thing's own.
        held: What is between the jaws all the while.
        origin_m: Where the frame is at its start (3,) [m].
        heading_rad: And its yaw [rad].
        turns: How many yaws of the frame a turn are as good; 0 if all are.
        period_s: Between two points [s].
        grip_m: Middle between the pads (n, 3) [m].
        tilt_rad: Of the tool (n, 3) [rad], see `Track`.
        opened: Numbers of the gripper (n, G).
        in_hand_m: Where what is held is, from the grip, as if the tool were unturned (3,) [m].
        in_hand_rad: Its yaw less the tool's [rad].
        held_turns: As `turns`, of what is held.
        left_m: How far what is pushed is from its goal in the end, along the way [m].
    """

    at: str
    way: tuple[str, str] | None
    held: str | None
    origin_m: Array
    heading_rad: float
    turns: int
    period_s: float
    grip_m: Array
    tilt_rad: Array
    opened: Array
    in_hand_m: Array
    in_hand_rad: float
    held_turns: int
    left_m: float


def segments(track: Track, things: Mapping[str, Thing]) -> list[Segment]:
    """Cuts a demonstration; the things are its task's."""
    works = find_works(track)
    if not works:
        return [_near_last(track, things)]
    found: list[Segment] = []
    since = 0
    for work, after in zip(works, [*works, None][1:], strict=True):
        until = track.length if after is None else _top(track, work.stop, after.start)[0]
        # Of several running at one thing all but the last were tries.
        if after is None or after.thing != work.thing:
            found += _of_work(track, things, work, since, until)
        since = until
    return found


def find_works(track: Track) -> list[Work]:
    """The works of a demonstration in their order, one at a time: what is moved most is what is meant."""
    carries = [work for name in track.grasped for work in _carries(track, name)]
    slides = [work for name in track.slide_m for work in _slides(track, name)]
    # Who carries things and also pushes one has run into it.
    pushes = [] if carries else [work for name in track.touched for work in _pushes(track, name)]
    works: list[Work] = []
    for work in sorted([*carries, *slides, *pushes], key=lambda work: work.moved_m, reverse=True):
        if all(work.stop <= other.start or other.stop <= work.start for other in works):
            works.append(work)
    return sorted(works, key=lambda work: work.start)


def _carries(track: Track, name: str) -> Iterator[Work]:
    at = track.at_m[name]
    for start, stop in _runs(track, track.grasped[name]):
        if (far := _strays(at[start : stop + 1])) > MOVED_M:
            yield Work(name, start, stop, far, True, _goal(track, name, start, stop))


def _pushes(track: Track, name: str) -> Iterator[Work]:
    at = track.at_m[name]
    stirs = np.append(np.linalg.norm(np.diff(at, axis=0), axis=1) > STIR_M_S * track.period_s, False)
    for start, stop in _runs(track, stirs | track.touched[name]):
        if (far := _strays(at[start : stop + 1])) > MOVED_M:
            yield Work(name, start, stop, far, False, _goal(track, name, start, stop))


def _slides(track: Track, name: str) -> Iterator[Work]:
    along = track.slide_m[name]
    stirs = np.append(np.abs(np.diff(along)) > SLIDE_M_S * track.period_s, False)
    for start, stop in _runs(track, stirs):
        if (far := float(np.ptp(along[start : stop + 1]))) > SLID_M:
            yield Work(name, start, stop, far, False, None)


def _strays(at_m: Array) -> float:
    return float(np.linalg.norm(at_m - at_m[0], axis=1).max())


def _runs(track: Track, flags: Flags) -> list[tuple[int, int]]:
    """First observation of each run of True, and the first after it; runs with a small gap are one."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    runs: list[tuple[int, int]] = []
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if runs and (start - runs[-1][1]) * track.period_s <= GAP_S:
            runs[-1] = runs[-1][0], stop
        else:
            runs.append((start, stop))
    return [(start, min(stop, len(flags) - 1)) for start, stop in runs]


def _goal(track: Track, name: str, start: int, stop: int) -> str | None:
    """What a thing is brought to: the nearest across in the end, of the others and where it lay itself."""
    end = track.at_m[name][stop, :2]
    places: dict[str | None, Array] = {None: track.at_m[name][start, :2]}
    places |= {other: at[stop, :2] for other, at in track.at_m.items() if other != name}
    return min(places, key=lambda other: float(np.linalg.norm(places[other] - end)))


def _of_work(
    track: Track, things: Mapping[str, Thing], work: Work, since: int, until: int
) -> Iterator[Segment]:
    thing, goal = work.thing, work.goal
    # A push is aimed along the way from the thing to its goal, whichever way the thing is turned.
    way = None if work.carried or goal is None else (thing, goal)
    held = thing if work.carried else None
    first = max(_top(track, since, work.start)[1], _last_far(track, thing, since, work.start))
    yield _segment(track, things, (thing, way, None), first, work.start)
    if goal is None:
        yield _segment(track, things, (thing, None, held), work.start, until)
        return
    begin = work.start
    if work.carried:
        high, down = _top(track, work.start, work.stop)
        up = min(high, _first_far(track, thing, work.start, work.stop))
        yield _segment(track, things, (thing, None, held), work.start, up)
        begin = max(up, down, _last_far(track, goal, work.start, work.stop))
    yield _segment(track, things, (goal, way, held), begin, work.stop)
    yield _segment(track, things, (goal, None, None), work.stop, until)


def _near_last(track: Track, things: Mapping[str, Thing]) -> Segment:
    """All of a demonstration that moves nothing, about the thing that the tool is nearest to in the end."""
    end = track.length
    name = min(things, key=lambda name: float(np.linalg.norm(track.at_m[name][end] - track.grip_m[end])))
    return _segment(track, things, (name, None, None), _last_far(track, name, 0, end), end)


def _top(track: Track, start: int, stop: int) -> tuple[int, int]:
    """The first and the last observation of a time at which the tool is high."""
    heights = track.grip_m[start : stop + 1, 2]
    high = np.flatnonzero(heights >= heights.max() - TOP_M)
    return start + int(high[0]), start + int(high[-1])


def _far(track: Track, name: str, start: int, stop: int) -> Flags:
    """Whether the tool is far from where a thing is at the start of a time."""
    return np.linalg.norm(track.grip_m[start : stop + 1] - track.at_m[name][start], axis=1) > NEAR_M


def _last_far(track: Track, name: str, start: int, stop: int) -> int:
    far = np.flatnonzero(_far(track, name, start, stop))
    return start + (int(far[-1]) if len(far) else 0)


def _first_far(track: Track, name: str, start: int, stop: int) -> int:
    far = np.flatnonzero(_far(track, name, start, stop))
    return start + int(far[0]) if len(far) else stop


def _segment(track: Track, things: Mapping[str, Thing], about: About, start: int, stop: int) -> Segment:
    """The part of a demonstration from one observation to another one, which is among it."""
    at, way, held = about
    points = slice(start, max(start, stop) + 1)
    # What moves the tool to a point is the action before it.
    acts = np.clip(np.arange(start, max(start, stop) + 1) - 1, 0, track.length - 1)
    in_hand, in_hand_rad = _in_hand(track, held, min(start + 1, stop)) if held else (np.zeros(3), 0.0)
    return Segment(
        at=at,
        way=way,
        held=held,
        origin_m=track.at_m[at][start],
        heading_rad=heading(*(track.at_m[name][start] for name in way)) if way else track.yaw_rad[at][start],
        turns=turns(things[at]),
        period_s=track.period_s,
        grip_m=track.grip_m[points],
        tilt_rad=track.tilt_rad[points],
        opened=track.opened[acts],
        in_hand_m=in_hand,
        in_hand_rad=in_hand_rad,
        held_turns=turns(things[held]) if held else 1,
        left_m=_left_m(track, way, start, stop) if way else 0.0,
    )


def _left_m(track: Track, way: tuple[str, str], start: int, stop: int) -> float:
    before, after = (track.at_m[way[1]][t, :2] - track.at_m[way[0]][t, :2] for t in (start, stop))
    return float(after @ before / np.linalg.norm(before))


def heading(start_m: Array, end_m: Array) -> float:
    """Yaw of the way from one point to another one [rad]."""
    way = end_m - start_m
    return float(np.arctan2(way[1], way[0]))


def turns(thing: Thing) -> int:
    """How many yaws a turn of a thing are as good to the jaws; 0 if all are."""
    return thing.grip.turns if isinstance(thing, Solid) else 1


def _in_hand(track: Track, held: str, t: int) -> tuple[Array, float]:
    return in_hand(track.grip_m[t], track.tilt_rad[t], track.at_m[held][t], float(track.yaw_rad[held][t]))


def in_hand(grip_m: Array, tilt_rad: Array, at_m: Array, yaw_rad: float) -> tuple[Array, float]:
    """Where a thing is between the jaws, as if the tool were unturned: from the grip (3,) [m], yaw [rad]."""
    return rotation_exp(tilt_rad).T @ (at_m - grip_m), yaw_rad - float(tilt_rad[2])
