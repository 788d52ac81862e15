"""How fast the simulation is beside its peers': one arm lifting, one process, with a camera and without.

python -m bench peers

Each peer runs in a virtual environment of its own, made below runs/peers when first needed. All take turns in
one run, so that what else the machine does is not one's alone; what counts is the ratio. Settings are equal
where a peer lets them be set: a picture of 84 px and, with robosuite, 20 control steps a second, physics of
2 ms. The other two come with control rates of their own, which are written down.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.environment import NotInstalled, environment
from bench.measure import Measured, summary
from bench.record import write
from sim.env import make

WORLDS = Path(__file__).with_name("peer_worlds.py")
# What is installed for each: its release of the day, and a MuJoCo that it was released with.
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "robosuite": ("robosuite==1.5.2", "mujoco==3.3.7"),
    "gymnasium_robotics": ("gymnasium-robotics==1.4.2", "mujoco==3.3.7"),
    "metaworld": ("metaworld==3.1.1", "mujoco==3.3.0", "packaging"),  # which it needs and does not name
}
SIZE_PX = 84
CONTROL_HZ = 20
SAMPLE_S = 1.0  # what a sample is to take about
WARM_UP = 10  # steps, by whose time a sample's are reckoned
SMALL = 0.3  # of the action's range, as for the peers
OURS = "robocat"


def main(
    *, folder: Path = Path("runs/peers"), peers: tuple[str, ...] = tuple(REQUIREMENTS), repeats: int = 10
) -> None:
    """Measures the peers that can be installed here and writes results/peers.json.

    Args:
        folder: Where the peers' virtual environments are kept.
        peers: Which of them.
        repeats: Samples of each; the intervals come from them.
    """
    pythons = {name: python for name in peers if (python := installed(name, folder))}
    figures = {}
    for size in (SIZE_PX, 0):
        with ExitStack() as stack:
            worlds: dict[str, Ours | Peer] = {OURS: Ours(size)}
            for name, python in pythons.items():
                worlds[name] = stack.enter_context(Peer(name, python, WORLDS, name, str(size)))
            figures[f"{size} px" if size else "no camera"] = compare(worlds, repeats)
    _show(figures)
    write("peers", {"n": repeats, "absent": sorted(set(peers) - set(pythons)), "settings": figures})


class Ours:
    """This project's environment in this process."""

    def __init__(self, size: int) -> None:
        cameras = ("front",) if size else ()
        self._env = make("panda", "lift", cameras=cameras, size=size or SIZE_PX, control_hz=CONTROL_HZ)
        self._env.reset(seed=0)
        self._rng = np.random.default_rng(0)
        self.about: dict[str, object] = {
            "environment": "panda-lift",
            "control_hz": CONTROL_HZ,
            "physics_s": self._env.scene.model.opt.timestep,
            "action": self._env.arm.action_size,
        }

    def seconds(self, steps: int) -> float:
        """How long so many steps take; a new episode begins where one ends, which counts."""
        actions = self._rng.uniform(-SMALL, SMALL, (steps, self._env.arm.action_size)).astype(np.float32)
        start = time.perf_counter()
        for action in actions:
            *_, terminated, truncated, _ = self._env.step(action)
            if terminated or truncated:
                self._env.reset()
        return time.perf_counter() - start


class Peer:
    """A peer in a process of its own: `bench/peer_worlds.py` or `bench/peer_loader.py`, by its own Python.

    The script says what it is, as JSON, and then answers each number of steps with the seconds they took.
    """

    def __init__(self, name: str, python: Path, script: Path, *words: str) -> None:
        self._name = name
        self._process = subprocess.Popen(
            [str(python), str(script), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.about: dict[str, object] = json.loads(self._answer())

    def seconds(self, steps: int) -> float:
        """How long so many steps take."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return line
        _, said = self._process.communicate()
        raise RuntimeError(f"{self._name} ended: {said.strip().splitlines()[-1:]}")

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # which closes its input; it then ends


def installed(name: str, folder: Path) -> Path | None:
    """The Python of a peer's virtual environment; None, with a word, if it cannot be made."""
    try:
        return environment(name, REQUIREMENTS[name], folder)
    except NotInstalled as error:
        print(f"{error}; it is left out", file=sys.stderr)
        return None


def compare(worlds: Mapping[str, "Ours | Peer"], repeats: int) -> dict[str, dict[str, object]]:
    """Steps a second of each and how many times as many ours makes, samples taken in turn."""
    for world in worlds.values():
        world.seconds(WARM_UP)  # the first steps compile and load
    counts = {
        name: max(5, round(SAMPLE_S * WARM_UP / world.seconds(WARM_UP))) for name, world in worlds.items()
    }
    rates: dict[str, list[float]] = {name: [] for name in worlds}
    for _ in range(repeats):
        for name, world in worlds.items():
            rates[name].append(counts[name] / world.seconds(counts[name]))
    figures: dict[str, dict[str, object]] = {}
    for name, world in worlds.items():
        times = [own / other for own, other in zip(rates[OURS], rates[name], strict=True)]
        figures[name] = {
            **world.about,
            "steps_a_second": asdict(summary(rates[name], "1/s")),
            "ours_is_faster": asdict(summary(times, "times")),
        }
    return figures


def _show(figures: Mapping[str, Mapping[str, Mapping[str, object]]]) -> None:
    table = Table(
        "picture", "environment", "control [Hz]", "steps/s", f"{OURS} is faster", title="one process"
    )
    for picture, each in figures.items():
        for name, figure in each.items():
            rate, times = (
                Measured(**figure[key])  # pyright: ignore[reportCallIssue]
                for key in ("steps_a_second", "ours_is_faster")
            )
            about = f"{name}: {figure['environment']}"
            table.add_row(picture, about, str(figure["control_hz"]), str(rate), f"{times} times")
    Console().print(table)
