"""A run as one page: what went round the loop, what it achieved, how surely, from what, and at what cost.

    robocat report runs/cycle

The page is a single file without scripts or references to anything outside, so it can be kept, sent and
opened anywhere. It is made of whatever stages have finished; what is missing is said.
"""

import uuid
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from string import Template

import tyro
from rich.box import SIMPLE_HEAD
from rich.table import Table

from demos.rate import Rate
from demos.staging import write_durably
from finetune.clips import clips_section, tokeniser_section
from finetune.ledger import cost_section, lineage_section, settings_section
from finetune.loop_picture import loop_picture
from finetune.markup import Html, join, tag
from finetune.report_figures import curves_section
from finetune.results import gate_section, headline, success_section, tiles
from finetune.run_folder import Run, read_run
from finetune.standing import Standing

NAME = "report.html"

# Anchor and title of every part, in the order of the page.
SECTIONS: dict[str, tuple[str, Callable[[Run, Standing], Html]]] = {
    "loop": ("The loop", loop_picture),
    "success": ("Success rates", success_section),
    "gate": ("The gate", lambda run, _: gate_section(run)),
    "rollouts": ("Rollouts", clips_section),
    "learning": ("Learning curves", lambda run, _: curves_section(run)),
    "tokeniser": ("The tokeniser", lambda run, _: tokeniser_section(run)),
    "lineage": ("Lineage", lambda run, _: lineage_section(run)),
    "cost": ("Time, memory, disk", lambda run, _: cost_section(run)),
    "settings": ("Settings", lambda run, _: settings_section(run)),
}


def report(run: tyro.conf.Positional[Path] = Path("runs/cycle")) -> None:
    """Writes `report.html` about a run into its folder, from whatever stages have finished.

    Args:
        run: Folder of the run.
    """
    path = run / NAME
    page = render(read_run(run)).encode()
    aside = run / f".{NAME}.{uuid.uuid4().hex}"
    try:
        write_durably(aside, page)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    print(f"{path}: {len(page) / 1e6:.1f} MB")


def render(run: Run) -> Html:
    """The page about a run."""
    standing = Standing.of(run, run.scores)
    title, sentence = headline(run, standing)
    started = run.started.replace("T", " ")[:16]
    facts = f"preset {run.preset} · seed {run.seed} · started {started}"
    header = tag(
        "header",
        tag("p", "robocat", tag("span", facts), class_="overline"),
        tag("h1", title),
        tag("p", sentence, class_="lead"),
        tiles(run, standing),
    )
    links = (tag("a", name, href=f"#{anchor}") for anchor, (name, _) in SECTIONS.items())
    sections = (
        tag("section", tag("h2", name), part(run, standing), id=anchor)
        for anchor, (name, part) in SECTIONS.items()
    )
    body = join((header, tag("nav", *links), tag("main", *sections)))
    template = files("finetune").joinpath("templates", "report.html").read_text(encoding="utf-8")
    return Html(Template(template).substitute(title=tag("title", f"robocat: {title}"), body=body))


def summary_table(run: Path) -> Table:
    """The success rates of a run for the terminal: what was known by task, then what was new, by model."""
    standing = Standing.of(record := read_run(run), record.scores)
    table = Table(title=f"success rates and 95 % intervals [%]: {run}", box=SIMPLE_HEAD)
    table.add_column("", overflow="fold")
    for model in standing.scores:
        # Broken at the space rather than cut where five models meet 80 columns.
        table.add_column(model.replace("-", " "), justify="right", overflow="fold")
    by_task = {model: standing.by_task(model) for model in standing.scores}
    for task in dict.fromkeys(task for rates in by_task.values() for task in rates):
        table.add_row(task, *(_cell(rates.get(task)) for rates in by_task.values()))
    table.add_section()
    table.add_row("all that was known", *(_cell(standing.known(model)) for model in standing.scores))
    if standing.new_cells:
        table.add_section()
        for cell in sorted(standing.new_cells):
            name = " ".join((*cell, f"({', '.join(standing.news(cell))})"))
            table.add_row(
                name, *(_cell(standing.rate(model, cell)) for model in standing.scores), style="bold"
            )
    return table


def _cell(rate: Rate | None) -> str:
    return f"{100 * rate.mean:.0f} {100 * rate.low:.0f}-{100 * rate.high:.0f}" if rate is not None else "-"
