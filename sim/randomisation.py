"""Worlds that differ from episode to episode: how far, what was drawn, and how it changes a compiled model.

The ranges are declared, an episode's numbers follow from its seed, and both stand in its record, so that it
replays bit for bit. What is changed is a model of the scene's own: compiled ones are shared.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import mujoco
import numpy as np

from sim.arms.arm import Arm
from sim.names import pick
from sim.poses import Array
from sim.things.thing import Solid, Thing

Span = tuple[float, float]  # least and greatest
LONGEST_LATENCY_S = 0.1  # a period at 10 Hz
RGB = 3


def _values(record: object) -> dict[str, Any]:
    return {each.name: getattr(record, each.name) for each in fields(record)}  # pyright: ignore


def _plain(value: Any) -> Any:
    """Tuples of floats, as deep as the value is."""
    if isinstance(value, Sequence | np.ndarray):
        return tuple(_plain(each) for each in value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"drawn numbers: got {number}, expected finite ones")
    return number


@dataclass(frozen=True)
class Randomisation:
    """How far worlds stray; `Randomisation()` strays nowhere. All is drawn evenly, each number by itself.

    Attributes:
        table_tint: Added to each of the table's red, green and blue, so much either way, of 0 to 1.
        thing_tint: The same for each thing; its shapes stray together.
        lamp_tint: The same for the lamp's light.
        lamp: Factor of the lamp's strength.
        ambient: Factor of the light from all around and from the camera's side.
        lamp_turn_rad: How far the lamp's direction turns about world x, and about y, either way [rad].
        front_m: How far the fixed camera is from its place along each axis, either way [m].
        front_rad: And turned about each axis [rad].
        wrist_m: The same for the camera at the hand, which has less room: its bracket is 1 cm away [m].
        wrist_rad: And turned about each axis [rad].
        friction: Factor of the sliding friction of the table and all things.
        pad_friction: Factor of that of the gripper's pads: with little, things slip.
        mass: Factor of the mass and inertia of each thing that is free to move.
        gain: Factor of stiffness and damping of each of the arm's actuators.
        latency_s: How much later than told all actuators act [s].
    """

    table_tint: float = 0.0
    thing_tint: float = 0.0
    lamp_tint: float = 0.0
    lamp: Span = (1.0, 1.0)
    ambient: Span = (1.0, 1.0)
    lamp_turn_rad: float = 0.0
    front_m: float = 0.0
    front_rad: float = 0.0
    wrist_m: float = 0.0
    wrist_rad: float = 0.0
    friction: Span = (1.0, 1.0)
    pad_friction: Span = (1.0, 1.0)
    mass: Span = (1.0, 1.0)
    gain: Span = (1.0, 1.0)
    latency_s: Span = (0.0, 0.0)

    def __post_init__(self) -> None:
        """Turns lists into tuples, as JSON has them, and checks the numbers."""
        for name, value in _values(self).items():
            if isinstance(value, Sequence):
                span = tuple(map(float, value))
                object.__setattr__(self, name, span)
                least = 0.0 if name == "latency_s" else 1e-3
                most = LONGEST_LATENCY_S if name == "latency_s" else 1e3
                if not (len(span) == 2 and least <= span[0] <= span[1] <= most):
                    raise ValueError(
                        f"randomisation: {name}: got {value}, expected two of {least:g} to {most:g}, rising"
                    )
            elif not 0.0 <= value <= 1.0:
                raise ValueError(f"randomisation: {name}: got {value}, expected 0 to 1")


@dataclass(frozen=True)
class Drawn:
    """An episode's numbers, in the order of `Randomisation`; things in the task's order.

    Attributes:
        thing_tint: Of each thing, red, green and blue.
        lamp_turn_rad: About world x and y [rad].
        front_m: Along the axes of the world; of the wrist's camera, of the hand [m].
        front_rad: A rotation vector in the camera's frame [rad].
        mass: Of each thing; of those that are not free to move it says nothing.
        gain: Of each of the arm's joints.
    """

    table_tint: tuple[float, ...]
    thing_tint: tuple[tuple[float, ...], ...]
    lamp_tint: tuple[float, ...]
    lamp: float
    ambient: float
    lamp_turn_rad: tuple[float, ...]
    front_m: tuple[float, ...]
    front_rad: tuple[float, ...]
    wrist_m: tuple[float, ...]
    wrist_rad: tuple[float, ...]
    friction: float
    pad_friction: float
    mass: tuple[float, ...]
    gain: tuple[float, ...]
    latency_s: float

    def __post_init__(self) -> None:
        """Turns lists and numpy's numbers into plain values."""
        for name, value in _values(self).items():
            object.__setattr__(self, name, _plain(value))


