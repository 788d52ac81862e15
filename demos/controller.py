"""Whatever acts: scripted expert, trained policy, teleoperator or replay, behind one small protocol."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from demos.environment import Environment
from demos.episode import Provenance
from sim.env import Observation

Action = NDArray[np.float32]
E_contra = TypeVar("E_contra", bound=Environment, contravariant=True)


class Act(NamedTuple):
    """What a controller does on one step.

    Attributes:
        action: What is executed (A,), in [-1, 1].
        label: What was meant before exploration noise (A,): the target to imitate.
        ends: Whether the episode is to end with this step.
        commanded: What the device of teleoperation asked (A,), before limits of motion.
        actor: Who acted, one of `demos.episode.CONTROLLERS`, where that may change in an episode.
        seen_s: When the observation counts as taken, unix time [s], if the controller made the world wait
            for it: a person takes their time before the first action.
        seen: The observation that counts then, as the world may not have waited.
    """

    action: Action
    label: Action
    ends: bool = False
    commanded: Action | None = None
    actor: str | None = None
    seen_s: float | None = None
    seen: Observation | None = None


class Controller(Protocol[E_contra]):
    """Acts in several environments of one arm and task at once; each has a slot.

    `E_contra` is what it needs them to be: a simulation, where it is privileged, or any at all.
    """

    def provenance(self, seed: int) -> Provenance:
        """Who acts, for the record of an episode with this seed."""
        ...

    def begin(self, slot: int, env: E_contra, seed: int) -> None:
        """An episode starts in a slot; whatever is random in it comes from the seed."""
        ...

    def act(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[Act]:
        """One act per slot named, from that slot's newest observation."""
        ...
