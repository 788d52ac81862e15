"""TASKS: every task by name."""

from sim.names import pick
from sim.tasks.catalogue import HELD_OUT, TRAINING
from sim.tasks.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (*TRAINING, *HELD_OUT)}


def find_task(name: str) -> Task:
    """Looks a task up.

    Raises:
        UnknownName: Naming the nearest and the valid ones.
    """
    return pick(TASKS, name, "task")