NOTHING = Randomisation()
# First values: everything is seen to differ, and a scripted expert made for the nominal world still succeeds.
MODERATE = Randomisation(
    table_tint=0.12,
    thing_tint=0.08,
    lamp_tint=0.08,
    lamp=(0.6, 1.4),
    ambient=(0.7, 1.3),
    lamp_turn_rad=0.5,
    front_m=0.015,
    front_rad=0.02,
    wrist_m=0.003,
    wrist_rad=0.02,
    friction=(0.7, 1.3),
    pad_friction=(0.6, 1.2),
    mass=(0.7, 1.4),
    gain=(0.85, 1.15),
    latency_s=(0.0, 0.02),
)
RANDOMISATIONS: dict[str, Randomisation] = {"none": NOTHING, "moderate": MODERATE}


def find_randomisation(given: Randomisation | str | None) -> Randomisation:
    """Ranges, by name or as they are; None is none.

    Raises:
        UnknownName: If there are none of this name.
    """
    if isinstance(given, str):
        return pick(RANDOMISATIONS, given, "randomisation")
    return given or NOTHING


def draw(ranges: Randomisation, arm: Arm, things: Sequence[Thing], rng: np.random.Generator) -> Drawn:
    """An episode's numbers. All are drawn whatever the ranges, so that one range does not move another's."""

    def within(span: Span, *shape: int) -> Array:
        return rng.uniform(*span, size=shape)

    def about(most: float, *shape: int) -> Array:
        return rng.uniform(-most, most, size=shape)

    return Drawn(
        table_tint=about(ranges.table_tint, RGB),  # pyright: ignore[reportArgumentType] made plain there
        thing_tint=about(ranges.thing_tint, len(things), RGB),  # pyright: ignore[reportArgumentType]
        lamp_tint=about(ranges.lamp_tint, RGB),  # pyright: ignore[reportArgumentType]
        lamp=float(within(ranges.lamp)),
        ambient=float(within(ranges.ambient)),
        lamp_turn_rad=about(ranges.lamp_turn_rad, 2),  # pyright: ignore[reportArgumentType]
        front_m=about(ranges.front_m, 3),  # pyright: ignore[reportArgumentType]
        front_rad=about(ranges.front_rad, 3),  # pyright: ignore[reportArgumentType]
        wrist_m=about(ranges.wrist_m, 3),  # pyright: ignore[reportArgumentType]
        wrist_rad=about(ranges.wrist_rad, 3),  # pyright: ignore[reportArgumentType]
        friction=float(within(ranges.friction)),
        pad_friction=float(within(ranges.pad_friction)),
        mass=within(ranges.mass, len(things)),  # pyright: ignore[reportArgumentType]
        gain=within(ranges.gain, len(_joints(arm))),  # pyright: ignore[reportArgumentType]
        latency_s=float(within(ranges.latency_s)),
    )


def apply(
    drawn: Drawn, base: mujoco.MjModel, model: mujoco.MjModel, arm: Arm, things: Sequence[Thing]
) -> None:
    """Makes a model what the drawn numbers say.

    Args:
        drawn: The numbers.
        base: The compiled model, which stays as it is.
        model: A copy of it, whatever was applied to it before. What follows from masses is to be computed
            anew by `mj_setConst`.
        arm: Whose cell it is.
        things: What lies in it.
    """
    _look(drawn, base, model, things)
    _light(drawn, base, model)
    wrists = [(f"{prefix}wrist", drawn.wrist_m, drawn.wrist_rad) for prefix, _ in arm.limbs]
    for name, way_m, turn_rad in (("front", drawn.front_m, drawn.front_rad), *wrists):
        camera = model.cam(name).id
        model.cam_pos[camera] = base.cam_pos[camera] + way_m
        model.cam_quat[camera] = _turned(base.cam_quat[camera], np.array(turn_rad))
    _feel(drawn, base, model, arm, things)


