"""Success rates and the gate as tables, each number with its interval and its count."""

from collections.abc import Mapping, Sequence

from demos.intervals import Difference
from demos.rate import Rate
from finetune.markup import Html, absent, duration, join, many, percent, points, table, tag, whole
from finetune.run_folder import Cell, Run
from finetune.standing import Standing
from robocat.agreement import Agreement

EN_DASH = "\N{EN DASH}"
_KNOWN = "all that was known"
_NEW = "all that is new"
_ROLES = {
    "generalist-0": "the demonstrations",
    "scratch": "the demonstrations of what is new alone, from nothing",
    "branch": "generalist 0, fine-tuned on what is new",
    "control": "demonstrations again, with no practice",
    "generalist": "demonstrations and practice",
}


def success_section(run: Run, standing: Standing) -> Html:
    """Every arm and task by every model, with the means of what was known."""
    if not standing.scores:
        return absent("an evaluation of any model", "scores/")
    same = "Every model met the same scenes and the same goal images."
    other = "The models did not all meet the same scenes and goal images: compare with care."
    note = (
        "Share of attempts that the task's own predicate counted as successful, its 95% interval (Wilson), "
        f"and successes of attempts. {same if standing.paired else other}"
    )
    parts: list[Html] = [tag("p", note, class_="note"), _rates(standing)]
    if run.other_scores:
        parts.append(tag("h3", "Further evaluations, each on scenes of its own"))
        parts.append(_rates(Standing.of(run, run.other_scores)))
    return join(parts)


def gate_section(run: Run) -> Html:
    """The verdict, its reasons, the paired differences behind it, and the rates on the gate's own scenes."""
    if (gate := run.gate) is None:
        parts = [absent("a verdict of the gate", "gate.json")]
    else:
        word = "Accepted" if gate.accepted else "Rejected"
        reasons = tag("ul", *(tag("li", reason) for reason in gate.reasons))
        verdict = tag(
            "div", tag("strong", word), reasons, class_=f"verdict {'good' if gate.accepted else 'bad'}"
        )
        parts = [verdict, _differences(run), _judged(gate.judged)]
    if run.gate_scores:
        title = tag("h3", "Success on the gate's own scenes, used for nothing else")
        parts += [title, _rates(Standing.of(run, run.gate_scores))]
    return join(parts)


def _rates(standing: Standing) -> Html:
    models = list(standing.scores)
    head = [tag("th", "arm and task"), *(_column(model) for model in models)]
    rows = [_row(standing, models, cell) for cell in standing.cells]
    known = {model: standing.known(model) for model in models}
    if any(known.values()) and len(standing.cells) > 1:
        label = tag("th", _KNOWN, scope="row")
        rows.append(tag("tr", label, *(_rate(known[model]) for model in models), class_="total"))
    return table(head, rows, "rates")


def _column(model: str) -> Html:
    kind, _, number = model.rpartition("-")
    role = _ROLES.get(model) or (_ROLES.get(kind) if number.isdigit() else None)
    return tag("th", model, tag("small", role) if role else "", scope="col")


def _row(standing: Standing, models: Sequence[str], cell: Cell) -> Html:
    news = standing.news(cell)
    badge = join(tag("span", word, class_="badge") for word in news)
    name = tag("th", tag("span", cell[0]), " ", tag("span", cell[1], class_="task"), badge, scope="row")
    rates = (_rate(standing.rate(model, cell)) for model in models)
    return tag("tr", name, *rates, class_="new" if news else None)


def _rate(rate: Rate | None) -> Html:
    if rate is None:
        return tag("td", EN_DASH, class_="rate none")
    span = f"{100 * rate.low:.0f}{EN_DASH}{100 * rate.high:.0f}"
    bar = f"left:{100 * rate.low:.1f}%;width:{100 * (rate.high - rate.low):.1f}%"
    whisker = tag(
        "span", tag("i", style=bar), tag("b", style=f"left:{100 * rate.mean:.1f}%"), class_="whisker"
    )
    count = tag("small", tag("span", span), f" {whole(rate.successes)}/{whole(rate.n)}")
    number = tag("div", tag("strong", percent(rate.mean)), count)
    return tag("td", number, whisker, class_="rate", style=f"--r:{rate.mean:.3f}")


def _differences(run: Run) -> Html:
    """A forest plot: one line per comparison, all on one scale."""
    gate = run.gate
    assert gate is not None
    parent, control = "generalist 0", "control without practice"
    lines: list[tuple[str, str, Difference]] = []
    for cell, versus_parent, versus_control in gate.new:
        name = " ".join(cell)
        lines += [(name, parent, versus_parent), (name, control, versus_control)]
    if len(gate.new) > 1:
        lines += [(_NEW, parent, gate.versus_parent), (_NEW, control, gate.versus_control)]
    known = len(lines)
    lines += [(" ".join(cell), parent, difference) for cell, difference in gate.old]
    lines.append((_KNOWN, parent, gate.old_mean))
    ends = [end for _, _, each in lines for end in (each.low, each.high)]
    low, high = min(0.0, *ends) - 0.03, max(0.0, *ends) + 0.03
    titles = ("on, against", "points", "", "95% interval", "scenes", "won : lost", "p")
    rows = [
        _difference(what, whom, each, (low, high), first=i == known)
        for i, (what, whom, each) in enumerate(lines)
    ]
    note = tag(
        "p",
        "Difference of success rates in percentage points, on the same scenes for both; 95% intervals by "
        "Newcombe's method 10 for paired proportions, p by McNemar's exact test. Right of the line: better. "
        "Won and lost count the scenes where only one of the two succeeded.",
        class_="note",
    )
    return join((note, table([tag("th", title) for title in titles], rows, "forest")))


