"""Virtual environments for other projects, whose requirements are not ours."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# With numpy 2.4 LeRobot 0.4.4 cannot read columns of one number; the last three are what this project's arms
# need beside it.
LEROBOT = ("lerobot[feetech]==0.4.4", "numpy<2.4", "mujoco==3.17.0", "mink", "daqp")


class NotInstalled(OSError):
    """An environment could not be made."""


def environment(name: str, requirements: Sequence[str], folder: Path) -> Path:
    """The Python of a virtual environment, made if it is not there.

    Args:
        name: What it is for.
        requirements: What pip installs, with exact versions.
        folder: Where environments are kept.

    Raises:
        NotInstalled: If it cannot be made, with pip's last words.
    """
    home = folder / "-".join([name, *(each.partition("==")[2] for each in requirements if "==" in each)])
    python, ready = home.absolute() / "bin" / "python", home / "ready"
    if ready.exists():
        return python
    print(f"installing {' '.join(requirements)} below {home}", file=sys.stderr)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    for command in ([sys.executable, "-m", "venv", "--clear", str(home)], [*pip, *requirements]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotInstalled(
                f"{name} cannot be installed: {' '.join(done.stderr.strip().splitlines()[-1:])}"
            )
    ready.touch()
    return python
