"""Variants of a frozen dataclass by name, and how what came of them compares with the one as it is."""

import ast
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from rich.table import Table

from robocat.scores import Scores
from sim.names import pick

AS_IT_IS = "as-it-is"
COMMA = re.compile(r",(?![^(]*\))")  # not those inside brackets, as in levels=(8,8,8)


class Settings(Protocol):
    """A dataclass of settings."""

    __dataclass_fields__: dict[str, Any]


S = TypeVar("S", bound=Settings)


def parse_variants(texts: tuple[str, ...], start: S) -> dict[str, S]:
    """Settings by name, those as they are first, from texts such as "name:field=value,field=value".

    Raises:
        ValueError: A text of another form, a name given twice, a field that is not there, or a value of
            another kind.
    """
    variants = {AS_IT_IS: start}
    for text in texts:
        name, _, changes = text.partition(":")
        pairs = [change.partition("=") for change in COMMA.split(changes)]
        if not name or not all(field and value for field, _, value in pairs):
            raise ValueError(f"variant {text!r}: expected name:field=value,field=value")
        if name in variants:
            raise ValueError(f"variant {text!r}: the name {name!r} is taken; names: {', '.join(variants)}")
        values = asdict(start)
        for field, _, value in pairs:
            pick(values, field, f"field of {type(start).__name__}")
            values[field] = _value(text, value, values[field])
        variants[name] = type(start)(**values)
    return variants


def _value(variant: str, text: str, like: object) -> object:
    """A value of the kind that stands there now; a whole number serves as a float."""
    try:
        value: object = text if isinstance(like, str) else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = None
    if isinstance(like, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(like):
        raise ValueError(f"variant {variant!r}: got {text!r}, expected a {type(like).__name__}")
    return value


def changed(settings: Settings, start: Settings) -> dict[str, object]:
    """The fields in which two settings differ, as the first has them."""
    return {key: value for key, value in asdict(settings).items() if value != asdict(start)[key]}


def compare(scores: Scores, start: Scores) -> dict[str, object]:
    """Rate of each task with its interval and, against the one as it is, the paired difference."""
    figures: dict[str, object] = {}
    for task, rate in scores.by_task().items():
        cells = [cell for cell in scores.cells() if cell[1] == task]
        figures[task] = {"rate": asdict(rate), "difference": asdict(scores.paired_over(start, cells))}
    return figures


def comparison_table(figures: Mapping[str, Mapping[str, object]], title: str) -> Table:
    """Variants, seeds and tasks down; rates and differences across."""
    table = Table("variant", "seed", "task", "success", "against as it is", title=title)
    for name, figure in figures.items():
        for seed, tasks in figure["by_seed"].items():  # pyright: ignore[reportAttributeAccessIssue]
            for task, each in tasks.items():
                rate, gap = each["rate"], each["difference"]
                share = f"{rate['successes'] / rate['n']:.0%} ({rate['low']:.0%}-{rate['high']:.0%})"
                change = f"{gap['mean']:+.2f} ({gap['low']:+.2f} to {gap['high']:+.2f})"
                table.add_row(name, str(seed), task, f"{share}, n {rate['n']}", change)
    return table
