"""What a run measured, on disk, and how far it has come, on the terminal.

`Metrics` writes one JSON line per step to `<folder>/metrics.jsonl`, always, and to Weights & Biases when
asked. `progress` shows a bar on a terminal and an occasional plain line elsewhere.
"""

import json
import math
import os
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, SupportsFloat

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.text import Text

from sim.names import pick

FILE = "metrics.jsonl"
WandbMode = Literal["offline", "online", "disabled"]
WANDB_MODES: dict[str, WandbMode] = {"offline": "offline", "online": "online", "disabled": "disabled"}
PLAIN_EVERY_S = 10.0
"""Between two lines of progress [s] when there is no terminal to draw a bar on."""


class Metrics:
    """The numbers of one run by step, appended to a file as they come.

    A line is `{"step": 20, "wall_time": 1.7e9, "loss": 0.31}`, with the time in unix seconds; `null`
    stands for a number that is not finite, which JSON cannot say. Lines are flushed one by one, and a
    line torn by a crash is dropped when the file is next opened.
    """

    def __init__(
        self,
        folder: Path | str,
        run_name: str,
        config: Mapping[str, object],
        *,
        wandb_mode: str | None = None,
        resume_step: int | None = None,
    ) -> None:
        """Opens the run's file, creating its folder.

        Args:
            folder: Where `metrics.jsonl`, and a `wandb` folder if asked for, are written.
            run_name: The run's name in Weights & Biases.
            config: What Weights & Biases shows beside the curves.
            wandb_mode: "offline", "online" or "disabled"; None takes the environment's WANDB_MODE and,
                where that is unset, "disabled": starting wandb costs 1.5 s and a second process.
            resume_step: The first step that will be logged again, [steps]: older lines at or after it are
                from the part of the run that was lost, and are dropped. None keeps every line.

        Raises:
            UnknownName: If `wandb_mode` is none of the three.
        """
        mode = pick(WANDB_MODES, wandb_mode or os.environ.get("WANDB_MODE") or "disabled", "wandb mode")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _drop_lost_lines(folder / FILE, math.inf if resume_step is None else resume_step)
        self._file = (folder / FILE).open("a", encoding="utf-8", buffering=1)  # A line at a time.
        self._wandb = None if mode == "disabled" else _start_wandb(folder, run_name, config, mode)

    def log(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Appends the numbers of one step.

        Args:
            step: How many steps the run had taken when the values were measured.
            values: A number per name; what `float()` accepts, such as a tensor of one element.

        Raises:
            ValueError: If a name is one that the line already holds ("step", "wall_time").
        """
        row: dict[str, float | None] = {"step": step, "wall_time": time.time()}
        for name, value in values.items():
            if name in ("step", "wall_time"):
                raise ValueError(f"metric {name!r} has the name of a field of every line; choose another")
            number = float(value)
            row[name] = number if math.isfinite(number) else None
        self._file.write(json.dumps(row, allow_nan=False) + "\n")
        if self._wandb is not None:
            self._wandb.log({name: float(value) for name, value in values.items()}, step=step)

    def close(self) -> None:
        """Closes the file and ends the Weights & Biases run; more than once is harmless."""
        self._file.close()
        if self._wandb is not None:
            self._wandb.finish()
            self._wandb = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace  # Unused: a run that failed keeps its numbers.
        self.close()


def read_metrics(folder: Path | str) -> list[dict[str, float]]:
    """Reads what `Metrics` wrote into a folder.

    Returns:
        One row per logged step in the order of logging, each with "step", "wall_time" and its values; a
        number that was not finite is nan. Empty if nothing was logged.
    """
    path = Path(folder) / FILE
    rows = [_parse(path, line) for line in _read(path).splitlines(keepends=True) if line.endswith("\n")]
    return [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]


def _drop_lost_lines(path: Path, resume_step: float) -> None:
    """Rewrites the file without its torn last line and without the steps that will be taken again."""
    text = _read(path)
    whole = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    kept = "".join(line for line in whole if _parse(path, line)["step"] < resume_step)
    if kept != text:
        aside = path.with_suffix(".tmp")
        aside.write_text(kept, encoding="utf-8")
        aside.replace(path)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _parse(path: Path, line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} holds {line[:60]!r}, not a line of metrics; move it away") from error


def _start_wandb(folder: Path, run_name: str, config: Mapping[str, object], mode: WandbMode) -> Any:
    # Its crash reporter connects to its maker even when offline.
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    try:
        import wandb
    except ImportError:
        print("wandb is not installed: metrics go to metrics.jsonl alone", file=sys.stderr)
        return None
    quiet = wandb.Settings(
        silent=True,
        console="off",  # It would wrap stdout, and with it the progress bar.
        disable_code=True,
        disable_git=True,
        x_disable_meta=True,
        x_disable_stats=True,
    )
    return wandb.init(
        project="robocat", name=run_name, config=dict(config), dir=str(folder), mode=mode, settings=quiet
    )


class Advance(Protocol):
    """Moves a progress display on."""

    def __call__(self, n: int = 1, note: str = "") -> None:
        """Counts `n` more done; `note` ("loss 0.31") ends the line until another one is given."""
        ...


@contextmanager
def progress(description: str, total: int) -> Generator[Advance, None, None]:
    """Shows how far something has come, its rate and the time left, on stderr.

    On a terminal this is a bar; elsewhere a plain line every `PLAIN_EVERY_S` seconds, and one at the end
    if there was any before.

    Args:
        description: What is being done ("train generalist").
        total: How many times it will be done.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        lines = _Lines(description, total)
        try:
            yield lines.advance
        finally:
            lines.end()
        return
    last = TextColumn("{task.fields[note]}", style="dim", markup=False)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), _Rate(), TimeLeft(), last)
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(description, total=total, note="")

        def advance(n: int = 1, note: str = "") -> None:
            fields: dict[str, Any] = {"note": note} if note else {}
            bar.update(task, advance=n, **fields)

        yield advance


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.3g}/s" if speed else "-/s", style="progress.data.speed")


class _Lines:
    """Progress as plain lines: `train generalist: 1200/5000 (24%), 230/s, 16 s left, loss 0.31`."""

    def __init__(self, description: str, total: int) -> None:
        self._description, self._total = description, total
        self._done, self._note = 0, ""
        self._start = self._last = time.monotonic()
        self._printed = -1

    def advance(self, n: int = 1, note: str = "") -> None:
        self._done, self._note = self._done + n, note or self._note
        if time.monotonic() - self._last >= PLAIN_EVERY_S:
            self._print()

    def end(self) -> None:
        if 0 <= self._printed < self._done:
            self._print()

    def _print(self) -> None:
        self._last, self._printed = time.monotonic(), self._done
        rate = self._done / max(self._last - self._start, 1e-9)
        left_s = (self._total - self._done) / rate if rate > 0 else math.inf
        share = f"{self._done}/{self._total} ({self._done / max(self._total, 1):.0%})"
        parts = [share, f"{rate:.3g}/s", f"{left_s:.0f} s left", self._note]
        print(f"{self._description}: {', '.join(filter(None, parts))}", file=sys.stderr, flush=True)
