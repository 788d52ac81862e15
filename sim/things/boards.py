"""Boards with holes: shapes and pegs, and the sockets that they fit into."""

from dataclasses import replace

from sim.things.prisms import prism, socket
from sim.things.thing import Fixture, Rgba, Solid

BOARD: Rgba = (0.30, 0.45, 0.62, 1.0)
PITCH_M = 0.075  # between the middles of neighbouring holes: open jaws fit between their neighbours' contents
SHAPE_SLACK_M = 0.004
PEG_SLACK_M = 0.003

# Sides, aspect and colour of each shape; equal colours would leave only the outline to tell them by.
OUTLINES: dict[str, tuple[int, float, Rgba]] = {
    "square": (4, 1.0, (0.85, 0.10, 0.10, 1.0)),
    "hexagon": (6, 1.0, (0.10, 0.70, 0.15, 1.0)),
    "bar": (4, 1.5, (0.12, 0.22, 0.90, 1.0)),
}


def shapes() -> tuple[Solid, ...]:
    """One prism of each outline, not higher than wide by much."""
    return _prisms("shape", width_m=0.034, height_m=0.046, held_at_m=0.008)


def pegs() -> tuple[Solid, ...]:
    """One tall peg of each outline."""
    return _prisms("peg", width_m=0.026, height_m=0.065, held_at_m=0.014)


def _prisms(word: str, *, width_m: float, height_m: float, held_at_m: float) -> tuple[Solid, ...]:
    """Held so high above their middles that fingers stay above a board's walls."""
    made = (
        prism(name, word, rgba, sides=sides, aspect=aspect, width_m=width_m, height_m=height_m)
        for name, (sides, aspect, rgba) in OUTLINES.items()
    )
    return tuple(replace(solid, grip=replace(solid.grip, at_m=held_at_m)) for solid in made)


def board(name: str, solids: tuple[Solid, ...], height_m: float, slack_m: float) -> Fixture:
    """Sockets for some prisms in a row along y, in their order."""
    walls = []
    for i, solid in enumerate(solids):
        sides, aspect, _ = OUTLINES[solid.name]
        hole = socket(
            *(solid.name, BOARD),
            sides=sides,
            width_m=solid.grip.width_m,
            height_m=height_m,
            slack_m=slack_m,
            aspect=aspect,
        )
        y = (i - (len(solids) - 1) / 2) * PITCH_M
        walls += [replace(w, at_m=(w.at_m[0], w.at_m[1] + y, w.at_m[2])) for w in hole.shapes]
    return Fixture(name=name, word="board", shapes=tuple(walls), radius_m=len(solids) / 2 * PITCH_M)


SHAPES, PEGS = shapes(), pegs()
SHAPE_BOARD = board("board", SHAPES, 0.012, SHAPE_SLACK_M)
PEG_BOARD = board("board", PEGS, 0.030, PEG_SLACK_M)
