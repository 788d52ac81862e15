"""The record of an evaluation: every trial of one model, and the success rates that follow from them.

A file holds one `Scores` as JSON: its fields by name, each trial a row of the values of `TRIAL_FIELDS`.
What is derived (rates, intervals, paired differences) is computed when asked for, never stored.

Two models are compared trial by trial: the same arm, task, variation, scene seed and goal image.
"""

import json
import math
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from demos.intervals import Difference, paired_difference
from demos.rate import Rate
from demos.staging import sync_folders, write_durably
from sim.names import pick

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Trial:
    """One attempt of the model.

    Attributes:
        variation: Which instance of the task, or "" where there is one only.
        seed: Of the scene.
        goal: Id of the episode whose last images were the goal, or "" where none was shown.
        steps: Steps the attempt took.
    """

    arm: str
    task: str
    variation: str
    seed: int
    goal: str
    success: bool
    steps: int

    @property
    def scene(self) -> tuple[str, str, str, int, str]:
        """All that two models must share to be compared on it."""
        return self.arm, self.task, self.variation, self.seed, self.goal


_KINDS: dict[str, type] = get_type_hints(Trial)
TRIAL_FIELDS = tuple(_KINDS)


@dataclass(frozen=True)
class Scores:
    """Every trial of one model in one evaluation.

    Attributes:
        model: Its name ("generalist-0").
        generation: 0, 1, 2 ... of a generalist, None of what is no generation.
        checkpoint: Folder that was evaluated.
        seconds: How long the evaluation took [s].
        versions: Of the libraries that decide results, by name.

    Raises:
        ValueError: A field of another kind, or a scene that was tried twice.
    """

    model: str
    generation: int | None
    checkpoint: str
    trials: tuple[Trial, ...]
    seconds: float
    versions: dict[str, str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "trials", tuple(self.trials))
        if not self.model:
            raise ValueError("scores: model: got no name, expected one such as 'generalist-0'")
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise ValueError(f"scores of {self.model}: seconds: got {self.seconds}, expected 0 or more")
        seen: set[tuple[object, ...]] = set()
        for trial in self.trials:
            _check_trial(self.model, trial)
            if trial.scene in seen:
                raise ValueError(f"scores of {self.model}: tried twice: {_name(trial.scene)}")
            seen.add(trial.scene)

    def cells(self) -> list[tuple[str, str]]:
        """Every (arm, task) that was tried, in the order of the trials."""
        return list(dict.fromkeys((trial.arm, trial.task) for trial in self.trials))

    def cell(self, arm: str, task: str) -> Rate:
        """The success rate of one arm at one task.

        Raises:
            UnknownName: It was not tried.
        """
        return self.pooled([(arm, task)])

    def pooled(self, cells: Iterable[tuple[str, str]]) -> Rate:
        """The success rate over all trials of these arms and tasks together.

        Raises:
            UnknownName: One of them was not tried.
            ValueError: None was named.
        """
        trials = self._trials_of(cells)
        return Rate.of(sum(trial.success for trial in trials), len(trials))

    def by_task(self, arms: Iterable[str] | None = None) -> dict[str, Rate]:
        """The success rate of each task over its arms, pooled.

        Args:
            arms: Which arms count; all if None.
        """
        chosen = None if arms is None else set(arms)
        cells = [cell for cell in self.cells() if chosen is None or cell[0] in chosen]
        tasks = dict.fromkeys(task for _, task in cells)
        return {task: self.pooled(cell for cell in cells if cell[1] == task) for task in tasks}

    def mean(self, task: str | None = None) -> float:
        """The mean over arms of their success rates, each arm counting the same however often it tried.

        Args:
            task: At which task; the mean over every arm and task if None.

        Raises:
            UnknownName: The task was not tried.
        """
        tasks = {name: None for _, name in self.cells()}
        if task is not None:
            pick(tasks, task, "task")
        rates = [self.cell(*cell).mean for cell in self.cells() if task in (None, cell[1])]
        if not rates:
            raise ValueError(f"scores of {self.model}: got no trials, expected 1 or more")
        return math.fsum(rates) / len(rates)

    def paired(self, other: "Scores", arm: str, task: str) -> Difference:
        """By how much this model's success rate is above the other's, on the scenes both tried.

        Raises:
            UnknownName: One of the two did not try this arm and task.
            ValueError: Their scenes are not the same; the message names the first that differs.
        """
        return self.paired_over(other, [(arm, task)])

    def paired_over(self, other: "Scores", cells: Iterable[tuple[str, str]]) -> Difference:
        """As `paired`, over all trials of several arms and tasks together."""
        cells = list(cells)
        mine = {trial.scene: trial.success for trial in self._trials_of(cells)}
        theirs = {trial.scene: trial.success for trial in other._trials_of(cells)}
        for scenes, others, who, whom in ((mine, theirs, self, other), (theirs, mine, other, self)):
            if alone := [scene for scene in scenes if scene not in others]:
                raise ValueError(
                    f"{self.model} and {other.model} cannot be paired: {len(alone)} of {len(scenes)} scenes "
                    f"of {who.model} were not tried by {whom.model}, such as {_name(alone[0])}"
                )
        return paired_difference(list(mine.values()), [theirs[scene] for scene in mine])

    def save(self, path: Path) -> None:
        """Writes the record, whole or not at all, making the folder if there is none."""
        record: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        record |= {"format_version": FORMAT_VERSION, "trial_fields": TRIAL_FIELDS}
        del record["trials"]
        head = json.dumps(record, indent=1, allow_nan=False).removesuffix("\n}")
        # One trial per line: a person can read it, and a difference of two files shows which trials differ.
        rows = ",\n  ".join(
            json.dumps([getattr(trial, name) for name in TRIAL_FIELDS]) for trial in self.trials
        )
        text = f'{head},\n "trials": [\n  {rows}\n ]\n}}\n'
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            write_durably(aside, text.encode())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        sync_folders([path.parent])

    @staticmethod
    def load(path: Path) -> "Scores":
        """Reads what `save` wrote.

        Raises:
            ValueError: The file holds something else; one line that names it.
            FileNotFoundError: There is no such file.
        """
        try:
            return _read(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} holds no scores: {error}") from error

    def _trials_of(self, cells: Iterable[tuple[str, str]]) -> list[Trial]:
        tried = {f"{arm} {task}": (arm, task) for arm, task in self.cells()}
        chosen = {pick(tried, f"{arm} {task}", f"arm and task of {self.model}") for arm, task in cells}
        return [trial for trial in self.trials if (trial.arm, trial.task) in chosen]


