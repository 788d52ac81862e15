"""How images and states are best kept: bytes and time of what `demos` does, and of what it could have done.

python -m bench packing

On the episodes of the store's bench: lifts on end, both cameras. Of images: PNGs, and Zstandard by frames a
block and level. Of videos: x264 by preset, strength and how often a frame is whole. Of states: Zstandard by
level.
"""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.measure import spread
from bench.record import write
from bench.store import STEPS, lifts
from demos import h264, images, numbers, png
from demos.episode import Episode
from demos.fidelity import errors, psnr_db

Packed = Callable[[NDArray[Any]], int]  # an array's bytes once it is packed


def main(real: int = 6, size: int = 128, seed: int = 0) -> None:
    """Measures the ways in turn, episode by episode, and writes results/packing.json.

    Args:
        real: Attempts recorded of each of two arms.
        size: Of the pictures of both cameras [px].
        seed: Of the recordings.
    """
    with tempfile.TemporaryDirectory() as folder:
        episodes = lifts(Path(folder), real, size, seed)
    figures = {
        "images": _compared(_image_ways(), [list(each.images.values()) for each in episodes]),
        "states": _compared(_state_ways(), [[each.state] for each in episodes]),
        "videos": _videos(episodes),
    }
    for kind, ways in figures.items():
        _show(kind, ways)
    what = {"episodes": len(episodes), "steps": STEPS, "size_px": size, "seed": seed}
    write("packing", {**what, "per": "episode; of images and videos both cameras", "figures": figures})


def _image_ways() -> dict[str, Packed]:
    ways: dict[str, Packed] = {"PNG": lambda array: len(png.pack(array)[0])}
    for block in (1, 4, 16, STEPS + 1):
        ways[f"{block} a block, level {images.LEVEL}"] = lambda a, n=block: len(images.pack(a, n)[0])
    for level in (3, 5, 9):
        ways[f"{images.BLOCK} a block, level {level}"] = lambda a, n=level: len(images.pack(a, level=n)[0])
    return ways


def _state_ways() -> dict[str, Packed]:
    ways: dict[str, Packed] = {"as they are": lambda array: array.nbytes}
    for level in (1, 3, 9):
        ways[f"level {level}"] = lambda array, n=level: len(numbers.pack(array, n))
    return ways


def _compared(ways: Mapping[str, Packed], episodes: Sequence[Sequence[NDArray[Any]]]) -> dict[str, Any]:
    """Bytes and milliseconds an episode, each way by turns."""
    taken: dict[str, list[tuple[int, float]]] = {name: [] for name in ways}
    for arrays in episodes:
        for name, way in ways.items():
            start = time.perf_counter()
            count = sum(map(way, arrays))
            taken[name].append((count, 1e3 * (time.perf_counter() - start)))
    return {
        name: {"bytes": spread([n for n, _ in each]), "ms": spread([ms for _, ms in each])}
        for name, each in taken.items()
    }


def _videos(episodes: Sequence[Episode]) -> dict[str, Any]:
    settings = [
        *((preset, 34, h264.WHOLE_EVERY) for preset in ("veryfast", "medium", h264.PRESET)),
        *((h264.PRESET, strength, h264.WHOLE_EVERY) for strength in (31, 37)),
        (h264.PRESET, 34, 25),
    ]
    found: dict[str, Any] = {}
    for preset, strength, whole_every in settings:
        rows = [_video(each, preset, strength, whole_every) for each in episodes]
        named = f"{preset}, strength {strength}, whole every {whole_every}"
        keys = ("bytes", "ms", "psnr_db", "psnr_db_worst")
        found[named] = {
            key: spread(column) for key, column in zip(keys, zip(*rows, strict=True), strict=True)
        }
    return found


def _video(
    episode: Episode, preset: str, strength: int, whole_every: int
) -> tuple[float, float, float, float]:
    """Bytes, milliseconds, and what is left over all pictures and of the worst one [dB]."""
    count, spent, left = 0, 0.0, list[NDArray[np.float64]]()
    for pictures in episode.images.values():
        start = time.perf_counter()
        blob = h264.video(pictures, strength, preset, whole_every)
        spent += time.perf_counter() - start
        count += len(blob)
        left.append(errors(pictures, h264.unpack(blob, pictures.shape[1:3])))
    all_of = np.concatenate(left)
    return count, 1e3 * spent, float(psnr_db(all_of.mean())), float(psnr_db(all_of).min())


def _show(kind: str, ways: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    keys = list(next(iter(ways.values())))
    table = Table(kind, *keys)
    for name, each in ways.items():
        table.add_row(name, *(f"{each[key]['median']:.1f}" for key in keys))
    Console().print(table)
