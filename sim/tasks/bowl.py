"""Bowl: put a fruit into the bowl, or take it out."""

import numpy as np

from sim.scene import TABLE_CENTRE_M, Scene
from sim.tasks.moves import Arrangement, Move, arrangement
from sim.tasks.task import beside_m, keep_clear, names, scatter
from sim.things.fruit import BOWL, FRUIT
from sim.things.thing import Solid

FLOOR_M = 0.004
INSIDE_M = 0.035  # from the bowl's middle: what lies within the wall
OUT_M = 0.115  # from the bowl's middle, towards the middle of the table, to where a fruit is put


def in_moves(scene: Scene, variation: str) -> list[Move]:
    """The fruit into the bowl, dropped from where fingers stay above the wall."""
    seat = scene.position_m(BOWL.name) + np.array([0.0, 0.0, FLOOR_M + scene.solid(variation).rest_m])
    return [Move(variation, seat, across_m=INSIDE_M, up_m=0.02, drop_m=0.03)]


def out_moves(scene: Scene, variation: str) -> list[Move]:
    """The fruit beside the bowl."""
    seat = beside_m(scene, BOWL.name, OUT_M) + np.array([0.0, 0.0, scene.solid(variation).rest_m])
    return [Move(variation, seat, across_m=0.035, up_m=0.01)]


def place_in(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """The bowl with the fruit that is meant at one side, the others where they are not in the way."""
    side = rng.choice([-1.0, 1.0])
    bowl = np.asarray(TABLE_CENTRE_M) + np.array([0.04, 0.08 * side]) + rng.uniform(-0.015, 0.015, 2)
    scene.place(BOWL.name, np.array([*bowl, 0.0]))
    inside = scene.solid(variation)
    scene.place(variation, np.array([*bowl, FLOOR_M + inside.rest_m]), rng.uniform(-np.pi / 4, np.pi / 4))
    scene.forward()
    seat = out_moves(scene, variation)[0].seat_m[:2]
    keep_clear(scene, (variation,), rng, [(bowl, BOWL.radius_m), (seat, inside.radius_m)])


def into_bowl(name: str, what: str, fruit: tuple[Solid, ...], held_out: bool = False) -> Arrangement:
    """Putting any of some fruit into the bowl."""
    return arrangement(
        name=name,
        family="insert",
        summary=f"put {what} into the bowl",
        variations=names(fruit),
        things=(*fruit, BOWL),
        moves=in_moves,
        place=scatter,
        held_out=held_out,
    )


def out_of_bowl(name: str, what: str, fruit: tuple[Solid, ...], held_out: bool = False) -> Arrangement:
    """Taking any of some fruit out of the bowl."""
    return arrangement(
        name=name,
        family="remove",
        summary=f"take {what} out of the bowl and put it on the table",
        variations=names(fruit),
        things=(*fruit, BOWL),
        moves=out_moves,
        place=place_in,
        held_out=held_out,
    )


BOWLED = FRUIT[:1] + FRUIT[2:]  # a banana is as long as the bowl is wide
INTO_BOWL = into_bowl("fruit-into-bowl", "one of the fruit", BOWLED)
OUT_OF_BOWL = out_of_bowl("fruit-out-of-bowl", "one of the fruit", BOWLED)
