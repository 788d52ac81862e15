"""Pieces of a page: text is escaped unless it is `Html`, numbers are written one way."""

import base64
import html
from collections.abc import Iterable

_VOID = ("img", "br", "meta", "col")


class Html(str):
    """Text that is markup already."""


def tag(name: str, *inside: str, **attributes: object) -> Html:
    """An element.

    Args:
        name: Such as "td".
        *inside: Its content, joined; strings that are not `Html` are escaped.
        **attributes: `class_="x"` gives class="x", `stroke_width=2` gives stroke-width="2"; True gives the
            bare name, None and False leave it out.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(inside)}</{name}>")


def join(pieces: Iterable[str], between: str = "") -> Html:
    """Pieces after each other, those that are not `Html` escaped."""
    return Html(between.join(p if isinstance(p, Html) else html.escape(p, quote=False) for p in pieces))


def data_uri(kind: str, data: bytes) -> str:
    """A file inside the page; `kind` is its media type ("image/png")."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def absent(what: str, where: str) -> Html:
    """Says that a part of the run is not there (yet), and where it would be."""
    return tag("p", f"Not in this run: {what}. It would be in ", tag("code", where), ".", class_="absent")


def table(head: Iterable[Html], rows: Iterable[Html], kind: str, caption: str = "") -> Html:
    """A table that scrolls sideways where the page is narrower."""
    title = tag("caption", caption) if caption else Html()
    parts = (title, tag("thead", tag("tr", *head)), tag("tbody", *rows))
    return tag("div", tag("table", *parts, class_=kind), class_="scroll", tabindex=0)


def percent(share: float) -> str:
    """A share of 1 as whole percent: "62%"."""
    return f"{100 * share:.0f}%"


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign: "+12", "−3", "0"."""
    number = round(100 * difference)
    sign = "+" if number > 0 else "\N{MINUS SIGN}" if number < 0 else ""
    return f"{sign}{abs(number)}"


def whole(number: float) -> str:
    """A count with thousands apart: "12,345"."""
    return f"{number:,.0f}"


def many(number: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: "1 episode", "3,600 episodes"."""
    return f"{whole(number)} {noun if number == 1 else plural or noun + 's'}"


def short(number: float) -> str:
    """A large count in three digits: "1.12 M"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return whole(number)


def duration(seconds: float) -> str:
    """A time [s] as a person says it: "8.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(bytes: float) -> str:
    """A size [bytes]: "412 MB"."""
    for unit, letter in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if bytes >= unit:
            return f"{bytes / unit:.3g} {letter}"
    return f"{bytes:.0f} bytes"


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
