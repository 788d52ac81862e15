"""The tables of a LeRobotDataset as parquet files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.extras import extra

TASKS = "meta/tasks.parquet"
# How pandas, by which LeRobot reads the table of tasks, knows that the texts are its index.
_TASKS_PANDAS = {
    "index_columns": ["__index_level_0__"],
    "column_indexes": [],
    "columns": [
        {
            "name": "task_index",
            "field_name": "task_index",
            "pandas_type": "int64",
            "numpy_type": "int64",
            "metadata": None,
        },
        {
            "name": None,
            "field_name": "__index_level_0__",
            "pandas_type": "unicode",
            "numpy_type": "object",
            "metadata": None,
        },
    ],
    "creator": {"library": "robocat", "version": "1"},
    "pandas_version": "2.3.0",
}


def check_installed() -> None:
    """Sees that what writes tables and videos is there, before any work is done.

    Raises:
        MissingExtra: If it is not.
    """
    for module in ("pyarrow", "av"):
        extra(module, "lerobot")


def write_rows(
    path: Path, columns: Mapping[str, NDArray[Any]], pictures: Mapping[str, Sequence[bytes]]
) -> None:
    """Writes an episode's rows.

    Args:
        path: Of the file.
        columns: (T,) or (T, D) each.
        pictures: T PNGs each, for cameras whose pictures stand in the rows.
    """
    pa, parquet = extra("pyarrow", "lerobot"), extra("pyarrow.parquet", "lerobot")
    numbers = {name: _column(values) for name, values in columns.items()}
    shown = {
        name: pa.array(
            [{"bytes": png, "path": f"frame-{i:06d}.png"} for i, png in enumerate(pngs)],
            pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        )
        for name, pngs in pictures.items()
    }
    parquet.write_table(pa.table({**numbers, **shown}), path, compression="snappy")


def _column(values: NDArray[Any]) -> Any:
    """(T,) as a plain column, (T, D) as lists of D numbers; D = 1 is plain too, as LeRobot has it."""
    pa = extra("pyarrow", "lerobot")
    if values.ndim == 1 or values.shape[1] == 1:
        return pa.array(np.ascontiguousarray(values.reshape(-1)))
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def write_tasks(path: Path, texts: Sequence[str]) -> None:
    """Writes the table of tasks, in the order of their numbers."""
    pa, parquet = extra("pyarrow", "lerobot"), extra("pyarrow.parquet", "lerobot")
    table = pa.table(
        {
            "task_index": pa.array(range(len(texts)), pa.int64()),
            "__index_level_0__": pa.array(texts, pa.large_string()),
        }
    )
    parquet.write_table(table.replace_schema_metadata({"pandas": json.dumps(_TASKS_PANDAS)}), path)


def write_episodes(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Writes the table of episodes: a row each, columns as the first has them."""
    pa, parquet = extra("pyarrow", "lerobot"), extra("pyarrow.parquet", "lerobot")
    names = records[0]
    parquet.write_table(pa.table({name: [record[name] for record in records] for name in names}), path)
