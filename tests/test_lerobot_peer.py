"""LeRobot itself loads what is exported, sees the same frames and trains on them; what it wrote is read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demos.collect import Collection, collect_experts
from demos.episode import Episode
from demos.lerobot.layout import IMAGES
from demos.lerobot.read import import_
from demos.lerobot.write import export, text
from demos.select import SUCCESSES
from demos.store import EpisodeStore
from tests.fakes import flat_shaded
from tests.lerobot_python import run_lerobot

NEAR = 3 / 255  # how far two decoders of one video are apart, who turn its colours to RGB each in its way

pytestmark = pytest.mark.slow


def _peer(path: Path, *words: str) -> str:
    """What LeRobot prints when told a few words."""
    return run_lerobot("lerobot_peer.py", path, *words)


def _seen(episodes: list[Episode], camera: str) -> Any:
    """Pictures as LeRobot gives them: (N, 3, H, W) in [0, 1]."""
    return np.concatenate([e.images[camera][:-1] for e in episodes]).transpose(0, 3, 1, 2) / 255.0


@pytest.mark.parametrize("pictures", ["video", "lossless", "image"])
def test_lerobot_loads_and_trains_on_it(tmp_path: Path, pictures: str) -> None:
    plan = Collection(("panda",), ("lift", "stack"), episodes=6, size=64)
    collect_experts(tmp_path / "store", plan, workers=2, description="demonstrations")
    store = EpisodeStore(tmp_path / "store")
    export(store.path, out=tmp_path / "set", pictures=pictures)
    _peer(tmp_path, "read", "set", "frames.npz")
    episodes = [store.load(entry.id) for entry in SUCCESSES.of(store)]
    with np.load(tmp_path / "frames.npz") as frames:
        np.testing.assert_array_equal(frames["action"], np.concatenate([e.action for e in episodes]))
        states = np.concatenate([e.proprio[:-1] for e in episodes])
        np.testing.assert_array_equal(frames["observation.state"], states)
        tasks = [text(e.meta.task, e.meta.variation) for e in episodes for _ in range(e.length)]
        assert frames["task"].tolist() == tasks
        for camera in episodes[0].meta.cameras:
            error = frames[IMAGES + camera] - _seen(episodes, camera)
            if pictures == "video":
                assert 10 * np.log10(1.0 / (error**2).mean()) > 30.0  # dB
            else:
                assert np.abs(error).max() < 1e-6
    first, last = json.loads(_peer(tmp_path, "train", "set").splitlines()[-1])
    assert last < 0.7 * first
    import_(tmp_path / "set", out=tmp_path / "back")
    back = EpisodeStore(tmp_path / "back")
    if pictures != "video":
        assert [back.load(e.id).meta for e in episodes] == [e.meta for e in episodes]
        assert {e.content for e in back.entries()} == {e.content for e in store.entries() if e.success}


def test_what_lerobot_recorded_is_imported(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    count, steps, size = 3, 25, 64
    arrays = {
        "state": rng.normal(size=(count, steps, 4)).astype(np.float32),
        "action": rng.uniform(-1, 1, (count, steps, 2)).astype(np.float32),
        "success": np.tile((np.arange(steps) == steps - 1)[:, None], (count, 1, 1)),
        "top": np.stack([flat_shaded(rng, steps, size) for _ in range(count)]),
        "wrist": np.stack([flat_shaded(rng, steps, size) for _ in range(count)]),
    }
    np.savez(tmp_path / "episodes.npz", **arrays)  # pyright: ignore[reportArgumentType] the names are arrays
    _peer(tmp_path, "write", "episodes.npz", "set")
    _peer(tmp_path, "read", "set", "frames.npz")
    import_(tmp_path / "set", out=tmp_path / "store")
    store = EpisodeStore(tmp_path / "store")
    episodes = [store.load(e.id) for e in sorted(store.entries(), key=lambda entry: entry.seed)]
    assert [e.meta.task for e in episodes] == ["task-0", "task-1", "task-0"]
    for number, episode in enumerate(episodes):
        np.testing.assert_array_equal(episode.action, arrays["action"][number])
        np.testing.assert_array_equal(episode.proprio[:-1], arrays["state"][number])
        np.testing.assert_array_equal(episode.success, arrays["success"][number, :, 0])
        np.testing.assert_array_equal(episode.images["wrist"][:-1], arrays["wrist"][number])
    with np.load(tmp_path / "frames.npz") as frames:
        for camera in ("top", "wrist"):
            np.testing.assert_allclose(_seen(episodes, camera), frames[IMAGES + camera], atol=NEAR)
