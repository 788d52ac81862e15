"""A robot with LeRobot's interface, an SO-101 on a serial port, as a user's own might be, without LeRobot.

It speaks to `tests.fake_servos` through a pseudo-terminal. Its camera is drawn by MuJoCo, of the joints that
the servos report.
"""

import json
import os
import select
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sim.arms import find_arm
from sim.cameras import pictures
from sim.scene import Scene
from tests.fake_servos import GOAL, MIDDLE, PRESENT, STEPS, SYNC_READ, SYNC_WRITE, frame, parsed

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
IDS = bytes(range(1, len(JOINTS) + 1))
GRIPPER_STEPS = (1934, 3186)  # shut and open: -0.174 to 1.745 rad
CAMERA = (48, 64, 3)
HOME = (2048, 1781, 2479, 2908, 3103, 2708)
FOLDED = (2048, 1500, 2650, 2650, 2900, 2500)  # as an arm may rest


class SerialArm:
    """As `lerobot.robots.Robot`; with `most_deg`, no target is further than that from where a joint is."""

    name = "serial_arm"

    def __init__(self, port: str, most_deg: float | None = None, timeout_s: float = 0.03) -> None:
        self._port, self._most_deg, self._timeout_s = port, most_deg, timeout_s
        self._wire: int | None = None
        self._scene = Scene(find_arm("so101"), ())
        self._scene.reset()

    @property
    def observation_features(self) -> dict[str, Any]:
        return {**self.action_features, "front": CAMERA}

    @property
    def action_features(self) -> dict[str, Any]:
        return {f"{joint}.pos": float for joint in JOINTS}

    @property
    def is_connected(self) -> bool:
        return self._wire is not None

    def connect(self, calibrate: bool = True) -> None:
        del calibrate
        self._wire = os.open(self._port, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._wire, termios.TCSANOW)

    def disconnect(self) -> None:
        if self._wire is not None:
            os.close(self._wire)
        self._wire = None

    def get_observation(self) -> dict[str, Any]:
        """Positions, and the picture."""
        said = self.positions()
        limb = self._scene.limbs[0]
        values = [*said.values()]
        limb.set_joints(np.radians(values[:5]))
        shut, opened = GRIPPER_STEPS
        limb.set_fingers(np.radians([degrees(shut + values[5] / 100 * (opened - shut))]))
        self._scene.forward()
        picture = pictures(self._scene.base, CAMERA[1]).take(self._scene, ("front",))["front"]
        return {**said, "front": picture[: CAMERA[0]]}

    def positions(self) -> dict[str, Any]:
        """Of all joints [degrees]; the gripper's in per cent."""
        steps = self._read()
        return dict(zip(self.action_features, [*map(degrees, steps[:5]), percent(steps[5])], strict=True))

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        """Takes targets, and returns those that it took."""
        taken = dict(action)
        if self._most_deg is not None:
            for key, step in zip(list(action)[:5], self._read(), strict=False):
                here = degrees(step)
                taken[key] = float(np.clip(action[key], here - self._most_deg, here + self._most_deg))
        goals = [round(MIDDLE + taken[f"{joint}.pos"] / 360 * STEPS) for joint in JOINTS[:5]]
        shut, opened = GRIPPER_STEPS
        goals.append(round(shut + taken["gripper.pos"] / 100 * (opened - shut)))
        told = b"".join(bytes([id]) + goal.to_bytes(2, "little") for id, goal in zip(IDS, goals, strict=True))
        os.write(self._open(), frame(0xFE, SYNC_WRITE, bytes([GOAL, 2]) + told))
        return taken

    def _read(self) -> list[int]:
        """Positions of all servos [steps].

        Raises:
            ConnectionError: If one does not answer in time, as LeRobot's buses do.
        """
        wire = self._open()
        termios.tcflush(wire, termios.TCIFLUSH)  # what came too late for the question before
        os.write(wire, frame(0xFE, SYNC_READ, bytes([PRESENT, 2]) + IDS))
        heard, found, end_s = bytearray(), dict[int, int](), time.monotonic() + self._timeout_s
        while len(found) < len(IDS):
            left_s = end_s - time.monotonic()
            if left_s <= 0 or not select.select([wire], [], [], left_s)[0]:
                raise ConnectionError(f"no status packet of servo {min(set(IDS) - set(found))}")
            heard += os.read(wire, 4096)
            while (packet := parsed(heard)) is not None:
                found[packet[0]] = int.from_bytes(packet[2], "little")
        return [found[id] for id in IDS]

    def _open(self) -> int:
        if self._wire is None:
            raise ConnectionError("not connected")
        return self._wire


def degrees(steps: float) -> float:
    """A joint's position [degrees]."""
    return (steps - MIDDLE) / STEPS * 360


def percent(steps: float) -> float:
    """The gripper's, from shut to open."""
    shut, opened = GRIPPER_STEPS
    return (steps - shut) / (opened - shut) * 100


class Bench:
    """A running process of servos: its port, its faults, its log."""

    def __init__(self, port: str, process: subprocess.Popen[str], log: Path) -> None:
        self.port, self._process, self._log = port, process, log

    def fault(self, order: str) -> None:
        """See `tests.fake_servos`; they have it when this returns."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        if order == "unplug":
            self._process.wait(5)
        else:
            assert self._process.stdout.readline() == f"{order}\n"

    def log(self) -> list[dict[str, Any]]:
        """Every goal that arrived."""
        return [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines()]


@contextmanager
def servos(folder: Path, start: tuple[int, ...] = HOME) -> Generator[Bench]:
    """Servos at a port of their own, until the block ends."""
    master, slave = os.openpty()
    tty.setraw(slave, termios.TCSANOW)
    log = folder / "servos.jsonl"
    words = [
        sys.executable,
        str(Path(__file__).with_name("fake_servos.py")),
        str(master),
        str(log),
        *map(str, start),
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, pass_fds=[master]) as process:
        os.close(master)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        port = os.ttyname(slave)
        try:
            yield Bench(port, process, log)
        finally:
            process.kill()
            os.close(slave)
