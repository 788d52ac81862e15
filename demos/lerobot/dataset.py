"""A LeRobotDataset on disk, v3.0 or v2.1, as `lerobot` or anyone wrote it, read a piece at a time.

Files may hold one episode or hundreds, in one row group or many, their videos end to end: what is read at a
time is a row group, and of the pictures one episode's.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demos.lerobot import video
from demos.lerobot.layout import VERSION
from sim.extras import extra

V21 = "v2.1"
READABLE = (VERSION, V21)


@dataclass(frozen=True)
class Row:
    """What the set says of one episode.

    Attributes:
        videos: For each video feature its file and where in it the episode begins [s].
    """

    number: int
    tasks: tuple[str, ...]
    length: int
    videos: dict[str, tuple[Path, float]]


class Dataset:
    """A set at `root`.

    Attributes:
        info: meta/info.json.
        episodes: By number, 0 and up.

    Raises:
        ValueError: If there is none, or one of a version that is not read here.
        MissingExtra: If the extra `lerobot` is not installed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        path = root / "meta/info.json"
        if not path.is_file():
            raise ValueError(f"{root} is no LeRobotDataset: it has no meta/info.json")
        self.info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self.version = str(self.info.get("codebase_version"))
        if self.version not in READABLE:
            raise ValueError(f"{root} is of version {self.version}; expected {' or '.join(READABLE)}")
        self.features: dict[str, dict[str, Any]] = self.info["features"]
        self.fps = float(self.info["fps"])
        self.tasks = self._tasks()
        self.episodes = self._old_episodes() if self.version == V21 else self._episodes()
        numbers = [row.number for row in self.episodes]
        if numbers != list(range(len(numbers))):
            raise ValueError(f"{root} lists episodes {numbers[:5]} ..., expected 0 to {len(numbers) - 1}")

    @property
    def pictures(self) -> list[str]:
        """Names of the features that are pictures in colour, in the rows or as videos."""
        return [
            name
            for name, each in self.features.items()
            if each["dtype"] in ("image", "video") and tuple(each["shape"])[-1] == 3
        ]

    def names(self, feature: str) -> list[str]:
        """A name for each number of a feature: those that the set gives, else its own with a count."""
        size = int(np.prod(self.features[feature]["shape"]))
        given: Any = self.features[feature].get("names")
        if isinstance(given, dict):  # {"motors": [...]}
            lists: list[Any] = [each for each in given.values() if isinstance(each, list)]
            given = lists[0] if len(lists) == 1 else None
        if isinstance(given, list) and len(given) == len(set(given)) == size:
            return [str(name) for name in given]
        return [f"{feature}_{i}" for i in range(size)]

    def columns(self, names: Sequence[str]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """The rows of one episode after the other: its number, and columns (T,) or (T, D) of numbers.

        Raises:
            ValueError: If there are more or fewer rows than the set says.
        """
        for number, table in self._tables(names):
            yield number, {name: _array(table[name]) for name in names}

    def episode(
        self, names: Sequence[str], pictures: Sequence[str]
    ) -> Iterator[tuple[Row, dict[str, NDArray[Any]], "Pictures"]]:
        """One episode after the other: its columns, and its pictures, which are decoded when asked for."""
        inside = [name for name in pictures if self.features[name]["dtype"] == "image"]
        for number, table in self._tables([*names, *inside]):
            columns = {name: _array(table[name]) for name in names}
            row = self.episodes[number]
            yield row, columns, Pictures(self.root, row, {name: table[name] for name in inside}, columns)

    def _tables(self, names: Sequence[str]) -> Iterator[tuple[int, Any]]:
        """The rows of one episode after the other, as tables: parts of row groups, or several joined."""
        pa, parquet = extra("pyarrow", "lerobot"), extra("pyarrow.parquet", "lerobot")
        wanted = [*dict.fromkeys(["episode_index", *names])]
        parts: list[Any] = []
        number = 0
        for path in sorted((self.root / "data").glob("*/*.parquet")):
            with parquet.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group, columns=wanted)
                    for part in _runs(table):
                        now = part["episode_index"][0].as_py()
                        if parts and now != number:
                            yield number, self._checked(number, pa.concat_tables(parts))
                            parts = []
                        number = now
                        parts.append(part)
        if parts:
            yield number, self._checked(number, pa.concat_tables(parts))

    def _checked(self, number: int, table: Any) -> Any:
        if not 0 <= number < len(self.episodes):
            raise ValueError(
                f"{self.root} has rows of episode {number}, and lists {len(self.episodes)} episodes"
            )
        if len(table) != self.episodes[number].length:
            expected = self.episodes[number].length
            raise ValueError(
                f"{self.root}: episode {number} has {len(table)} rows, expected {expected}, as listed"
            )
        return table

    def _tasks(self) -> dict[int, str]:
        """Texts by number. The text is the table's index, by whatever name pandas gave it."""
        if self.version == V21:
            return {each["task_index"]: each["task"] for each in _lines(self.root / "meta/tasks.jsonl")}
        parquet = extra("pyarrow.parquet", "lerobot")
        table = parquet.read_table(self.root / "meta/tasks.parquet").to_pydict()
        numbers = table.pop("task_index")
        text = "task" if "task" in table else next(iter(table))
        return dict(zip(numbers, table[text], strict=True))

    def _episodes(self) -> list[Row]:
        parquet = extra("pyarrow.parquet", "lerobot")
        keys = [name for name, each in self.features.items() if each["dtype"] == "video"]
        rows: list[Row] = []
        for path in sorted((self.root / "meta/episodes").glob("*/*.parquet")):
            there = parquet.ParquetFile(path).schema_arrow.names
            columns = [name for name in there if not name.startswith("stats/")]
            for record in parquet.read_table(path, columns=columns).to_pylist():
                videos = {key: self._video(key, record) for key in keys}
                number, tasks = record["episode_index"], tuple(record["tasks"])
                rows.append(Row(number, tasks, record["length"], videos))
        return sorted(rows, key=lambda row: row.number)

    def _video(self, key: str, record: dict[str, Any]) -> tuple[Path, float]:
        found = {name: record[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
        path = self.root / self.info["video_path"].format(video_key=key, **found)
        return path, float(record[f"videos/{key}/from_timestamp"])

    def _old_episodes(self) -> list[Row]:
        """Of v2.1, where each episode has files of its own."""
        keys = [name for name, each in self.features.items() if each["dtype"] == "video"]
        rows: list[Row] = []
        for each in _lines(self.root / "meta/episodes.jsonl"):
            number = each["episode_index"]
            found = {"episode_index": number, "episode_chunk": number // self.info["chunks_size"]}
            videos = {
                key: (self.root / self.info["video_path"].format(video_key=key, **found), 0.0) for key in keys
            }
            rows.append(Row(number, tuple(each["tasks"]), each["length"], videos))
        return sorted(rows, key=lambda row: row.number)


@dataclass(frozen=True)
class Pictures:
    """The pictures of one episode."""

    root: Path
    row: Row
    inside: dict[str, Any]
    columns: dict[str, NDArray[Any]]

    def of(self, feature: str) -> NDArray[np.uint8]:
        """(T, H, W, 3) RGB.

        Raises:
            ValueError: If a video has no frame at the time of a row.
        """
        if feature in self.inside:
            return np.stack([self._picture(each) for each in self.inside[feature].to_pylist()])
        path, begins_s = self.row.videos[feature]
        return video.read_at(path, begins_s + self.columns["timestamp"].astype(np.float64))

    def _picture(self, stored: dict[str, Any]) -> NDArray[np.uint8]:
        """One that stands in the rows, or in a file that they name."""
        data = stored["bytes"] or (self.root / stored["path"]).read_bytes()
        return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def _runs(table: Any) -> Iterator[Any]:
    """Parts of a table that are of one episode each."""
    numbers = table["episode_index"].to_numpy()
    edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for start, stop in zip(edges, edges[1:], strict=False):
        if stop > start:
            yield table.slice(start, stop - start)


def _array(column: Any) -> NDArray[Any]:
    """A column of numbers (T,), or of lists of D numbers (T, D)."""
    whole = column.combine_chunks()
    if not hasattr(whole, "flatten") or not hasattr(whole.type, "value_type"):
        return whole.to_numpy(zero_copy_only=False)
    return whole.flatten().to_numpy(zero_copy_only=False).reshape(len(whole), -1)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
