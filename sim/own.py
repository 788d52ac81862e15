"""Arms and tasks of the user's own: declared in Python files outside the package, known by name once read.

Where a verb takes names of arms or tasks it also takes the path of such a file, which ends in ".py". The file
is run, and every `Arm` and `Task` at its top level that is in no table is tried and then known, in this
process and in the workers that it starts, as those of the tables are. Nothing is remembered beyond that: an
episode holds names, and whatever has to build its arm or task again is given the file again.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from sim.arms import ARMS, MESHED, OWN_ARMS, PAIRS, Arm
from sim.arms.inspection import inspect_arm
from sim.tasks import FOR_PAIRS, OWN_TASKS, TASKS, Task
from sim.tasks.trial import inspect_task

SUFFIX = ".py"


@dataclass(frozen=True)
class Declared:
    """What a file declares: names of arms and of tasks, in its order."""

    arms: tuple[str, ...]
    tasks: tuple[str, ...]


_ARMS, _TASKS = {**ARMS, **PAIRS, **MESHED}, {**TASKS, **FOR_PAIRS}  # those of the tables
_files: dict[Path, Declared] = {}  # a file is run once a process


def declare(path: Path | str) -> Declared:
    """Runs a file and makes its arms and tasks known, all or none.

    Raises:
        ValueError: If it cannot be run, declares neither, or declares what cannot be; one line.
    """
    file = Path(path).resolve()
    if file in _files:
        return _files[file]
    try:
        values = vars(run_file(file)).values()
        arms = {
            value.name: value for value in values if isinstance(value, Arm) and value not in _ARMS.values()
        }
        tasks = {
            value.name: value for value in values if isinstance(value, Task) and value not in _TASKS.values()
        }
        for arm in arms.values():
            check_arm(arm)
        for task in tasks.values():
            check_task(task)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not arms and not tasks:
        raise ValueError(f"{path} declares nothing; expected an `Arm` or a `Task` at its top level")
    OWN_ARMS.update(arms)
    OWN_TASKS.update(tasks)
    _files[file] = Declared((*arms,), (*tasks,))
    return _files[file]


def arm_names(given: Sequence[str]) -> tuple[str, ...]:
    """Names of arms, where each of those given is a name or the path of a file that declares some.

    Raises:
        ValueError: See `declare`; or if a file declares no arm.
    """
    return _names(given, "arm")


def task_names(given: Sequence[str]) -> tuple[str, ...]:
    """Names of tasks, where each of those given is a name or the path of a file that declares some.

    Raises:
        ValueError: See `declare`; or if a file declares no task.
    """
    return _names(given, "task")


def arm_name(given: str) -> str:
    """As `arm_names`, of one."""
    return _one(arm_names([given]), given, "arm")


def task_name(given: str) -> str:
    """As `task_names`, of one."""
    return _one(task_names([given]), given, "task")


def files() -> tuple[Path, ...]:
    """All files that were declared: what another process must be told to know what this one does."""
    return (*_files,)


def check_arm(arm: Arm) -> None:
    """Sees that an arm can be used beside those that are known.

    Raises:
        ValueError: If its name is taken, or it is not what it says: one line of reason.
    """
    _check_free(arm, {**_ARMS, **OWN_ARMS}, "arm")
    if _ARMS.get(arm.name) != arm:
        for _, each in arm.limbs:
            inspect_arm(replace(each, partner=None))


def check_task(task: Task) -> None:
    """Sees that a task can be used beside those that are known.

    Raises:
        ValueError: If its name is taken, or it is not what it says: one line of reason.
    """
    _check_free(task, {**_TASKS, **OWN_TASKS}, "task")
    if _TASKS.get(task.name) != task:
        inspect_task(task)


def _check_free(value: Arm | Task, known: dict[str, Any], noun: str) -> None:
    if known.get(value.name, value) != value:
        raise ValueError(
            f"{noun} {value.name!r}: name: there is another {noun} of this name; expected one that "
            f"`robocat {noun}s` does not list"
        )


def _names(given: Sequence[str], noun: str) -> tuple[str, ...]:
    names: list[str] = []
    for each in given:
        if not each.endswith(SUFFIX):
            names.append(each)
            continue
        declared = declare(each)
        found = declared.arms if noun == "arm" else declared.tasks
        if not found:
            others = ", ".join((*declared.arms, *declared.tasks))
            raise ValueError(f"{each} declares no {noun}, only {others}")
        names += found
    return tuple(names)


def _one(names: tuple[str, ...], given: str, noun: str) -> str:
    if len(names) != 1:
        raise ValueError(f"{given} declares {len(names)} {noun}s, {', '.join(names)}; expected one here")
    return names[0]


def run_file(file: Path) -> Any:
    """The module that a user's file makes; it is run anew at each call.

    Raises:
        ValueError: If there is no such file, or for whatever it raises; one line.
    """
    if not file.is_file():
        raise ValueError("there is no such file")
    # Two files of one name are two modules; dataclasses look theirs up by its name.
    name = f"robocat_own_{file.stem}_{sha256(str(file).encode()).hexdigest()[:8]}"
    spec = spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file raises is the user's
        del sys.modules[name]
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise ValueError(f"{kind}{' '.join(str(error).split())}") from error
    return module
