"""What every test starts from: an OpenGL backend, one thread, no network, the same seeds."""

import os
import random
import sys
from pathlib import Path

# Before the first import of MuJoCo, torch or wandb, all of which read these once.
if sys.platform == "linux":
    os.environ.setdefault("MUJOCO_GL", "egl")
os.environ["OMP_NUM_THREADS"] = "1"  # torch.set_num_threads(1), here and in the processes that tests start
os.environ["OMP_WAIT_POLICY"] = "passive"  # where tests ask for two threads: see `robocat/__init__.py`
os.environ["WANDB_MODE"] = "disabled"
os.environ["HF_HUB_OFFLINE"] = "1"

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from robocat.data import Data

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _seeds() -> None:  # pyright: ignore[reportUnusedFunction]
    """The same global seeds for each test, though our own code draws from generators it is given."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


# Real and tiny, made once; tests read them and write elsewhere. Imports are inside: most tests need none.


@pytest.fixture(scope="session")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of expert episodes."""
    from tests.tiny import demonstrate

    return demonstrate(tmp_path_factory.mktemp("tiny") / "stores" / "demos")


@pytest.fixture(scope="session")
def tokeniser(demos: Path) -> Path:
    """A tokeniser trained on them."""
    from tests.tiny import learn_images

    return learn_images(demos, demos.parents[1] / "tokeniser")


@pytest.fixture(scope="session")
def data(demos: Path, tokeniser: Path) -> "Data":
    """Both, as what an agent learns from."""
    from robocat.data import Data

    return Data((demos,), (1.0,), tokeniser, demos.parents[1] / "tokens")


@pytest.fixture(scope="session")
def agent(data: "Data") -> Path:
    """An agent trained on them."""
    from tests.tiny import learn

    return learn(data, data.tokeniser.parent / "models" / "generalist-0")
