"""Where everything in a run comes from and what it cost: lineage, time, memory, disk, settings."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from finetune.markup import Html, absent, duration, join, many, percent, short, size, table, tag, whole
from finetune.run_folder import Checkpoint, Run, Source, Stage, TokeniserOrigin, last_part

MIB = 2**20
_DIGITS = 12  # of a hash; the whole of it is what the mouse pointer shows


def lineage_section(run: Run) -> Html:
    """Every checkpoint with its parent and its data, children under their parents."""
    parts = [_eyes(each.origin) for each in run.tokenisers.values() if each.origin is not None]
    if not run.models:
        return join((*parts, absent("a finished checkpoint", "models/")))
    titles = (
        "checkpoint",
        "from",
        "steps",
        "parameters",
        "tokeniser",
        "learnt from",
        "episodes",
        "steps",
        "share",
        "",
    )
    head = [tag("th", title) for title in (*titles[:-1], "digest")]
    rows = [row for model, depth in family(run.models) for row in _origins(model, depth)]
    return join((*parts, table(head, rows, "lineage")))


def _eyes(origin: TokeniserOrigin) -> Html:
    """What a tokeniser was extended from, if it was, and what it learnt from, in a sentence."""
    stores = join((join((last_part(path), " ", _hash(digest))) for path, digest in origin.stores), ", ")
    begun = () if origin.parent is None else (", extended from ", _hash(origin.parent), ",")
    learnt = f" ({short(origin.parameters)} parameters) learnt {many(origin.images, 'image')} of "
    return tag("p", "The tokeniser ", _hash(origin.weights), *begun, learnt, stores, ".")


def family(models: Mapping[str, Checkpoint]) -> list[tuple[Checkpoint, int]]:
    """Checkpoints with their depth below the first ancestor, children after their parent."""
    found: list[tuple[Checkpoint, int]] = []

    def add(name: str, depth: int) -> None:
        found.append((models[name], depth))
        for child in models:
            if models[child].parent == name and child != name:
                add(child, depth + 1)

    for name, model in models.items():
        if model.parent not in models:
            add(name, 0)
    return found


def _origins(model: Checkpoint, depth: int) -> Iterable[Html]:
    """A row per store, the checkpoint's own cells across all of them."""
    rows = max(1, len(model.sources))
    branch = "\N{BOX DRAWINGS LIGHT UP AND RIGHT} " if depth else ""
    generation = "" if model.generation is None else f"generation {model.generation}"
    other = model.parent_tokeniser
    before = () if other is None else (tag("small", " the parent's: ", _hash(other)),)
    own = (
        tag(
            "th",
            tag("span", branch, model.name, style=f"--depth:{depth}"),
            tag("small", generation),
            scope="row",
            rowspan=rows,
        ),
        tag("td", model.parent or "nothing", rowspan=rows),
        tag("td", whole(model.steps), rowspan=rows, class_="number"),
        tag("td", short(model.parameters), rowspan=rows, class_="number"),
        tag("td", _hash(model.tokeniser), *before, rowspan=rows),
    )
    total = sum(source.share for source in model.sources) or 1.0
    for i, source in enumerate(model.sources or (None,)):
        yield tag("tr", *(own if i == 0 else ()), *_source(source, total), class_="first" if i == 0 else None)


def _source(source: Source | None, total: float) -> Iterable[Html]:
    if source is None:
        return [tag("td", "no store", colspan=5)]
    share = source.share / total
    bar = tag("span", tag("i", style=f"width:{100 * share:.1f}%"), class_="share")
    return [
        tag("td", last_part(source.path)),
        tag("td", whole(source.episodes), class_="number"),
        tag("td", whole(source.steps), class_="number"),
        tag("td", bar, tag("span", percent(share), class_="figure"), class_="number"),
        tag("td", _hash(source.digest)),
    ]


def cost_section(run: Run) -> Html:
    """Seconds per stage as bars, with their sum; memory and disk where the stages recorded them."""
    disk = tag(
        "p",
        "On disk now: ",
        ", ".join(f"{name} {size(taken)}" for name, taken in _disk(run)),
        ".",
        class_="note",
    )
    if not run.stages:
        return join((absent("a finished stage", "stages/"), disk))
    longest = max(stage.seconds for stage in run.stages) or 1.0
    rows = [_stage(stage, longest) for stage in run.stages]
    total = sum(stage.seconds for stage in run.stages)
    memory = max((stage.peak_memory_mib or 0.0 for stage in run.stages), default=0.0)
    final = run.stages[-1].disk_mib
    rows.append(
        tag(
            "tr",
            tag("th", "in all", scope="row"),
            tag("td", tag("strong", duration(total)), class_="number"),
            tag("td"),
            tag("td", size(memory * MIB) if memory else "", class_="number"),
            tag("td", size(final * MIB) if final is not None else "", class_="number"),
            tag("td"),
            class_="total",
        )
    )
    titles = ("stage", "time", "", "memory, peak", "disk, after", "what came of it")
    return join((table([tag("th", title) for title in titles], rows, "cost"), disk))


def _stage(stage: Stage, longest: float) -> Html:
    bar = tag("span", tag("i", style=f"width:{100 * stage.seconds / longest:.1f}%"), class_="bar")
    summary = " · ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in stage.summary.items())
    memory, disk = stage.peak_memory_mib, stage.disk_mib
    return tag(
        "tr",
        tag("th", stage.name, scope="row"),
        tag("td", duration(stage.seconds), class_="number"),
        tag("td", bar, class_="barred"),
        tag("td", "" if memory is None else size(memory * MIB), class_="number"),
        tag("td", "" if disk is None else size(disk * MIB), class_="number"),
        tag("td", summary, class_="summary"),
    )


def _disk(run: Run) -> list[tuple[str, float]]:
    """What the parts of the folder hold now [bytes], and all of it."""
    parts = sorted(each for each in run.path.iterdir() if each.is_dir())
    sizes = [(part.name, _bytes_below(part.rglob("*"))) for part in parts]
    return [*sizes, ("in all", _bytes_below(run.path.rglob("*")))]


def _bytes_below(paths: Iterable[Any]) -> float:
    return float(sum(path.stat().st_size for path in paths if path.is_file()))


def settings_section(run: Run) -> Html:
    """All that decides the run's results: preset, seed, versions, machine, and every setting."""
    about = {"preset": run.preset, "seed": run.seed, "started": run.started, "folder": str(run.path)}
    parts = (("Run", about), ("Machine", run.machine), ("Versions", run.versions), ("Settings", run.config))
    return tag("div", *(_pairs(title, values) for title, values in parts), class_="settings")


def _pairs(title: str, values: Mapping[str, Any]) -> Html:
    pairs = (join((tag("dt", key), tag("dd", _value(value)))) for key, value in _flat(values))
    kind = "long" if title == "Settings" else None
    return tag("section", tag("h3", title), tag("dl", *(tag("div", pair) for pair in pairs), class_=kind))


def _flat(values: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    """Nested settings by dotted names."""
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _value(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        return whole(value) if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_value, value)) or "none"
    return str(value) or "none"


def _hash(text: str) -> Html:
    return tag("code", text[:_DIGITS], title=text)
