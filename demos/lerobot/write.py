"""`robocat data export lerobot`: a store's episodes as a LeRobotDataset v3.0.

robocat data export lerobot runs/mine/stores/demos --out exports/mine --arms panda

A frame is an observation and what was done then, so an episode of T steps gives T frames. What the format has
no place for, the last observation, the goal, the simulator's states and the whole record, stands beside it in
`robocat/`, which LeRobot passes over. Every episode has files of its own, written aside and renamed:
interrupted and started again, an export goes on with the next one and comes to the same.
"""

import dataclasses
import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tyro.conf import Positional

from demos.episode import Episode, EpisodeMeta
from demos.foreign import Remarks
from demos.lerobot import statistics, tables, video
from demos.lerobot.layout import (
    DATA,
    DATA_MIB,
    EPISODES,
    FILES_A_CHUNK,
    IMAGES,
    VERSION,
    VIDEO,
    VIDEO_MIB,
    Place,
    features,
    rows,
)
from demos.manifest import Entry
from demos.png import pack
from demos.progress import progress
from demos.select import SUCCESSES, Choice
from demos.staging import whole
from demos.store import EpisodeStore
from sim.names import pick as find
from sim.tasks import OWN_TASKS, TASKS

PICTURES = (*video.CODINGS, "image")


def export(store: Positional[Path], *, out: Path, pick: Choice = SUCCESSES, pictures: str = "video") -> None:
    """Writes a store's episodes as a LeRobotDataset; goes on where it was interrupted.

    Args:
        store: The store.
        out: Folder of the dataset.
        pick: Which episodes; of one arm, for a dataset has one.
        pictures: "video" (H.264: pictures of 64 px come back at 32 dB), "lossless" (H.264 in RGB: exact,
            larger, not for every browser) or "image" (PNG in the rows: exact, larger still).
    """
    find(dict.fromkeys(PICTURES, True), pictures, "picture format")
    source = EpisodeStore(store)
    chosen = pick.of(source)
    arms = sorted({entry.arm for entry in chosen})
    if len(arms) > 1:
        raise ValueError(f"{store} has episodes of {', '.join(arms)}; a dataset has one arm: say --arms")
    export_episodes(source, chosen, out, coding=video.CODINGS.get(pictures))
    steps = sum(entry.length for entry in chosen)
    print(f"{out}: {len(chosen)} episodes, {steps} frames, {', '.join(sorted({e.task for e in chosen}))}")
    remarks = Remarks()
    remarks.say(
        "LeRobot passes over what stands in robocat/: the last observation, goal pictures, actions meant, "
        "states, wall clock, outcome and provenance; `robocat data import lerobot` does not"
    )
    if pictures == "video":
        remarks.say("pictures of the videos are near the recorded ones; --pictures lossless keeps them exact")
    remarks.show()


def export_episodes(
    store: EpisodeStore, chosen: Sequence[Entry], out: Path, *, coding: video.Coding | None
) -> None:
    """Writes episodes of one arm as a dataset; without a coding, pictures stand in the rows.

    Raises:
        ValueError: If `out` holds another export, or episodes differ in what a frame consists of.
        MissingExtra: If the extra `lerobot` is not installed.
    """
    tables.check_installed()
    kept = None if coding is None else dataclasses.asdict(coding)
    _begin(out, {"episodes": [entry.id for entry in chosen], "contents": store.digest(), "coding": kept})
    texts = sorted({text(entry.task, entry.variation) for entry in chosen})
    gathered, records = statistics.WholeSet(), list[dict[str, Any]]()
    first, declared = 0, None
    with progress("export", len(chosen)) as advance:
        for number, entry in enumerate(chosen):
            task = texts.index(text(entry.task, entry.variation))
            place, what = Place(number), store.load(entry.id, images=False)
            fps = _rate(what.meta)
            said = features(what.meta, coding and video.about(fps, what.meta.image_size, coding))
            if declared not in (None, said):
                raise ValueError(
                    f"{entry.id} has other channels, cameras or rates than the episodes before it"
                )
            declared = said
            columns = rows(what, number, first, task)
            if not place.own(out).exists():
                _write_episode(store.load(entry.id), place, out, columns, coding)
            seen = {
                name: counts for name, counts in load_file(place.own(out)).items() if name.startswith(IMAGES)
            }
            gathered.add(columns, seen)
            records.append(_record(place, columns, seen, texts[task], coding and fps))
            first += entry.length
            advance(1)
    assert declared is not None
    (out / EPISODES).parent.mkdir(parents=True, exist_ok=True)
    tables.write_tasks(out / tables.TASKS, texts)
    tables.write_episodes(out / EPISODES, records)
    _write_json(out / "meta/stats.json", gathered.stats())
    meta = store.load(chosen[0].id, images=False).meta
    info = _info(meta.arm, _rate(meta), declared, records, coding is not None)
    _write_json(out / "meta/info.json", info)


