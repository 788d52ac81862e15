"""Whether a task that a user declared can be set, done and shown: tried on one arm, as one line of reason."""

import math
from functools import lru_cache

import numpy as np

from sim.arms.panda import PANDA
from sim.arms.panda_pair import PANDA_PAIR
from sim.control import CartesianControl
from sim.names import check_name
from sim.scene import Scene
from sim.tasks.task import Task

SEEDS = range(3)  # scenes that are tried of each variation
CONTROL_HZ = 10
STILL_STEPS = 5  # after a pose, until success holds: jaws that touch a thing must still press


@lru_cache(maxsize=64)
def inspect_task(task: Task) -> None:
    """Tries a task: names, scenes that do not begin in success, progress, and poses that do succeed.

    Raises:
        ValueError: One line that names the value, what was expected and what there is.
    """
    check_name(task.name, "task")
    for noun, names in (
        ("variations", task.variations),
        ("things", tuple(thing.name for thing in task.things)),
    ):
        if not names or len(set(names)) != len(names):
            _refuse(task, noun, names, "one or more, with different names")
        for name in names:
            check_name(name, f"task {task.name!r}: {noun}:")
    for noun, number, most in (
        ("horizon_s", task.horizon_s, math.inf),
        ("noise_share", task.noise_share, 1.0),
    ):
        if not (math.isfinite(number) and 0.0 <= number <= most):
            _refuse(task, noun, number, "a finite number" + (" of 0 to 1" if most == 1.0 else " above 0"))
    if task.horizon_s * CONTROL_HZ < 1.0:
        _refuse(task, "horizon_s", task.horizon_s, f"at least {1 / CONTROL_HZ} s")
    try:
        scene = Scene(PANDA if task.arms == 1 else PANDA_PAIR, task.things, task.light)
    except ValueError as error:
        said = " ".join(str(error).split())
        raise ValueError(f"task {task.name!r}: things make no scene: {said}") from error
    for variation in task.variations:
        for seed in SEEDS:
            try:
                _try(task, scene, variation, seed)
            except KeyError as error:
                things = ", ".join(scene.things)
                raise ValueError(
                    f"task {task.name!r}: variation {variation!r}: it asks for {error}; things: {things}"
                ) from error


def _refuse(task: Task, what: str, got: object, expected: str) -> None:
    raise ValueError(f"task {task.name!r}: {what}: got {got}, expected {expected}")


def _try(task: Task, scene: Scene, variation: str, seed: int) -> None:
    where = f"variation {variation!r}, seed {seed}"
    rng = np.random.default_rng(seed)
    scene.reset()
    task.place(scene, variation, rng)
    scene.forward()
    if task.success(scene, variation):
        _refuse(task, f"success, {where}", "true where the episode begins", "false")
    progress = task.progress(scene, variation)
    if not 0.0 <= progress < 1.0:
        _refuse(task, f"progress, {where}", f"{progress} where the episode begins", "0 or more, less than 1")
    control = CartesianControl(scene, CONTROL_HZ)
    control.pose(*task.pose(scene, variation, rng))
    for limb in scene.limbs:
        limb.command_tool(limb.tool_m, limb.tool_tilt_rad)
    # Jaws about as far apart as a thing is wide are to press it.
    opened = [limb.width_m > 0.9 * limb.arm.gripper.width_m[-1] for limb in scene.limbs]
    parts = [
        [0.0] * limb.arm.cartesian_dof + [1.0 if wide else -1.0] * len(limb.arm.gripper.numbers)
        for limb, wide in zip(scene.limbs, opened, strict=True)
    ]
    still = np.array([number for part in parts for number in part], np.float32)
    for _ in range(STILL_STEPS):
        if task.success(scene, variation):
            break
        control.step(still)
    else:
        _refuse(task, f"pose, {where}", "a world in which success is false", "one in which it holds")
    progress = task.progress(scene, variation)
    if progress != 1.0:
        _refuse(task, f"progress, {where}", f"{progress} in a success", "1")
