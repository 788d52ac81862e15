"""How fast an agent's data comes: training windows from token shards, and images as tokens."""

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.timed import timed
from robocat.checkpoint import write_json
from robocat.config import Preset
from robocat.mixture import Mixture, Source
from robocat.patches import LEVELS
from robocat.tokeniser import BATCH, Tokeniser
from robocat.tokens import ARRAYS, TokenEpisode, TokenSet
from robocat.vocabulary import BINS
from robocat.vqgan import VQGAN
from sim.arms import find_arm
from sim.proprioception import channels


def loading(preset: Preset, run: Path | None, seconds: float) -> dict[str, Any]:
    """Training batches from memory-mapped shards, by one process and by two at once."""
    with TemporaryDirectory() as folder:
        if run is None:
            shards = make_shards(Path(folder), preset, episodes=2000)
        else:
            folders = [path.parent for path in (run / "tokens").glob("*/index.json")]
            shards = max(folders, key=lambda path: sum(1 for _ in TokenSet(path).episodes))
        alone = _load(shards, preset, seconds, 0)
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            both = [pool.submit(_load, shards, preset, seconds, seed) for seed in (1, 2)]
            two = sum(each.result() for each in both)
    return {
        "shards": "made up" if run is None else shards.name,
        "batch": preset.train.batch,
        "control_steps_a_second": {"one process": alone, "two processes": two},
    }


def _load(shards: Path, preset: Preset, seconds: float, seed: int) -> float:
    """Control steps a second."""
    torch.set_num_threads(1)
    steps, rng = preset.agent.context, np.random.default_rng(seed)
    steps = min(steps, 3) if preset.agent.context_tokens else steps
    mixture = Mixture([Source(TokenSet(shards))], preset.train.held_out, steps)
    count, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds or not count:
        _, window = mixture.draw_alike(
            rng, preset.train.batch, preset.agent.future_steps, preset.train.hindsight
        )
        count += window.proprio.shape[0] * window.proprio.shape[1]
    return count / passed


def make_shards(folder: Path, preset: Preset, episodes: int, rows: int = 25) -> Path:
    """A token set of random numbers, as large as that many episodes of each arm would make it."""
    rng, size = np.random.default_rng(0), preset.vqgan.size
    each, codes = (3 * size**2, LEVELS) if preset.agent.patch else (preset.vqgan.cells**2, preset.vqgan.codes)
    names: dict[str, Any] = {}
    records: list[dict[str, Any]] = []
    for arm in preset.collection.arms:
        declared, total = find_arm(arm), episodes * rows
        names[arm] = [[channel.name for channel in channels(declared)], declared.action_names]
        shapes = {
            "proprio": (total, len(names[arm][0])),
            "codes": (total, preset.agent.cameras, each),
            "action": (total, declared.action_size),
            "progress": (total,),
        }
        for key in ARRAYS:
            most = codes if key == "codes" else BINS
            made: NDArray[np.uint16] = rng.integers(most, size=shapes[key], dtype=np.uint16)
            np.save(folder / f"{arm}.{key}.npy", made)
        for i in range(episodes):
            task = preset.collection.tasks[i % len(preset.collection.tasks)]
            episode = TokenEpisode(f"{arm}-{i}", arm, task, "red", True, "expert", i * rows, rows, told=True)
            records.append(asdict(episode))
    head = {"store_digest": "made up", "tokeniser": "made up", "names": names, "episodes": records}
    write_json(folder / "index.json", head)
    return folder


def tokenising(preset: Preset, device: torch.device, seconds: float) -> dict[str, Any]:
    """Images to codes: on a CPU by one process of one thread and by two at once."""
    if device.type == "cuda":
        return {"images_a_second": {"cuda": _tokenise(preset, device, seconds)}}
    alone = _tokenise(preset, device, seconds)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        both = [pool.submit(_tokenise, preset, device, seconds) for _ in range(2)]
        two = sum(each.result() for each in both)
    return {"size_px": preset.vqgan.size, "images_a_second": {"one process": alone, "two processes": two}}


def _tokenise(preset: Preset, device: torch.device, seconds: float) -> float:
    if device.type == "cpu":
        torch.set_num_threads(1)
    eyes, batch = Tokeniser(VQGAN(preset.vqgan), "", device), BATCH[device.type]
    size = preset.vqgan.size
    images = np.random.default_rng(0).integers(256, size=(batch, size, size, 3), dtype=np.uint8)
    return batch * timed(lambda: eyes.encode(images), device, seconds).hz
