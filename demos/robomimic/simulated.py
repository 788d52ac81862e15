"""Demonstrations that are states and actions alone, in one of our environments: replayed, to be observed.

Such a file is what robosuite calls a `demo.hdf5`: of a demonstration `states` before each action, `actions`,
and `model_file`; `env_args` of `data` names the environment, here `robocat/<arm>-<task>-v0`, and in
`env_kwargs` says cameras, size and control_hz where they are not the environment's own. Which variation is
meant stands in `ep_meta`, an attribute (JSON). Every demonstration is begun from its first state and its
actions are executed; how far the states then stray from those of the file is said.
"""

import json
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

import sim.registration  # noqa: F401  # pyright: ignore[reportUnusedImport] gives environments their ids
from demos.controller import Act
from demos.episode import Episode, Provenance, episode_id
from demos.foreign import Remarks, Terms
from demos.rollout import Attempt, rollout
from sim.env import ManipulationEnv, Observation, make
from sim.names import pick

OURS = "robocat/"


def is_ours(about: dict[str, Any]) -> bool:
    """Whether `env_args` names an environment of ours."""
    return str(about.get("env_name", "")).startswith(OURS)


class Simulated:
    """Reads demonstrations by replaying them."""

    def __init__(self, about: dict[str, Any], variation: str | None, terms: Terms, remarks: Remarks) -> None:
        try:
            named = gymnasium.spec(about["env_name"]).kwargs
        except gymnasium.error.Error as error:
            raise ValueError(
                f"env_args names {about['env_name']}, and there is no such environment"
            ) from error
        said = about.get("env_kwargs", {})
        options = {key: said[key] for key in ("cameras", "size", "control_hz") if key in said}
        self._env = make(named["arm"], named["task"], **options)
        self._variation, self._terms, self._remarks = variation, terms, remarks
        self._strayed = 0.0

    def id_of(self, number: int, demo: Any) -> str:
        """The id that the episode gets."""
        env, who = self._env, self._provenance(number)
        named = self._named(demo)
        return episode_id(env.arm.name, env.task.name, named, who.controller, None, None, who.seed)

    def actions(self, demo: Any) -> NDArray[np.float32]:
        """What is done, (T, A)."""
        return demo["actions"][:].astype(np.float32)

    def episode(self, number: int, demo: Any) -> Episode:
        """What happens when it is done.

        Raises:
            ValueError: If the states are of another model, or the environment ends at another step.
        """
        states, actions = demo["states"][:].astype(np.float64), self.actions(demo)
        who = self._provenance(number)
        attempt = Attempt(who.seed, self._named(demo), state=states[0])
        (episode,) = rollout([self._env], _Told(actions, who), [attempt])
        if episode.length != len(actions):
            raise ValueError(
                f"{demo.name} has {len(actions)} actions, and its replay ended after {episode.length}"
            )
        self._say(float(np.abs(episode.state[:-1] - states).max()))
        return episode

    def _say(self, strayed: float) -> None:
        if strayed:
            self._remarks.say(f"a replayed state strays from the file's by up to {strayed:.2g}")
        else:
            self._remarks.say("replayed: states are the file's, bit by bit")

    def _provenance(self, number: int) -> Provenance:
        return Provenance(self._terms.controller, seed=self._terms.first_seed + number)

    def _named(self, demo: Any) -> str:
        """The variation: the file's, the user's, or the only one."""
        there = dict.fromkeys(self._env.task.variations)
        said = json.loads(demo.attrs.get("ep_meta", "{}")).get("variation", self._variation)
        if said is None and len(there) == 1:
            return next(iter(there))
        if said is None:
            raise ValueError(
                f"{demo.name} does not say which variation: say --variation {' or '.join(there)}"
            )
        pick({name: True for name in there}, said, f"{self._env.task.name} variation")
        return said


class _Told:
    """Executes given actions (T, A)."""

    def __init__(self, actions: NDArray[np.float32], who: Provenance) -> None:
        self._actions, self._who, self._next = actions, who, 0

    def provenance(self, seed: int) -> Provenance:
        del seed
        return self._who

    def begin(self, slot: int, env: ManipulationEnv, seed: int) -> None:
        del slot, env, seed
        self._next = 0

    def act(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[Act]:
        del slots, observations
        if self._next == len(self._actions):
            raise ValueError(f"after all {self._next} actions the environment has not ended")
        self._next += 1
        return [Act(self._actions[self._next - 1], self._actions[self._next - 1])]
