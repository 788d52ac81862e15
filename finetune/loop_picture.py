"""The loop as a picture: eight boxes with what went through them, drawn as SVG once wide and once narrow."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from finetune.markup import Html, join, many, percent, points, short, size, tag, whole
from finetune.run_folder import Run
from finetune.standing import Standing

# In units of the drawing, which is pixels where the page is as wide as the drawing.
_WIDE_BOX, _NARROW_BOX = (224, 124), (340, 112)
_GAP = 52


@dataclass(frozen=True)
class Box:
    """One stage: its name, its number and what the number counts, further lines, and how long it took [s]."""

    title: str
    number: str = ""
    unit: str = ""
    lines: tuple[str, ...] = ()
    seconds: float | None = None
    mood: str = ""

    @property
    def done(self) -> bool:
        return bool(self.number)


def loop_picture(run: Run, standing: Standing) -> Html:
    """Both drawings; the style sheet shows the one that fits."""
    boxes = loop_boxes(run, standing)
    return tag("div", _wide(boxes), _narrow(boxes), class_="loop")


def loop_drawing(run: Run, standing: Standing) -> str:
    """The wide drawing as an SVG file of its own, with the page's colours and letters."""
    drawing = _wide(loop_boxes(run, standing))
    page = files("finetune").joinpath("templates", "report.html").read_text(encoding="utf-8")
    style = page[page.index("<style>") : page.index("</style>")] + "svg { font-family: sans-serif }</style>"
    head, _, body = drawing.partition(">")
    inside = body.removesuffix("</svg>")
    return f'{head} xmlns="http://www.w3.org/2000/svg">{style}<g class="loop">{inside}</g></svg>\n'


def loop_boxes(run: Run, standing: Standing) -> list[Box]:
    """The eight stages in their order, with the counts and rates of the run."""
    last = standing.last or "generalist-1"
    return [
        _demonstrations(run),
        _store(run),
        _tokeniser(run),
        _generalist(run, standing, "generalist-0"),
        _branch(run, standing),
        _practice(run),
        _generalist(run, standing, last if last != "generalist-0" else "generalist-1"),
        _gate(run),
    ]


def _demonstrations(run: Run) -> Box:
    if (demos := run.stores.get("demos")) is None:
        return Box("Demonstrations")
    arms, tasks = ({cell[i] for cell in demos.cells} for i in (0, 1))
    scope = f"{many(len(arms), 'arm')} \N{MULTIPLICATION SIGN} {many(len(tasks), 'task')}"
    succeeded = f"{percent(demos.successes / max(1, len(demos.entries)))} successful"
    lines = (scope, succeeded)
    return Box("Demonstrations", whole(len(demos.entries)), "episodes", lines, run.seconds("demonstrations"))


def _store(run: Run) -> Box:
    kept = [run.stores[name] for name in ("demos", "adaptation", "practice") if name in run.stores]
    if not kept:
        return Box("Store")
    steps, volume = sum(stock.steps for stock in kept), sum(stock.bytes for stock in kept)
    lines = (f"{many(sum(len(stock.entries) for stock in kept), 'episode')}, {size(volume)}",)
    return Box("Store", short(steps), "steps", lines)


def _tokeniser(run: Run) -> Box:
    first, *later = run.tokenisers.values() or (None,)
    if first is None or (card := first.card) is None:
        return Box("Tokeniser")
    # On the same images, as the two whole figures are not; one line has room: that of what is newest.
    newest = [(store, effect) for each in later for store, effect in each.effects.items()][-1:]
    extended = [f"extended: {effect.gain_db:+.1f} dB on {store}" for store, effect in newest]
    lines = (f"{whole(card.codes_used)} of {whole(card.codes)} codes in use", *extended)
    return Box("Tokeniser", f"{card.psnr_db:.1f}", "dB PSNR", lines, run.seconds("tokeniser"))


