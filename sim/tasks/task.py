"""What a task is: things, where they are put, what must become true of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim.light import DAY, Light
from sim.poses import Array
from sim.scene import TABLE_CENTRE_M, Scene
from sim.things.thing import Solid, Thing

# Half the sides of the patch on which things are put [m], about the table's centre (RGB-stacking: 0.10 both).
PATCH_M = np.array([0.09, 0.13])
WIDE_PATCH_M = np.array([0.115, 0.165])  # all of it inside the fence that `sim.control` keeps the tool in
# Two things are at least this far apart [m]: an open jaw, 5.5 cm from the tool, fits between two 4 cm cubes
# that turn a corner to each other.
GAP_M = 0.0185


@dataclass(frozen=True)
class Task:
    """A few tasks told apart by their goal images: each variation says which is meant.

    Attributes:
        name: Key in `TASKS`.
        family: What is to be done, such as "lift", with whatever things.
        summary: One line for `robocat tasks`.
        variations: Names, e.g. colours; the goal image alone tells the agent which one it is.
        things: What lies on the table.
        horizon_s: Time allowed [s].
        place: Puts the things for an episode: (scene, variation, generator).
        success: Whether the world is as wanted now; the environment asks it to hold for `HOLD_S`.
        progress: Shaped progress in [0, 1]; 1 whenever `success` holds.
        pose: Poses the world in a success, for a goal image when nobody has brought one:
            (scene, variation, generator) to the tool position (3,) [m], opening [m] of the gripper; for two
            arms (2, 3) and (2,).
        noise_share: How much of the usual noise demonstrations of it bear: what must be hit within 2 mm
            cannot be with actions that stray by 6 mm.
        light: How the scene is lit.
        held_out: Whether it is there to measure what was never trained on: nothing is collected of it.
        expert: Where the tool should go now, (scene, variation) to its position (3,) [m], its yaw [rad] and
            whether the jaws are open; None leaves that to the family's expert (`demos.aims`).
        arms: How many arms do it, 1 or 2.
    """

    name: str
    family: str
    summary: str
    variations: tuple[str, ...]
    things: tuple[Thing, ...]
    horizon_s: float
    place: Callable[[Scene, str, np.random.Generator], None]
    success: Callable[[Scene, str], bool]
    progress: Callable[[Scene, str], float]
    pose: Callable[[Scene, str, np.random.Generator], tuple[Array, Array | float]]
    noise_share: float = 1.0
    light: Light = DAY
    held_out: bool = False
    expert: Callable[[Scene, str], tuple[Array, float, bool]] | None = None
    arms: int = 1


HOLD_S = 0.5  # success must hold this long: a cube flying past is not lifted


def names(things: Sequence[Thing]) -> tuple[str, ...]:
    """Names of those that are free to move: what variations speak of."""
    return tuple(thing.name for thing in things if isinstance(thing, Solid))


def spread(
    rng: np.random.Generator, radii_m: Sequence[float], gap_m: float = GAP_M, patch_m: Array = PATCH_M
) -> Array:
    """Draws middles (n, 2) [m] of circles on a patch, no two nearer than the gap (rejection sampling)."""
    points: list[Array] = []
    while len(points) < len(radii_m):
        point = np.asarray(TABLE_CENTRE_M) + rng.uniform(-patch_m, patch_m)
        radius = radii_m[len(points)] + gap_m
        if all(np.linalg.norm(point - o) >= radius + r for o, r in zip(points, radii_m, strict=False)):
            points.append(point)
        elif rng.random() < 0.01:
            points.clear()  # an unlucky start can leave no room for the rest
    return np.array(points)


def scatter(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """Puts everything on the patch at random, as it stands, turned so that jaws can hold it."""
    del variation  # Every one of the things may be the one that is meant.
    stand(scene, rng, spread(rng, [thing.radius_m for thing in scene.things.values()]))


def scatter_outside(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """As `scatter`, but what is meant lies around the patch, where no other task puts anything."""
    things = list(scene.things.values())
    meant = [thing.name for thing in things].index(variation)
    while True:
        points = spread(rng, [thing.radius_m for thing in things], patch_m=WIDE_PATCH_M)
        if np.any(np.abs(points[meant] - TABLE_CENTRE_M) > PATCH_M):
            break
    stand(scene, rng, points)


def stand(scene: Scene, rng: np.random.Generator, points_m: Array) -> None:
    """Puts every thing at its point (n, 2) [m], as it stands, with any yaw at which jaws can hold it."""
    for thing, point in zip(scene.things.values(), points_m, strict=True):
        yaw = rng.uniform(-np.pi / 4, np.pi / 4)
        if isinstance(thing, Solid):
            scene.place(thing.name, np.array([*point, thing.rest_m]), yaw)
        else:
            scene.place(thing.name, np.array([*point, 0.0]))


def keep_clear(
    scene: Scene, placed: Sequence[str], rng: np.random.Generator, circles_m: Sequence[tuple[Array, float]]
) -> None:
    """Puts all solids not placed yet on the patch, outside some circles: middle (2,) and radius [m]."""
    others = [name for name in names([*scene.things.values()]) if name not in placed]
    radii = np.array([scene.solid(name).radius_m for name in others])
    while True:
        points = spread(rng, list(radii))
        if all(np.all(np.linalg.norm(points - at, axis=1) > radii + r + GAP_M) for at, r in circles_m):
            break
    for name, point in zip(others, points, strict=True):
        scene.place(name, np.array([*point, scene.solid(name).rest_m]), rng.uniform(-np.pi / 4, np.pi / 4))


def beside_m(scene: Scene, name: str, distance_m: float) -> Array:
    """A point on the table so far from a thing, towards the middle of the patch (3,) [m]."""
    at = scene.position_m(name)[:2]
    way = np.asarray(TABLE_CENTRE_M) - at
    return np.array([*(at + distance_m * way / np.linalg.norm(way)), 0.0])


def closeness(distance_m: float, tolerance_m: float, margin_m: float) -> float:
    """1 within the tolerance [m], falling linearly to 0 over the margin [m] beyond it."""
    return min(1.0, max(0.0, 1.0 - (distance_m - tolerance_m) / margin_m))


def nearness(scene: Scene, name: str) -> float:
    """How near the tool is to where it holds a thing, 0 to 1."""
    return closeness(math.dist(scene.tool_m.tolist(), hold_m(scene, name).tolist()), 0.01, 0.3)


def hold_m(scene: Scene, name: str) -> Array:
    """Where the tool holds a thing: world position (3,) [m]."""
    place = scene.position_m(name)
    place[2] += scene.solid(name).grip.at_m
    return place
