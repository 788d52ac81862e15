"""`robocat data import lerobot`: the episodes of a LeRobotDataset, v3.0 or v2.1, as a store's.

robocat data import lerobot exports/mine --out runs/back
robocat data import lerobot their-set --out runs/theirs --cameras top --outcome success --scale-actions

What was exported from a store comes back as it was, but for pictures of videos that are not lossless. Of
another project's set `observation.state` is the proprioception; what a set does not say and an episode needs
is filled in as `demos.foreign` has it, and at the end a line tells of each thing filled in or left out.
Interrupted and started again, it goes on with the first episode that the store lacks.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from tyro.conf import Positional

from demos.episode import OPTIONAL, Episode, EpisodeMeta
from demos.foreign import (
    AS_IT_IS,
    OnTerms,
    Ranges,
    Recording,
    Remarks,
    Source,
    Terms,
    is_there,
    name_of,
    ranges,
)
from demos.lerobot.dataset import Dataset, Pictures, Row
from demos.lerobot.layout import ACTION, DEFAULTS, IMAGES, STATE, Place
from demos.lerobot.tables import check_installed
from demos.progress import progress
from demos.store import EpisodeStore
from sim.names import pick

SUCCESS, PROGRESS = "next.success", "next.progress"
UNDERSTOOD = {STATE, ACTION, SUCCESS, "next.done", *DEFAULTS}
Columns = dict[str, NDArray[Any]]


def import_(dataset: Positional[Path], *, out: Path, terms: OnTerms = AS_IT_IS) -> None:
    """Commits a LeRobotDataset's episodes to a store; goes on where it was interrupted.

    Args:
        dataset: Folder of the set.
        out: The store that takes the episodes; it may be there already.
        terms: For sets of other projects; what `data export lerobot` wrote says it all itself.
    """
    check_installed()
    source = Dataset(dataset)
    remarks = Remarks()
    own = (dataset / "robocat/plan.json").is_file()
    episodes = _Own(source, remarks) if own else _Theirs(source, terms, remarks)
    new = import_episodes(source, episodes, EpisodeStore(out))
    print(f"{out}: {new} new episodes of {len(source.episodes)} in {dataset}")
    remarks.show()


class _Own:
    """Episodes of a set that was exported from a store: what LeRobot has no place for stands beside it."""

    def __init__(self, source: Dataset, remarks: Remarks) -> None:
        self._root = source.root
        self.names = (STATE, ACTION, "next.success", PROGRESS, "timestamp")
        self.pictures = tuple(source.pictures)
        for name in self.pictures:
            info = source.features[name].get("info", {})
            if info.get("video.pix_fmt") not in (None, "rgb24"):
                remarks.say(
                    f"pictures of {name.removeprefix(IMAGES)} are those of the video, near the recorded ones"
                )

    def id_of(self, row: Row) -> str:
        """Of the episode that was exported."""
        return self._beside(row)[1].id

    def actions(self, columns: Columns) -> NDArray[np.float32]:
        """As they were executed (T, A)."""
        return columns[ACTION].astype(np.float32)

    def episode(self, row: Row, columns: Columns, pictures: Pictures) -> Episode:
        """The episode that was exported.

        Raises:
            ValueError: If the set was edited since.
        """
        own, meta = self._beside(row)
        progress = columns[PROGRESS].reshape(-1)
        if not np.array_equal(own["progress"][1:], progress):
            raise ValueError(
                f"{self._root}/robocat is not of the rows of episode {row.number}: the set was edited since; "
                "without that folder it imports as any other"
            )
        images = {
            camera: np.concatenate([pictures.of(IMAGES + camera), own[f"last/{camera}"][None]])
            for camera in meta.cameras
        }
        return Episode(
            images=images,
            proprio=np.concatenate([_table(columns[STATE]), own["last/proprio"][None]]),
            action=_table(columns[ACTION]),
            label=own["label"],
            success=columns["next.success"].reshape(-1),
            progress=own["progress"],
            state=own["state"],
            wall_time=own["wall_time"],
            goal={name.partition("/")[2]: own[name] for name in own if name.startswith("goal/")},
            meta=meta,
            **{name: own[name] for name in OPTIONAL if name in own},
        )

    def _beside(self, row: Row) -> tuple[Columns, EpisodeMeta]:
        path = Place(row.number).own(self._root)
        if not path.is_file():
            raise ValueError(f"{path} is missing; without the folder robocat the set imports as any other")
        with safe_open(path, "np") as file:
            own = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 it is no mapping
            return own, EpisodeMeta.from_json(file.metadata()["meta"])


class _Theirs:
    """Episodes of another project's set."""

    def __init__(self, source: Dataset, terms: Terms, remarks: Remarks) -> None:
        arm = terms.arm or name_of(str(source.info.get("robot_type") or ""))
        if arm == "unknown":
            raise ValueError(f"{source.root} does not say what robot it is of: say --arm")
        self._source = Source(arm, source.fps, *_all_ranges(source), SUCCESS, terms, remarks)
        self._task = terms.task
        self.pictures = pictures = tuple(_chosen(source, terms.cameras))
        judged = (SUCCESS,) if SUCCESS in source.features else ()
        self.names = (STATE, ACTION, *judged, "timestamp")
        others = set(source.features) - UNDERSTOOD - set(pictures)
        if others:
            remarks.say(f"left out: {', '.join(sorted(others))}")
        texts = {row.tasks[0] for row in source.episodes if row.tasks}
        for text in sorted(texts):
            remarks.say(f"task {text!r} is {terms.task or name_of(text)}")

    def id_of(self, row: Row) -> str:
        return self._source.id_of(row.number, self._named(row))

    def actions(self, columns: Columns) -> NDArray[np.float32]:
        return self._source.actions(_table(columns[ACTION]))

    def episode(self, row: Row, columns: Columns, pictures: Pictures) -> Episode:
        if len(row.tasks) > 1:
            self._source.remarks.say("episodes of several tasks are under their first one")
        success = columns.get(SUCCESS)
        return self._source.episode(
            Recording(
                number=row.number,
                task=self._named(row),
                images={name.removeprefix(IMAGES): pictures.of(name) for name in self.pictures},
                proprio=_table(columns[STATE]),
                action=_table(columns[ACTION]),
                success=None if success is None else success.reshape(-1).astype(bool),
                seconds=columns["timestamp"].reshape(-1).astype(np.float64),
            )
        )

    def _named(self, row: Row) -> str:
        return self._task or name_of(row.tasks[0] if row.tasks else "")


