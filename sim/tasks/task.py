"""What a task is: things, where they are put, what must become true of them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.objects import BLOCKS, Block, Thing
from sim.poses import Array
from sim.scene import TABLE_CENTRE_M, Scene

# Half the sides of the patch on which things are put [m], about the table's centre (RGB-stacking: 0.10 both).
PATCH_M = np.array([0.09, 0.13])
# Centres of two things are at least this far apart [m]: an open jaw, 5.5 cm from the tool, fits between.
CLEARANCE_M = 0.075


@dataclass(frozen=True)
class Task:
    """A family of tasks; a variation says which of the things is meant.

    Attributes:
        name: Key in `TASKS`.
        summary: One line for `robocat tasks`.
        variations: Names, e.g. colours; the goal image alone tells the agent which one it is.
        things: What lies on the table.
        horizon_s: Time allowed [s].
        place: Puts the things for an episode: (scene, variation, generator).
        success: Whether the world is as wanted now; the environment asks it to hold for `HOLD_S`.
        progress: Shaped progress in [0, 1]; 1 whenever `success` holds.
        pose: Poses the world in a success, for a goal image when nobody has brought one:
            (scene, variation, generator) to the tool position (3,) [m], opening [m] of the gripper.
    """

    name: str
    summary: str
    variations: tuple[str, ...]
    things: tuple[Thing, ...]
    horizon_s: float
    place: Callable[[Scene, str, np.random.Generator], None]
    success: Callable[[Scene, str], bool]
    progress: Callable[[Scene, str], float]
    pose: Callable[[Scene, str, np.random.Generator], tuple[Array, float]]


HOLD_S = 0.5  # success must hold this long: a cube flying past is not lifted
COLOUR_NAMES = tuple(block.name for block in BLOCKS)


def side_m(scene: Scene, name: str) -> float:
    """Edge length [m] of a block in the scene."""
    thing = scene.things[name]
    if not isinstance(thing, Block):
        raise ValueError(f"{name!r} is not a block; blocks: {', '.join(COLOUR_NAMES)}")
    return thing.side_m


def spread(rng: np.random.Generator, count: int, clearance_m: float = CLEARANCE_M) -> Array:
    """Draws points (count, 2) [m] on the patch, no two nearer than the clearance (rejection sampling)."""
    points: list[Array] = []
    while len(points) < count:
        point = np.asarray(TABLE_CENTRE_M) + rng.uniform(-PATCH_M, PATCH_M)
        if all(np.linalg.norm(point - other) >= clearance_m for other in points):
            points.append(point)
        elif rng.random() < 0.01:
            points.clear()  # an unlucky start can leave no room for the rest
    return np.array(points)


def scatter_blocks(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """Puts every block flat on the patch at random, with any yaw."""
    del variation  # Every block may be the one that is meant.
    for name, point in zip(COLOUR_NAMES, spread(rng, len(COLOUR_NAMES)), strict=True):
        scene.place(name, np.array([*point, side_m(scene, name) / 2]), rng.uniform(-np.pi / 4, np.pi / 4))


def closeness(distance_m: float, tolerance_m: float, margin_m: float) -> float:
    """1 within the tolerance [m], falling linearly to 0 over the margin [m] beyond it."""
    return min(1.0, max(0.0, 1.0 - (distance_m - tolerance_m) / margin_m))
