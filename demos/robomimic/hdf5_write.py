"""`robocat data export robomimic`: a store's episodes as one HDF5 file.

robocat data export robomimic runs/mine/stores/demos --out exports/lift.hdf5 --tasks lift
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tyro.conf import Positional

from demos.episode import Episode, EpisodeMeta
from demos.manifest import Entry
from demos.parts import PART, parts
from demos.progress import progress
from demos.replay import environment
from demos.robomimic import EXTRA, GYM, IMAGE, PROPRIO
from demos.select import SUCCESSES, Choice, of_one_arm_and_task
from demos.staging import whole
from demos.stock import part_of
from demos.store import EpisodeStore
from sim.extras import extra
from sim.registration import environment_id
from sim.scene import cell

SHARES = (0.9, 0.1)  # of the masks train and valid


def export(store: Positional[Path], *, out: Path, pick: Choice = SUCCESSES) -> None:
    """Writes a store's episodes as one HDF5 file of robomimic's kind.

    Args:
        store: The store.
        out: The file.
        pick: Which episodes; of one arm and task, for a file has one environment.
    """
    source = EpisodeStore(store)
    chosen = of_one_arm_and_task(source, pick)
    export_episodes(source, chosen, out)
    print(f"{out}: {len(chosen)} episodes, {sum(entry.length for entry in chosen)} samples")


def export_episodes(store: EpisodeStore, chosen: Sequence[Entry], out: Path) -> None:
    """Writes episodes of one arm and task; interrupted and started again, it goes on (see `demos.parts`).

    Raises:
        MissingExtra: If h5py is not installed.
    """
    h5py = extra("h5py", EXTRA)
    out.parent.mkdir(parents=True, exist_ok=True)
    text = _mjcf(meta := store.load(chosen[0].id, images=False).meta)
    plan: dict[str, object] = {
        "episodes": [entry.id for entry in chosen],
        "contents": store.digest(),
        "part": PART,
    }
    with (
        parts(out.with_name(f".{out.name}.parts"), plan) as folder,
        progress(out.name, len(chosen)) as advance,
    ):
        written: list[Path] = []
        for first in range(0, len(chosen), PART):
            written.append(folder / f"{first:06d}.hdf5")
            part = chosen[first : first + PART]
            if not written[-1].exists():
                with whole(written[-1]) as aside, h5py.File(aside, "w") as file:
                    for number, entry in enumerate(part, start=first):
                        write_demo(file.create_group(f"data/demo_{number}"), store.load(entry.id), text)
            advance(len(part))
        with whole(out) as aside, h5py.File(aside, "w") as file:
            _join(file, written)
            file["data"].attrs["total"] = sum(entry.length for entry in chosen)
            file["data"].attrs["env_args"] = json.dumps(_environment(meta))
            for number, name in enumerate(("train", "valid")):
                names = [f"demo_{i}" for i, e in enumerate(chosen) if part_of(e.id, SHARES) == number]
                file.create_dataset(f"mask/{name}", data=np.array(names, dtype="S16"))


def _join(file: Any, written: Sequence[Path]) -> None:
    """Copies the demonstrations of other files as they are, without unpacking pictures."""
    h5py, data = extra("h5py", EXTRA), file.create_group("data")
    for path in written:
        with h5py.File(path, "r") as part:
            for name in part["data"]:
                part.copy(f"data/{name}", data, name)


def write_demo(group: Any, episode: Episode, mjcf: str) -> None:
    """An episode of T steps as a demonstration of T samples."""
    steps = episode.length
    group.attrs["num_samples"] = steps
    group.attrs["model_file"] = mjcf
    group.attrs["ep_meta"] = json.dumps({"variation": episode.meta.variation})
    group.attrs["robocat"] = episode.meta.to_json()
    last = np.arange(steps) == steps - 1
    group["actions"] = episode.action
    group["states"] = episode.state[:-1]
    group["rewards"] = (last & episode.succeeded).astype(np.float32)
    group["dones"] = last.astype(np.int64)
    for name, part in (("obs", slice(None, -1)), ("next_obs", slice(1, None))):
        group[f"{name}/{PROPRIO}"] = episode.proprio[part]
        for camera, pictures in episode.images.items():
            _write_pictures(group, f"{name}/{camera}{IMAGE}", pictures[part])
    own = {
        "label": episode.label,
        "success": episode.success,
        "progress": episode.progress,
        "wall_time": episode.wall_time,
        "last_state": episode.state[-1],
        **episode.optional,
        **{f"goal/{camera}": picture for camera, picture in episode.goal.items()},
    }
    for name, array in own.items():
        group[f"robocat/{name}"] = array


def _write_pictures(group: Any, name: str, pictures: np.ndarray) -> None:
    """Pictures (N, H, W, 3), compressed one by one: a loader reads single ones."""
    group.create_dataset(name, data=pictures, chunks=(1, *pictures.shape[1:]), compression="gzip")


def _environment(meta: EpisodeMeta) -> dict[str, Any]:
    options = {"cameras": meta.cameras, "size": meta.image_size[0], "control_hz": round(meta.control_hz)}
    return {"env_name": environment_id(meta.arm, meta.task), "type": GYM, "env_kwargs": options}


def _mjcf(meta: EpisodeMeta) -> str:
    """The scene's model as text, as it is before anything is randomised."""
    env = environment(meta)
    spec = cell(env.arm, env.task.things, env.task.light)
    spec.compile()
    return spec.to_xml()
