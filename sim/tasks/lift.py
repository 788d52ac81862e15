"""Lift: hold one of the blocks in the air."""

import numpy as np

from sim.objects import BLOCKS
from sim.poses import Array
from sim.scene import Scene
from sim.tasks.task import COLOUR_NAMES, Task, closeness, scatter_blocks, side_m

HEIGHT_M = 0.08  # of the block's centre above where it lay


def height_m(scene: Scene, name: str) -> float:
    """How far a block's centre is above resting on the table [m]."""
    return float(scene.position_m(name)[2] - side_m(scene, name) / 2)


def _success(scene: Scene, variation: str) -> bool:
    return height_m(scene, variation) > HEIGHT_M and scene.grasped(variation)


def _progress(scene: Scene, variation: str) -> float:
    if _success(scene, variation):
        return 1.0
    near = closeness(float(np.linalg.norm(scene.tool_m - scene.position_m(variation))), 0.01, 0.3)
    risen = float(np.clip(height_m(scene, variation) / HEIGHT_M, 0.0, 1.0))
    return 0.4 * near + 0.2 * scene.grasped(variation) + 0.4 * risen * scene.touched(variation)


def _pose(scene: Scene, variation: str, rng: np.random.Generator) -> tuple[Array, float]:
    lifted = scene.position_m(variation) + np.array([0.0, 0.0, HEIGHT_M + rng.uniform(0.02, 0.06)])
    scene.place(variation, lifted)
    return lifted, side_m(scene, variation)


LIFT = Task(
    name="lift",
    summary="grasp the block of one colour and hold it in the air",
    variations=COLOUR_NAMES,
    things=BLOCKS,
    horizon_s=8.0,
    place=scatter_blocks,
    success=_success,
    progress=_progress,
    pose=_pose,
)
