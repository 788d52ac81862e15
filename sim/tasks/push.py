"""Push: slide one of the blocks along the table onto the target disc."""

import numpy as np

from sim.poses import Array
from sim.scene import TABLE_CENTRE_M, Scene
from sim.tasks.task import PATCH_M, Task, closeness, names, spread
from sim.things.blocks import BLOCKS, TARGET
from sim.things.thing import Solid

TOLERANCE_M = 0.03  # between the block's centre and the disc's
TRAVEL_M = (0.07, 0.16)  # how far the block is pushed
CORRIDOR_M = 0.06  # other blocks keep this far from the straight way
GAP_M = 0.007  # between disc and blocks: nothing is grasped there


def _place(scene: Scene, variation: str, rng: np.random.Generator) -> None:
    """Scatters blocks and disc until the straight way from block to disc is free and of the right length."""
    others = [name for name in names([*scene.things.values()]) if name != variation]
    order = [variation, *others, TARGET.name]
    while True:
        points = spread(rng, [scene.things[name].radius_m for name in order], GAP_M)
        block, target = points[0], points[-1]
        inside = np.all(np.abs(target - TABLE_CENTRE_M) <= PATCH_M - 0.01)
        if (
            inside
            and TRAVEL_M[0] <= np.linalg.norm(target - block) <= TRAVEL_M[1]
            and all(_distance_to_way(other, block, target) > CORRIDOR_M for other in points[1:-1])
        ):
            break
    # Turned to face the way it will go: a cube pushed on its corner turns instead of sliding.
    way = target - block
    headings = [float(np.arctan2(way[1], way[0])), *np.zeros(len(others))]
    for name, point, heading in zip(order, points[:-1], headings, strict=False):
        height = scene.solid(name).rest_m
        scene.place(name, np.array([*point, height]), heading + rng.uniform(-0.3, 0.3))
    scene.place(TARGET.name, np.array([*target, 0.0]))


def _distance_to_way(point: Array, start: Array, end: Array) -> float:
    """Distance [m] of a point (2,) from the segment that leads from 8 cm behind the start to the end."""
    way = end - start
    length = float(np.linalg.norm(way))
    unit = way / length
    along = float(np.clip((point - start) @ unit, -0.08, length))
    return float(np.linalg.norm(point - start - along * unit))


def offset_m(scene: Scene, variation: str) -> Array:
    """From the block's centre to the disc's, on the table (2,) [m]."""
    return scene.position_m(TARGET.name)[:2] - scene.position_m(variation)[:2]


def _success(scene: Scene, variation: str) -> bool:
    flat = scene.position_m(variation)[2] < scene.solid(variation).rest_m * 1.5
    return bool(flat and np.linalg.norm(offset_m(scene, variation)) < TOLERANCE_M)


def _progress(scene: Scene, variation: str) -> float:
    if _success(scene, variation):
        return 1.0
    return 0.99 * closeness(float(np.linalg.norm(offset_m(scene, variation))), 0.0, 0.3)


def _pose(scene: Scene, variation: str, rng: np.random.Generator) -> tuple[Array, float]:
    way = offset_m(scene, variation)
    unit = way / np.linalg.norm(way)
    target = scene.position_m(TARGET.name)[:2] + rng.uniform(-0.01, 0.01, 2)
    half = scene.solid(variation).rest_m
    scene.place(variation, np.array([*target, half]), float(np.arctan2(unit[1], unit[0])))
    risen = half + rng.uniform(0.06, 0.10)
    return np.array([*(target - unit * (half + 0.015)), risen]), scene.arm.gripper.width_m[0]


def push(name: str, what: str, blocks: tuple[Solid, ...], held_out: bool = False) -> Task:
    """Pushing any of some blocks; `what` names one of them in words."""
    return Task(
        name=name,
        family="push",
        summary=f"slide {what} onto the yellow disc",
        variations=names(blocks),
        things=(*blocks, TARGET),
        horizon_s=10.0,
        place=_place,
        success=_success,
        progress=_progress,
        pose=_pose,
        held_out=held_out,
    )


PUSH = push("push", "the block of one colour", BLOCKS)