def _generalist(run: Run, standing: Standing, name: str) -> Box:
    title = name.replace("-", " ").capitalize()
    if name not in run.models and name not in run.scores:
        return Box(title)
    lines = [f"{percent(new.mean)} on {standing.new_name}"] if (new := standing.new(name)) else []
    if model := run.models.get(name):
        lines.append(f"{short(model.parameters)} parameters, {short(model.steps)} steps")
    known = standing.known(name)
    number, unit = (percent(known.mean), "on what was known") if known else ("trained", "")
    return Box(title, number, unit, tuple(lines), run.seconds(name))


def _branch(run: Run, standing: Standing) -> Box:
    if "branch" not in run.models and "branch" not in run.scores:
        return Box("Branch")
    rate, adaptation = standing.new("branch"), run.stores.get("adaptation")
    number, unit = (percent(rate.mean), "on what is new") if rate else ("trained", "")
    lines = [standing.new_name] if standing.new_name else []
    if adaptation is not None:
        lines.append(f"from {many(len(adaptation.entries), 'demonstration')}")
    return Box("Branch", number, unit, tuple(lines), run.seconds("branch"))


def _practice(run: Run) -> Box:
    if (practice := run.stores.get("practice")) is None:
        return Box("Practice")
    rate = practice.successes / max(1, len(practice.entries))
    lines = (f"{whole(practice.successes)} succeeded ({percent(rate)})", f"{short(practice.steps)} steps")
    return Box("Practice", whole(len(practice.entries)), "attempts", lines, run.seconds("practice"))


def _gate(run: Run) -> Box:
    if (gate := run.gate) is None:
        return Box("Gate")
    word, mood = ("accepted", "good") if gate.accepted else ("rejected", "bad")
    lines = (
        f"{points(gate.versus_parent.mean)} points on what is new",
        f"{points(gate.old_mean.mean)} points on what was known",
    )
    return Box("Gate", word, "", lines, run.seconds("gate"), mood)


