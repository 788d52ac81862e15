"""A trained agent as a controller: images to codes, a window of steps to an action, in many slots at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from demos.controller import Act
from demos.environment import Environment
from demos.episode import Provenance
from robocat.actions import Choose
from robocat.agent import Window
from robocat.agent_checkpoint import cached_agent, read_card
from robocat.bins import CHOICES
from robocat.checkpoint import CheckpointError
from robocat.devices import best, moved
from robocat.threads import one_thread
from robocat.tokeniser import Tokeniser, load_tokeniser
from robocat.vocabulary import Embodiment, decode_action, embodiment, encode, encode_action
from sim.env import Observation

Row = NDArray[np.int64]


@dataclass
class _Memory:
    """What a slot remembers of its episode.

    Attributes:
        rng: For exploration.
        goal: Codes (V, C), from the first observation on.
        proprio: Bins of the newest steps, oldest first, each (P,).
        codes: Image codes, each (V, C).
        action: Bins of what was meant, as in training, each (A,); one shorter than the others while acting.
        plan: Bins of actions that have been decided and are still to be executed, each (A,).
    """

    rng: np.random.Generator
    goal: Row | None = None
    proprio: list[Row] = field(default_factory=list[Row])
    codes: list[Row] = field(default_factory=list[Row])
    action: list[Row] = field(default_factory=list[Row])
    plan: list[Row] = field(default_factory=list[Row])


class Policy:
    """Acts with an agent in any number of environments of one arm.

    Args:
        checkpoint: The agent's folder.
        tokeniser: The tokeniser's folder.
        explore: Standard deviation of the noise on executed Cartesian actions, in action units; the label
            stays the agent's own action.
        device: Where both compute; `robocat.devices.best` if None. That module says how it acts on CUDA.

    Raises:
        CheckpointError: If either is absent or they do not belong together.
    """

    def __init__(
        self, checkpoint: Path, tokeniser: Path, explore: float = 0.0, device: torch.device | None = None
    ) -> None:
        read_card(checkpoint)  # before its tokeniser: an agent that is absent is told as such
        self._device = device or best()
        self._tokeniser: Tokeniser = load_tokeniser(tokeniser, self._device)
        loaded = cached_agent(checkpoint, self._tokeniser.weights, self._device)
        self._agent, self.card, self._weights = loaded.network, loaded.card, loaded.weights
        self._explore = explore
        self._memories: dict[int, _Memory] = {}
        self._envs: dict[int, Environment] = {}
        self._choose: Choose = CHOICES[self._agent.config.choose]
        self._bodies: dict[str, Embodiment] = {}

    def provenance(self, seed: int) -> Provenance:
        """This agent: its name and the hash of its weights."""
        name = f"{self.card.name}@{self._weights}"
        return Provenance(controller="policy", policy=name, generation=self.card.generation, seed=seed)

    def begin(self, slot: int, env: Environment, seed: int) -> None:
        """Forgets the slot's last episode.

        Raises:
            CheckpointError: If the environment's cameras are not as many as the agent reads, its pictures are
                of another size than the tokeniser's, or it shows no goal.
        """
        if not env.shows_goal:
            raise CheckpointError(
                f"{self.card.name} is told by pictures of a goal what to do, and there are none; say --goal "
                f"and a folder with one for each of {', '.join(env.cameras)}, such as {env.cameras[0]}.png"
            )
        if env.size != self._tokeniser.config.size:
            raise CheckpointError(
                f"{self.card.name} reads pictures of {self._tokeniser.config.size} px, the environment's are "
                f"of {env.size} px; say --size {self._tokeniser.config.size}"
            )
        if len(env.cameras) != self._agent.config.cameras:
            raise CheckpointError(
                f"{self.card.name} reads {self._agent.config.cameras} cameras, the environment has "
                f"{len(env.cameras)}: {', '.join(env.cameras)}"
            )
        self._envs[slot] = env
        if env.arm.name not in self._bodies:
            names = [channel.name for channel in env.channels]
            self._bodies[env.arm.name] = embodiment(names, env.arm.action_names)
        self._memories[slot] = _Memory(np.random.default_rng([seed, 2]))

    def act(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[Act]:
        """One action a slot, decoded together; the slots' environments share one arm.

        With one thread, so that a worker and the first process act alike.
        """
        env = self._envs[slots[0]]
        news = dict(zip(slots, observations, strict=True))
        asked = {slot: news[slot] for slot in slots if not self._memories[slot].plan}
        # A window of one step holds nothing of those at which the agent is not asked.
        seen = asked if self._agent.config.context == 1 else news
        with one_thread():
            if seen:
                self._remember(list(seen), list(seen.values()), env)
            by_length: dict[int, list[int]] = {}
            for slot in asked:
                by_length.setdefault(len(self._memories[slot].proprio), []).append(slot)
            for group in by_length.values():
                for slot, plan in zip(group, self._decide(group, env), strict=True):
                    self._memories[slot].plan = list(plan[: self._agent.config.execute])
        return [self._perform(slot, self._memories[slot].plan.pop(0)) for slot in slots]

    def _remember(self, slots: Sequence[int], observations: Sequence[Observation], env: Environment) -> None:
        """Puts the newest observations into the slots' memories, and drops what leaves the window."""
        low = [channel.low for channel in env.channels]
        high = [channel.high for channel in env.channels]
        images = np.stack([[o["images"][camera] for camera in env.cameras] for o in observations])
        codes = self._tokeniser.encode(images)
        proprio = encode(np.stack([o["proprio"] for o in observations]), low, high).astype(np.int64)
        context = self._agent.layout(self._bodies[env.arm.name]).context
        for i, slot in enumerate(slots):
            memory = self._memories[slot]
            if memory.goal is None:
                goal = np.stack([observations[i]["goal"][camera] for camera in env.cameras])
                memory.goal = self._tokeniser.encode(goal)
            memory.proprio = [*memory.proprio, proprio[i]][-context:]
            memory.codes = [*memory.codes, codes[i]][-context:]
            memory.action = memory.action[-(context - 1) :] if context > 1 else []

    def _decide(self, slots: Sequence[int], env: Environment) -> NDArray[np.int64]:
        """Action bins (B, C, A) of C planned steps for slots whose windows are equally long."""
        memories = [self._memories[slot] for slot in slots]
        blank = np.zeros(env.arm.action_size, dtype=np.int64)
        window = Window(
            proprio=_tensor([m.proprio for m in memories]),
            codes=_tensor([m.codes for m in memories]),
            goal=_tensor([m.goal for m in memories if m.goal is not None]),
            action=_tensor([[*m.action, blank] for m in memories]),
        )
        there = moved(window, self._device)
        bins = self._agent.act(there, self._bodies[env.arm.name], self._choose).cpu().numpy()
        return bins.reshape(len(slots), -1, env.arm.action_size)

    def _perform(self, slot: int, bins: Row) -> Act:
        memory = self._memories[slot]
        label = decode_action(bins)
        action = label.copy()
        if self._explore:
            cartesian = self._envs[slot].arm.cartesian_dof
            action[:cartesian] += memory.rng.normal(0.0, self._explore, cartesian)
            action = np.clip(action, -1.0, 1.0).astype(np.float32)
        memory.action.append(encode_action(label).astype(np.int64))
        return Act(action, label)


def _tensor(rows: Sequence[Row] | Sequence[Sequence[Row]]) -> torch.Tensor:
    return torch.from_numpy(np.array(rows, dtype=np.int64))
