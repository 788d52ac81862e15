"""Registers every arm and task with Gymnasium; called through the `gymnasium.envs` entry point of the package."""

from gymnasium.envs.registration import register, registry

from sim.arms import ARMS
from sim.tasks import TASKS


def environment_id(arm: str, task: str) -> str:
    """"robocat/<arm>-<task>-v0"."""
    return f"robocat/{arm}-{task}-v0"


def register_all() -> None:
    """Registers each `robocat/<arm>-<task>-v0`; a second call changes nothing."""
    for arm in ARMS:
        for task in TASKS:
            name = environment_id(arm, task)
            if name not in registry:
                register(id=name, entry_point="sim.env:ManipulationEnv", kwargs={"arm": arm, "task": task})
