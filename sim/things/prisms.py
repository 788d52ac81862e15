"""Things with flat faces: prisms, slanted and tapered ones, and the sockets that some fit into."""

import math

from sim.things.thing import Fixture, Grip, Point, Rgba, Shape, Solid

WOOD_KG_M3 = 700.0


def prism(
    name: str,
    word: str,
    rgba: Rgba,
    *,
    sides: int = 4,
    width_m: float = 0.04,
    height_m: float = 0.04,
    aspect: float = 1.0,
    taper: float = 1.0,
    shear: float = 0.0,
    density_kg_m3: float = WOOD_KG_M3,
) -> Solid:
    """A prism that stands on its base; faces on both sides of its y axis are `width_m` apart.

    Args:
        name: Name of the body.
        word: What it is, for lists.
        rgba: Colour.
        sides: Of the base, even, so that each face has an opposite one.
        width_m: Between opposite faces at half height [m].
        height_m: Height [m].
        aspect: How many times longer it is along x than along y.
        taper: Size of the top by that of the base.
        shear: How far the top is displaced along x, by height.
        density_kg_m3: What it weighs [kg/m^3].

    Raises:
        ValueError: An odd or too small number of sides, or a taper that is none.
    """
    if sides < 4 or sides % 2:
        raise ValueError(f"{name!r}: sides: got {sides}, expected 4, 6, 8 or another even number")
    if taper <= 0.0:
        raise ValueError(f"{name!r}: taper: got {taper}, expected above 0")
    base, top = 2.0 / (1.0 + taper), 2.0 * taper / (1.0 + taper)  # half height has the width asked for
    ring = polygon(sides, width_m / 2)
    corners = [
        (aspect * x * size + shear * z, y * size, z)
        for z, size in ((-height_m / 2, base), (height_m / 2, top))
        for x, y in ring
    ]
    area = sides * (width_m / 2) ** 2 * math.tan(math.pi / sides) * aspect
    return Solid(
        name=name,
        word=word,
        shapes=(Shape("mesh", corners_m=tuple(corners), rgba=rgba),),
        mass_kg=round(density_kg_m3 * area * height_m, 4),
        rest_m=height_m / 2,
        top_m=height_m / 2,
        radius_m=max(math.hypot(x, y) for x, y, _ in corners),
        grip=Grip(width_m, turns=sides if (aspect, shear) == (1.0, 0.0) else 2),
    )


def socket(
    name: str, rgba: Rgba, *, sides: int, width_m: float, height_m: float, slack_m: float, aspect: float = 1.0
) -> Fixture:
    """Walls around a hole into which a prism of equal sides, width and aspect fits.

    Args:
        name: Name of the body.
        rgba: Colour.
        sides: Of the hole.
        width_m: Of the prism [m].
        height_m: Of the walls [m].
        slack_m: Between the prism and each wall [m].
        aspect: Of the prism.
    """
    thick = 0.005
    ring = [(aspect * x, y) for x, y in polygon(sides, width_m / 2)]
    walls: list[Shape] = []
    for (x0, y0), (x1, y1) in zip(ring, [*ring[1:], ring[0]], strict=True):
        angle = math.atan2(y1 - y0, x1 - x0)
        out = slack_m + thick
        middle: Point = (
            (x0 + x1) / 2 + out * math.sin(angle),
            (y0 + y1) / 2 - out * math.cos(angle),
            height_m / 2,
        )
        half = math.hypot(x1 - x0, y1 - y0) / 2 + slack_m + thick
        turn = (math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2))
        walls.append(Shape("box", (half, thick, height_m / 2), middle, turn, rgba))
    reach = max(math.hypot(x, y) for x, y in ring) + slack_m + 2 * thick
    return Fixture(name=name, word="socket", shapes=tuple(walls), radius_m=reach)


def polygon(sides: int, apothem_m: float) -> list[tuple[float, float]]:
    """Corners of a regular polygon, counter-clockwise, with faces across the y axis [m]."""
    radius = apothem_m / math.cos(math.pi / sides)
    start = math.pi / 2 - math.pi / sides
    return [
        (
            radius * math.cos(start + 2 * math.pi * i / sides),
            radius * math.sin(start + 2 * math.pi * i / sides),
        )
        for i in range(sides)
    ]
