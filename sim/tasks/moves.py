"""Bringing things to where they belong: what placing, stacking, building, inserting and sorting share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sim.poses import Array
from sim.scene import Scene
from sim.tasks.task import Task, closeness, hold_m, nearness, scatter
from sim.things.thing import Thing

ACROSS_M = 0.03  # RGB-stacking's shaped predicate: centres within 3 cm across
HEIGHT_M = 0.01  # and 1 cm of the right height
SUNK_M = 0.0001  # how deep a thing's weight presses it into what it stands on: less, and they would not touch


@dataclass(frozen=True)
class Move:
    """One thing to be brought somewhere and let go.

    Attributes:
        name: The thing.
        seat_m: Where its middle belongs, world position (3,) [m].
        across_m: How far from there it may lie sideways [m].
        up_m: And in height [m].
        yaw_rad: How its y axis is best turned there [rad]; None if that is all the same.
        turns: How many yaws a turn are as good.
        tight_m: How far from its place, sideways, it may be when it is lowered all the way [m].
        drop_m: From what height above its place it may fall [m].
        clear_m: How far above its place it is carried [m].
    """

    name: str
    seat_m: Array
    across_m: float = ACROSS_M
    up_m: float = HEIGHT_M
    yaw_rad: float | None = None
    turns: int = 4
    tight_m: float = 0.008
    drop_m: float = 0.006
    clear_m: float = 0.05

    def offset_m(self, scene: Scene) -> Array:
        """From where it is to where it belongs (3,) [m]."""
        return self.seat_m - scene.position_m(self.name)

    def lies(self, scene: Scene) -> bool:
        """Whether it is about where it belongs, held or not."""
        offset = self.offset_m(scene)
        return bool(np.linalg.norm(offset[:2]) < self.across_m and abs(offset[2]) < self.up_m)

    def done(self, scene: Scene) -> bool:
        """Whether it lies there and is let go."""
        return self.lies(scene) and not scene.touched(self.name)


Moves = Callable[[Scene, str], Sequence[Move]]


@dataclass(frozen=True, kw_only=True)
class Arrangement(Task):
    """A task that is done when some things lie where they belong and are let go.

    Attributes:
        moves: What is to be moved where, in the order in which it can be, given how things lie now.
    """

    moves: Moves


def arrangement(
    *,
    name: str,
    family: str,
    summary: str,
    variations: tuple[str, ...],
    things: tuple[Thing, ...],
    moves: Moves,
    horizon_s: float = 12.0,
    place: Callable[[Scene, str, np.random.Generator], None] = scatter,
    leave_m: float = 0.0,
    noise_share: float = 1.0,
    held_out: bool = False,
) -> Arrangement:
    """Makes a task of moves.

    Args:
        name: Key in `TASKS`.
        family: What is to be done.
        summary: One line for `robocat tasks`.
        variations: See `Task`.
        things: See `Task`.
        moves: What is to be moved where, in the order in which it can be, given how things lie now.
        horizon_s: Time allowed [s].
        place: Puts the things for an episode.
        leave_m: How far above the thing moved last the tool must be in the end [m].
        noise_share: See `Task`.
        held_out: See `Task`.
    """

    return Arrangement(
        name=name,
        family=family,
        summary=summary,
        variations=variations,
        things=things,
        horizon_s=horizon_s,
        place=place,
        success=partial(_success, moves, leave_m),
        progress=partial(_progress, moves, leave_m),
        pose=partial(_pose, moves, leave_m),
        moves=moves,
        noise_share=noise_share,
        held_out=held_out,
    )


def _success(moves: Moves, leave_m: float, scene: Scene, variation: str) -> bool:
    wanted = moves(scene, variation)
    away = leave_m == 0.0 or scene.tool_m[2] - hold_m(scene, wanted[-1].name)[2] > leave_m
    return away and all(move.done(scene) for move in wanted)


def _progress(moves: Moves, leave_m: float, scene: Scene, variation: str) -> float:
    wanted = moves(scene, variation)
    left = [move for move in wanted if not move.done(scene)]
    if not left:
        return 1.0 if _success(moves, leave_m, scene, variation) else 0.95
    return (len(wanted) - len(left) + _part(scene, left[0])) / len(wanted)


def _pose(
    moves: Moves, leave_m: float, scene: Scene, variation: str, rng: np.random.Generator
) -> tuple[Array, float]:
    seat = np.zeros(3)
    for i in range(len(moves(scene, variation))):
        move = moves(scene, variation)[i]  # Anew each time: a place may depend on the thing moved before.
        seat = move.seat_m - np.array([0.0, 0.0, SUNK_M])
        scene.place(move.name, seat, move.yaw_rad or 0.0)
        scene.forward()
    rise = rng.uniform(max(0.06, leave_m + 0.02), leave_m + 0.10)
    return seat + np.array([0.0, 0.0, rise]), scene.arm.gripper.width_m[-1]


def _part(scene: Scene, move: Move) -> float:
    """How much of one move is made, below 1."""
    placed = closeness(float(np.linalg.norm(move.offset_m(scene))), 0.0, 0.3)
    held = 0.2 * scene.grasped(move.name) + 0.4 * placed * scene.touched(move.name)
    return 0.3 * nearness(scene, move.name) + held
