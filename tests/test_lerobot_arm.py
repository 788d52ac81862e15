"""LeRobot's own classes as robots of this project: a subclass of its `Robot`, and its SO-101 with its bus."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.environment import NotInstalled
from sim.arms import find_arm
from tests.lerobot_python import start_lerobot
from tests.serial_arm import FOLDED, servos

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", ["own", "follower"])
def test_lerobots_arms_go_where_they_are_told_until_they_are_unplugged(tmp_path: Path, kind: str) -> None:
    with servos(tmp_path, FOLDED) as bench:
        try:
            process = start_lerobot("lerobot_arm_peer.py", tmp_path, kind, bench.port, with_ours=True)
        except NotInstalled as error:
            pytest.skip(str(error))
        with process:
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            if kind == "follower":
                process.stdin.write("\n")  # as its user, asked whether the calibration of the file is to hold
                process.stdin.flush()
            lines = iter(process.stdout.readline, "")
            first = next((line for line in lines if "{" in line), "")
            assert first, process.stderr.read()[-2000:]
            bench.fault("unplug")
            process.stdin.write("\n")
            process.stdin.close()
            told = process.stdout.read()
            assert process.wait(20) == 0, process.stderr.read()[-2000:]
        arrived = bench.log()
    said, arm = json.loads(first[first.index("{") :]), find_arm("so101")
    assert said["homed"] and said["dropped"] <= 3
    before, after = (dict(zip(said["channels"], said[when], strict=True)) for when in ("first", "last"))
    np.testing.assert_allclose([before[f"joint_{i}"] for i in range(1, 6)], arm.home_rad, atol=0.01)
    executed = np.array(said["executed"])
    np.testing.assert_allclose(np.median(executed[5:20, :3], axis=0), [0.3, 0.0, -0.2], atol=0.03)
    moved_m = executed[:, 0].sum() * arm.linear_m_s / 20
    assert after["tool_x"] - before["tool_x"] == pytest.approx(moved_m, abs=0.015)
    assert before["width"] > 0.07 and after["width"] < 0.02
    assert np.median(said["periods_ms"]) == pytest.approx(50.0, abs=1.0)
    assert len(arrived) >= 100
    assert "robot 'subclass' is gone" in told or "robot 'so_follower' is gone" in told
