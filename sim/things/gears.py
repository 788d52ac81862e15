"""Gears with a bore, in three sizes, and the base with shafts that they go on.

After the gears of NIST's assembly task boards: sizes are for jaws that open 8 cm; bore and shaft leave more
room than the real ones do (there a tenth of a millimetre), for pictures of 64 px cannot show less.
"""

import math

from sim.things.thing import Fixture, Grip, Point, Rgba, Shape, Solid

STEEL: Rgba = (0.55, 0.57, 0.60, 1.0)
COLOURS: dict[str, Rgba] = {
    "small": (0.92, 0.78, 0.15, 1.0),
    "medium": (0.15, 0.45, 0.80, 1.0),
    "large": (0.80, 0.20, 0.45, 1.0),
}
RADII_M = {"small": 0.020, "medium": 0.026, "large": 0.032}  # to the tips of the teeth
THICK_M = 0.022
BORE_M = 0.0085  # radius of the hole
SHAFT_M = 0.005  # radius of the shaft
SHAFT_HEIGHT_M = 0.045
PLATE_M = 0.004  # thickness of the shaft's plate
PLATE_RADIUS_M = 0.030
SEGMENTS = 10  # convex pieces that make up the ring
TEETH = {"small": 10, "medium": 12, "large": 16}
PLASTIC_KG_M3 = 1200.0


def gear(name: str, radius_m: float, teeth: int, rgba: Rgba) -> Solid:
    """A ring of convex pieces with teeth around it, lying flat."""
    rim = radius_m - 0.003
    ring = [_segment(i, BORE_M, rim, THICK_M, rgba) for i in range(SEGMENTS)]
    dark = (0.75 * rgba[0], 0.75 * rgba[1], 0.75 * rgba[2], 1.0)
    cogs = [_cog(2 * math.pi * i / teeth, rim, radius_m, dark) for i in range(teeth)]
    mass = PLASTIC_KG_M3 * math.pi * (rim**2 - BORE_M**2) * THICK_M
    return Solid(
        name=name,
        word="gear",
        shapes=(*ring, *cogs),
        mass_kg=round(mass, 4),
        rest_m=THICK_M / 2,
        top_m=THICK_M / 2,
        radius_m=radius_m,
        grip=Grip(2 * rim, turns=0, at_m=0.004),
    )


def _shaft(plate: Rgba) -> tuple[Shape, ...]:
    """A plate with an upright shaft whose tip is rounded, so that a bore finds its way; from the table up."""
    half = SHAFT_HEIGHT_M / 2
    return (
        Shape("cylinder", (PLATE_RADIUS_M, PLATE_M / 2), (0.0, 0.0, PLATE_M / 2), rgba=plate),
        Shape("capsule", (SHAFT_M, half - SHAFT_M), (0.0, 0.0, half), rgba=STEEL),
    )


def _segment(index: int, inner_m: float, outer_m: float, thick_m: float, rgba: Rgba) -> Shape:
    """One convex piece of a ring."""
    half = math.pi / SEGMENTS
    middle = 2 * half * index
    # Faces of the hole are flat: their middles stand at the radius asked for.
    corners: list[Point] = []
    for z in (-thick_m / 2, thick_m / 2):
        for radius in (inner_m / math.cos(half), outer_m):
            for angle in (middle - half, middle + half):
                corners.append((radius * math.cos(angle), radius * math.sin(angle), z))
    return Shape("mesh", corners_m=tuple(corners), rgba=rgba)


def _cog(angle_rad: float, inner_m: float, outer_m: float, rgba: Rgba) -> Shape:
    """One tooth, seen only: jaws close on the smooth rim under it."""
    middle = (inner_m + outer_m) / 2
    at = (middle * math.cos(angle_rad), middle * math.sin(angle_rad), 0.0)
    turn = (math.cos(angle_rad / 2), 0.0, 0.0, math.sin(angle_rad / 2))
    size = ((outer_m - inner_m) / 2 + 0.001, 0.0022, THICK_M / 2)
    return Shape("box", size, at, turn, rgba, collides=False)


GEARS = tuple(gear(size, RADII_M[size], TEETH[size], COLOURS[size]) for size in RADII_M)
SHAFT = Fixture("shaft", "shaft", _shaft((0.25, 0.26, 0.28, 1.0)), PLATE_RADIUS_M)
# The same on a heavy plate that is not fixed to the table.
LOOSE_SHAFT = Solid(
    name="shaft",
    word="loose shaft",
    shapes=_shaft((0.45, 0.38, 0.28, 1.0)),
    mass_kg=0.4,
    rest_m=0.0,
    top_m=SHAFT_HEIGHT_M,
    radius_m=PLATE_RADIUS_M,
    grip=Grip(2 * SHAFT_M, turns=0, at_m=0.03),
)