def _read(record: dict[str, Any]) -> Scores:
    names = {each.name for each in fields(Scores)} | {"format_version", "trial_fields"}
    if wrong := sorted(set(record) ^ names):
        raise ValueError(f"missing or unknown keys: {', '.join(wrong)}")
    version, columns = record.pop("format_version"), record.pop("trial_fields")
    if version != FORMAT_VERSION or tuple(columns) != TRIAL_FIELDS:
        got = f"format {version} with {', '.join(columns)}"
        raise ValueError(f"got {got}, expected format {FORMAT_VERSION} with {', '.join(TRIAL_FIELDS)}")
    for number, row in enumerate(record["trials"]):
        if len(row) != len(TRIAL_FIELDS):
            raise ValueError(f"trial {number}: got {len(row)} values, expected {len(TRIAL_FIELDS)}")
    record["trials"] = tuple(Trial(*row) for row in record["trials"])
    return Scores(**record)


def _check_trial(model: str, trial: Trial) -> None:
    for name, kind in _KINDS.items():
        # Exactly: a numpy.bool or a success written as 1 would come back from a file as something else.
        if type(value := getattr(trial, name)) is not kind:
            got = f"{value!r} ({type(value).__name__})"
            raise ValueError(f"scores of {model}: trial: {name}: got {got}, expected {kind.__name__}")
    if trial.seed < 0 or trial.steps < 0 or not trial.arm or not trial.task:
        raise ValueError(f"scores of {model}: got {trial}, expected an arm, a task, seed and steps >= 0")


def _name(scene: tuple[object, ...]) -> str:
    arm, task, variation, seed, goal = scene
    return f"{arm} {task} {variation or '(one variation)'} seed {seed} goal {goal or '(none)'}"
