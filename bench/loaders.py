"""How fast training's data comes beside LeRobot's own loader, of the same episodes: control steps a second.

python -m bench loaders

The same lifts are a store, its tokens, and two exported datasets of LeRobot's: images as video, and as PNGs
in the rows. A batch is of single control steps drawn at random, with both cameras. What ours gives an agent
are tokens, which were made of the images once; so the images themselves, from the store, are measured too.
Ours draws in one process; LeRobot's loader has two workers, whose start is not counted.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from bench.environment import LEROBOT, environment
from bench.measure import summary
from bench.peers import Peer
from bench.record import write
from demos.collect import Collection, collect_experts
from demos.lerobot.write import export
from demos.store import EpisodeStore
from robocat.mixture import Mixture, Source
from robocat.tokeniser import save_tokeniser
from robocat.tokens import build
from robocat.vqgan import VQGAN, VQGANConfig

SCRIPT = Path(__file__).with_name("peer_loader.py")
WORKERS = 2
OURS = "robocat, tokens"
SAMPLE_S = 2.0  # what a sample is to take about


class Loader(Protocol):
    """Something that loads batches."""

    about: dict[str, object]

    def seconds(self, steps: int) -> float:
        """How long so many batches take."""
        ...


class Drawn:
    """Batches that a function of this process draws."""

    def __init__(self, draw: Callable[[], object], **about: object) -> None:
        self._draw, self.about = draw, dict(about)

    def seconds(self, steps: int) -> float:
        """How long so many batches take."""
        start = time.perf_counter()
        for _ in range(steps):
            self._draw()
        return time.perf_counter() - start


def main(
    *,
    episodes: int = 200,
    size: int = 64,
    batch: int = 64,
    repeats: int = 10,
    folder: Path = Path("runs/peers"),
    seed: int = 0,
) -> None:
    """Measures the loaders in turn and writes results/loaders.json.

    Args:
        episodes: Of the Panda's lift, some 20 steps each.
        size: Of the pictures of both cameras [px].
        batch: Control steps a batch.
        repeats: Samples of each; the intervals come from them.
        folder: Where LeRobot's virtual environment is kept.
        seed: Of the episodes.
    """
    python = environment("lerobot", LEROBOT, folder)
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        here = Path(made)
        collect_experts(here / "store", Collection(("panda",), ("lift",), episodes, seed, size), 2, "lifts")
        loaders: dict[str, Loader] = {
            OURS: _tokens(here, size, batch),
            "robocat, images of the store": _images(here, batch),
        }
        for kind in ("video", "image"):
            export(here / "store", out=here / kind, pictures=kind)
            words = (str(here / kind), str(batch), str(WORKERS))
            peer = stack.enter_context(Peer("lerobot", python, SCRIPT, *words))
            loaders[f"LeRobot 0.4.4, images as {'video' if kind == 'video' else 'PNGs'}"] = peer
        figures = _compare(loaders, batch, repeats)
    _show(figures)
    what = {"episodes": episodes, "size_px": size, "batch": batch, "seed": seed, "n": repeats}
    write("loaders", {**what, "loaders": figures})


def _tokens(here: Path, size: int, batch: int) -> Drawn:
    """Training windows, from tokens of an untrained tokeniser: which codes they are costs nothing."""
    torch.set_num_threads(1)
    save_tokeniser(here / "tokeniser", VQGAN(VQGANConfig(size=size)), {})
    mixture = Mixture([Source(build(here / "store", here / "tokeniser", here / "tokens"))], 0.0)
    rng = np.random.default_rng(0)
    return Drawn(lambda: mixture.draw_alike(rng, batch, 0, 0.5), processes=1)


def _images(here: Path, batch: int) -> Drawn:
    """Images of both cameras of random steps, decompressed."""
    store, rng = EpisodeStore(here / "store"), np.random.default_rng(0)
    entries = store.entries()
    cameras = store.meta(entries[0].id).cameras

    def draw() -> list[Any]:
        chosen = [entries[i] for i in rng.integers(len(entries), size=batch)]
        return [
            store.frames(entry.id, camera, [int(rng.integers(entry.length))])
            for entry in chosen
            for camera in cameras
        ]

    return Drawn(draw, processes=1)


def _compare(loaders: Mapping[str, Loader], batch: int, repeats: int) -> dict[str, dict[str, Any]]:
    """Control steps a second of each and how many times as many ours loads, samples taken in turn."""
    counts = {name: max(2, round(SAMPLE_S / (each.seconds(4) / 4))) for name, each in loaders.items()}
    rates: dict[str, list[float]] = {name: [] for name in loaders}
    for _ in range(repeats):
        for name, each in loaders.items():
            rates[name].append(batch * counts[name] / each.seconds(counts[name]))
    return {
        name: {
            **each.about,
            "steps_a_second": asdict(summary(rates[name], "1/s")),
            "ours_is_faster": asdict(
                summary([a / b for a, b in zip(rates[OURS], rates[name], strict=True)], "times")
            ),
        }
        for name, each in loaders.items()
    }


def _show(figures: Mapping[str, Mapping[str, Any]]) -> None:
    table = Table("loader", "control steps/s", f"{OURS} is faster")
    for name, each in figures.items():
        table.add_row(
            name, f"{each['steps_a_second']['mean']:.0f}", f"{each['ours_is_faster']['mean']:.1f} times"
        )
    Console().print(table)
