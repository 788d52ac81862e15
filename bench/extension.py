"""What a tokeniser that has seen what practice saw is worth to the next generation: a run's end, twice.

python -m bench extension runs/cycle

What the run had when it had practised is copied. There its tokeniser is extended, and what came after is done
again: the same seeds, scenes and goals, so every success stands beside one of the run as it ended. The
intervals are about scenes; what the order of the data does to a training they do not hold.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import tyro
from rich.console import Console
from rich.table import Table

from bench.record import write
from demos.intervals import Difference
from finetune.improve import BASE, CONTROL, EXTENDED, NEXT, TOKENISER, improve
from finetune.stages import open_run
from robocat.agent_checkpoint import read_agent
from robocat.checkpoint import CheckpointError, from_dict, read_json
from robocat.config import Preset
from robocat.presets import PRESETS
from robocat.scores import Scores
from robocat.tokeniser import extended_from
from sim.names import pick

# What an extension leaves as it was.
BEFORE = (
    *(f"stores/{name}" for name in ("demos", "adaptation", "practice", "goals", "gate-goals")),
    *(f"models/{name}" for name in (BASE, "branch", "scratch")),
    *(f"scores/{name}.json" for name in (BASE, "branch", "scratch", f"gate-{BASE}")),
    TOKENISER,
    "tokens",
)
LAST = "practice"  # the last stage that is copied
ENDS = ("as it ended", "extended")

Cells = Sequence[tuple[str, str]]


def extension(
    run: tyro.conf.Positional[Path] = Path("runs/cycle"),
    *,
    preset: str = "nano-extended",
    out: Path | None = None,
) -> None:
    """Ends a run a second time with its tokeniser extended, and compares the ends.

    Args:
        run: A finished run without extension.
        preset: The run's own but for the extension.
        out: Folder of the second end, gone on with if it is there; beside the run if not given.
    """
    chosen, other = pick(PRESETS, preset, "preset"), out or run.with_name(f"{run.name}-extended")
    if chosen.extension is None:
        able = ", ".join(name for name, each in PRESETS.items() if each.extension is not None)
        raise ValueError(f"preset {preset!r} extends no tokeniser; those that do: {able}")
    about = read_json(run / "run.json")
    if replace(chosen, extension=None) != from_dict(Preset, about["config"]):
        raise CheckpointError(f"{run} is not as preset {preset!r} is but for the extension")
    read_json(run / "gate.json")  # there must be an end to compare with, before anything is done
    fork(run, other, preset, chosen)
    improve(preset, other)
    figures = compared(run, other, chosen.adaptation.cells, chosen.collection.cells)
    Console().print(effects_table(figures), ends_table(figures))
    name = about["preset"]
    settings = {"preset": name, "run_seed": chosen.seed, "extension": asdict(chosen.extension)}
    write(f"extension-{name}", settings | figures)


def fork(run: Path, out: Path, name: str, preset: Preset) -> None:
    """Copies what a run had when it had practised, as an unfinished run of another preset; once.

    Raises:
        CheckpointError: If the run has not practised.
    """
    if (out / "run.json").exists():  # written last
        return
    stages = sorted((run / "stages").glob("*.json"))
    names = [file.stem.partition("-")[2] for file in stages]
    if LAST not in names:
        raise CheckpointError(f"{run} has not practised; stages there: {', '.join(names) or 'none'}")
    kept = stages[: names.index(LAST) + 1]
    for path in (*(run / name for name in BEFORE), *kept):
        copy = out / path.relative_to(run)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, copy, dirs_exist_ok=True)
        elif path.exists():
            shutil.copy2(path, copy)
    open_run(out, name, preset)


def compared(run: Path, other: Path, new: Cells, old: Cells) -> dict[str, Any]:
    """The tokeniser's effect on each store's images, and both ends of a run beside each other.

    What an end has not measured yet is left out.

    Raises:
        CheckpointError: If the two are not one run up to practice.
        ValueError: If scenes or goals differ.
    """
    same = {read_agent(folder / "models" / BASE)["weights"] for folder in (run, other)}
    reads = read_agent(run / "models" / NEXT)["tokeniser"]
    if len(same) > 1 or extended_from(other / EXTENDED) != reads:
        raise CheckpointError(f"{other} is no other end of {run}; choose another --out")
    card = read_json(other / EXTENDED / "card.json")
    ends = dict(zip(ENDS, (run, other), strict=True))
    gate = [(NEXT, "new", new), (CONTROL, "new", new), (NEXT, "old", old)]
    return {
        "images": {Path(store).name: effect for store, effect in card["extended"].items()},
        "weights": {end: _weights(folder) for end, folder in ends.items()},
        "gate": _success(ends, "gate-", gate),
        "evaluation": _success(ends, "", [*gate, (CONTROL, "old", old)]),
        "gains": {
            f"over {whom}, {what}": {end: _gain(folder, whom, cells) for end, folder in ends.items()}
            for whom, what, cells in ((BASE, "new", new), (BASE, "old", old), (CONTROL, "new", new))
        },
    }


def _weights(folder: Path) -> dict[str, str]:
    return {name: read_agent(folder / "models" / name)["weights"] for name in (BASE, NEXT, CONTROL)}


def _success(
    ends: Mapping[str, Path], prefix: str, asked: Sequence[tuple[str, str, Cells]]
) -> dict[str, Any]:
    """Rates of models at both ends, and the paired difference."""
    found: dict[str, Any] = {}
    for model, what, cells in asked:
        files = {end: folder / "scores" / f"{prefix}{model}.json" for end, folder in ends.items()}
        if all(file.exists() for file in files.values()):
            scores = {end: Scores.load(file) for end, file in files.items()}
            before, after = scores.values()
            rates = {end: asdict(each.pooled(cells)) for end, each in scores.items()}
            found[f"{model} {what}"] = {**rates, "difference": asdict(after.paired_over(before, cells))}
    return found


def _gain(folder: Path, whom: str, cells: Cells) -> dict[str, Any] | None:
    """By how much the next generalist is better on the gate's scenes, as the gate has it."""
    files = [folder / "scores" / f"gate-{name}.json" for name in (NEXT, whom)]
    if not all(file.exists() for file in files):
        return None
    following, other = map(Scores.load, files)
    return asdict(following.paired_over(other, cells))


def effects_table(figures: Mapping[str, Any]) -> Table:
    """Stores down; what the extension did to their images across."""
    table = Table("images of", "n", "before", "now", "difference", "codes as before", title="PSNR [dB]")
    for store, each in figures["images"].items():
        gain = f"{each['gain_db']:+.2f} ± {each['gain_half_db']:.2f}"
        row = (f"{each['before_db']:.2f}", f"{each['after_db']:.2f}", gain, f"{each['codes_kept']:.0%}")
        table.add_row(store, str(each["images"]), *row)
    return table


def ends_table(figures: Mapping[str, Any]) -> Table:
    """Success at both ends of the run with the paired difference, then what generalist 1 is better by."""
    table = Table("scenes of", "what", *ENDS, "difference", title="success")
    for scenes in ("gate", "evaluation"):
        for name, each in figures[scenes].items():
            rates = [f"{each[end]['successes']} of {each[end]['n']}" for end in ENDS]
            table.add_row(scenes, name, *rates, _said(each["difference"]))
    for name, gains in figures["gains"].items():
        table.add_row("gate", f"{NEXT} {name}", *(_said(gains[end]) for end in ENDS), "")
    return table


def _said(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return "not measured"
    gap = Difference(**record)
    return f"{gap.mean:+.3f} ({gap.low:+.3f} to {gap.high:+.3f}), n {gap.n}"
