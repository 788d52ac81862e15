"""Looking a value up by its name, with an error that says what could have been meant."""

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")
AT_MOST = 20  # names in a message; of more the first are listed, and how many there are


class UnknownName(ValueError):
    """A name that is not in the table it was looked up in."""


def pick(table: Mapping[str, T], name: str, noun: str) -> T:
    """Returns the value that `table` holds under `name`.

    Args:
        table: Values by name.
        name: The name to look up, exactly as spelt in the table.
        noun: What the table holds, in the singular, for the message ("arm").

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
    raise UnknownName(f"unknown {noun} {name!r}{guess} {noun}s: {', '.join(listed) or '(none)'}")
