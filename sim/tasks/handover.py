"""Handover: one of two arms takes a bar at its end and gives it to the other, which holds it in the air."""

import numpy as np

from sim.poses import Array, rotation_z
from sim.scene import TABLE_CENTRE_M, Scene
from sim.tasks.task import Task, closeness
from sim.things.thing import Grip, Shape, Solid

# All figures are own choices, seen to work with two Pandas as `sim.arms.panda_pair` places them.
LENGTH_M, THICK_M = 0.24, 0.03
# Where each arm holds the bar, from its middle along its x axis: the left one at the near end.
END_M = (-0.09, 0.09)
HEIGHT_M = 0.08  # of the bar above where it lay, once it is handed over
# Where it changes hands, in the front camera's view, and how it is turned there: the left hand is then to the
# left of the right one.
MEETING_M = np.array([TABLE_CENTRE_M[0] + 0.03, TABLE_CENTRE_M[1], 0.15])
MEETING_RAD = -0.5
SPREAD_M = np.array([0.015, 0.03])  # half the sides of the patch that its middle is put on
ASIDE_M = 0.13  # the middle of that patch from the table's middle, to the giver's side
SPREAD_RAD = 0.25
WAIT_M = 0.13  # to its own side of the middle, where an arm is that does not hold the bar
GIVER = {"to-right": 0, "to-left": 1}  # which arm gives it

BAR = Solid(
    name="bar",
    word="bar",
    shapes=(Shape("box", (LENGTH_M / 2, THICK_M / 2, THICK_M / 2), rgba=(0.85, 0.55, 0.15, 1.0)),),
    mass_kg=0.04,  # light wood: held at its end it must not turn in the jaws
    rest_m=THICK_M / 2,
    top_m=THICK_M / 2,
    radius_m=LENGTH_M / 2,
    grip=Grip(THICK_M, turns=2),
)


def side(limb: int) -> float:
    """Where an arm stands: 1 to the left, -1 to the right."""
    return 1.0 - 2.0 * limb


def end_m(scene: Scene, limb: int) -> Array:
    """Where an arm holds the bar: world position (3,) [m]."""
    return scene.position_m(BAR.name) + to_end_m(scene.yaw_rad(BAR.name), limb)


def waiting_m(limb: int) -> Array:
    """Where an arm is that has to wait: world position (3,) [m]."""
    return np.array([TABLE_CENTRE_M[0] + END_M[limb], side(limb) * WAIT_M, MEETING_M[2] + 0.07])


def to_end_m(yaw_rad: float, limb: int) -> Array:
    """From the middle of the bar to where an arm holds it, if it is turned so: in the world (3,) [m]."""
    return rotation_z(yaw_rad) @ np.array([END_M[limb], 0.0, 0.0])


def _place(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    middle = np.array([TABLE_CENTRE_M[0], side(GIVER[variation]) * ASIDE_M])
    at = middle + rng.uniform(-SPREAD_M, SPREAD_M)
    scene.place(BAR.name, np.array([*at, BAR.rest_m]), rng.uniform(-SPREAD_RAD, SPREAD_RAD))


def _success(scene: Scene, variation: str) -> bool:
    giver = GIVER[variation]
    return (
        scene.grasped(BAR.name, 1 - giver)
        and not scene.touched(BAR.name, giver)
        and _height_m(scene) > HEIGHT_M
    )


def _progress(scene: Scene, variation: str) -> float:
    if _success(scene, variation):
        return 1.0
    giver = GIVER[variation]
    given = scene.grasped(BAR.name, 1 - giver)
    if not (given or scene.grasped(BAR.name, giver)):
        return 0.2 * _near(scene, giver)
    carried = closeness(float(np.linalg.norm(scene.position_m(BAR.name) - MEETING_M)), 0.02, 0.2)
    return 0.3 + 0.2 * carried + 0.2 * _near(scene, 1 - giver) + 0.2 * given


def _height_m(scene: Scene) -> float:
    return float(scene.position_m(BAR.name)[2]) - BAR.rest_m


def _near(scene: Scene, limb: int) -> float:
    return closeness(float(np.linalg.norm(scene.limbs[limb].tool_m - end_m(scene, limb))), 0.01, 0.3)


def _pose(scene: Scene, variation: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """The bar where it changes hands, straight, held by the taker; the giver waits with open jaws."""
    taker = 1 - GIVER[variation]
    middle = MEETING_M + [0.0, side(taker) * 0.08, rng.uniform(0.0, 0.04)]
    scene.place(BAR.name, middle)
    tools, widths = np.array([waiting_m(0), waiting_m(1)]), np.full(2, scene.arm.gripper.width_m[-1])
    tools[taker], widths[taker] = middle + to_end_m(0.0, taker), THICK_M
    return tools, widths


HANDOVER = Task(
    name="handover",
    family="handover",
    summary="one arm takes the bar and gives it to the other",
    variations=tuple(GIVER),
    things=(BAR,),
    horizon_s=16.0,
    place=_place,
    success=_success,
    progress=_progress,
    pose=_pose,
    noise_share=0.3,
    arms=2,
)
