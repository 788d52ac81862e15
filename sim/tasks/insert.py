"""Insert and remove: gears on shafts, shapes and pegs in the holes of a board."""

import numpy as np

from sim.poses import Array, rotation_z
from sim.scene import TABLE_CENTRE_M, Scene
from sim.tasks.moves import Arrangement, Move, arrangement
from sim.tasks.task import beside_m, keep_clear, names, scatter, spread
from sim.things.boards import OUTLINES, PEG_BOARD, PEGS, PITCH_M, SHAPE_BOARD, SHAPES
from sim.things.gears import GEARS, LOOSE_SHAFT, PLATE_M, SHAFT, SHAFT_HEIGHT_M
from sim.things.thing import Fixture, Solid, Thing

IN_M = 0.006  # how far from the hole's middle and its depth a thing that is in it may be
OFF_M = 0.09  # from the shaft, towards the middle of the table, to where a gear is put
OUT_M = 0.10  # before its hole, to where a thing is put that is taken out
BESIDE_M = 0.035  # how far from there a gear may lie
BEFORE_M = 0.04  # and a thing out of a board
NOISE_SHARE = 0.3  # strays by 2 mm a step, which the holes' slack bears
GAP_M = 0.03  # between what waits to be put in: pegs stand so high that wide fingers knock over a near one
BOARD_X_M = TABLE_CENTRE_M[0] + 0.075  # boards stand behind, things lie in front of them


def gear_moves(scene: Scene, variation: str) -> list[Move]:
    """The gear onto the shaft."""
    seat = scene.position_m(SHAFT.name) + np.array([0.0, 0.0, PLATE_M + scene.solid(variation).rest_m])
    return [Move(variation, seat, across_m=IN_M, up_m=IN_M, tight_m=0.002, drop_m=0.012)]


def gear_out_moves(scene: Scene, variation: str) -> list[Move]:
    """The gear off the shaft and beside it."""
    seat = beside_m(scene, SHAFT.name, OFF_M) + np.array([0.0, 0.0, scene.solid(variation).rest_m])
    return [Move(variation, seat, across_m=BESIDE_M, clear_m=SHAFT_HEIGHT_M + 0.03)]


