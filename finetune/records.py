"""Reading JSON that another program wrote: what is needed must be there and of the right kind."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

T = TypeVar("T")


def read(file: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        ValueError: It is no JSON or no object.
    """
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{file}: got a {type(record).__name__}, expected an object")
    return record


def build(kind: type[T], record: object, file: Path) -> T:
    """A flat dataclass from the keys of its fields; further keys are left alone.

    Args:
        kind: The dataclass; its fields are of plain types.
        record: An object of the file.
        file: For the message.

    Raises:
        ValueError: A key is missing or of another kind, or the dataclass refuses the values.
    """
    if not isinstance(record, dict):
        raise ValueError(f"{file}: got {record!r}, expected the fields of a {kind.__name__}")
    types: dict[str, Any] = {each.name: each.type for each in fields(kind)}  # pyright: ignore[reportArgumentType]
    values = {name: need(record, name, type, file) for name, type in types.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error


def need(record: Mapping[str, Any], key: str, kind: type[T], file: Path) -> T:
    """The value under a key, of this kind; whole numbers serve as a float.

    Raises:
        ValueError: It is missing, of another kind, or not finite; the message names file and key.
    """
    if key not in record:
        raise ValueError(f"{file}: no {key!r}; it holds {', '.join(map(repr, record)) or 'nothing'}")
    value = record[key]
    allowed = (int, float) if kind is float else (kind,)
    # A bool is an int to Python, and JSON's NaN a float.
    wrong = not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool)
    if wrong or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{file}: {key}: got {value!r}, expected a {kind.__name__}")
    return cast(T, value)
