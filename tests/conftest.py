"""What every test starts from: an OpenGL backend, one thread, no network, the same seeds."""

import os
import random
import sys
from pathlib import Path

# Before the first import of MuJoCo, torch or wandb, all of which read these once.
if sys.platform == "linux":
    os.environ.setdefault("MUJOCO_GL", "egl")
os.environ["OMP_NUM_THREADS"] = "1"  # torch.set_num_threads(1), here and in the processes that tests start
os.environ["WANDB_MODE"] = "disabled"
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _seeds() -> None:  # pyright: ignore[reportUnusedFunction]
    """The same global seeds for each test, though our own code draws from generators it is given."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
