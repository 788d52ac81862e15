"""Coloured cubes, and the painted disc that they are brought to."""

import math

from sim.things.thing import Fixture, Grip, Rgba, Shape, Solid

# Saturated, well separated hues: the goal image tells objects apart by colour alone.
COLOURS: dict[str, Rgba] = {
    "red": (0.85, 0.10, 0.10, 1.0),
    "green": (0.10, 0.70, 0.15, 1.0),
    "blue": (0.12, 0.22, 0.90, 1.0),
}
# Colours that no agent is trained on.
UNSEEN_COLOURS: dict[str, Rgba] = {
    "orange": (0.95, 0.50, 0.05, 1.0),
    "purple": (0.50, 0.15, 0.65, 1.0),
    "cyan": (0.10, 0.75, 0.80, 1.0),
}
SIDE_M = 0.04  # fits every gripper with room to spare (their jaws open 8 cm and more)
BEECH_KG_M3 = 940.0  # 720 of the wood, and its paint: a 4 cm cube has 60 g


def block(name: str, rgba: Rgba, side_m: float = SIDE_M) -> Solid:
    """A cube."""
    half = side_m / 2
    return Solid(
        name=name,
        word="block",
        shapes=(Shape("box", (half, half, half), rgba=rgba),),
        mass_kg=round(BEECH_KG_M3 * side_m**3, 4),
        rest_m=half,
        top_m=half,
        radius_m=half * math.sqrt(2.0),
        grip=Grip(side_m),
    )


def disc(name: str, rgba: Rgba, radius_m: float = 0.035) -> Fixture:
    """A painted disc: seen, never touched."""
    shape = Shape("cylinder", (radius_m, 0.001), at_m=(0.0, 0.0, 0.001), rgba=rgba, collides=False)
    return Fixture(name=name, word="disc", shapes=(shape,), radius_m=radius_m)


BLOCKS = tuple(block(name, rgba) for name, rgba in COLOURS.items())
TARGET = disc("target", (0.95, 0.95, 0.20, 1.0))
