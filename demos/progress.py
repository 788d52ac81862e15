"""How far something has come: a bar on a terminal, an occasional plain line elsewhere."""

import math
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeft
from rich.text import Text

PLAIN_EVERY_S = 10.0
"""Between two lines of progress [s] when there is no terminal to draw a bar on."""


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