def _look(drawn: Drawn, base: mujoco.MjModel, model: mujoco.MjModel, things: Sequence[Thing]) -> None:
    tints = [([base.geom("table").id], drawn.table_tint)]
    tints += [(_geoms(base, thing), tint) for thing, tint in zip(things, drawn.thing_tint, strict=True)]
    for geoms, tint in tints:
        rgb = base.geom_rgba[geoms, :RGB] + np.asarray(tint, np.float32)
        model.geom_rgba[geoms, :RGB] = np.clip(rgb, 0.0, 1.0)


def _light(drawn: Drawn, base: mujoco.MjModel, model: mujoco.MjModel) -> None:
    """The lamp goes round the middle of the table, which it keeps shining at."""
    lamp = base.light_diffuse[0] * np.float32(drawn.lamp) + np.asarray(drawn.lamp_tint, np.float32)
    model.light_diffuse[0] = np.clip(lamp, 0.0, 1.0)
    turn = _turned(np.array([1.0, 0.0, 0.0, 0.0]), np.array([*drawn.lamp_turn_rad, 0.0]))
    for rotated, nominal in ((model.light_pos, base.light_pos), (model.light_dir, base.light_dir)):
        mujoco.mju_rotVecQuat(rotated[0], nominal[0], turn)
    for name in ("ambient", "diffuse"):
        nominal = np.array(getattr(base.vis.headlight, name))
        setattr(model.vis.headlight, name, np.clip(nominal * np.float32(drawn.ambient), 0.0, 1.0))


def _feel(
    drawn: Drawn, base: mujoco.MjModel, model: mujoco.MjModel, arm: Arm, things: Sequence[Thing]
) -> None:
    for thing, factor in zip(things, drawn.mass, strict=True):
        if isinstance(thing, Solid):
            body = base.body(thing.name).id
            model.body_mass[body] = base.body_mass[body] * factor
            model.body_inertia[body] = base.body_inertia[body] * factor
    lying = [base.geom("table").id, *(geom for thing in things for geom in _geoms(base, thing))]
    pads = [
        base.geom(prefix + name).id
        for prefix, each in arm.limbs
        for side in each.gripper.pads
        for name in side
    ]
    # Of two geoms that touch the greater friction counts, so one factor for all that lies there is theirs.
    for geoms, factor in ((lying, drawn.friction), (pads, drawn.pad_friction)):
        model.geom_friction[geoms, 0] = base.geom_friction[geoms, 0] * factor
    for name, factor in zip(_joints(arm), drawn.gain, strict=True):
        drive = base.actuator(name).id
        model.actuator_gainprm[drive] = base.actuator_gainprm[drive] * factor
        model.actuator_biasprm[drive] = base.actuator_biasprm[drive] * factor
    if model.nhistory:
        model.actuator_delay[:] = drawn.latency_s


def _joints(arm: Arm) -> list[str]:
    """Names of all joints of a scene's arms, which their actuators bear too."""
    return [prefix + name for prefix, each in arm.limbs for name in each.joints]


def _geoms(model: mujoco.MjModel, thing: Thing) -> list[int]:
    """All geoms of a thing, those of a part that moves too."""
    return np.flatnonzero(model.body_rootid[model.geom_bodyid] == model.body(thing.name).id).tolist()


def _turned(quaternion: Array, turn_rad: Array) -> Array:
    """A quaternion turned by a rotation vector in its own frame."""
    turned = np.array(quaternion)
    mujoco.mju_quatIntegrate(turned, turn_rad, 1.0)
    return turned
