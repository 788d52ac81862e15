"""What lies on the table, as data: rigid things made of a few shapes, and how they become a MuJoCo model."""

import math
from dataclasses import dataclass, replace

import mujoco

Rgba = tuple[float, float, float, float]
Point = tuple[float, float, float]

# What shapes are made of: MuJoCo's primitives, and convex meshes given by their corners.
KINDS = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "mesh": mujoco.mjtGeom.mjGEOM_MESH,
}
# Sliding only: a face touches at four points, which resist turning as torsional friction would. The pads' own
# friction overrides it in a grasp.
FRICTION = (1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Shape:
    """One convex part of a thing, in the thing's frame.

    Attributes:
        kind: A key of `KINDS`.
        size_m: Half sizes as MuJoCo has them for the kind [m]; empty for a mesh.
        at_m: Its centre [m].
        turn: Quaternion (w, x, y, z).
        rgba: Colour.
        corners_m: Corners of a mesh [m], whose hull it is.
        collides: Whether it touches anything, or is only seen.
    """

    kind: str
    size_m: tuple[float, ...] = ()
    at_m: Point = (0.0, 0.0, 0.0)
    turn: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    rgba: Rgba = (0.5, 0.5, 0.5, 1.0)
    corners_m: tuple[Point, ...] = ()
    collides: bool = True

    def add_to(self, spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, **more: object) -> None:
        """Adds a geom of this name to a body."""
        options: dict[str, object] = {"friction": FRICTION, **more}
        if self.kind == "mesh":
            spec.add_mesh(name=name, uservert=[number for corner in self.corners_m for number in corner])
            options["meshname"] = name
        else:
            options["size"] = (*self.size_m, 0.0, 0.0)[:3]
        if not self.collides:
            options |= {"contype": 0, "conaffinity": 0, "group": 1}
        body.add_geom(
            name=name, type=KINDS[self.kind], pos=self.at_m, quat=self.turn, rgba=self.rgba, **options
        )


@dataclass(frozen=True)
class Grip:
    """Where jaws hold a thing: on two faces along its y axis, about a point on its z axis.

    Attributes:
        width_m: Between the faces [m].
        turns: How many times a turn about z such faces recur: 4 for a cube, 2 for a bar, 0 if it is round.
        at_m: Height of the point above the thing's origin [m].
    """

    width_m: float
    turns: int = 4
    at_m: float = 0.0


@dataclass(frozen=True)
class Solid:
    """A rigid thing that is free to move. Its frame: origin in its middle, z up as it stands.

    Attributes:
        name: Name of the body; what variations and goals speak of.
        word: What it is, for lists: "block".
        shapes: What it is made of.
        mass_kg: Mass, spread evenly over the volume of the shapes that collide [kg].
        rest_m: Height of the origin above what it stands on [m].
        top_m: Height of its top above the origin [m].
        radius_m: Of the circle that it covers, seen from above [m].
        grip: Where jaws hold it.
        rolling: Friction against rolling and turning, for what is round [m]; 0 for what has faces.
    """

    name: str
    word: str
    shapes: tuple[Shape, ...]
    mass_kg: float
    rest_m: float
    top_m: float
    radius_m: float
    grip: Grip
    rolling: float = 0.0

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Adds a free body of this name, with geoms "<name>", "<name>.1" and so on."""
        body = spec.worldbody.add_body(name=self.name, pos=(0.5, 0.0, self.rest_m))
        body.add_freejoint(name=self.name)
        for name, shape, mass in zip(
            self.geoms, self.shapes, _masses_kg(self.shapes, self.mass_kg), strict=True
        ):
            more: dict[str, object] = {"mass": mass}
            if self.rolling:
                more |= {"friction": (FRICTION[0], self.rolling, self.rolling), "condim": 6}
            shape.add_to(spec, body, name, **more)

    @property
    def geoms(self) -> tuple[str, ...]:
        """Names of its geoms."""
        return geom_names(self.name, len(self.shapes))


@dataclass(frozen=True)
class Slide:
    """The part of a fixture that moves along a line: a drawer, a button.

    Attributes:
        shapes: What it is made of, in the fixture's frame, all the way in.
        along: Unit vector along which it moves.
        range_m: How far it moves [m], from 0.
        mass_kg: Mass [kg].
        damping: [N s/m].
        stiffness: Of a spring that draws it to `rest_m` [N/m].
        rest_m: Where the spring has no tension [m].
        friction_n: Dry friction [N].
    """

    shapes: tuple[Shape, ...]
    along: Point
    range_m: float
    mass_kg: float
    damping: float
    stiffness: float = 0.0
    rest_m: float = 0.0
    friction_n: float = 0.0


@dataclass(frozen=True)
class Fixture:
    """What a task puts somewhere and nothing moves from there (a mocap body): a disc, a box.

    Its frame: origin on the table, z up.

    Attributes:
        name: Name of the body.
        word: What it is, for lists: "disc".
        shapes: What it is made of.
        radius_m: Of the circle that it covers, seen from above [m].
        slide: A part that moves.
    """

    name: str
    word: str
    shapes: tuple[Shape, ...]
    radius_m: float
    slide: Slide | None = None

    def add_to(self, spec: mujoco.MjSpec) -> None:
        """Adds a mocap body of this name; a part that moves is a body and a joint "<name>.slide"."""
        body = spec.worldbody.add_body(name=self.name, mocap=True, pos=(0.5, 0.0, 0.0))
        for name, shape in zip(self.geoms, self.shapes, strict=True):
            shape.add_to(spec, body, name)
        if self.slide is None:
            return
        name = f"{self.name}.slide"
        part = body.add_body(name=name)
        part.add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=self.slide.along,
            range=(0.0, self.slide.range_m),
            damping=self.slide.damping,
            stiffness=self.slide.stiffness,
            springref=self.slide.rest_m,
            frictionloss=self.slide.friction_n,
        )
        shapes = self.slide.shapes
        masses = _masses_kg(shapes, self.slide.mass_kg)
        for geom, shape, mass in zip(geom_names(name, len(shapes)), shapes, masses, strict=True):
            shape.add_to(spec, part, geom, mass=mass)

    @property
    def geoms(self) -> tuple[str, ...]:
        """Names of its geoms, without those of the part that moves."""
        return geom_names(self.name, len(self.shapes))


Thing = Solid | Fixture


def geom_names(name: str, count: int) -> tuple[str, ...]:
    """Names of the geoms of a body: its own, then numbered."""
    return (name, *(f"{name}.{i}" for i in range(1, count)))


def painted(thing: Solid, name: str, rgba: Rgba) -> Solid:
    """The same thing under another name and in another colour."""
    return replace(thing, name=name, shapes=tuple(replace(shape, rgba=rgba) for shape in thing.shapes))


def _masses_kg(shapes: tuple[Shape, ...], mass_kg: float) -> list[float]:
    """A mass spread over some shapes [kg]: by volume, and none on what is only seen: it would tip a fruit."""
    volumes = [_volume_m3(shape) if shape.collides else 0.0 for shape in shapes]
    return [mass_kg * volume / sum(volumes) for volume in volumes]


def _volume_m3(shape: Shape) -> float:
    """Of a shape [m^3]; meshes by the box around them: only proportions within one thing matter."""
    if shape.kind == "mesh":
        spans = [max(axis) - min(axis) for axis in zip(*shape.corners_m, strict=True)]
        return math.prod(spans)
    x, y, z = (*shape.size_m, 0.0, 0.0)[:3]
    return {
        "box": 8.0 * x * y * z,
        "cylinder": 2.0 * math.pi * x * x * y,
        "capsule": math.pi * x * x * (2.0 * y + 4.0 / 3.0 * x),
        "ellipsoid": 4.0 / 3.0 * math.pi * x * y * z,
    }[shape.kind]
