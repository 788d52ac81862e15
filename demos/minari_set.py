"""`robocat data export minari`: a store's episodes as a Minari dataset. Needs the extra `minari`.

robocat data export minari runs/mine/stores/demos --out exports/minari --tasks lift
MINARI_DATASETS_PATH=exports/minari python -c "import minari; minari.load_dataset('robocat/panda-lift-v0')"

Written by Minari's own storage, an episode at a time. Pictures are kept as they are, not as JPEGs. What a
Minari episode has no place for stands in its metadata: `robocat` is the whole record of the episode.
"""

import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from tyro.conf import Positional

from demos.episode import Episode, EpisodeMeta
from demos.foreign import Remarks
from demos.manifest import Entry
from demos.parts import PART, parts
from demos.progress import progress
from demos.select import SUCCESSES, Choice, of_one_arm_and_task
from demos.staging import sync_folders
from demos.store import EpisodeStore
from sim.extras import extra
from sim.registration import environment_id

EXTRA = "minari"
FILE = "main_data.hdf5"  # where Minari keeps episodes


def export(store: Positional[Path], *, out: Path, pick: Choice = SUCCESSES) -> None:
    """Writes a store's episodes as a dataset robocat/<arm>-<task>-v0 of Minari's.

    Args:
        store: The store.
        out: Folder of datasets, as MINARI_DATASETS_PATH names one.
        pick: Which episodes; of one arm and task, for a dataset has one environment.
    """
    source = EpisodeStore(store)
    chosen = of_one_arm_and_task(source, pick)
    name = environment_id(chosen[0].arm, chosen[0].task)
    export_episodes(source, chosen, out, name)
    print(f"{out / name}: {len(chosen)} episodes, {sum(entry.length for entry in chosen)} steps")
    remarks = Remarks()
    remarks.say("left out: goal pictures, actions meant, simulator states, wall clock")
    remarks.show()


def export_episodes(store: EpisodeStore, chosen: Sequence[Entry], out: Path, name: str) -> None:
    """Writes episodes of one arm and task as a dataset of a name; goes on where it was interrupted.

    The dataset is whole or not there: see `demos.parts`.

    Raises:
        ValueError: If there is a dataset of this name and it holds other episodes.
        MissingExtra: If Minari is not installed.
    """
    minari = extra("minari.dataset.minari_storage", EXTRA)
    data, ids = out / name / "data", [entry.id for entry in chosen]
    if data.exists():
        if _ids(minari.MinariStorage.read(data)) != ids:
            raise ValueError(f"{data} holds other episodes; choose another --out")
        shutil.rmtree(out / name / ".parts", ignore_errors=True)  # a kill came before
        return
    meta = store.load(ids[0], images=False).meta
    plan: dict[str, object] = {"episodes": ids, "contents": store.digest(), "part": PART}
    with parts(out / name / ".parts", plan) as folder, progress(name, len(chosen)) as advance:
        written: list[Path] = []
        for first in range(0, len(ids), PART):
            written.append(folder / f"{first:06d}")
            part = ids[first : first + PART]
            if not written[-1].exists():
                with _new(written[-1], meta, name) as storage:
                    for number, id in enumerate(part):
                        storage.update_episodes([buffer(episode := store.load(id), number)])
                        about = {"robocat_id": id, "robocat": episode.meta.to_json()}
                        storage.update_episode_metadata([about], [number])
            advance(len(part))
        with _new(data, meta, name, aside=folder / "joined") as storage:
            _join(storage, written)


@contextmanager
def _new(path: Path, meta: EpisodeMeta, name: str, aside: Path | None = None) -> Generator[Any]:
    """Minari's storage for a folder of episodes, which gets its name when the block ends well."""
    minari = extra("minari.dataset.minari_storage", EXTRA)
    aside = (aside or path.with_name("writing")).absolute()  # Minari 0.5.4 joins a relative one to itself
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    spaces = observation_space(meta), action_space(meta)
    storage = minari.MinariStorage.new(aside, *spaces, data_format="hdf5", jpeg_encoding=False)
    storage.update_metadata({"dataset_id": name, "minari_version": extra("minari", EXTRA).__version__})
    yield storage
    aside.rename(path)
    sync_folders([path.parent])


def _join(storage: Any, written: Sequence[Path]) -> None:
    """Copies the episodes of other storages to one, in their order."""
    h5py, count, steps = extra("h5py", EXTRA), 0, 0
    with h5py.File(storage.data_path / FILE, "a", track_order=True) as file:
        for path in written:
            with h5py.File(path / FILE, "r") as part:
                for i in range(len(part)):
                    part.copy(f"episode_{i}", file, f"episode_{count}")
                    file[f"episode_{count}"].attrs["id"] = count
                    steps += int(file[f"episode_{count}"].attrs["total_steps"])
                    count += 1
    storage.update_metadata(
        {"total_episodes": count, "total_steps": steps, "dataset_size": storage.get_size()}
    )


def _ids(storage: Any) -> list[str]:
    """Ids of a dataset's episodes, as far as they are ours."""
    said = storage.get_episode_metadata(range(storage.total_episodes))
    return [each.get("robocat_id", "") for each in said]


def observation_space(meta: EpisodeMeta) -> spaces.Dict:
    """What an observation is: the environment's, but for the goal, which an expert is not shown."""
    picture = spaces.Box(0, 255, (*meta.image_size, 3), np.uint8)
    low, high = np.array(meta.proprio_ranges, dtype=np.float32).T
    return spaces.Dict(
        {
            "images": spaces.Dict(dict.fromkeys(meta.cameras, picture)),
            "proprio": spaces.Box(low, high, dtype=np.float32),
        }
    )


def action_space(meta: EpisodeMeta) -> spaces.Box:
    """What an action is."""
    return spaces.Box(-1.0, 1.0, (len(meta.action_names),), np.float32)


def buffer(episode: Episode, number: int) -> Any:
    """An episode of T steps as Minari has it: T + 1 observations, T of all else."""
    last = np.arange(episode.length) == episode.length - 1
    ended = last & episode.succeeded
    return extra("minari.data_collector", EXTRA).EpisodeBuffer(
        id=number,
        seed=episode.meta.provenance.seed,
        observations={"images": dict(episode.images), "proprio": episode.proprio},
        actions=episode.action,
        rewards=ended.astype(np.float64),
        terminations=ended,
        truncations=last & ~ended,
        infos={"is_success": episode.success, "progress": episode.progress[1:]},
    )
