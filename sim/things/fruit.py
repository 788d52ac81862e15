"""Fruit of rounded shapes, in the sizes of small ones that jaws of 8 cm hold, and a bowl.

After the fruit of the YCB objects (Calli et al. 2015), whose scans are not copied.
"""

import math

from sim.things.thing import Fixture, Grip, Rgba, Shape, Solid

# Friction against rolling: real fruit is not so round, and what lies still stays where it is.
ROLLING_M = 0.005
STEM: Rgba = (0.35, 0.22, 0.10, 1.0)
LEAF: Rgba = (0.15, 0.50, 0.15, 1.0)


def _round(name: str, half_m: tuple[float, float, float], mass_kg: float, rgba: Rgba, *more: Shape) -> Solid:
    """An ellipsoid that lies on its shortest axis, z, with trimmings that are only seen; y is the next."""
    x, y, z = half_m
    return Solid(
        name=name,
        word="fruit",
        shapes=(Shape("ellipsoid", half_m, rgba=rgba), *more),
        mass_kg=mass_kg,
        rest_m=z,
        top_m=z,
        radius_m=max(x, y),
        grip=Grip(2 * y, turns=0 if x == y else 2),
        rolling=ROLLING_M,
    )


def _stem(at_z_m: float) -> Shape:
    return Shape("cylinder", (0.0018, 0.006), (0.0, 0.0, at_z_m), rgba=STEM, collides=False)


def _banana() -> Solid:
    """Three capsules along an arc that lies on the table."""
    yellow: Rgba = (0.96, 0.85, 0.18, 1.0)
    parts: list[Shape] = []
    for side in (-1.0, 0.0, 1.0):
        angle = -0.45 * side
        # A capsule's axis is z: turned a quarter about y, then by its place on the arc about z.
        quarter, half = math.sqrt(0.5), angle / 2
        turn = (
            quarter * math.cos(half),
            -quarter * math.sin(half),
            quarter * math.cos(half),
            quarter * math.sin(half),
        )
        parts.append(Shape("capsule", (0.015, 0.013), (0.027 * side, -0.006 * abs(side), 0.0), turn, yellow))
    return Solid(
        name="banana",
        word="fruit",
        shapes=tuple(parts),
        mass_kg=0.06,
        rest_m=0.015,
        top_m=0.015,
        radius_m=0.052,
        grip=Grip(0.030, turns=2),
        rolling=ROLLING_M,
    )


APPLE = _round("apple", (0.028, 0.028, 0.026), 0.07, (0.80, 0.08, 0.10, 1.0), _stem(0.029))
PEAR = _round(
    *("pear", (0.027, 0.027, 0.025), 0.07, (0.62, 0.75, 0.20, 1.0)),
    Shape(
        "ellipsoid", (0.016, 0.016, 0.020), (0.0, 0.0, 0.022), rgba=(0.62, 0.75, 0.20, 1.0), collides=False
    ),
    _stem(0.045),
)
LEMON = _round(
    *("lemon", (0.032, 0.024, 0.022), 0.06, (0.97, 0.90, 0.15, 1.0)),
    Shape(
        "ellipsoid", (0.007, 0.006, 0.006), (0.032, 0.0, 0.0), rgba=(0.85, 0.80, 0.15, 1.0), collides=False
    ),
)
ORANGE = _round("orange", (0.027, 0.027, 0.026), 0.07, (0.98, 0.52, 0.05, 1.0))
PLUM = _round("plum", (0.024, 0.022, 0.021), 0.05, (0.35, 0.10, 0.38, 1.0), _stem(0.024))
STRAWBERRY = _round(
    *("strawberry", (0.022, 0.020, 0.019), 0.03, (0.90, 0.15, 0.20, 1.0)),
    Shape("ellipsoid", (0.015, 0.015, 0.004), (0.0, 0.0, 0.017), rgba=LEAF, collides=False),
)
BANANA = _banana()


def bowl(name: str, rgba: Rgba, radius_m: float = 0.062, height_m: float = 0.030, sides: int = 12) -> Fixture:
    """A round bowl: a floor and a wall that leans outwards, of flat pieces."""
    lean = 0.45  # from upright [rad]
    thick = 0.0025
    pieces = [Shape("cylinder", (0.7 * radius_m, 0.002), (0.0, 0.0, 0.002), rgba=rgba)]
    half = radius_m * math.tan(math.pi / sides) + 0.001
    for i in range(sides):
        angle = 2 * math.pi * i / sides
        middle = radius_m - 0.5 * height_m * math.tan(lean)
        # About its own long axis by the lean, then round the bowl.
        a, b = lean / 2, angle / 2
        turn = (
            math.cos(a) * math.cos(b),
            -math.sin(a) * math.sin(b),
            math.sin(a) * math.cos(b),
            math.cos(a) * math.sin(b),
        )
        at = (middle * math.cos(angle), middle * math.sin(angle), height_m / 2)
        pieces.append(Shape("box", (thick, half, height_m / 2 / math.cos(lean)), at, turn, rgba))
    return Fixture(name=name, word="bowl", shapes=tuple(pieces), radius_m=radius_m + 0.004)


FRUIT = (APPLE, BANANA, LEMON, PEAR)
UNSEEN_FRUIT = (ORANGE, PLUM, STRAWBERRY)
BOWL = bowl("bowl", (0.88, 0.88, 0.90, 1.0))