def _judged(judged: Sequence[tuple[Cell, Agreement]]) -> Html:
    """What a success model that judged the practice got wrong: it is part of what the gain is worth."""
    if not judged:
        return Html()
    note = (
        "A success model judged the practice, not the task's own predicate. Held against the predicate: so "
        "many of the attempts that it called successful were (precision), and so many of those that were it "
        "called so (recall), with 95% intervals (Wilson) that take attempts for independent."
    )
    titles = ("practice on", "precision", "recall", "wrongly called a success", "missed")
    rows = [
        tag(
            "tr",
            tag("th", " ".join(cell), scope="row"),
            _rate(each.precision),
            _rate(each.recall),
            tag("td", f"{whole(each.said - each.both)} of {whole(each.said)}", class_="number"),
            tag("td", f"{whole(each.done - each.both)} of {whole(each.done)}", class_="number"),
        )
        for cell, each in judged
    ]
    head = [tag("th", title) for title in titles]
    return join(
        (tag("h3", "Who judged the practice"), tag("p", note, class_="note"), table(head, rows, "rates"))
    )


def _difference(what: str, whom: str, each: Difference, span: tuple[float, float], *, first: bool) -> Html:
    low, high = span

    def at(value: float) -> float:
        return 100 * (value - low) / (high - low)

    sure = "good" if each.low > 0 else "bad" if each.high < 0 else "even"
    bar = f"left:{at(each.low):.1f}%;width:{at(each.high) - at(each.low):.1f}%"
    plot = (
        tag("s", style=f"left:{at(0):.1f}%"),
        tag("i", style=bar),
        tag("b", style=f"left:{at(each.mean):.1f}%"),
    )
    p = "<0.001" if each.p < 0.001 else f"{each.p:.3f}"
    return tag(
        "tr",
        tag("th", tag("span", what), " ", tag("small", whom), scope="row"),
        tag("td", tag("strong", points(each.mean)), class_="number"),
        tag("td", tag("span", *plot, class_=f"plot {sure}"), class_="plotted"),
        tag("td", f"{points(each.low)} to {points(each.high)}", class_="number"),
        tag("td", whole(each.n), class_="number"),
        tag("td", f"{each.only_a} : {each.only_b}", class_="number"),
        tag("td", p, class_="number"),
        class_="first" if first else "total" if what in (_KNOWN, _NEW) else None,
    )


def headline(run: Run, standing: Standing) -> tuple[str, str]:
    """What the run came to, in a title and a sentence."""
    if (gate := run.gate) is not None:
        name = (standing.last or "the next generalist").replace("-", " ").capitalize()
        title = f"{name} is {'accepted' if gate.accepted else 'rejected'}"
        new, control, old = gate.versus_parent, gate.versus_control, gate.old_mean
        what = ", ".join(" ".join(cell) for cell, *_ in gate.new)
        sentence = (
            f"On {what}: {_change(new)} against the generalist it comes from, and "
            f"{_change(control)} against the control without practice. "
            f"On what was known before: {_change(old)}.{_by_whom(gate.judged)}"
        )
        return title, sentence
    done = [stage.name for stage in run.stages]
    if not done:
        return "A run that has just begun", "No stage has finished yet."
    return (
        "A run under way",
        f"{many(len(done), 'stage')} finished, the last of them {done[-1]}; no verdict yet.",
    )


def _by_whom(judged: Sequence[tuple[Cell, Agreement]]) -> str:
    if not judged:
        return ""
    together = sum((each for _, each in judged), Agreement(0, 0, 0, 0))
    return f" A success model judged the practice: {together}, against the predicate."


def _change(each: Difference) -> str:
    return f"{points(each.mean)} points ({points(each.low)} to {points(each.high)})"


def tiles(run: Run, standing: Standing) -> Html:
    """The run in a handful of numbers."""
    shown: list[tuple[str, str, str]] = []
    if (last := standing.last) is not None:
        shown += _rate_tiles(standing, last)
    demos, practice = run.stores.get("demos"), run.stores.get("practice")
    if demos is not None:
        extra = f"and {whole(len(practice.entries))} by practice" if practice is not None else "by experts"
        shown.append(("episodes demonstrated", whole(len(demos.entries)), extra))
    if run.stages:
        spent = duration(sum(stage.seconds for stage in run.stages))
        shown.append(("time, all stages", spent, many(len(run.stages), "stage") + " finished"))
    return tag("div", *(_tile(*each) for each in shown), class_="tiles") if shown else Html()


def _rate_tiles(standing: Standing, last: str) -> list[tuple[str, str, str]]:
    parts: Mapping[str, Rate | None] = {
        f"{standing.new_name}, {last}": standing.new(last),
        f"what was known, {last}": standing.known(last),
    }
    return [
        (
            name,
            percent(rate.mean),
            f"95%: {100 * rate.low:.0f}{EN_DASH}{100 * rate.high:.0f}, n = {whole(rate.n)}",
        )
        for name, rate in parts.items()
        if rate is not None
    ]


def _tile(label: str, number: str, extra: str) -> Html:
    return tag("div", tag("span", label), tag("strong", number), tag("small", extra))
