"""LeRobot's own classes as robots of this project: run by that project's Python, see `test_lerobot_arm.py`.

    <python> lerobot_arm_peer.py own <port>
    <python> lerobot_arm_peer.py follower <port>

`own` drives a subclass of `lerobot.robots.Robot`, `follower` LeRobot's `SO101Follower` with its Feetech bus.
Both go home and forward for some steps, and print as JSON what
was executed and reported, and how the beat was kept.
"""

import json
import logging
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from lerobot.robots import Robot as LeRobot
from lerobot.robots import RobotConfig
from lerobot.robots.so_follower import SO101Follower, SO101FollowerConfig

from demos.robots.lerobot_arm import LeRobotArm, is_lerobot
from demos.robots.robot import Robot, Unplugged
from demos.robots.robot_env import RealTask, RobotEnv
from tests.serial_arm import GRIPPER_STEPS, JOINTS, SerialArm

STEPS = 60


@RobotConfig.register_subclass("serial_arm")
@dataclass
class SerialConfig(RobotConfig):
    """Where it is plugged in."""

    port: str = ""


class Subclass(LeRobot):
    """As LeRobot asks of own hardware."""

    config_class = SerialConfig
    name = "subclass"

    def __init__(self, config: SerialConfig) -> None:
        super().__init__(config)
        self._arm = SerialArm(config.port)

    @cached_property
    def observation_features(self) -> dict[str, Any]:
        return {key: kind for key, kind in self._arm.observation_features.items() if key != "front"}

    @cached_property
    def action_features(self) -> dict[str, Any]:
        return self._arm.action_features

    @property
    def is_connected(self) -> bool:
        return self._arm.is_connected

    @property
    def is_calibrated(self) -> bool:
        return True

    def connect(self, calibrate: bool = True) -> None:
        self._arm.connect(calibrate)

    def calibrate(self) -> None: ...

    def configure(self) -> None: ...

    def get_observation(self) -> dict[str, Any]:
        return self._arm.positions()

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        return self._arm.send_action(action)

    def disconnect(self) -> None:
        self._arm.disconnect()


def own(port: str) -> Robot:
    """A subclass of LeRobot's."""
    device = Subclass(SerialConfig(port=port, id="mine"))
    assert isinstance(device, LeRobot) and is_lerobot(device)
    return LeRobotArm(device, "so101")


def follower(port: str) -> Robot:
    """LeRobot's own arm, calibrated: a degree is a degree, and the gripper's way is that of the model."""
    shut, opened = GRIPPER_STEPS
    limits = [(0, 4095)] * 5 + [(shut, opened)]
    written = {
        joint: {"id": id, "drive_mode": 0, "homing_offset": 0, "range_min": low, "range_max": high}
        for id, (joint, (low, high)) in enumerate(zip(JOINTS, limits, strict=True), start=1)
    }
    file = Path(os.environ["HF_LEROBOT_CALIBRATION"]) / "robots" / "so_follower" / "blue.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(written))
    return LeRobotArm(SO101Follower(SO101FollowerConfig(port=port, id="blue")), "so101")


def main(kind: str, port: str) -> None:
    """Drives it."""
    logging.disable()
    robot = {"own": own, "follower": follower}[kind](port)
    env = RobotEnv(robot, RealTask("lift", ""), control_hz=20)
    env.reset()
    for _ in range(80):
        env.cadence.wait()
        first = env.look(homing=True)
    homed = env.status.homed
    executed: list[list[float]] = []
    env.cadence.start()
    for _ in range(STEPS):
        *_, info = env.step(np.array([0.3, 0.0, -0.2, 0.0, -1.0], np.float32))
        executed.append(info["executed"].tolist())
    last = env.look()
    periods_ms = [1000 * each for each in env.cadence.periods_s]
    said = {
        "homed": homed,
        "executed": executed,
        "channels": [channel.name for channel in env.channels],
        "first": first["proprio"].tolist(),
        "last": last["proprio"].tolist(),
        "periods_ms": periods_ms,
        "dropped": env.dropped,
    }
    print(json.dumps(said), flush=True)
    sys.stdin.readline()  # now it is unplugged
    try:
        for _ in range(40):
            env.step(np.zeros(5, np.float32))
        env.reset()
    except Unplugged as error:
        print(error)
    env.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
