"""Reach: bring the open gripper to rest just above one of the things."""

import numpy as np

from sim.poses import Array
from sim.scene import Scene
from sim.tasks.task import Task, closeness, names, scatter
from sim.things.blocks import BLOCKS
from sim.things.thing import Thing

HEIGHT_M = 0.04  # of the tool above the thing's top: fingertips clear it by 2-3 cm
TOLERANCE_M = 0.02


def hover_point_m(scene: Scene, variation: str) -> Array:
    """Where the tool should be: world position (3,) [m]."""
    return scene.position_m(variation) + np.array([0.0, 0.0, scene.solid(variation).top_m + HEIGHT_M])


def _distance(scene: Scene, variation: str) -> float:
    return float(np.linalg.norm(scene.tool_m - hover_point_m(scene, variation)))


def _success(scene: Scene, variation: str) -> bool:
    return _distance(scene, variation) < TOLERANCE_M


def _progress(scene: Scene, variation: str) -> float:
    return closeness(_distance(scene, variation), TOLERANCE_M, 0.3)


def _pose(scene: Scene, variation: str, rng: np.random.Generator) -> tuple[Array, float]:
    del rng  # The point above the thing is the only success.
    return hover_point_m(scene, variation), scene.arm.gripper.width_m[-1]


def reach(name: str, what: str, things: tuple[Thing, ...], held_out: bool = False) -> Task:
    """Reaching for any of some things; `what` names one of them in words."""
    return Task(
        name=name,
        family="reach",
        summary=f"bring the gripper to rest above {what}",
        variations=names(things),
        things=things,
        horizon_s=5.0,
        place=scatter,
        success=_success,
        progress=_progress,
        pose=_pose,
        held_out=held_out,
    )


REACH = reach("reach", "the block of one colour", BLOCKS)