def import_episodes(source: Dataset, episodes: _Own | _Theirs, store: EpisodeStore) -> int:
    """Commits those that the store lacks, one at a time; returns how many.

    Raises:
        ValueError: If the store has another episode of one's name.
    """
    new = 0
    with progress(source.root.name, len(source.episodes)) as advance:
        for row, columns, pictures in source.episode(episodes.names, episodes.pictures):
            if not is_there(store, episodes.id_of(row), episodes.actions(columns)):
                store.commit(episodes.episode(row, columns, pictures))
                new += 1
            advance(1)
    return new


def _chosen(source: Dataset, cameras: Sequence[str]) -> list[str]:
    """The picture features of these cameras, in the set's order; of all if none are named."""
    there = {name.removeprefix(IMAGES): name for name in source.pictures}
    for camera in cameras:
        pick(there, camera, "camera")
    return [name for camera, name in there.items() if not cameras or camera in cameras]


def _all_ranges(source: Dataset) -> tuple[Ranges, Ranges]:
    """The ranges of states and actions over the whole set."""
    for name in (STATE, ACTION):
        if name not in source.features:
            raise ValueError(f"{source.root} has no {name!r}; it has {', '.join(source.features)}")
    return _ranges(source, STATE), _ranges(source, ACTION)


def _ranges(source: Dataset, name: str) -> Ranges:
    tables: Iterator[NDArray[np.float32]] = (_table(columns[name]) for _, columns in source.columns([name]))
    return ranges(source.names(name), tables)


def _table(values: NDArray[Any]) -> NDArray[np.float32]:
    """(T, D) float32, also of a column of single numbers."""
    return values.reshape(len(values), -1).astype(np.float32)
