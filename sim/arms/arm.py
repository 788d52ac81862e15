"""What an arm is: its model file, joints, limits, home, gripper and action scale.

Frames: in the world x is forward, y left and z up, the table top at z = 0. The arm's base stands at its
`base_m`, which is the world's origin unless an arm says otherwise; a model file holds the arm as if it stood
there. The tool frame lies between the fingertips: z points out of the gripper (down when it grasps from
above), x is the direction in which the fingers close, y completes the right-handed frame.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import mujoco

from sim.arms.meshes import hang

ASSETS = Path(__file__).parent.parent / "assets"

CARTESIAN_DOFS = (4, 6)
# An agent has a place for each of so many, see `robocat.vocabulary`.
MOST_JOINTS = 8
MOST_FINGERS = 8
PARTNER = "second_"  # stands before every name of a second arm

POSE_ATTRIBUTES = ("pos", "quat", "axisangle", "xyaxes", "zaxis", "euler")
STAND_RGBA = (0.56, 0.57, 0.59, 1.0)


@dataclass(frozen=True)
class Gripper:
    """What an arm holds things with: two parallel jaws, or a hand of several fingers.

    Where its fingers are is given at some openings, from closed to open; between them it is interpolated.

    Attributes:
        name: Short name, "panda_hand".
        mjcf: File in sim/assets (or an absolute path) with root body "hand", site "tool" and camera "wrist".
        numbers: Names of its action numbers, slots of `robocat.vocabulary`. One opens or closes everything
            (bang-bang); several are as many as there are actuators, and each moves its own between closed
            (-1) and open (+1).
        joints: Names of its joints; those of a hand, which has several numbers, are hinges.
        actuators: Names of its position actuators.
        width_m: Some openings between the middles of opposing pads [m], from closed to open.
        joints_at: At each of these, the positions of the joints, slides [m] or hinges [rad].
        controls_at: At each of these, what the actuators are told, [m] or [rad].
        pads: Names of the pad geoms, (one side, the other side), boxes whose first axis is the closing one:
            what both sides touch is grasped.
        source: Where the figures come from.
        middle_m: At each of the openings, how far along x from the tool the middle between the pads is [m];
            empty where it is always at the tool. A jaw that stands still leaves the middle to the other.
        shapes: Of a hand with several numbers, what a person may want it to be: name, and its numbers.
    """

    name: str
    mjcf: str
    numbers: tuple[str, ...]
    joints: tuple[str, ...]
    actuators: tuple[str, ...]
    width_m: tuple[float, ...]
    joints_at: tuple[tuple[float, ...], ...]
    controls_at: tuple[tuple[float, ...], ...]
    pads: tuple[tuple[str, ...], tuple[str, ...]]
    source: str
    middle_m: tuple[float, ...] = ()
    shapes: tuple[tuple[str, tuple[float, ...]], ...] = ()

    def __post_init__(self) -> None:
        what = f"gripper {self.name!r}"
        if len(self.width_m) < 2 or self.width_m[0] < 0.0 or sorted(set(self.width_m)) != [*self.width_m]:
            raise ValueError(f"{what}: width_m: got {self.width_m}, expected 0 or more, rising, at least two")
        for noun, names in (("joints_at", self.joints), ("controls_at", self.actuators)):
            poses: tuple[tuple[float, ...], ...] = getattr(self, noun)
            if [len(pose) for pose in poses] != [len(names)] * len(self.width_m):
                raise ValueError(
                    f"{what}: {noun}: got poses of {[len(pose) for pose in poses]} numbers, expected "
                    f"{len(self.width_m)} poses, one a width, of a number for each of {', '.join(names)}"
                )
        if self.middle_m and len(self.middle_m) != len(self.width_m):
            raise ValueError(
                f"{what}: middle_m: got {len(self.middle_m)} numbers, expected none or {len(self.width_m)}, "
                "one a width"
            )
        if len(self.numbers) not in (1, len(self.actuators)):
            raise ValueError(
                f"{what}: numbers: got {len(self.numbers)} names, expected 1, or {len(self.actuators)}, "
                f"one for each of {', '.join(self.actuators)}"
            )
        for shape, values in self.shapes:
            if len(values) != len(self.numbers) or max(map(abs, values)) > 1.0:
                raise ValueError(
                    f"{what}: shape {shape!r}: got {values}, expected {len(self.numbers)} numbers in [-1, 1]"
                )
        sides = [set(side) for side in self.pads]
        if not all(sides) or sides[0] & sides[1]:
            raise ValueError(f"{what}: pads: got {self.pads}, expected different geom names on two sides")


@dataclass(frozen=True)
class Arm:
    """One arm with its gripper, as data.

    Attributes:
        name: Key in the table of arms, "panda".
        title: Full name, "Franka Emika Panda".
        mjcf: File in sim/assets (or an absolute path): the arm alone, its base at the origin, with a site
            "flange" in its tip body.
        joints: Hinge joints from base to tip, some perhaps without a range, which turn without end; position
            actuators bear the same names, ctrl in [rad].
        home_rad: Joint angles [rad] at which the tool is over the workspace's centre, at `home_m`,
            z straight down, x (the closing direction) along world +y, so y along world +x.
        velocity_limit_rad_s: Rated joint speeds [rad/s].
        force_limit_nm: Largest joint torques [N m].
        gripper: What is attached at the flange.
        cartesian_dof: How many action numbers come before the gripper's: 4 (x, y, z, yaw rates) or 6 (x, y,
            z, roll, pitch, yaw rates).
        linear_m_s: Speed that an action of 1.0 means along each translation [m/s].
        angular_rad_s: Speed that an action of 1.0 means about each axis [rad/s].
        source: Where the figures come from.
        base_m: Where its base stands in the world [m]: a short arm's higher, a small one's nearer to the
            workspace, which all share.
        stand_m: Two opposite corners (x, y) [m], from the base, of the block that it stands on, the smaller
            numbers first; it is drawn from the table up and touches nothing. None: no block.
        home_m: Where the tool is at home [m]: of an arm that does not get so high, lower.
        across_m: How far right and left (y) [m] its tool may go within the fence of `sim.control`: of two
            arms, each to its own side and a little beyond the middle.
        partner: A second arm in the same cell, which stands to the right of this one.
        payload_kg: What its maker says that it carries, gripper included [kg]; None where none is told.
        meshes: Whose meshes it is drawn with, a key of `sim.arms.meshes.ENTRIES`; "" for its own shapes.
    """

    name: str
    title: str
    mjcf: str
    joints: tuple[str, ...]
    home_rad: tuple[float, ...]
    velocity_limit_rad_s: tuple[float, ...]
    force_limit_nm: tuple[float, ...]
    gripper: Gripper
    cartesian_dof: int
    linear_m_s: float
    angular_rad_s: float
    source: str
    base_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    stand_m: tuple[tuple[float, float], tuple[float, float]] | None = None
    home_m: tuple[float, float, float] = (0.5, 0.0, 0.25)
    across_m: tuple[float, float] = (-math.inf, math.inf)
    partner: "Arm | None" = None
    payload_kg: float | None = None
    meshes: str = ""

    def __post_init__(self) -> None:
        for field in ("home_rad", "velocity_limit_rad_s", "force_limit_nm"):
            values: tuple[float, ...] = getattr(self, field)
            if len(values) != len(self.joints):
                raise ValueError(
                    f"arm {self.name!r}: {field}: got {len(values)} values, "
                    f"expected {len(self.joints)}, one per joint: {', '.join(self.joints)}"
                )
            if not all(math.isfinite(value) for value in values):
                raise ValueError(f"arm {self.name!r}: {field}: got {values}, expected finite numbers")
        for field in ("velocity_limit_rad_s", "force_limit_nm", "linear_m_s", "angular_rad_s"):
            value: float | tuple[float, ...] = getattr(self, field)
            smallest = min(value) if isinstance(value, tuple) else value
            if not 0.0 < smallest < math.inf:
                raise ValueError(
                    f"arm {self.name!r}: {field}: got {value}, expected positive finite numbers only"
                )
        if self.cartesian_dof not in CARTESIAN_DOFS:
            raise ValueError(
                f"arm {self.name!r}: cartesian_dof: got {self.cartesian_dof}, "
                "expected 4 (x, y, z, yaw) or 6 (x, y, z, roll, pitch, yaw)"
            )
        if self.stand_m is not None:
            (back, right), (front, left) = self.stand_m
            if not (back < front and right < left and self.base_m[2] > 0.0):
                raise ValueError(
                    f"arm {self.name!r}: stand_m: got {self.stand_m} under a base at {self.base_m[2]} m, "
                    "expected smaller numbers before larger ones, and a base above the table"
                )

        if not self.across_m[0] < self.across_m[1]:
            raise ValueError(
                f"arm {self.name!r}: across_m: got {self.across_m}, expected the right end before the left"
            )
        if self.partner is not None and self.partner.partner is not None:
            raise ValueError(
                f"arm {self.name!r}: partner: got one with a partner of its own; expected one arm"
            )

    @property
    def limbs(self) -> tuple[tuple[str, "Arm"], ...]:
        """The arm, and its partner if it has one, each after what stands before its names in a scene."""
        return (("", self),) if self.partner is None else (("", self), (PARTNER, self.partner))

    @property
    def numbers(self) -> tuple[str, ...]:
        """Name of each action number of this arm alone: Cartesian rates, then the gripper's."""
        turns = ("yaw",) if self.cartesian_dof == 4 else ("roll", "pitch", "yaw")
        return ("x", "y", "z", *turns, *self.gripper.numbers)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Name of each action number: this arm's, then its partner's."""
        return tuple(prefix + name for prefix, arm in self.limbs for name in arm.numbers)

    @property
    def action_size(self) -> int:
        """How many numbers an action has."""
        return len(self.action_names)


def span_rad(model: mujoco.MjModel, joint: str) -> tuple[float, float]:
    """Least and greatest angle of a hinge [rad]; of one that turns without end, half a turn either way."""
    if not model.jnt_limited[model.joint(joint).id]:
        return -math.pi, math.pi
    low, high = model.joint(joint).range
    return float(low), float(high)


def load(arm: Arm) -> mujoco.MjSpec:
    """Reads the arm's model, puts its gripper on the flange and its base where it stands, on its stand.

    Every name stays as in the two files. The specification holds no floor, light or option: a scene adds its
    own to `spec.worldbody` and `spec.option`. The two files are joined as XML because `MjSpec.attach` wants a
    prefix for the names: without one, each later compilation warns and writes a log file.

    Raises:
        ValueError: If the arm's file has no site "flange", or one name stands in both files.
    """
    root = ElementTree.parse(ASSETS / arm.mjcf).getroot()
    hand = ElementTree.parse(ASSETS / arm.gripper.mjcf).getroot()
    flange = root.find(".//site[@name='flange']")
    tip = root.find(".//site[@name='flange']/..")
    if flange is None or tip is None:
        sites = ", ".join(site.get("name", "(unnamed)") for site in root.iter("site")) or "(none)"
        raise ValueError(f"arm {arm.name!r}: no site 'flange' in {arm.mjcf}; sites: {sites}")
    pose = {key: flange.attrib[key] for key in POSE_ATTRIBUTES if key in flange.attrib}
    mount = ElementTree.SubElement(tip, "frame", pose)
    for section in hand:
        if section.tag == "worldbody":
            mount.extend(section)
        elif section.tag != "compiler":
            shared = root.find(section.tag)
            target = ElementTree.SubElement(root, section.tag) if shared is None else shared
            target.extend(section)
    _displace(root, arm.base_m)
    spec = mujoco.MjSpec.from_string(ElementTree.tostring(root, encoding="unicode"))
    # Lets an arm from outside the package refer to mesh files beside its own.
    spec.modelfiledir = str((ASSETS / arm.mjcf).parent)
    if arm.meshes:
        hang(spec, arm.meshes, arm.joints)
    if arm.stand_m is not None:
        _add_stand(spec, arm.base_m, arm.stand_m)
    return spec


def _displace(root: ElementTree.Element, base_m: tuple[float, float, float]) -> None:
    """Moves all that a model's world holds to where the arm's base stands [m]."""
    for world in root.findall("worldbody"):
        parts = list(world)
        for part in parts:
            world.remove(part)
        frame = ElementTree.SubElement(world, "frame", {"pos": " ".join(map(repr, base_m))})
        frame.extend(parts)


def _add_stand(
    spec: mujoco.MjSpec,
    base_m: tuple[float, float, float],
    corners_m: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    """Draws the block that a base stands on."""
    (back, right), (front, left) = corners_m
    x, y, z = base_m
    spec.worldbody.add_geom(
        name="stand",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(x + (back + front) / 2, y + (right + left) / 2, z / 2),
        size=((front - back) / 2, (left - right) / 2, z / 2),
        rgba=STAND_RGBA,
        contype=0,
        conaffinity=0,
        group=1,
    )
