"""Looking a value up by its name, with an error that says what could have been meant."""

import difflib
import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")
AT_MOST = 20  # names in a message; of more the first are listed, and how many there are

# Names become parts of file names and of ids such as "panda-lift-red-expert-000042-3f9c01ab".
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,47}")


class UnknownName(ValueError):
    """A name that is not in the table it was looked up in."""


def pick(table: Mapping[str, T], name: str, noun: str, hint: str = "") -> T:
    """Returns the value that `table` holds under `name`.

    Args:
        table: Values by name.
        name: The name to look up, exactly as spelt in the table.
        noun: What the table holds, in the singular, for the message ("arm").
        hint: What else to say where there is none.

    Raises:
        UnknownName: If the table has no such name; the message gives the nearest name and the valid ones.
    """
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ";"
    listed = sorted(table)[:AT_MOST]
    if len(table) > AT_MOST:
        listed.append(f"and {len(table) - AT_MOST} more")
    valid = f"{noun}s: {', '.join(listed) or '(none)'}" + (f"; {hint}" if hint else "")
    raise UnknownName(f"unknown {noun} {name!r}{guess} {valid}")


def check_name(name: str, noun: str) -> None:
    """Sees that a name that a user gave can be part of an id and of a file's name.

    Raises:
        ValueError: If it cannot.
    """
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{noun} {name!r}: name: expected 1 to 48 letters, digits, '_', '.' or '-', the first no sign"
        )
