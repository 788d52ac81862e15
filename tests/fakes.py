"""Made-up values that satisfy the contracts, built from the contracts' own tables."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demos.episode import ARRAYS, PER_CAMERA, Episode, EpisodeMeta, Outcome, Provenance, episode_id


def fake_episode(
    rng: np.random.Generator,
    steps: int = 5,
    cameras: Sequence[str] = ("front", "wrist"),
    size: int = 8,
    *,
    proprio: int = 3,
    actions: int = 2,
    **meta: Any,
) -> Episode:
    """An episode of random arrays.

    Args:
        rng: Decides every array.
        steps: T.
        cameras: Each sees noise; an expert's episode has no goal images, any other has one per camera.
        size: Height and width of the images [px].
        proprio: Proprioception channels.
        actions: Action channels.
        **meta: Any field of `EpisodeMeta`, `Outcome` or `Provenance`; the id follows from them unless given.
    """
    outcome = Outcome(**_take(meta, Outcome, {"success": True}))
    who = Provenance(**_take(meta, Provenance, {"controller": "expert", "seed": 0}))
    names = {"arm": "panda", "task": "lift", "variation": "red", **_take(meta, EpisodeMeta, {})}
    assert not meta, f"unknown: {meta}"
    named = episode_id(
        names["arm"], names["task"], names["variation"], who.controller, who.policy, who.generation, who.seed
    )
    record: dict[str, Any] = {
        "id": named,
        "control_hz": 10.0,
        "cameras": tuple(cameras),
        "image_size": (size, size),
        "proprio_names": tuple(f"joint{i}" for i in range(proprio)),
        "proprio_units": ("rad",) * proprio,
        "proprio_ranges": ((-3.0, 3.0),) * proprio,
        "action_names": tuple(f"action{i}" for i in range(actions)),
        "mujoco_version": "3.17.0",
        "model_hash": "0" * 64,
        "gl_renderer": "fake",
        "created": "2026-01-01T00:00:00Z",
        **names,
    }
    sizes = {"T": steps, "T+1": steps + 1, "H": size, "W": size, "3": 3, "P": proprio, "A": actions, "S": 7}
    arrays = _fake_arrays(rng, sizes, cameras, with_goal=who.controller != "expert")
    arrays["success"][-1] = outcome.success
    return Episode(**arrays, meta=EpisodeMeta(**record, outcome=outcome, provenance=who))


def same_episode(one: Episode, other: Episode) -> bool:
    """Whether metadata and every array are equal, bit by bit."""
    mine, theirs = one.arrays(), other.arrays()
    return (
        one.meta == other.meta
        and mine.keys() == theirs.keys()
        and all(a.dtype == theirs[k].dtype and a.shape == theirs[k].shape for k, a in mine.items())
        and all(a.tobytes() == theirs[k].tobytes() for k, a in mine.items())
    )


def flat_shaded(rng: np.random.Generator, count: int, size: int) -> NDArray[np.uint8]:
    """Images (count, size, size, 3) that compress as renders do: a smooth ground and a few moving boxes."""
    rows, columns = np.mgrid[:size, :size]
    ground = 150 + rows * 40 // size + columns * 10 // size
    images = np.repeat((ground[..., None] + np.array([20, 0, -30]))[None], count, axis=0).astype(np.uint8)
    for _ in range(8):
        edge, (top, left) = int(rng.integers(3, 5 + size // 6)), rng.integers(0, size // 2, 2)
        colour = rng.integers(0, 256, 3)
        for index in range(count):
            across = left + index * size // (3 * count)
            images[index, top : top + edge, across : across + edge] = colour
    return images


def _take(values: dict[str, Any], kind: type[Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Removes the fields of a dataclass from `values` and returns them over the defaults."""
    names = [each.name for each in dataclasses.fields(kind) if each.name in values]
    return defaults | {name: values.pop(name) for name in names}


def _fake_arrays(
    rng: np.random.Generator, sizes: dict[str, int], cameras: Sequence[str], with_goal: bool
) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for key, (dtype, dims) in ARRAYS.items():
        shape = tuple(sizes[dim] for dim in dims)
        if key in PER_CAMERA:
            shown = cameras if key == "images" or with_goal else ()
            arrays[key] = {camera: rng.integers(0, 256, shape, np.uint8) for camera in shown}
        elif dtype == "bool":
            arrays[key] = rng.random(shape) < 0.5
        else:
            arrays[key] = rng.uniform(0 if key == "progress" else -1, 1, shape).astype(dtype)
    return arrays
