"""Stack: put one block on another and let go."""

from itertools import permutations

import numpy as np

from sim.objects import BLOCKS
from sim.poses import Array
from sim.scene import Scene
from sim.tasks.task import COLOUR_NAMES, Task, closeness, scatter_blocks, side_m

# RGB-stacking's shaped predicate: centres within 3 cm across and 1 cm of the right height, not held.
ACROSS_M = 0.03
HEIGHT_M = 0.01


def pair(variation: str) -> tuple[str, str]:
    """Names of the upper and the lower block of "<upper>-on-<lower>"."""
    upper, lower = variation.split("-on-")
    return upper, lower


def offset_m(scene: Scene, variation: str) -> Array:
    """From the upper block's centre to where it belongs (3,) [m]."""
    upper, lower = pair(variation)
    seat = scene.position_m(lower) + np.array([0.0, 0.0, (side_m(scene, lower) + side_m(scene, upper)) / 2])
    return seat - scene.position_m(upper)


def seated(scene: Scene, variation: str) -> bool:
    """Whether the upper block lies on the lower one, held or not."""
    offset = offset_m(scene, variation)
    return bool(np.linalg.norm(offset[:2]) < ACROSS_M and abs(offset[2]) < HEIGHT_M)


def _success(scene: Scene, variation: str) -> bool:
    return seated(scene, variation) and not scene.touched(pair(variation)[0])


def _progress(scene: Scene, variation: str) -> float:
    if _success(scene, variation):
        return 1.0
    upper, _ = pair(variation)
    near = closeness(float(np.linalg.norm(scene.tool_m - scene.position_m(upper))), 0.01, 0.3)
    placed = closeness(float(np.linalg.norm(offset_m(scene, variation))), 0.0, 0.2)
    return 0.3 * near + 0.2 * scene.grasped(upper) + 0.4 * placed * scene.touched(upper)


def _pose(scene: Scene, variation: str, rng: np.random.Generator) -> tuple[Array, float]:
    upper, lower = pair(variation)
    seat = scene.position_m(upper) + offset_m(scene, variation)
    scene.place(upper, seat, scene.yaw_rad(lower))
    return seat + np.array([0.0, 0.0, rng.uniform(0.03, 0.07)]), scene.arm.gripper.width_m[-1]


STACK = Task(
    name="stack",
    summary="put the block of one colour on the block of another and let go",
    variations=tuple(f"{upper}-on-{lower}" for upper, lower in permutations(COLOUR_NAMES, 2)),
    things=BLOCKS,
    horizon_s=12.0,
    place=scatter_blocks,
    success=_success,
    progress=_progress,
    pose=_pose,
)
