"""Things that lie on the table, as data, and how each becomes part of a MuJoCo model."""

from dataclasses import dataclass

import mujoco

Rgba = tuple[float, float, float, float]

# Saturated, well separated hues: the goal image tells objects apart by colour alone.
COLOURS: dict[str, Rgba] = {
    "red": (0.85, 0.10, 0.10, 1.0),
    "green": (0.10, 0.70, 0.15, 1.0),
    "blue": (0.12, 0.22, 0.90, 1.0),
}


@dataclass(frozen=True)
class Block:
    """A free cube.

    Attributes:
        name: Colour and name, a key of `COLOURS`.
        side_m: Edge length [m]. 4 cm fits every gripper with room to spare (their jaws open 8 cm and more).
        mass_kg: Mass [kg]; a beech cube of that size (0.72 g/cm^3) has 46 g, with its paint about 60 g.
    """

    name: str
    side_m: float = 0.04
    mass_kg: float = 0.06

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Adds a free body of this name with one geom of this name."""
        body = spec.worldbody.add_body(name=self.name, pos=(0.5, 0.0, self.side_m / 2))
        body.add_freejoint(name=self.name)
        body.add_geom(
            name=self.name,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=(self.side_m / 2,) * 3,
            mass=self.mass_kg,
            rgba=COLOURS[self.name],
            # Sliding only: a face touches at four points, which resist turning as torsional friction would.
            # The pads' own friction overrides it in a grasp.
            friction=(1.0, 0.0, 0.0),
        )


@dataclass(frozen=True)
class Disc:
    """A painted target on the table: seen, never touched; tasks move it as a mocap body.

    Attributes:
        name: Name of the body.
        radius_m: Radius [m].
        rgba: Colour.
    """

    name: str = "target"
    radius_m: float = 0.035
    rgba: Rgba = (0.95, 0.95, 0.20, 1.0)

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Adds a mocap body of this name with one visual geom."""
        body = spec.worldbody.add_body(name=self.name, mocap=True, pos=(0.5, 0.0, 0.001))
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            size=(self.radius_m, 0.001, 0.0),
            rgba=self.rgba,
            contype=0,
            conaffinity=0,
            group=1,
        )


Thing = Block | Disc
BLOCKS = tuple(Block(name) for name in COLOURS)
TARGET = Disc()
