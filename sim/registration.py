"""Every arm and task as a Gymnasium environment; importing this module registers them.

gymnasium.make("sim.registration:robocat/panda-lift-v0")  # Gymnasium imports what precedes the colon

import sim.registration  # Or so, once.
gymnasium.make("robocat/panda-lift-v0")
gymnasium.make("robocat/any-v0", arm=MY_ARM, task="lift")  # with an `Arm` or a `Task` of the user's own
"""

from gymnasium.envs.registration import register, registry

from sim.arms import ARMS, PAIRS
from sim.tasks import FOR_PAIRS, TASKS

ANY = "robocat/any-v0"  # takes `arm` and `task`, each as an object or a name


def environment_id(arm: str, task: str) -> str:
    """ "robocat/<arm>-<task>-v0"."""
    return f"robocat/{arm}-{task}-v0"


def environment_ids() -> tuple[str, ...]:
    """All of them, by arm and then by task."""
    return tuple(environment_id(arm, task) for arm, task in arms_and_tasks())


def arms_and_tasks() -> tuple[tuple[str, str], ...]:
    """Every arm's name with that of every task for it; pairs of arms come last."""
    one = [(arm, task) for arm in ARMS for task in TASKS]
    return (*one, *((arm, task) for arm in PAIRS for task in FOR_PAIRS))


def register_all() -> None:
    """Registers each `robocat/<arm>-<task>-v0`, and `ANY`; a second call changes nothing."""
    if ANY not in registry:
        register(id=ANY, entry_point="sim.env:ManipulationEnv")
    for arm, task in arms_and_tasks():
        name = environment_id(arm, task)
        if name not in registry:
            register(
                id=name,
                entry_point="sim.env:ManipulationEnv",
                vector_entry_point="sim.vector:VectorManipulationEnv",
                kwargs={"arm": arm, "task": task},
            )


register_all()
