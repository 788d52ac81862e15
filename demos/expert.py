"""A scripted expert as a controller: its aims as actions, with exploration noise that is not its label."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from demos.aims import Aim, aim
from demos.controller import Act, Action
from demos.episode import Provenance
from demos.handover_aims import handover_aims
from sim.env import ManipulationEnv, Observation
from sim.limb import Limb
from sim.names import pick
from sim.poses import Array
from sim.scene import Scene
from sim.tasks.task import Task

GAIN = 0.7  # share of the remaining way asked for in one period; 1 would overshoot by the arm's lag


@dataclass(frozen=True)
class Noise:
    """Exploration during demonstrations: the executed action strays, the label stays what the expert meant
    (as in DART, Laskey et al. 2017), so that recoveries are in the data.

    Attributes:
        std: Standard deviation added to each Cartesian number, in action units.
        burst_rate: Chance per step that a burst starts.
        burst_steps: Length of a burst: one random direction is held.
        burst_size: Size of a burst in action units.
        gripper_rate: Chance per step that a burst also turns the gripper round.
    """

    std: float = 0.2
    burst_rate: float = 0.03
    burst_steps: int = 4
    burst_size: float = 0.8
    gripper_rate: float = 0.15

    def scaled(self, share: float) -> "Noise":
        """The same with so much of its strength."""
        return replace(
            self,
            std=share * self.std,
            burst_size=share * self.burst_size,
            gripper_rate=share * self.gripper_rate,
        )


SILENT = Noise(std=0.0, burst_rate=0.0)


def aims(task: Task, scene: Scene, variation: str) -> tuple[Aim, ...]:
    """Where the tool of each arm should go for a task.

    Raises:
        UnknownName: If there is no expert for the task's family.
    """
    if task.arms == 1:
        return (aim(task, scene, variation),)
    return pick({"handover": handover_aims}, task.family, "expert for two arms")(scene, variation)


def action_towards(limb: Limb, wanted: Aim, control_hz: int) -> Action:
    """The numbers (A,) of an arm that move its tool to where it is wanted, slowing down as it arrives."""
    upright = np.array([0.0, 0.0, wanted.yaw_rad])
    gripper = np.full(len(limb.arm.gripper.numbers), 1.0 if wanted.opened else -1.0)
    return numbers_towards(limb, wanted.tool_m, upright, gripper, control_hz)


def numbers_towards(limb: Limb, tool_m: Array, tilt_rad: Array, gripper: Array, control_hz: int) -> Action:
    """The numbers (A,) of an arm that move its tool to a pose: position (3,) [m], tilt (3,) [rad]."""
    arm = limb.arm
    move = GAIN * (tool_m - limb.tool_m) * control_hz / arm.linear_m_s
    move /= max(1.0, float(np.linalg.norm(move)))
    turn = np.clip(GAIN * (tilt_rad - limb.tool_tilt_rad) * control_hz / arm.angular_rad_s, -1.0, 1.0)
    turn = turn[2:] if arm.cartesian_dof == 4 else turn
    return np.array([*move, *turn, *gripper], dtype=np.float32)


class Expert:
    """The scripted expert of a task, acting in any number of slots."""

    def __init__(self, noise: Noise = SILENT) -> None:
        self._noise = noise
        self._slots: dict[int, _Slot] = {}

    def provenance(self, seed: int) -> Provenance:
        """Scripted, by task; the seed draws the noise."""
        return Provenance(controller="expert", policy=None, generation=None, seed=seed)

    def begin(self, slot: int, env: ManipulationEnv, seed: int) -> None:
        """Looks the task's expert up; a task without one raises `UnknownName`."""
        aims(env.task, env.scene, env.variation)
        self._slots[slot] = _Slot(env, Straying(env, self._noise, seed))

    def act(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[Act]:
        """Reads the simulator, not the observations."""
        del observations  # A scripted expert is privileged.
        return [self._slots[slot].act() for slot in slots]


class _Slot:
    """One environment with its own noise."""

    def __init__(self, env: ManipulationEnv, stray: "Straying") -> None:
        self._env, self._stray = env, stray

    def act(self) -> Act:
        env = self._env
        where = aims(env.task, env.scene, env.variation)
        parts = [
            action_towards(limb, wanted, env.control_hz)
            for limb, wanted in zip(env.scene.limbs, where, strict=True)
        ]
        label = np.concatenate(parts)
        return Act(self._stray.from_(label), label)


class Straying:
    """The noise of one episode: what is executed instead of what is meant."""

    def __init__(self, env: ManipulationEnv, noise: Noise, seed: int) -> None:
        """Noise of an episode with this seed, as strong as the task bears it."""
        self._rng, self._noise = np.random.default_rng([seed, 1]), noise.scaled(env.task.noise_share)
        # Which numbers of an action move tools; the others are grippers'.
        limbs = [arm for _, arm in env.arm.limbs]
        self._cartesian = np.concatenate([np.arange(len(a.numbers)) < a.cartesian_dof for a in limbs])
        self._burst_left = 0
        self._burst: Array = np.zeros(env.arm.action_size)
        self._flip = False

    def from_(self, label: Action) -> Action:
        """The action (A,) that strays from a label (A,)."""
        noise, rng, cartesian = self._noise, self._rng, self._cartesian
        action = label.astype(np.float64)
        action[cartesian] += rng.normal(0.0, noise.std, int(cartesian.sum()))
        if self._burst_left == 0 and rng.random() < noise.burst_rate:
            direction = rng.normal(size=len(label))
            self._burst = noise.burst_size * direction / np.linalg.norm(direction[:3])
            self._burst_left = int(rng.integers(1, noise.burst_steps + 1))
            self._flip = bool(rng.random() < noise.gripper_rate)
        if self._burst_left > 0:
            self._burst_left -= 1
            action[cartesian] += self._burst[cartesian]
            if self._flip:
                action[~cartesian] *= -1.0
        return np.clip(action, -1.0, 1.0).astype(np.float32)
