"""Replaying a recorded episode: its actions from its first state, which give its states again, bit by bit."""

from collections.abc import Sequence

from demos.controller import Act
from demos.episode import Episode, EpisodeMeta, Provenance
from demos.rollout import Attempt, model_hash, rollout
from sim.env import ManipulationEnv, Observation, make


class Replay:
    """Acts as a recorded episode did, in any number of slots."""

    def __init__(self, episode: Episode, any_build: bool = False) -> None:
        """Makes one; `any_build` acts in another build's model too, where states may come out otherwise."""
        self._episode = episode
        self._any_build = any_build
        self._next: dict[int, int] = {}

    @property
    def attempt(self) -> Attempt:
        """The attempt that begins where the episode began, and shows the goal that it showed."""
        episode = self._episode
        meta = episode.meta
        goal = dict(episode.goal) or None
        return Attempt(meta.provenance.seed, meta.variation, goal, episode.state[0], meta.drawn)

    def provenance(self, seed: int) -> Provenance:
        """A replay, under the seed of what it replays."""
        return Provenance(controller="replay", policy=None, generation=None, seed=seed)

    def begin(self, slot: int, env: ManipulationEnv, seed: int) -> None:
        """Rewinds.

        Raises:
            ValueError: If the environment is not the one of the recording, so that the same actions would do
                something else in it.
        """
        del seed  # The state that an attempt names leaves nothing to draw.
        meta = self._episode.meta
        recorded = (meta.arm, meta.task, meta.control_hz, meta.model_hash)
        here = (env.arm.name, env.task.name, float(env.control_hz), model_hash(env.scene.model))
        for what, there, now in zip(("arm", "task", "control_hz", "model_hash"), recorded, here, strict=True):
            if there != now and not (self._any_build and what == "model_hash"):
                raise ValueError(f"episode {meta.id} was recorded with {what} {there}, this is {now}")
        self._next[slot] = 0

    def act(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[Act]:
        """The recorded actions, whatever is seen."""
        del observations  # A replay is blind.
        return [self._act(slot) for slot in slots]

    def _act(self, slot: int) -> Act:
        episode, step = self._episode, self._next[slot]
        if step == episode.length:
            raise ValueError(f"episode {episode.id} has ended after {step} steps, and its replay has not")
        self._next[slot] = step + 1
        # A person may have ended it, and later than the task's horizon.
        ends = episode.meta.provenance.controller == "teleop" and step + 1 == episode.length
        return Act(episode.action[step], episode.label[step], ends)


def environment(meta: EpisodeMeta) -> ManipulationEnv:
    """The environment that an episode was recorded in.

    Raises:
        ValueError: If there is none; or, as `UnknownName`, for an arm or a task that is not known here.
    """
    height, width = meta.image_size
    if height != width or meta.control_hz != int(meta.control_hz):
        raise ValueError(
            f"episode {meta.id}: no environment has {height} x {width} px at {meta.control_hz} Hz"
        )
    return make(
        meta.arm,
        meta.task,
        cameras=meta.cameras,
        size=height,
        control_hz=int(meta.control_hz),
        randomise=meta.randomisation,
    )


def refuse_real(episode: Episode) -> None:
    """Sees that an episode can be acted again.

    Raises:
        ValueError: If it is of a real arm: no state puts a real table back.
    """
    if episode.held is not None:
        raise ValueError(f"episode {episode.id} is of a real arm: nothing can be acted again as it was")


def replay(episode: Episode, env: ManipulationEnv | None = None, any_build: bool = False) -> Episode:
    """Replays an episode and records what happens.

    Args:
        episode: What to replay; its images are not needed.
        env: Where; None makes the environment that it was recorded in.
        any_build: Whether the model may be another than the one recorded in, as after MuJoCo changed.

    Raises:
        ValueError: The environment is another one, the replay outlasts its episode, or that is of a real arm.
    """
    refuse_real(episode)
    controller = Replay(episode, any_build)
    world = env or environment(episode.meta)
    horizon = world.max_steps
    world.max_steps = max(horizon, episode.length)
    try:
        return next(rollout([world], controller, [controller.attempt]))
    finally:
        world.max_steps = horizon
