"""How fast the simulation is: an environment's steps, what they consist of, and the rasteriser's threads.

python -m bench sim
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context

import mujoco
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.measure import BUSY, Measured, milliseconds, summary
from bench.record import write
from sim.arms import ARMS
from sim.cameras import CAMERAS, pictures
from sim.env import ManipulationEnv, make
from sim.poses import DOWN

STEPS = 200  # of an environment, for a sample
SMALL = 0.3  # of the action's range: the arm wanders about its home


def main(repeats: int = 7, seed: int = 0) -> None:
    """Measures every arm at the lift task with two 64 px cameras at 10 Hz, and writes results/sim.json.

    Args:
        repeats: How often each is measured; the interval of the mean comes from that.
        seed: Of scenes and actions.
    """
    arms = {arm: _arm(arm, repeats, seed) for arm in ARMS}
    threads = {
        f"{processes} x LP_NUM_THREADS={count}": _side_by_side(processes, count, repeats, seed)
        for count in ("0", str(os.cpu_count()))
        for processes in (1, 2)
    }
    env = make("panda", "lift")
    write(
        "sim",
        {
            "gl_renderer": env.gl_renderer,
            "control_hz": env.control_hz,
            "image_px": env.size,
            "n": repeats,
            "seed": seed,
            "arms": {
                arm: {name: asdict(each) for name, each in parts.items()} for arm, parts in arms.items()
            },
            "rasteriser": {name: asdict(each) for name, each in threads.items()},
        },
    )
    _show(arms, threads)


def _arm(arm: str, repeats: int, seed: int) -> dict[str, Measured]:
    env, blind = make(arm, "lift"), make(arm, "lift", cameras=())
    moves = _moves(env, seed)
    scene, control = env.scene, env._control
    env.reset(seed=seed)
    blind.reset(seed=seed)
    step = milliseconds(lambda i: env.step(moves[i]), STEPS, repeats)
    at, joints = scene.tool_m, scene.limbs[0].joints_rad
    gl = pictures(scene.model, env.size)

    def physics(_: int) -> None:
        mujoco.mj_step(scene.model, scene.data, control.substeps)
        scene.forward()  # which wakes what sleeps, as after each control period

    return {
        "steps a second": summary([1000 / ms for ms in step.samples], "1/s", step.wall_per_cpu),
        "step": step,
        "step without cameras": milliseconds(lambda i: blind.step(moves[i]), STEPS, repeats),
        "physics": milliseconds(physics, STEPS, repeats),
        "inverse kinematics": milliseconds(
            lambda _: control.tools[0]._follow(joints, at, DOWN), STEPS, repeats
        ),
        "two pictures": milliseconds(lambda _: gl.take(scene, CAMERAS), STEPS, repeats),
        "reset": milliseconds(lambda i: env.reset(seed=seed + i), 20, repeats),
    }


def _moves(env: ManipulationEnv, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-SMALL, SMALL, (STEPS, env.arm.action_size)).astype(np.float32)


def _side_by_side(processes: int, threads: str, repeats: int, seed: int) -> Measured:
    """Steps per second of several processes together, each with the same work."""
    before = os.environ["LP_NUM_THREADS"]  # `sim` has set it.
    os.environ["LP_NUM_THREADS"] = threads  # The processes inherit it.
    try:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            list(pool.map(_work, [(1, seed)] * processes))  # Imports and compiles.
            samples: list[float] = []
            for _ in range(repeats):
                start = time.perf_counter()
                list(pool.map(_work, [(STEPS, seed)] * processes))
                samples.append(processes * STEPS / (time.perf_counter() - start))
    finally:
        os.environ["LP_NUM_THREADS"] = before
    return summary(samples, "1/s")


def _work(job: tuple[int, int]) -> None:
    steps, seed = job
    env = make("panda", "lift")
    env.reset(seed=seed)
    for move in _moves(env, seed)[:steps]:
        env.step(move)


def _show(arms: dict[str, dict[str, Measured]], others: dict[str, Measured]) -> None:
    rows = list(next(iter(arms.values())))
    table = Table("lift, two cameras of 64 px, 10 Hz", *arms, title="simulation, mean and 95 % interval")
    for row in rows:
        first = next(iter(arms.values()))[row]
        table.add_row(rf"{row} \[{first.unit}]", *(str(measured[row]) for measured in arms.values()))
    console = Console()
    console.print(table)
    for name, measured in others.items():
        console.print(f"{name}: {measured} steps/s", highlight=False)
    busy = max(measured.wall_per_cpu for each in arms.values() for measured in each.values())
    if busy > BUSY:
        console.print(f"the machine was busy: up to {busy:.2f} s of waiting and work for each second of work")
