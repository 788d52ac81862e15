"""What is not installed unless asked for, and how to ask."""

import importlib
from typing import Any


class MissingExtra(OSError):
    """A library of an optional extra is not installed."""


def extra(module: str, name: str) -> Any:
    """A module of one of the project's extras.

    Args:
        module: Such as "pyarrow.parquet".
        name: Of the extra that brings it.

    Raises:
        MissingExtra: If it is not there, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtra(
            f"{error.name} is not installed; pip install '.[{name}]' in this project's folder brings it"
        ) from None
