"""The only environment loop: a controller acts in environments of one arm and task; episodes come out."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from demos.controller import Act, Controller
from demos.environment import Environment
from demos.episode import CONTROLLERS, SCRIPTED, Episode, EpisodeMeta, Outcome, Provenance, episode_id
from sim.cameras import Image
from sim.env import Observation
from sim.randomisation import Drawn

E = TypeVar("E", bound=Environment)


@dataclass(frozen=True)
class Attempt:
    """One episode to be: what is random in it comes from the seed.

    Attributes:
        seed: Seeds placement, variation (if not given) and the controller.
        variation: Which variation, or None to draw it.
        goal: Goal image per camera, or None for one posed by the environment.
        state: Simulator state (S,) to begin from, or None for the one that the seed draws.
        drawn: Numbers of a randomised world, or None for those that the seed draws.

    Raises:
        ValueError: If the seed is below 0.
    """

    seed: int
    variation: str | None = None
    goal: dict[str, Image] | None = None
    state: NDArray[np.float64] | None = None
    drawn: Drawn | None = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} is out of range; expected 0 or more")


@dataclass
class _Recording:
    """An episode in the making."""

    attempt: Attempt
    observations: list[Observation] = field(default_factory=list)
    states: list[np.ndarray] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    success: list[bool] = field(default_factory=list)
    progress: list[float] = field(default_factory=list)
    held: list[bool] = field(default_factory=list)

    def observe(self, env: Environment, observation: Observation, info: Mapping[str, Any]) -> None:
        self.observations.append(observation)
        self.progress.append(info["progress"])
        self.states.append(env.scene.state())
        self.times.append(time.time())
        if "held" in info:
            self.held.append(info["held"])

    def see(self, env: Environment, act: Act) -> None:
        """Takes what the controller had seen when it chose, if it let time pass before."""
        if act.seen_s is not None:
            self.times[-1] = act.seen_s
        if act.seen is not None:
            self.observations[-1], self.states[-1] = act.seen, env.scene.state()
            self.held[-1:] = [env.status.silence_s > 0.0 for _ in self.held[-1:]]


def rollout(envs: Sequence[E], controller: Controller[E], attempts: Sequence[Attempt]) -> Iterator[Episode]:
    """Makes the attempts, as many at a time as there are environments, and yields each episode as it ends.

    Which attempts act side by side depends only on the arguments, so that a controller whose arithmetic
    depends on the batch (a network's does, in the last bits) gives the same episodes each time.

    Args:
        envs: Environments of one arm and task.
        controller: Acts in all of them.
        attempts: What to try, in order.
    """
    waiting = list(reversed(attempts))
    running: dict[int, _Recording] = {}
    free = list(reversed(range(len(envs))))
    while waiting or running:
        while waiting and free:
            slot = free.pop()
            running[slot] = _begin(slot, envs[slot], controller, waiting.pop())
        slots = sorted(running)
        acts = controller.act(slots, [running[slot].observations[-1] for slot in slots])
        for slot, act in zip(slots, acts, strict=True):
            if _advance(envs[slot], running[slot], act):
                free.append(slot)
                yield _episode(envs[slot], running.pop(slot), controller)


def _begin(slot: int, env: E, controller: Controller[E], attempt: Attempt) -> _Recording:
    options: dict[str, object] = {}
    if attempt.variation is not None:
        options["variation"] = attempt.variation
    if attempt.goal is not None:
        options["goal"] = attempt.goal
    if attempt.state is not None:
        options["state"] = attempt.state
    if attempt.drawn is not None:
        options["drawn"] = attempt.drawn
    observation, info = env.reset(seed=attempt.seed, options=options)
    controller.begin(slot, env, attempt.seed)
    recording = _Recording(attempt)
    recording.observe(env, observation, info)
    return recording


def _advance(env: Environment, recording: _Recording, act: Act) -> bool:
    """One step; whether the episode has ended."""
    recording.see(env, act)
    observation, _, terminated, truncated, info = env.step(act.action)
    recording.acts.append(act._replace(action=info.get("executed", act.action)))
    recording.success.append(bool(info["is_success"]))
    recording.observe(env, observation, info)
    return terminated or truncated or act.ends


def _episode(env: E, recording: _Recording, controller: Controller[E]) -> Episode:
    provenance = controller.provenance(recording.attempt.seed)
    observations = recording.observations
    goal = {} if provenance.controller in SCRIPTED else observations[0]["goal"]
    commanded = [act.commanded for act in recording.acts if act.commanded is not None]
    actors = [CONTROLLERS.index(act.actor) for act in recording.acts if act.actor is not None]
    return Episode(
        images={camera: np.stack([o["images"][camera] for o in observations]) for camera in env.cameras},
        proprio=np.stack([o["proprio"] for o in observations]),
        action=np.stack([act.action for act in recording.acts]),
        label=np.stack([act.label for act in recording.acts]),
        success=np.array(recording.success),
        progress=np.array(recording.progress, dtype=np.float32),
        state=np.stack(recording.states),
        wall_time=np.array(recording.times),
        goal=goal,
        commanded=np.stack(commanded) if commanded else None,
        actor=np.array(actors, np.uint8) if actors else None,
        held=np.array(recording.held) if recording.held else None,
        meta=episode_meta(env, provenance, recording.success[-1]),
    )


def episode_meta(env: Environment, provenance: Provenance, success: bool) -> EpisodeMeta:
    """The record of an episode that an environment has just finished."""
    channels = env.channels
    who, ranges = provenance, env.randomisation if env.drawn is not None else None
    return EpisodeMeta(
        id=episode_id(
            env.arm.name,
            env.task.name,
            env.variation,
            who.controller,
            who.policy,
            who.generation,
            who.seed,
            ranges,
            who.sources,
        ),
        arm=env.arm.name,
        task=env.task.name,
        variation=env.variation,
        control_hz=env.control_hz,
        cameras=env.cameras,
        image_size=(env.size, env.size),
        proprio_names=tuple(channel.name for channel in channels),
        proprio_units=tuple(channel.unit for channel in channels),
        proprio_ranges=tuple((channel.low, channel.high) for channel in channels),
        action_names=env.arm.action_names,
        outcome=Outcome(success, env.judged_by),
        provenance=provenance,
        mujoco_version=mujoco.__version__,
        model_hash=model_hash(env.scene.model),
        gl_renderer=env.gl_renderer,
        created=datetime.now(UTC).isoformat(),
        randomisation=ranges,
        drawn=env.drawn,
    )


def model_hash(model: mujoco.MjModel) -> str:
    """Hash of a compiled model: states replay exactly only in the model that made them."""
    buffer = np.empty(mujoco.mj_sizeModel(model), dtype=np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return sha256(buffer.tobytes()).hexdigest()[:16]