def text(task: str, variation: str) -> str:
    """What is to be done, in words: a task's summary, and which thing is meant."""
    known = {**TASKS, **OWN_TASKS}
    summary = known[task].summary if task in known else task
    return f"{summary} ({variation})" if variation else summary


def _begin(out: Path, plan: dict[str, object]) -> None:
    """Starts an export or goes on with it."""
    path = out / "robocat" / "plan.json"
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != plan:
            raise ValueError(f"{out} holds an export of other episodes; choose another --out")
        return
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty, and not an export of this kind; choose another --out")
    path.parent.mkdir(parents=True)
    _write_json(path, plan)


def _rate(meta: EpisodeMeta) -> int:
    """Frames a second, of which the format has whole numbers."""
    if meta.control_hz != int(meta.control_hz):
        raise ValueError(
            f"{meta.id} is of {meta.control_hz} Hz, and LeRobot has whole numbers of frames a second"
        )
    return int(meta.control_hz)


def _write_episode(
    episode: Episode,
    place: Place,
    out: Path,
    columns: dict[str, NDArray[Any]],
    coding: video.Coding | None,
) -> None:
    """An episode's files; what is its own comes last, and says that the others are whole."""
    frames = {camera: pictures[:-1] for camera, pictures in episode.images.items()}
    shown: dict[str, list[bytes]] = {}
    for camera, pictures in frames.items():
        if coding is not None:
            with _new(place.video(out, camera)) as path:
                video.write(path, pictures, _rate(episode.meta), coding)
        else:
            blobs, offsets = pack(pictures)
            shown[IMAGES + camera] = [
                blobs[start:end].tobytes() for start, end in zip(offsets, offsets[1:], strict=False)
            ]
    with _new(place.data(out)) as path:
        tables.write_rows(path, columns, shown)
    own = _own(episode) | {IMAGES + name: statistics.histogram(pictures) for name, pictures in frames.items()}
    with _new(place.own(out)) as path:
        save_file(own, path, {"meta": episode.meta.to_json()})


def _own(episode: Episode) -> dict[str, NDArray[Any]]:
    """What a frame has no place for."""
    own: dict[str, NDArray[Any]] = {
        "last/proprio": episode.proprio[-1],
        "progress": episode.progress,
        "label": episode.label,
        "state": episode.state,
        "wall_time": episode.wall_time,
    }
    own |= episode.optional
    own |= {f"last/{camera}": pictures[-1] for camera, pictures in episode.images.items()}
    own |= {f"goal/{camera}": picture for camera, picture in episode.goal.items()}
    return {name: np.ascontiguousarray(array) for name, array in own.items()}


def _record(
    place: Place,
    columns: dict[str, NDArray[Any]],
    seen: dict[str, NDArray[np.int64]],
    task: str,
    fps: int | None,
) -> dict[str, Any]:
    """An episode's row in the table of episodes; `fps` where its pictures are videos."""
    length, first = len(columns["index"]), int(columns["index"][0])
    chunk, file = place.indices["chunk_index"], place.indices["file_index"]
    record: dict[str, Any] = {"episode_index": place.number, "tasks": [task], "length": length}
    record |= {"data/chunk_index": chunk, "data/file_index": file}
    record |= {"dataset_from_index": first, "dataset_to_index": first + length}
    for name in seen if fps is not None else ():
        record |= {f"videos/{name}/chunk_index": chunk, f"videos/{name}/file_index": file}
        record |= {f"videos/{name}/from_timestamp": 0.0, f"videos/{name}/to_timestamp": length / (fps or 1)}
    stats = statistics.all_stats(columns)
    stats |= {name: statistics.of_pictures(counts, length) for name, counts in seen.items()}
    for feature, figures in stats.items():
        record |= {f"stats/{feature}/{name}": value for name, value in figures.items()}
    return record | {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}


def _info(
    arm: str, fps: int, declared: dict[str, Any], records: Sequence[dict[str, Any]], as_video: bool
) -> dict[str, Any]:
    return {
        "codebase_version": VERSION,
        "robot_type": arm,
        "total_episodes": len(records),
        "total_frames": records[-1]["dataset_to_index"],
        "total_tasks": len({record["tasks"][0] for record in records}),
        "chunks_size": FILES_A_CHUNK,
        "data_files_size_in_mb": DATA_MIB,
        "video_files_size_in_mb": VIDEO_MIB,
        "fps": fps,
        "splits": {"train": f"0:{len(records)}"},
        "data_path": DATA,
        "video_path": VIDEO if as_video else None,
        "features": declared,
    }


@contextmanager
def _new(path: Path) -> Generator[Path]:
    """As `whole`, in a folder that may not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as aside:
        yield aside


def _write_json(path: Path, record: object) -> None:
    with _new(path) as aside:
        aside.write_text(json.dumps(record, indent=4), encoding="utf-8")
