"""LeRobotDatasets as others write them: episodes end to end in one file and one video, and more columns."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demos.lerobot import video
from demos.lerobot.tables import write_tasks
from tests.fakes import flat_shaded

EXACT = video.CODINGS["lossless"]  # so that a frame that is not the row's is seen

FPS = 5


@dataclass(frozen=True)
class Told:
    """One episode of such a set."""

    task: str
    state: NDArray[np.float32]
    action: NDArray[np.float32]
    success: NDArray[np.bool_]
    top: NDArray[np.uint8]  # a video
    wrist: NDArray[np.uint8]  # pictures in the rows


def tell(lengths: Sequence[int] = (7, 4, 9), size: int = 16, reach: float = 1.0) -> list[Told]:
    """Made-up episodes, the second a failure; actions are in [-reach, reach]."""
    rng = np.random.default_rng(0)
    return [
        Told(
            task=("Put it in the bin!", "stack")[i % 2],
            state=rng.normal(size=(steps, 3)).astype(np.float32),
            action=rng.uniform(-reach, reach, (steps, 2)).astype(np.float32),
            success=(np.arange(steps) == steps - 1) & (i != 1),
            top=flat_shaded(rng, steps, size),
            wrist=rng.integers(0, 256, (steps, size, size, 3), np.uint8),
        )
        for i, steps in enumerate(lengths)
    ]


def write(root: Path, episodes: Sequence[Told], version: str = "v3.0", rows_a_group: int = 1000) -> Path:
    """Writes a set of a version."""
    features = _features(episodes)
    texts = sorted({each.task for each in episodes})
    info = {"codebase_version": version, "robot_type": "SO-100", "fps": FPS, "features": features}
    if version == "v3.0":
        info["data_path"] = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        info["video_path"] = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
        _write_new(root, episodes, texts, rows_a_group)
    else:
        info["chunks_size"] = 1000
        info["video_path"] = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
        _write_old(root, episodes, texts)
    (root / "meta/info.json").write_text(json.dumps(info))
    return root


def _features(episodes: Sequence[Told]) -> dict[str, Any]:
    shape = list(episodes[0].top.shape[1:])
    named = ["height", "width", "channels"]
    return {
        "observation.state": {"dtype": "float32", "shape": [3], "names": {"motors": ["a", "b", "c"]}},
        "action": {"dtype": "float32", "shape": [2], "names": None},
        "next.success": {"dtype": "bool", "shape": [1], "names": None},
        "note": {"dtype": "string", "shape": [1], "names": None},
        "observation.images.top": {"dtype": "video", "shape": shape, "names": named},
        "observation.images.wrist": {"dtype": "image", "shape": shape, "names": named},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
        "episode_index": {"dtype": "int64", "shape": [1], "names": None},
        "task_index": {"dtype": "int64", "shape": [1], "names": None},
    }


def _rows(episode: Told, number: int, task: int) -> Any:
    import pyarrow as pa

    steps = len(episode.action)
    return pa.table(
        {
            "observation.state": pa.array(list(episode.state), pa.list_(pa.float32())),
            "action": pa.array(list(episode.action), pa.list_(pa.float32(), 2)),
            "next.success": episode.success,
            "note": ["a note"] * steps,
            "observation.images.wrist": [{"bytes": _png(each), "path": None} for each in episode.wrist],
            "timestamp": (np.arange(steps) / FPS).astype(np.float32),
            "episode_index": np.full(steps, number),
            "task_index": np.full(steps, task),
        }
    )


def _write_new(root: Path, episodes: Sequence[Told], texts: Sequence[str], rows_a_group: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for folder in ("data", "meta/episodes", "videos/observation.images.top"):
        (root / folder / "chunk-000").mkdir(parents=True)
    tables = [_rows(each, i, texts.index(each.task)) for i, each in enumerate(episodes)]
    pq.write_table(
        pa.concat_tables(tables), root / "data/chunk-000/file-000.parquet", row_group_size=rows_a_group
    )
    top = np.concatenate([each.top for each in episodes])
    video.write(root / "videos/observation.images.top/chunk-000/file-000.mp4", top, FPS, EXACT)
    key, first, records = "videos/observation.images.top", 0, list[dict[str, Any]]()
    for i, each in enumerate(episodes):
        steps = len(each.action)
        places = {f"{key}/chunk_index": 0, f"{key}/file_index": 0}
        span = {f"{key}/from_timestamp": first / FPS, f"{key}/to_timestamp": (first + steps) / FPS}
        stats = {"stats/action/min": [0.0]}
        records.append({"episode_index": i, "tasks": [each.task], "length": steps, **places, **span, **stats})
        first += steps
    pq.write_table(pa.Table.from_pylist(records), root / "meta/episodes/chunk-000/file-000.parquet")
    write_tasks(root / "meta/tasks.parquet", texts)


def _write_old(root: Path, episodes: Sequence[Told], texts: Sequence[str]) -> None:
    import pyarrow.parquet as pq

    for folder in ("data/chunk-000", "meta", "videos/chunk-000/observation.images.top"):
        (root / folder).mkdir(parents=True)
    for i, each in enumerate(episodes):
        rows = _rows(each, i, texts.index(each.task))
        pq.write_table(rows, root / f"data/chunk-000/episode_{i:06d}.parquet")
        video.write(
            root / f"videos/chunk-000/observation.images.top/episode_{i:06d}.mp4", each.top, FPS, EXACT
        )
    records = [
        {"episode_index": i, "tasks": [each.task], "length": len(each.action)}
        for i, each in enumerate(episodes)
    ]
    tasks = [{"task_index": i, "task": text} for i, text in enumerate(texts)]
    for name, lines in (("episodes", records), ("tasks", tasks)):
        (root / f"meta/{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _png(picture: NDArray[np.uint8]) -> bytes:
    kept = BytesIO()
    Image.fromarray(picture).save(kept, "png")
    return kept.getvalue()
