"""Reach: bring the open gripper to rest just above one of the blocks."""

import numpy as np

from sim.objects import BLOCKS
from sim.poses import Array
from sim.scene import Scene
from sim.tasks.task import COLOUR_NAMES, Task, closeness, scatter_blocks

HEIGHT_M = 0.06  # of the tool above the block's centre: fingertips clear its top by 2-3 cm
TOLERANCE_M = 0.02


def hover_point_m(scene: Scene, variation: str) -> Array:
    """Where the tool should be: world position (3,) [m]."""
    return scene.position_m(variation) + np.array([0.0, 0.0, HEIGHT_M])


def _distance(scene: Scene, variation: str) -> float:
    return float(np.linalg.norm(scene.tool_m - hover_point_m(scene, variation)))


def _success(scene: Scene, variation: str) -> bool:
    return _distance(scene, variation) < TOLERANCE_M


def _progress(scene: Scene, variation: str) -> float:
    return closeness(_distance(scene, variation), TOLERANCE_M, 0.3)


def _pose(scene: Scene, variation: str, rng: np.random.Generator) -> tuple[Array, float]:
    del rng  # The point above the block is the only success.
    return hover_point_m(scene, variation), scene.arm.gripper.width_m[-1]


REACH = Task(
    name="reach",
    summary="bring the gripper to rest above the block of one colour",
    variations=COLOUR_NAMES,
    things=BLOCKS,
    horizon_s=5.0,
    place=scatter_blocks,
    success=_success,
    progress=_progress,
    pose=_pose,
)
