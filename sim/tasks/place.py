"""Place: put one of the blocks on the target disc and let go."""

import numpy as np

from sim.objects import BLOCKS, TARGET
from sim.poses import Array
from sim.scene import Scene
from sim.tasks.task import COLOUR_NAMES, Task, closeness, side_m, spread

TOLERANCE_M = 0.02  # between the block's centre and the disc's; a push has 3 cm


def _place(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """Scatters blocks and disc, all as far apart as an open gripper needs, with any yaw."""
    del variation  # Every block may be the one that is meant.
    *points, target = spread(rng, len(COLOUR_NAMES) + 1)
    for name, point in zip(COLOUR_NAMES, points, strict=True):
        scene.place(name, np.array([*point, side_m(scene, name) / 2]), rng.uniform(-np.pi / 4, np.pi / 4))
    scene.place(TARGET.name, np.array([*target, 0.001]))


def offset_m(scene: Scene, variation: str) -> Array:
    """From the block's centre to where it belongs, lying on the disc (3,) [m]."""
    seat = np.array([*scene.position_m(TARGET.name)[:2], side_m(scene, variation) / 2])
    return seat - scene.position_m(variation)


def lies(scene: Scene, variation: str) -> bool:
    """Whether the block lies on the disc, held or not."""
    offset = offset_m(scene, variation)
    return bool(np.linalg.norm(offset[:2]) < TOLERANCE_M and abs(offset[2]) < 0.25 * side_m(scene, variation))


def _success(scene: Scene, variation: str) -> bool:
    return lies(scene, variation) and not scene.touched(variation)


def _progress(scene: Scene, variation: str) -> float:
    if _success(scene, variation):
        return 1.0
    near = closeness(float(np.linalg.norm(scene.tool_m - scene.position_m(variation))), 0.01, 0.3)
    placed = closeness(float(np.linalg.norm(offset_m(scene, variation))), 0.0, 0.3)
    return 0.3 * near + 0.2 * scene.grasped(variation) + 0.4 * placed * scene.touched(variation)


def _pose(scene: Scene, variation: str, rng: np.random.Generator) -> tuple[Array, float]:
    seat = scene.position_m(variation) + offset_m(scene, variation)
    scene.place(variation, seat, scene.yaw_rad(variation))
    return seat + np.array([0.0, 0.0, rng.uniform(0.06, 0.10)]), scene.arm.gripper.width_m[-1]


PLACE = Task(
    name="place",
    summary="put the block of one colour on the yellow disc and let go",
    variations=COLOUR_NAMES,
    things=(*BLOCKS, TARGET),
    horizon_s=12.0,
    place=_place,
    success=_success,
    progress=_progress,
    pose=_pose,
)
