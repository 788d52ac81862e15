"""LeRobot itself loads what is exported, sees the same frames, and trains on them."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bench.environment import environment
from demos.collect import Collection, collect_experts
from demos.lerobot.layout import IMAGES
from demos.lerobot.write import export, text
from demos.store import EpisodeStore

REQUIREMENTS = ("lerobot==0.4.4", "numpy<2.4")  # with numpy 2.4 it cannot read columns of one number
PEERS = Path(__file__).parents[1] / "runs" / "peers"


@pytest.mark.slow
@pytest.mark.parametrize("pictures", ["video", "image"])
def test_lerobot_loads_and_trains_on_it(tmp_path: Path, pictures: str) -> None:
    plan = Collection(("panda",), ("lift", "stack"), episodes=6, size=64)
    collect_experts(tmp_path / "store", plan, workers=2, description="demonstrations")
    store = EpisodeStore(tmp_path / "store")
    export(store.path, out=tmp_path / "set", pictures=pictures)
    python = environment("lerobot", REQUIREMENTS, PEERS)
    command = [str(python), str(Path(__file__).with_name("lerobot_peer.py")), "set", "frames.npz"]
    surroundings = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")}
    done = subprocess.run(
        command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, last = json.loads(done.stdout.splitlines()[-1])
    assert last < 0.7 * first
    episodes = [store.load(id) for id in store.ids() if store.load(id, images=False).succeeded]
    with np.load(tmp_path / "frames.npz") as frames:
        np.testing.assert_array_equal(frames["action"], np.concatenate([e.action for e in episodes]))
        states = np.concatenate([e.proprio[:-1] for e in episodes])
        np.testing.assert_array_equal(frames["observation.state"], states)
        tasks = [text(e.meta.task, e.meta.variation) for e in episodes for _ in range(e.length)]
        assert frames["task"].tolist() == tasks
        for camera in episodes[0].meta.cameras:
            seen = np.concatenate([e.images[camera][:-1] for e in episodes]).transpose(0, 3, 1, 2) / 255.0
            error = frames[IMAGES + camera] - seen
            if pictures == "image":
                assert np.abs(error).max() < 1e-6
            else:
                assert 10 * np.log10(1.0 / (error**2).mean()) > 30.0  # dB
