"""Operate: open and shut drawers, press buttons."""

import numpy as np

from sim.poses import Array, rotation_z
from sim.scene import TABLE_CENTRE_M, Scene
from sim.tasks.task import Task, closeness, spread
from sim.things.blocks import COLOURS
from sim.things.furniture import BUTTON_TOP_M, BUTTON_TRAVEL_M, DRAWER_OUT_M, HANDLE_M, button, cabinet

OPEN_M = 0.06  # how far out an open drawer is
SHUT_M = 0.01
PRESSED_M = 0.009
CABINET_X_M = TABLE_CENTRE_M[0] + 0.10
TIP_M = 0.0085  # how far shut fingertips reach below the tool: 9 mm, those of hands with three fingers 7 or 8
APART_M = 0.13  # between the middles of two cabinets

CABINETS = tuple(cabinet(colour, COLOURS[colour]) for colour in ("red", "blue"))
BUTTONS = tuple(button(colour, rgba) for colour, rgba in COLOURS.items())


def handle_m(scene: Scene, name: str) -> Array:
    """Middle of a drawer's handle, world position (3,) [m]."""
    turned = rotation_z(scene.yaw_rad(name)) @ (np.array(HANDLE_M) - [scene.slide_m(name), 0.0, 0.0])
    return scene.position_m(name) + turned


def top_m(scene: Scene, name: str) -> Array:
    """Middle of a button's top, world position (3,) [m]."""
    return scene.position_m(name) + np.array([0.0, 0.0, BUTTON_TOP_M - scene.slide_m(name)])


def _place_cabinets(scene: Scene, rng: np.random.Generator, out_m: float) -> None:
    order = [str(name) for name in rng.permutation([thing.name for thing in CABINETS])]
    y = TABLE_CENTRE_M[1] + rng.uniform(-0.02, 0.02)
    for side, name in zip((-0.5, 0.5), order, strict=True):
        at = np.array([CABINET_X_M + rng.uniform(-0.01, 0.01), y + side * APART_M, 0.0])
        scene.place(name, at, rng.uniform(-0.05, 0.05))
        scene.set_slide(name, out_m)


def _place_shut(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    del variation
    _place_cabinets(scene, rng, 0.0)


def _place_open(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    del variation
    _place_cabinets(scene, rng, DRAWER_OUT_M - 0.005)


def _place_buttons(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    del variation
    points = spread(rng, [thing.radius_m for thing in BUTTONS], 0.02)
    for thing, point in zip(BUTTONS, points, strict=True):
        scene.place(thing.name, np.array([*point, 0.0]))


def _near(scene: Scene, point_m: Array) -> float:
    return closeness(float(np.linalg.norm(scene.tool_m - point_m)), 0.01, 0.3)


def _opened(scene: Scene, variation: str) -> bool:
    return scene.slide_m(variation) > OPEN_M


def _opening(scene: Scene, variation: str) -> float:
    if _opened(scene, variation):
        return 1.0
    out = float(np.clip(scene.slide_m(variation) / OPEN_M, 0.0, 1.0))
    return 0.4 * _near(scene, handle_m(scene, variation)) + 0.59 * out


def _shut(scene: Scene, variation: str) -> bool:
    return scene.slide_m(variation) < SHUT_M


def _shutting(scene: Scene, variation: str) -> float:
    if _shut(scene, variation):
        return 1.0
    left = float(np.clip(1.0 - scene.slide_m(variation) / DRAWER_OUT_M, 0.0, 1.0))
    return 0.4 * _near(scene, handle_m(scene, variation)) + 0.59 * left


def _pressed(scene: Scene, variation: str) -> bool:
    return scene.slide_m(variation) > PRESSED_M


def _pressing(scene: Scene, variation: str) -> float:
    if _pressed(scene, variation):
        return 1.0
    down = float(np.clip(scene.slide_m(variation) / BUTTON_TRAVEL_M, 0.0, 1.0))
    return 0.6 * _near(scene, top_m(scene, variation)) + 0.39 * down


def _pose_open(scene: Scene, variation: str, rng: np.random.Generator) -> tuple[Array, float]:
    scene.set_slide(variation, rng.uniform(OPEN_M + 0.008, DRAWER_OUT_M - 0.005))
    return handle_m(scene, variation) + np.array([0.0, 0.0, 0.06]), scene.arm.gripper.width_m[-1]


def _pose_shut(scene: Scene, variation: str, rng: np.random.Generator) -> tuple[Array, float]:
    scene.set_slide(variation, 0.0)
    back = np.array([-0.02, 0.0, rng.uniform(0.0, 0.02)])
    return handle_m(scene, variation) + back, scene.arm.gripper.width_m[0]


def _pose_pressed(scene: Scene, variation: str, rng: np.random.Generator) -> tuple[Array, float]:
    del rng  # Only a finger on it keeps a button down.
    scene.set_slide(variation, BUTTON_TRAVEL_M)
    return top_m(scene, variation) + np.array([0.0, 0.0, TIP_M]), scene.arm.gripper.width_m[0]


OPEN_DRAWER = Task(
    name="open-drawer",
    family="open",
    summary="pull out the drawer of one colour",
    variations=("red", "blue"),
    things=CABINETS,
    horizon_s=12.0,
    place=_place_shut,
    success=_opened,
    progress=_opening,
    pose=_pose_open,
)
SHUT_DRAWER = Task(
    name="shut-drawer",
    family="shut",
    summary="push the drawer of one colour in",
    variations=("red", "blue"),
    things=CABINETS,
    horizon_s=10.0,
    place=_place_open,
    success=_shut,
    progress=_shutting,
    pose=_pose_shut,
)
PRESS_BUTTON = Task(
    name="press-button",
    family="press",
    summary="press the button of one colour and hold it down",
    variations=tuple(COLOURS),
    things=BUTTONS,
    horizon_s=8.0,
    place=_place_buttons,
    success=_pressed,
    progress=_pressing,
    pose=_pose_pressed,
)
