"""Lift: hold one of the things in the air."""

import numpy as np

from sim.poses import Array
from sim.scene import Scene
from sim.tasks.task import Task, hold_m, names, nearness, scatter
from sim.things.blocks import BLOCKS
from sim.things.thing import Thing

HEIGHT_M = 0.08  # of the thing above where it lay


def height_m(scene: Scene, name: str) -> float:
    """How far a thing is above resting on the table [m]."""
    return float(scene.position_m(name)[2] - scene.solid(name).rest_m)


def _success(scene: Scene, variation: str) -> bool:
    return height_m(scene, variation) > HEIGHT_M and scene.grasped(variation)


def _progress(scene: Scene, variation: str) -> float:
    if _success(scene, variation):
        return 1.0
    risen = min(1.0, max(0.0, height_m(scene, variation) / HEIGHT_M))
    held = 0.2 * scene.grasped(variation) + 0.4 * risen * scene.touched(variation)
    return 0.4 * nearness(scene, variation) + held


def _pose(scene: Scene, variation: str, rng: np.random.Generator) -> tuple[Array, float]:
    up = np.array([0.0, 0.0, HEIGHT_M + rng.uniform(0.02, 0.06)])
    tool_m = hold_m(scene, variation) + up
    scene.place(variation, scene.position_m(variation) + up)
    return tool_m, scene.solid(variation).grip.width_m


def lift(name: str, what: str, things: tuple[Thing, ...], held_out: bool = False) -> Task:
    """Lifting any of some things; `what` names one of them in words."""
    return Task(
        name=name,
        family="lift",
        summary=f"grasp {what} and hold it in the air",
        variations=names(things),
        things=things,
        horizon_s=8.0,
        place=scatter,
        success=_success,
        progress=_progress,
        pose=_pose,
        held_out=held_out,
    )


LIFT = lift("lift", "the block of one colour", BLOCKS)