def place_on_shaft(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """The shaft to one side with the gear that is meant on it, the others where they are not in the way."""
    side = rng.choice([-1.0, 1.0])
    shaft = np.asarray(TABLE_CENTRE_M) + np.array([0.03, 0.08 * side]) + rng.uniform(-0.02, 0.02, 2)
    scene.place(SHAFT.name, np.array([*shaft, 0.0]))
    on = scene.solid(variation)
    scene.place(variation, np.array([*shaft, PLATE_M + on.rest_m]), rng.uniform(-np.pi, np.pi))
    scene.forward()
    seat = beside_m(scene, SHAFT.name, OFF_M)[:2]
    keep_clear(scene, (SHAFT.name, variation), rng, [(shaft, on.radius_m), (seat, on.radius_m)])


def hole_m(scene: Scene, board: str, name: str) -> tuple[Array, float]:
    """Where a thing's middle is when it is in its hole of a board (3,) [m], and the hole's yaw [rad]."""
    index = list(OUTLINES).index(name)
    yaw = scene.yaw_rad(board)
    along = rotation_z(yaw) @ np.array([0.0, (index - (len(OUTLINES) - 1) / 2) * PITCH_M, 0.0])
    return scene.position_m(board) + along + np.array([0.0, 0.0, scene.solid(name).rest_m]), yaw


def hole_moves(scene: Scene, variation: str) -> list[Move]:
    """The thing into its hole."""
    seat, yaw = hole_m(scene, "board", variation)
    turns = scene.solid(variation).grip.turns
    return [Move(variation, seat, IN_M, IN_M, yaw_rad=yaw, turns=turns, tight_m=0.002, drop_m=0.015)]


def out_moves(scene: Scene, variation: str) -> list[Move]:
    """The thing out of its hole and onto the table before it."""
    seat, yaw = hole_m(scene, "board", variation)
    seat = seat - rotation_z(yaw) @ np.array([OUT_M, 0.0, 0.0])
    return [Move(variation, seat, across_m=BEFORE_M, yaw_rad=yaw, turns=scene.solid(variation).grip.turns)]


def _place_board(scene: Scene, rng: np.random.Generator) -> None:
    at = (BOARD_X_M + rng.uniform(-0.01, 0.01), TABLE_CENTRE_M[1] + rng.uniform(-0.03, 0.03), 0.0)
    scene.place("board", np.array(at), rng.uniform(-0.1, 0.1))
    scene.forward()


def place_before(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """The board behind, everything else before it."""
    del variation
    _place_board(scene, rng)
    solids = names([*scene.things.values()])
    radii = [scene.solid(name).radius_m for name in solids]
    while True:
        points = spread(rng, radii, GAP_M)
        if np.all(points[:, 0] < BOARD_X_M - 0.085):
            break
    for name, point in zip(solids, points, strict=True):
        scene.place(name, np.array([*point, scene.solid(name).rest_m]), rng.uniform(-np.pi / 4, np.pi / 4))


def place_in(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """The board behind, with everything in its hole."""
    del variation
    _place_board(scene, rng)
    for name in names([*scene.things.values()]):
        seat, yaw = hole_m(scene, "board", name)
        scene.place(name, seat, yaw)


def insert(
    name: str, what: str, board: Fixture, solids: tuple[Solid, ...], held_out: bool = False
) -> Arrangement:
    """Putting any of some things into its hole of a board."""
    return arrangement(
        name=name,
        family="insert",
        summary=f"put {what} into its hole and let go",
        variations=names(solids),
        things=(*solids, board),
        moves=hole_moves,
        noise_share=NOISE_SHARE,
        place=place_before,
        held_out=held_out,
    )


def remove(
    name: str, what: str, board: Fixture, solids: tuple[Solid, ...], held_out: bool = False
) -> Arrangement:
    """Taking any of some things out of its hole of a board."""
    return arrangement(
        name=name,
        family="remove",
        noise_share=NOISE_SHARE,
        summary=f"take {what} out of its hole and put it before the board",
        variations=names(solids),
        things=(*solids, board),
        moves=out_moves,
        place=place_in,
        held_out=held_out,
    )


def gear(
    name: str, shaft: Thing, gears: tuple[Solid, ...], off: bool = False, held_out: bool = False
) -> Arrangement:
    """Putting any of some gears on a shaft, or taking it off."""
    loose = " that is not fixed" if isinstance(shaft, Solid) else ""
    done = (
        f"take the gear of one size off the shaft{loose}"
        if off
        else f"put the gear of one size on the shaft{loose}"
    )
    return arrangement(
        name=name,
        family="remove" if off else "insert",
        summary=f"{done} and let go",
        variations=names(gears),
        things=(*gears, shaft),
        moves=gear_out_moves if off else gear_moves,
        noise_share=1.0 if off else NOISE_SHARE,
        place=place_on_shaft if off else scatter,
        held_out=held_out,
    )


INSERT_GEAR = gear("insert-gear", SHAFT, GEARS)
INSERT_GEAR_LOOSE = gear("insert-gear-loose", LOOSE_SHAFT, GEARS)
REMOVE_GEAR = gear("remove-gear", SHAFT, GEARS, off=True)
REMOVE_GEAR_LOOSE = gear("remove-gear-loose", LOOSE_SHAFT, GEARS, off=True)
INSERT_SHAPE = insert("insert-shape", "the shape of one outline", SHAPE_BOARD, SHAPES)
REMOVE_SHAPE = remove("remove-shape", "the shape of one outline", SHAPE_BOARD, SHAPES)
INSERT_PEG = insert("insert-peg", "the peg of one outline", PEG_BOARD, PEGS)
REMOVE_PEG = remove("remove-peg", "the peg of one outline", PEG_BOARD, PEGS)
