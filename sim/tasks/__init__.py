"""TASKS: every task by name; and those that the user declared (`sim.own`)."""

from sim.names import pick
from sim.tasks.catalogue import HELD_OUT, TRAINING
from sim.tasks.task import Task as Task

TASKS: dict[str, Task] = {task.name: task for task in (*TRAINING, *HELD_OUT)}
OWN_TASKS: dict[str, Task] = {}  # filled by `sim.own`


def find_task(name: str) -> Task:
    """Looks a task up.

    Raises:
        UnknownName: Naming the nearest and the valid ones.
    """
    return pick({**TASKS, **OWN_TASKS}, name, "task", "one of your own is given by the path of its .py file")
