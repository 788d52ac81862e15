"""TASKS: every task by name; and those that the user declared (`sim.own`)."""

from collections.abc import Iterable

from sim.names import pick
from sim.tasks.catalogue import HELD_OUT, TRAINING
from sim.tasks.handover import HANDOVER
from sim.tasks.task import Task as Task

TASKS: dict[str, Task] = {task.name: task for task in (*TRAINING, *HELD_OUT)}
FOR_PAIRS: dict[str, Task] = {"handover": HANDOVER}  # tasks of two arms
OWN_TASKS: dict[str, Task] = {}  # filled by `sim.own`


def find_task(name: str) -> Task:
    """Looks a task up.

    Raises:
        UnknownName: Naming the nearest and the valid ones.
    """
    return pick(
        {**TASKS, **FOR_PAIRS, **OWN_TASKS},
        name,
        "task",
        "one of your own is given by the path of its .py file",
    )


def refuse_held_out(names: Iterable[str], instead: str) -> None:
    """Stops what would put tasks that are held out among those that are trained on.

    Args:
        names: Of tasks.
        instead: The end of the message: what can be done, or cannot.

    Raises:
        ValueError: Naming those that are held out, if any are.
    """
    held_out = dict.fromkeys(name for name in names if name in TASKS and TASKS[name].held_out)
    if held_out:
        raise ValueError(f"{', '.join(held_out)}: held out, to measure what was never trained on; {instead}")
