"""LeRobot in an environment of its own, where its torch does not meet ours; made on first use."""

import os
import subprocess
from pathlib import Path

from bench.environment import LEROBOT, environment

ROOT = Path(__file__).parents[1]


def start_lerobot(script: str, folder: Path, *words: str, with_ours: bool = False) -> subprocess.Popen[str]:
    """Starts a script beside this file in a folder, with LeRobot's Python.

    Args:
        script: Name of the script.
        folder: Where it runs; caches and calibrations are below it.
        words: Its arguments.
        with_ours: Whether it imports this project too.

    Raises:
        NotInstalled: If LeRobot cannot be.
    """
    python = environment("lerobot", LEROBOT, ROOT / "runs" / "peers")
    own = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub")}
    surroundings = {**os.environ, **own, "HF_LEROBOT_CALIBRATION": str(folder / "calibration")}
    surroundings.pop("PYTHONPATH", None)
    if with_ours:
        surroundings["PYTHONPATH"] = str(ROOT)
    command = [str(python), str(Path(__file__).with_name(script)), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=surroundings, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


def run_lerobot(script: str, folder: Path, *words: str) -> str:
    """What a script prints that is started so, when it has come to its end."""
    with start_lerobot(script, folder, *words) as process:
        said, complained = process.communicate()
    assert process.returncode == 0, complained[-2000:]
    return said
