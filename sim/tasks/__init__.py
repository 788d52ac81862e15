"""TASKS: every task by name."""

from sim.names import pick
from sim.tasks.insert import INSERT_GEAR, INSERT_PEG, INSERT_SHAPE, REMOVE_PEG, REMOVE_SHAPE
from sim.tasks.lift import LIFT
from sim.tasks.place import PLACE
from sim.tasks.push import PUSH
from sim.tasks.reach import REACH
from sim.tasks.stack import PYRAMID, STACK, TOWER
from sim.tasks.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (REACH, PUSH, LIFT, PLACE, STACK, TOWER, PYRAMID, INSERT_GEAR, INSERT_SHAPE, REMOVE_SHAPE, INSERT_PEG, REMOVE_PEG)}


def find_task(name: str) -> Task:
    """Looks a task up.

    Raises:
        UnknownName: Naming the nearest and the valid ones.
    """
    return pick(TASKS, name, "task")
