"""Learning curves, drawn by matplotlib as SVG that takes its colours from the page, light or dark."""

import io
import math
import re
from collections.abc import Sequence
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from finetune.markup import Html, absent, join, short, tag
from finetune.run_folder import Run

Row = dict[str, float]

# Stand-ins that matplotlib writes and `_themed` replaces by the page's own colours.
_COLOURS = {
    "#00000a": "var(--ink)",
    "#00000b": "var(--faint)",
    "#00000c": "var(--accent)",
    "#00000d": "var(--second)",
    "#00000e": "var(--rule)",
}
_INK, _FAINT, _TRAIN, _HELD_OUT, _RULE = _COLOURS
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "robocat",  # the same ids every time
    "font.size": 9,
    "axes.edgecolor": _RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": _RULE,
    "grid.linewidth": 0.6,
    "xtick.color": _FAINT,
    "ytick.color": _FAINT,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "axes.labelcolor": _FAINT,
}
# What is learnt from and what is measured on episodes kept apart; the first that a training logged is drawn.
_LOSSES = (("action_loss", "held_out_action_loss"), ("reconstruction", "held_out_reconstruction"))
_PLAIN = ("loss", "held_out_loss")
_MOST_POINTS = 240


def curves_section(run: Run) -> Html:
    """One small chart per training, and what their lines mean."""
    charts = [_chart(name, rows) for name, rows in run.curves.items()]
    if not charts:
        return absent("metrics of any training", "models/*/metrics.jsonl and tokeniser/metrics.jsonl")
    keys = (
        tag("span", tag("i", class_="train"), "training loss: each measured batch, and their running mean"),
        tag("span", tag("i", class_="held"), "the same loss on episodes kept from training"),
    )
    return join((tag("p", *keys, class_="legend"), tag("div", *charts, class_="charts")))


def _chart(name: str, rows: Sequence[Row]) -> Html:
    train_key, held_key = next((pair for pair in _LOSSES if any(pair[0] in row for row in rows)), _PLAIN)
    train, held = _series(rows, train_key), _series(rows, held_key)
    if not train[0]:
        return tag("figure", absent(f"a loss of {name}", f"{name}/metrics.jsonl"))
    facts = [f"{train_key.replace('_', ' ')} {_mean_of_end(train[1]):.3g}"]
    if held[1]:
        facts.append(f"kept apart {held[1][-1]:.3g}")
    if speed := _series(rows, "samples_per_s")[1]:
        facts.append(f"{short(sum(speed) / len(speed))} samples/s")
    caption = tag("figcaption", tag("strong", name), tag("small", " · ".join(facts)))
    return tag("figure", caption, _themed(draw(train, held), name))


def _series(rows: Sequence[Row], key: str) -> tuple[list[float], list[float]]:
    """Steps and values of one metric, where it was measured and finite."""
    points = [(row["step"], row[key]) for row in rows if math.isfinite(row.get(key, math.nan))]
    return [step for step, _ in points], [value for _, value in points]


def _mean_of_end(values: Sequence[float]) -> float:
    end = values[-max(1, len(values) // 20) :]
    return sum(end) / len(end)


def draw(train: tuple[list[float], list[float]], held: tuple[list[float], list[float]]) -> str:
    """A chart as an SVG file.

    Args:
        train: Steps and training losses.
        held: Steps and losses on episodes kept apart; may be empty.
    """
    with rc_context(_STYLE):
        figure = Figure(figsize=(3.5, 2.1), layout="constrained")
        axes = figure.add_subplot()
        every = math.ceil(len(train[0]) / _MOST_POINTS)
        axes.plot(train[0][::every], train[1][::every], color=_TRAIN, linewidth=0.8, alpha=0.35)
        axes.plot(train[0][::every], _running_mean(train[1])[::every], color=_TRAIN, linewidth=1.6)
        if held[0]:
            axes.plot(*held, color=_HELD_OUT, linewidth=1.6, marker="o", markersize=3)
        axes.set_xlabel("steps")
        seen = train[1] + held[1]
        if min(seen) > 0 and max(seen) > 4 * min(seen):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
        axes.locator_params(axis="x", nbins=4)
        out = io.StringIO()
        # None of these leaves out what would be: an address, a date, a version.
        figure.savefig(
            out, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return out.getvalue()


def _running_mean(values: Sequence[float]) -> list[float]:
    """The mean of each value and its neighbours on both sides, over about a twentieth of them."""
    reach = len(values) // 40
    spans = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return [sum(span) / len(span) for span in spans]


def _themed(svg: str, name: str) -> Html:
    """An SVG file as part of the page: no prologue, no addresses, ids of its own, the page's colours."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<(metadata|style).*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;]*; ", "", body)
    body = body.replace("xlink:href", "href")
    prefix = re.sub(r"\W", "-", name)
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", body)
    body = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{prefix}">', body
    )
    for stand_in, colour in _COLOURS.items():
        body = body.replace(stand_in, colour)
    return Html(body)