def _wide(boxes: list[Box]) -> Html:
    """Two rows of four, the second from right to left, so that practice lies under the store's side."""
    across, down = _WIDE_BOX[0] + _GAP, _WIDE_BOX[1] + _GAP
    spots = [((i if i < 4 else 7 - i) * across + 1, (i // 4) * down + 1) for i in range(8)]
    drawing = (3 * across + _WIDE_BOX[0] + 2, down + _WIDE_BOX[1] + 2)
    right, middle = _WIDE_BOX[0], _WIDE_BOX[1] / 2
    arrows = [_arrow("wide", x + right, y + middle, x + across, y + middle) for x, y in spots[:3]]
    arrows += [_arrow("wide", x, y + middle, x - _GAP, y + middle) for x, y in (spots[4], spots[6])]
    x, y = spots[3]
    arrows.append(_arrow("wide", x + right / 2, y + _WIDE_BOX[1], x + right / 2, y + down))
    # Practice goes back into the store, and the next generalist is trained on all that is there.
    (px, py), (sx, sy) = spots[5], spots[1]
    bend = py - _GAP / 2
    path = f"M{px + 60} {py} V{bend} H{sx + right - 44} V{sy + _WIDE_BOX[1] + 7}"
    arrows.append(tag("path", d=path, class_="arrow back", marker_end="url(#wide-back)"))
    arrows.append(
        tag("text", "episodes", x=px - _GAP / 2 + 8, y=bend - 7, class_="note", text_anchor="middle")
    )
    arrows.append(_arrow("wide", sx + 60, sy + _WIDE_BOX[1], sx + 60, py))
    arrows.append(tag("text", "all data", x=sx + 68, y=bend + 4, class_="note"))
    return _svg(boxes, spots, arrows, box_size=_WIDE_BOX, drawing=drawing, kind="wide")


def _narrow(boxes: list[Box]) -> Html:
    """One column; what practice returns runs up its side."""
    down = _NARROW_BOX[1] + 34
    spots = [(1.0, i * down + 1.0) for i in range(8)]
    side = _NARROW_BOX[0]
    arrows = [_arrow("narrow", 150, y + _NARROW_BOX[1], 150, y + down) for _, y in spots[:-1]]
    start, end = (spots[i][1] + _NARROW_BOX[1] / 2 for i in (5, 1))
    path = f"M{side + 1} {start} H{side + 22} V{end} H{side + 9}"
    arrows.append(tag("path", d=path, class_="arrow back", marker_end="url(#narrow-back)"))
    drawing = (side + 26, 7 * down + _NARROW_BOX[1] + 2)
    return _svg(boxes, spots, arrows, box_size=_NARROW_BOX, drawing=drawing, kind="narrow")


def _svg(
    boxes: list[Box],
    spots: Sequence[tuple[float, float]],
    arrows: Sequence[Html],
    *,
    box_size: tuple[int, int],
    drawing: tuple[float, float],
    kind: str,
) -> Html:
    drawn = [_draw(box, x, y, box_size) for box, (x, y) in zip(boxes, spots, strict=True)]
    title = "The loop: " + "; ".join(f"{b.title} {b.number or 'not run'} {b.unit}".strip() for b in boxes)
    # By names of their own: a marker inside a drawing that is not shown is not drawn elsewhere either.
    heads = [_head(f"{kind}-head", "head"), _head(f"{kind}-back", "head back")]
    width, height = drawing
    return tag(
        "svg",
        tag("title", title),
        tag("defs", *heads),
        *arrows,
        *drawn,
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        class_=kind,
    )


def _head(name: str, kind: str) -> Html:
    shape = tag("path", d="M0 0 L8 4 L0 8 z", class_=kind)
    return tag("marker", shape, id=name, markerWidth=8, markerHeight=8, refX=1, refY=4, orient="auto")


def _arrow(kind: str, x1: float, y1: float, x2: float, y2: float) -> Html:
    """A line from one box to another that leaves room for its head and a little air at both ends."""
    length = max(abs(x2 - x1), abs(y2 - y1))
    dx, dy = (x2 - x1) / length, (y2 - y1) / length
    start, end = (x1 + 5 * dx, y1 + 5 * dy), (x2 - 12 * dx, y2 - 12 * dy)
    path = f"M{start[0]:g} {start[1]:g} L{end[0]:g} {end[1]:g}"
    return tag("path", d=path, class_="arrow", marker_end=f"url(#{kind}-head)")


def about(seconds: float) -> str:
    """A time [s] in seven characters at most, which fit beside a title: "8.2 s", "11 min", "2.1 h"."""
    unit, letters = next(((n, word) for n, word in ((3600, "h"), (60, "min")) if seconds >= n), (1, "s"))
    count = seconds / unit
    return f"{count:.1f} {letters}" if count < 9.95 else f"{count:.0f} {letters}"


def _draw(box: Box, x: float, y: float, box_size: tuple[int, int]) -> Html:
    width, height = box_size
    frame = tag("rect", x=x, y=y, width=width, height=height, rx=10)
    words = [tag("text", box.title, x=x + 16, y=y + 26, class_="title")]
    if box.seconds is not None:
        right = x + width - 14
        words.append(tag("text", about(box.seconds), x=right, y=y + 26, class_="note", text_anchor="end"))
    if not box.done:
        words.append(tag("text", "not run", x=x + 16, y=y + 52, class_="note"))
    else:
        number = tag("tspan", box.number, class_="number")
        unit = tag("tspan", box.unit, dx=7, class_="unit")
        words.append(tag("text", number, unit, x=x + 16, y=y + height / 2 - 1))
        bottom = y + height - 20
        lines = box.lines[:2]
        for i, line in enumerate(lines):
            words.append(tag("text", line, x=x + 16, y=bottom - 19 * (len(lines) - 1 - i), class_="line"))
    kind = " ".join(filter(None, ("box", "" if box.done else "undone", box.mood)))
    return tag("g", frame, join(words), class_=kind)
