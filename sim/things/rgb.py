"""Things after the RGB-stacking benchmark (Lee et al. 2021): one cube, deformed along four axes.

The benchmark's meshes are not copied: these are prisms of our own, of the same idea and named likewise. A
name is an axis and how far along it the deformation goes, 1 to 8; s0 is the cube itself. As there, the
degrees of the five test triplets (2, 3, 5 and 6) are not trained on.
"""

from sim.things.blocks import COLOURS
from sim.things.prisms import prism
from sim.things.thing import Solid

SIDE_M = 0.042
HEIGHT_M = 0.04
FULL = 8  # degrees of an axis
# Red, green and blue of the benchmark's test triplets, as in its code.
TEST_TRIPLETS: tuple[tuple[str, str, str], ...] = (
    ("r3", "s0", "b2"),
    ("r5", "g2", "b3"),
    ("r6", "g3", "b5"),
    ("s0", "g5", "b6"),
    ("r2", "g6", "s0"),
)
TRAIN_TRIPLETS: tuple[tuple[str, str, str], ...] = (
    ("r1", "g1", "b1"),
    ("r4", "g4", "b4"),
    ("r7", "g7", "b7"),
    ("r8", "g8", "b8"),
    ("r4", "t1", "b7"),
    ("t4", "g7", "b1"),
    ("r1", "g8", "t7"),
    ("t8", "g1", "b4"),
)


def rgb(colour: str, kind: str) -> Solid:
    """One of the things in a colour, such as a red "r3".

    Axes: r (rectangle) stretches the base to twice its length; g (polygon) gives it up to 20 sides; b
    (parallelogram) slants it by up to 24 degrees, at which it still bears another; t (trapezoid) narrows the
    top to 60 %.

    Raises:
        ValueError: An axis or degree that there is not.
    """
    axis, degree = kind[:1], int(kind[1:]) if kind[1:].isdigit() else -1
    if axis not in {*"rgbt"} | {"s"} or not (degree == 0 if axis == "s" else 1 <= degree <= FULL):
        raise ValueError(f"RGB-object {kind!r}: expected s0, or r, g, b or t with a degree of 1 to {FULL}")
    share = degree / FULL
    made = {
        "s": {},
        "r": {"aspect": 1.0 + share},
        "g": {"sides": 4 + 2 * degree},
        "b": {"shear": 0.45 * share},
        "t": {"taper": 1.0 - 0.4 * share},
    }[axis]
    return prism(colour, kind, COLOURS[colour], width_m=SIDE_M, height_m=HEIGHT_M, **made)  # type: ignore[arg-type]


def triplet(kinds: tuple[str, str, str]) -> tuple[Solid, ...]:
    """A red, a green and a blue thing."""
    return tuple(rgb(colour, kind) for colour, kind in zip(COLOURS, kinds, strict=True))
