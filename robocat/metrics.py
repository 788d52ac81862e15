"""What a run measured: a JSON line per step in `<folder>/metrics.jsonl`, and Weights & Biases when asked."""

import json
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, SupportsFloat

from sim.names import pick

FILE = "metrics.jsonl"
WandbMode = Literal["offline", "online", "disabled"]
WANDB_MODES: dict[str, WandbMode] = {"offline": "offline", "online": "online", "disabled": "disabled"}


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
