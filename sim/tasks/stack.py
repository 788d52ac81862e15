"""Stack: put one thing on another and let go; a tower of three; two things side by side and one upon both."""

from itertools import permutations

import numpy as np

from sim.poses import Array, wrap
from sim.scene import Scene
from sim.tasks.moves import Arrangement, Move, arrangement
from sim.tasks.task import names
from sim.things.blocks import BLOCKS
from sim.things.thing import Solid

BESIDE_M = 0.004  # between two blocks that stand side by side


def order(variation: str) -> list[str]:
    """Names of the things of "<top>-on-<next>-on-...", from the lowest up."""
    return variation.split("-on-")[::-1]


def seat_m(scene: Scene, upper: str, lower: str) -> Array:
    """Where a thing's middle is when it stands on another as that lies now (3,) [m]."""
    rise = scene.solid(lower).top_m + scene.solid(upper).rest_m
    return scene.position_m(lower) + np.array([0.0, 0.0, rise])


def on(scene: Scene, upper: str, lower: str) -> Move:
    """One thing onto another."""
    return Move(upper, seat_m(scene, upper, lower), yaw_rad=scene.yaw_rad(lower), turns=turns(scene, upper, lower))


def turns(scene: Scene, *things: str) -> int:
    """At how many yaws a turn all of some things look alike."""
    counts = [scene.solid(name).grip.turns for name in things]
    return int(np.gcd.reduce(counts))


def moves(scene: Scene, variation: str) -> list[Move]:
    """Each thing onto the one below it."""
    things = order(variation)
    return [on(scene, upper, lower) for lower, upper in zip(things, things[1:], strict=False)]


def stack(name: str, what: str, solids: tuple[Solid, ...], held_out: bool = False) -> Arrangement:
    """Stacking any of some things on any other; `what` names the two in words."""
    return arrangement(
        name=name,
        family="stack",
        summary=f"put {what} and let go",
        variations=tuple("-on-".join(each) for each in permutations(names(solids), 2)),
        things=solids,
        moves=moves,
        held_out=held_out,
    )


def tower(name: str, what: str, solids: tuple[Solid, ...], held_out: bool = False) -> Arrangement:
    """Three of some things upon each other in any order; `what` names them in words."""
    return arrangement(
        name=name,
        family="tower",
        summary=f"build a tower of three from {what}",
        variations=tuple("-on-".join(each) for each in permutations(names(solids), 3)),
        things=solids,
        moves=moves,
        horizon_s=20.0,
        held_out=held_out,
    )


def pyramid_moves(scene: Scene, variation: str) -> list[Move]:
    """The second of the other things beside the first, and the top one upon both."""
    one, other = (name for name in names([*scene.things.values()]) if name != variation)
    # Behind each other as seen along the jaws, which then have room; the farther one is moved, so that nothing
    # has to be crossed.
    still, moved = sorted((one, other), key=lambda name: scene.position_m(name)[0])
    apart = scene.solid(still).grip.width_m / 2 + scene.solid(moved).grip.width_m / 2 + BESIDE_M
    yaw = wrap(scene.yaw_rad(still), np.pi / 2)
    side = apart * np.array([np.cos(yaw), np.sin(yaw), 0.0])
    lift = np.array([0.0, 0.0, scene.solid(moved).rest_m - scene.solid(still).rest_m])
    beside = scene.position_m(still) + side + lift
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
        horizon_s=20.0,
        held_out=held_out,
    )


STACK = stack("stack", "the block of one colour on the block of another", BLOCKS)
TOWER = tower("tower", "the blocks", BLOCKS)
PYRAMID = pyramid("pyramid", "the blocks", BLOCKS)
