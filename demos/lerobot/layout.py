"""Where things stand in a LeRobotDataset v3.0, and what its columns are called."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demos.episode import Episode, EpisodeMeta

VERSION = "v3.0"
FILES_A_CHUNK = 1000
# What the format says of when files are full; here every episode has files of its own, so none ever is.
DATA_MIB, VIDEO_MIB = 100, 200
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
OWN = "robocat/chunk-{chunk_index:03d}/file-{file_index:03d}.safetensors"  # which LeRobot passes over

STATE, ACTION, IMAGES = "observation.state", "action", "observation.images."
DEFAULTS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


@dataclass(frozen=True)
class Place:
    """Where an episode's files are, by its number: each has its own, so that one is whole or not there."""

    number: int

    @property
    def indices(self) -> dict[str, int]:
        """Chunk and file."""
        return {"chunk_index": self.number // FILES_A_CHUNK, "file_index": self.number % FILES_A_CHUNK}

    def data(self, root: Path) -> Path:
        """Its rows."""
        return root / DATA.format(**self.indices)

    def video(self, root: Path, camera: str) -> Path:
        """A camera's video."""
        return root / VIDEO.format(video_key=IMAGES + camera, **self.indices)

    def own(self, root: Path) -> Path:
        """What the format has no place for."""
        return root / OWN.format(**self.indices)


def features(meta: EpisodeMeta, video: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """What info.json says of each column.

    Args:
        meta: Of any of the episodes.
        video: What is said of videos; None where pictures stand in the rows.
    """
    declared = {
        STATE: _numbers("float32", meta.proprio_names),
        ACTION: _numbers("float32", meta.action_names),
        "next.reward": _numbers("float32", ()),
        "next.done": _numbers("bool", ()),
        "next.success": _numbers("bool", ()),
        "next.progress": _numbers("float32", ()),
    }
    for camera in meta.cameras:
        shape = [*meta.image_size, 3]
        seen: dict[str, Any] = {"dtype": "image" if video is None else "video", "shape": shape}
        seen["names"] = ["height", "width", "channels"]
        declared[IMAGES + camera] = seen if video is None else {**seen, "info": video}
    return declared | {name: _numbers(dtype, ()) for name, dtype in DEFAULTS.items()}


def _numbers(dtype: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [len(names) or 1], "names": list(names) or None}


def rows(episode: Episode, number: int, first: int, task: int) -> dict[str, NDArray[Any]]:
    """An episode's columns but the pictures: T rows, each an observation and what was done then.

    Args:
        episode: Of T steps.
        number: Its number in the set.
        first: Rows of the episodes before it.
        task: The number of its task.
    """
    steps = episode.length
    frame = np.arange(steps)
    last = frame == steps - 1
    return {
        STATE: episode.proprio[:-1],
        ACTION: episode.action,
        "next.reward": (last & episode.succeeded).astype(np.float32),
        "next.done": last,
        "next.success": episode.success,
        "next.progress": episode.progress[1:],
        "timestamp": (frame / episode.meta.control_hz).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.full(steps, number),
        "index": first + frame,
        "task_index": np.full(steps, task),
    }
