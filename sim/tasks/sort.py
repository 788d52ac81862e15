"""Sort: bring blocks to the discs of their colours."""

import numpy as np

from sim.scene import TABLE_CENTRE_M, Scene
from sim.tasks.moves import Arrangement, Move, arrangement
from sim.tasks.task import names, spread
from sim.things.blocks import BLOCKS, COLOURS, disc
from sim.things.thing import Rgba, Solid, Thing

TOLERANCE_M = 0.025
DISC_M = 0.03  # radius
ROW_X_M = TABLE_CENTRE_M[0] + 0.07  # of the discs; blocks lie before it
PITCH_M = 0.085


def goal_of(colour: str) -> str:
    """Name of the disc that a block of a colour belongs on."""
    return f"{colour}-disc"


def moves(scene: Scene, variation: str) -> list[Move]:
    """Each block that is meant onto its disc: "red", "red-and-blue" or "all"."""
    blocks = names([*scene.things.values()])
    meant = blocks if variation == "all" else variation.split("-and-")
    made: list[Move] = []
    for name in meant:
        seat = scene.position_m(goal_of(name)) + np.array([0.0, 0.0, scene.solid(name).rest_m])
        made.append(Move(name, seat, across_m=TOLERANCE_M))
    return made


def place_rows(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """Discs in a row in random order, blocks before them."""
    del variation
    blocks = names([*scene.things.values()])
    for slot, name in enumerate(rng.permutation(list(blocks))):
        y = (slot - (len(blocks) - 1) / 2) * PITCH_M
        at = np.array([ROW_X_M, y, 0.0]) + np.array([*rng.uniform(-0.01, 0.01, 2), 0.0])
        scene.place(goal_of(str(name)), at)
    while True:
        points = spread(rng, [scene.solid(name).radius_m for name in blocks])
        if np.all(points[:, 0] < ROW_X_M - DISC_M - 0.045):
            break
    for name, point in zip(blocks, points, strict=True):
        scene.place(name, np.array([*point, scene.solid(name).rest_m]), rng.uniform(-np.pi / 4, np.pi / 4))


def sort(
    name: str, what: str, blocks: tuple[Solid, ...], colours: dict[str, Rgba], held_out: bool = False
) -> Arrangement:
    """Sorting three blocks: each pair of them, or all."""
    discs: tuple[Thing, ...] = tuple(disc(goal_of(c), (*colours[c][:3], 1.0), DISC_M) for c in names(blocks))
    one, two, three = names(blocks)
    return arrangement(
        name=name,
        family="sort",
        summary=f"put {what} on the discs of their colours",
        variations=(f"{one}-and-{two}", f"{one}-and-{three}", f"{two}-and-{three}", "all"),
        things=(*blocks, *discs),
        moves=moves,
        place=place_rows,
        horizon_s=25.0,
        held_out=held_out,
    )


SORT = sort("sort", "two of the blocks or all", BLOCKS, COLOURS)
