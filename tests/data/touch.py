"""Touch, a task in no table, of a family that is new too: what a user writes to bring one."""

import numpy as np

from sim.poses import Array
from sim.scene import Scene
from sim.tasks.task import Task, closeness, names, scatter
from sim.things.blocks import block

POSTS = (block("black", (0.08, 0.08, 0.08, 1.0)), block("white", (0.95, 0.95, 0.95, 1.0)))


def top_m(scene: Scene, variation: str) -> Array:
    """Where the tool is when the shut jaws are on a post."""
    return scene.position_m(variation) + np.array([0.0, 0.0, 0.035])


def away_m(scene: Scene, variation: str) -> float:
    """From the tool to there [m]."""
    return float(np.linalg.norm(scene.tool_m - top_m(scene, variation)))


def success(scene: Scene, variation: str) -> bool:
    """The jaws are shut, and there."""
    return away_m(scene, variation) < 0.015 and scene.width_m < 0.03


def progress(scene: Scene, variation: str) -> float:
    """The nearer, the better."""
    return 1.0 if success(scene, variation) else 0.99 * closeness(away_m(scene, variation), 0.0, 0.4)


TOUCH = Task(
    name="touch",
    family="touch",
    summary="shut jaws on the block of one colour",
    variations=names(POSTS),
    things=POSTS,
    horizon_s=6.0,
    place=scatter,
    success=success,
    progress=progress,
    pose=lambda scene, variation, rng: (top_m(scene, variation), scene.arm.gripper.width_m[0]),
    expert=lambda scene, variation: (top_m(scene, variation), 0.0, False),
)
