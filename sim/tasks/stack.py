"""Stack: put one thing on another and let go; a tower of three; two things side by side and one upon both."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import permutations

import numpy as np

from sim.poses import Array, rotation_z, wrap
from sim.scene import Scene
from sim.tasks.moves import Arrangement, Move, arrangement
from sim.tasks.task import WIDE_PATCH_M, names, spread, stand
from sim.things.blocks import BLOCKS
from sim.things.prisms import prism
from sim.things.thing import Solid

SPARSE_ACROSS_M = 0.05  # RGB-stacking's sparse predicate
SPARSE_ABOVE_M = 0.02
# Of aluminium: heavy enough to stay while only one of its ends bears a block.
PLANK = prism(
    "plank", "plank", (0.72, 0.73, 0.76, 1.0), width_m=0.036, height_m=0.016, aspect=2.4, density_kg_m3=2700.0
)
TOWER_TIGHT_M = 0.004
NOISE_SHARE = 0.4  # what is knocked over while building often lies where nobody can right it
LEAVE_M = 0.08  # RGB-stacking has the gripper 10 cm above, give or take 3
# Between things that are built with: a hand goes down beside what stands already, 10 cm to each side.
BUILDING_GAP_M = 0.05
WIDE_GAP_M = 0.075
SIDE_RAD = 0.1
BESIDE_M = 0.004  # between two blocks that stand side by side
ON_PLANK_M = 0.012  # between the two on the plank: fingers may reach past the face of what they hold
# How far the plank lies turned at most: much nearer to half a right angle, jaws can hold what comes onto it
# either way, and one way they open against its neighbour.
PLANK_RAD = 0.5


def order(variation: str) -> list[str]:
    """Names of the things of "<top>-on-<next>-on-...", from the lowest up."""
    return variation.split("-on-")[::-1]


def seat_m(scene: Scene, upper: str, lower: str) -> Array:
    """Where a thing's middle is when it stands on another as that lies now (3,) [m]."""
    rise = scene.solid(lower).top_m + scene.solid(upper).rest_m
    return scene.position_m(lower) + np.array([0.0, 0.0, rise])


def on(scene: Scene, upper: str, lower: str) -> Move:
    """One thing onto another."""
    return Move(
        upper, seat_m(scene, upper, lower), yaw_rad=scene.yaw_rad(lower), turns=turns(scene, upper, lower)
    )


def tower_moves(scene: Scene, variation: str) -> list[Move]:
    """As `moves`, but set down with care: what leans to one side bears little beside its middle."""
    return [replace(move, tight_m=TOWER_TIGHT_M) for move in moves(scene, variation)]


def turns(scene: Scene, *things: str) -> int:
    """At how many yaws a turn all of some things look alike."""
    counts = [scene.solid(name).grip.turns for name in things]
    return int(np.gcd.reduce(counts))


def moves(scene: Scene, variation: str) -> list[Move]:
    """Each thing onto the one below it."""
    things = order(variation)
    return [on(scene, upper, lower) for lower, upper in zip(things, things[1:], strict=False)]


def stack(
    name: str, what: str, solids: tuple[Solid, ...], held_out: bool = False, leave: bool = False
) -> Arrangement:
    """Stacking any of some things on any other, and perhaps getting out of the way; `what` names the two."""
    return arrangement(
        name=name,
        family="stack-and-leave" if leave else "stack",
        summary=f"put {what}, let go and leave" if leave else f"put {what} and let go",
        variations=tuple("-on-".join(each) for each in permutations(names(solids), 2)),
        things=solids,
        moves=moves,
        leave_m=LEAVE_M if leave else 0.0,
        held_out=held_out,
    )


def rgb_stack(name: str, what: str, solids: tuple[Solid, ...], held_out: bool = False) -> Arrangement:
    """Stacking as the RGB-stacking benchmark judges it: sparse success within 20 s.

    The upper thing's middle is within 5 cm across of the lower one's and 2 cm above it, they touch, and the
    upper one touches neither table nor robot (Lee et al. 2021, the benchmark's code).
    """
    task = stack(name, f"{what} on another", solids, held_out)

    progress = partial(_sparse_progress, task.progress)
    return replace(task, success=_sparse_success, progress=progress, horizon_s=20.0)


def _sparse_success(scene: Scene, variation: str) -> bool:
    lower, upper = order(variation)
    apart = scene.position_m(upper) - scene.position_m(lower)
    above = np.linalg.norm(apart[:2]) < SPARSE_ACROSS_M and apart[2] > SPARSE_ABOVE_M
    return bool(above and scene.in_contact(upper, lower) and scene.only_touches(upper, lower))


def _sparse_progress(shaped: Callable[[Scene, str], float], scene: Scene, variation: str) -> float:
    return 1.0 if _sparse_success(scene, variation) else min(0.95, shaped(scene, variation))


