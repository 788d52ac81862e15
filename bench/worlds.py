"""Many worlds at once: how many times one process's steps, how long to build, and how much memory.

python -m bench worlds
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing import active_children
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.measure import Measured, summary
from bench.record import write
from sim.arms import ARMS
from sim.cameras import CAMERAS
from sim.env import make
from sim.tasks import TASKS
from sim.vector import VectorManipulationEnv

WORLDS = 16  # side by side in one vector environment
STEPS = 160  # of the environment alone in a sample; the worlds together take four times as many
SMALL = 0.3  # of the action's range: the arm wanders about its home
# What is looked at, by name: cameras, size [px] and control rate [Hz].
SETTINGS: dict[str, tuple[tuple[str, ...], int, int]] = {
    "no camera, 20 Hz": ((), 64, 20),
    "one camera of 84 px, 20 Hz": (CAMERAS[:1], 84, 20),
    "two cameras of 128 px, 10 Hz": (CAMERAS, 128, 10),
}
MANY = 64  # worlds whose memory is measured


def main(repeats: int = 10, seed: int = 0) -> None:
    """Measures the Panda at the lift task, and every environment's building, and writes results/worlds.json.

    Args:
        repeats: How often each is measured, in turn; the intervals come from that.
        seed: Of scenes and actions.
    """
    memory = {f"{len(cameras)} cameras": memory_mib(cameras) for cameras in ((), CAMERAS)}
    speed = {name: together(*setting, repeats, seed) for name, setting in SETTINGS.items()}
    built = building()
    _show(speed, built, memory)
    said = {name: {key: asdict(each) for key, each in measured.items()} for name, measured in speed.items()}
    many = {"worlds": MANY, "mib": memory}
    write(
        "worlds",
        {"n": repeats, "seed": seed, "worlds": WORLDS, "speed": said, "building": built, "memory": many},
    )


def together(
    cameras: tuple[str, ...], size: int, control_hz: int, repeats: int, seed: int
) -> dict[str, Measured]:
    """Steps a second of one environment and of many worlds on all cores, taken in turn, and their ratio."""
    options = {"cameras": cameras, "size": size, "control_hz": control_hz}
    alone, many = make("panda", "lift", **options), VectorManipulationEnv(WORLDS, "panda", "lift", **options)
    rng = np.random.default_rng(seed)
    moves = rng.uniform(-SMALL, SMALL, (STEPS, alone.arm.action_size)).astype(np.float32)
    rows = [np.tile(move, (WORLDS, 1)) for move in moves[: 4 * STEPS // WORLDS]]
    samples: dict[str, list[float]] = {"alone": [], "together": []}
    for _ in range(repeats):
        alone.reset(seed=seed)
        many.reset(seed=seed)
        samples["alone"].append(STEPS / _seconds(lambda: [alone.step(move) for move in moves]))
        samples["together"].append(len(rows) * WORLDS / _seconds(lambda: [many.step(row) for row in rows]))
    many.close()
    ratio = [both / one for one, both in zip(samples["alone"], samples["together"], strict=True)]
    speeds = {name: summary(each, "1/s") for name, each in samples.items()}
    return {**speeds, "ratio": summary(ratio, "times")}


def building() -> dict[str, float]:
    """Seconds to build an environment of every arm and task, each in turn in one process, and to reset it."""
    seconds: dict[str, float] = {}
    resets: list[float] = []
    for arm in ARMS:
        for task in TASKS:
            start = time.perf_counter()
            env = make(arm, task)
            seconds[f"{arm} {task}"] = time.perf_counter() - start
            env.reset(seed=0)  # which starts the renderer
            resets.append(_seconds(lambda env=env: env.reset(seed=1)))
    slowest = max(seconds, key=lambda name: seconds[name])
    return {
        "environments": len(seconds),
        "median_s": statistics.median(seconds.values()),
        "slowest_s": seconds[slowest],
        "reset_median_s": statistics.median(resets),
        "reset_slowest_s": max(resets),
    }


def memory_mib(cameras: tuple[str, ...]) -> float:
    """What the workers of many worlds on all cores hold in memory after some steps [MiB]; on Linux."""
    env = VectorManipulationEnv(MANY, "panda", "lift", cameras=cameras)
    env.reset(seed=0)
    for _ in range(20):
        env.step(np.zeros(env.action_space.shape or (), np.float32))
    held = sum(map(_held_mib, [worker.pid for worker in active_children()]))
    env.close()
    return held


def _held_mib(process: int | None) -> float:
    """A process's share of memory, what it shares with others divided among them (PSS) [MiB]."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _show(speed: dict[str, dict[str, Measured]], built: dict[str, float], memory: dict[str, float]) -> None:
    table = Table(
        "panda lift", "alone [1/s]", f"{WORLDS} together [1/s]", "times", title="mean and 95 % interval"
    )
    for name, each in speed.items():
        table.add_row(name, *(str(each[key]) for key in ("alone", "together", "ratio")))
    console = Console()
    console.print(table)
    console.print({**built, **{f"{MANY} worlds, {name} [MiB]": mib for name, mib in memory.items()}})
