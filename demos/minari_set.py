"""`robocat data export minari`: a store's episodes as a Minari dataset. Needs the extra `minari`.

robocat data export minari runs/mine/stores/demos --out exports/minari --tasks lift
MINARI_DATASETS_PATH=exports/minari python -c "import minari; minari.load_dataset('robocat/panda-lift-v0')"

Written by Minari's own storage, an episode at a time. Pictures are kept as they are, not as JPEGs. What a
Minari episode has no place for stands in its metadata: `robocat` is the whole record of the episode.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from tyro.conf import Positional

from demos.episode import Episode, EpisodeMeta
from demos.extras import extra
from demos.foreign import Remarks
from demos.manifest import Entry
from demos.progress import progress
from demos.select import SUCCESSES, Choice, of_one_arm_and_task
from demos.store import EpisodeStore
from sim.registration import environment_id

EXTRA = "minari"


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

    Raises:
        ValueError: If the dataset is there and holds more than a part of these.
        MissingExtra: If Minari is not installed.
    """
    minari = extra("minari.dataset.minari_storage", EXTRA)
    data = out / name / "data"
    meta = store.load(chosen[0].id, images=False).meta
    if (data / "metadata.json").exists():
        storage = minari.MinariStorage.read(data)
    else:
        data.mkdir(parents=True)
        storage = minari.MinariStorage.new(
            data, observation_space(meta), action_space(meta), data_format="hdf5", jpeg_encoding=False
        )
        version = extra("minari", EXTRA).__version__
        storage.update_metadata({"dataset_id": name, "minari_version": version})
    there = storage.total_episodes
    if (ids := _ids(storage, there)) != [entry.id for entry in chosen[: len(ids)]]:
        raise ValueError(f"{data} holds other episodes; choose another --out")
    with progress(name, len(chosen)) as advance:
        advance(len(ids))
        for number, entry in enumerate(chosen[len(ids) :], start=len(ids)):
            episode = store.load(entry.id)
            if number >= there:  # or a kill came between it and its record
                storage.update_episodes([buffer(episode, number)])
            about = {"robocat_id": episode.id, "robocat": episode.meta.to_json()}
            storage.update_episode_metadata([about], [number])
            advance(1)


def _ids(storage: Any, count: int) -> list[str]:
    """Ids of the episodes that are there with their record."""
    said = list(storage.get_episode_metadata(range(count))) if count else []
    return [each["robocat_id"] for each in said if "robocat_id" in each]


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