def place_apart(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """Puts everything on the patch at random, with room for a hand beside what stands already."""
    del variation  # Every one of the things may be the one that is meant.
    radii = [thing.radius_m for thing in scene.things.values()]
    stand(scene, rng, spread(rng, radii, BUILDING_GAP_M))


def place_wide(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """As `place_apart`, with room beside what is higher and longer."""
    del variation
    radii = [thing.radius_m for thing in scene.things.values()]
    stand(scene, rng, spread(rng, radii, WIDE_GAP_M, WIDE_PATCH_M))


def tower(name: str, what: str, solids: tuple[Solid, ...], held_out: bool = False) -> Arrangement:
    """Three of some things upon each other in any order; `what` names them in words."""
    return arrangement(
        name=name,
        family="tower",
        summary=f"build a tower of three from {what}",
        variations=tuple("-on-".join(each) for each in permutations(names(solids), 3)),
        things=solids,
        moves=tower_moves,
        noise_share=NOISE_SHARE,
        place=place_apart,
        horizon_s=20.0,
        held_out=held_out,
    )


def pyramid_moves(scene: Scene, variation: str) -> list[Move]:
    """The second of the other things beside the first, and the top one upon both."""
    one, other = (name for name in names([*scene.things.values()]) if name != variation)
    # Behind each other as seen along the jaws, which then have room; the farther one is moved, so that
    # nothing has to be crossed.
    still, moved = sorted((one, other), key=lambda name: scene.position_m(name)[0])
    apart = scene.solid(still).grip.width_m / 2 + scene.solid(moved).grip.width_m / 2 + BESIDE_M
    lift = np.array([0.0, 0.0, scene.solid(moved).rest_m - scene.solid(still).rest_m])
    yaw = wrap(scene.yaw_rad(still), np.pi / 2)
    # At two yaws near half a right angle, of which the nearer one stays the nearer one.
    yaws = [yaw, yaw - np.sign(yaw) * np.pi / 2] if abs(yaw) > np.pi / 4 - SIDE_RAD else [yaw]
    sides = {
        yaw: scene.position_m(still) + lift + apart * np.array([np.cos(yaw), np.sin(yaw), 0]) for yaw in yaws
    }
    yaw, beside = min(
        sides.items(), key=lambda side: float(np.linalg.norm(side[1] - scene.position_m(moved)))
    )
    middle = (scene.position_m(still) + scene.position_m(moved)) / 2
    seat = middle + np.array([0.0, 0.0, scene.solid(still).top_m + scene.solid(variation).rest_m])
    return [
        Move(moved, beside, across_m=0.010, yaw_rad=yaw, turns=4, tight_m=0.004),
        Move(variation, seat, across_m=0.015, yaw_rad=yaw, turns=4),
    ]


def pyramid(name: str, what: str, solids: tuple[Solid, ...], held_out: bool = False) -> Arrangement:
    """One of three things upon the two others, which stand side by side."""
    return arrangement(
        name=name,
        family="pyramid",
        summary=f"stand two of {what} side by side and put the third upon both",
        variations=names(solids),
        things=solids,
        moves=pyramid_moves,
        noise_share=NOISE_SHARE,
        place=place_apart,
        horizon_s=20.0,
        held_out=held_out,
    )


def inverted_moves(scene: Scene, variation: str) -> list[Move]:
    """The plank onto the block that is meant, and the two others onto its ends."""
    one, other = (name for name in names([*scene.things.values()]) if name not in (variation, PLANK.name))
    yaw = wrap(scene.yaw_rad(PLANK.name), np.pi)
    along = rotation_z(yaw) @ np.array([1.0, 0.0, 0.0])
    base = Move(
        PLANK.name,
        seat_m(scene, PLANK.name, variation),
        0.010,
        yaw_rad=float(np.clip(wrap(scene.yaw_rad(variation), np.pi / 2), -PLANK_RAD, PLANK_RAD)),
        tight_m=0.004,
    )
    made = [base]
    for side, name in ((-1.0, one), (1.0, other)):
        shift = side * (scene.solid(name).grip.width_m + ON_PLANK_M) / 2
        seat = seat_m(scene, name, PLANK.name) + shift * along
        made.append(Move(name, seat, across_m=0.012, yaw_rad=yaw, tight_m=0.004))
    return made


def inverted_pyramid(name: str, what: str, blocks: tuple[Solid, ...], held_out: bool = False) -> Arrangement:
    """A plank upon one of three blocks, and the two others upon the plank."""
    return arrangement(
        name=name,
        family="inverted-pyramid",
        summary=f"put the plank on one of {what} and the two others upon it",
        variations=names(blocks),
        things=(*blocks, PLANK),
        moves=inverted_moves,
        place=place_wide,
        horizon_s=30.0,
        noise_share=NOISE_SHARE,
        held_out=held_out,
    )


STACK = stack("stack", "the block of one colour on the block of another", BLOCKS)
TOWER = tower("tower", "the blocks", BLOCKS)
PYRAMID = pyramid("pyramid", "the blocks", BLOCKS)
STACK_AND_LEAVE = stack(
    "stack-and-leave", "the block of one colour on the block of another", BLOCKS, leave=True
)
INVERTED_PYRAMID = inverted_pyramid("inverted-pyramid", "the blocks", BLOCKS)
