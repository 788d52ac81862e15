"""What the environment loop acts in: one arm doing one task, simulated or real.

The protocol is, on purpose, the shape of `sim.env.ManipulationEnv`, which fits it as it is. A real
arm comes to the same loop as a `demos.robots.robot_env.RobotEnv`: `observe` and `send` of any
`demos.robots.robot.Robot`, put behind `reset` and `step`. The other way round, a simulation behind `observe`
and `send`, would have every expert, worker, policy and replay wrap an environment to lose what only it has:
seeds, states to begin from, a predicate. What sets the two apart is in values that the loop and teleoperation
treat alike: who judges, whether time waits, whether the arm answers.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from demos.cadence import Cadence
from sim.arms.arm import Arm
from sim.cameras import Image
from sim.env import Observation, Status
from sim.proprioception import Channel
from sim.randomisation import Drawn, Randomisation
from sim.scene import Scene


class Named(Protocol):
    """A task, as far as a record and a person need it."""

    @property
    def name(self) -> str: ...

    @property
    def summary(self) -> str: ...


class Environment(Protocol):
    """One arm doing one task. Observation, action and info are those of `sim.env.ManipulationEnv`.

    Info may also hold `executed`, the action (A,) that was executed where that is another than was asked, and
    `held`, whether the observation is the one before's for want of a new one.

    Attributes:
        max_steps: Longest episode; the step that reaches it truncates.
    """

    max_steps: int

    @property
    def arm(self) -> Arm:
        """Which arm: its joints, its tool, its action numbers."""
        ...

    @property
    def task(self) -> Named:
        """What is to be done."""
        ...

    @property
    def variation(self) -> str:
        """Which instance of the task; "" where there is one only."""
        ...

    @property
    def cameras(self) -> tuple[str, ...]:
        """Which cameras are observed."""
        ...

    @property
    def size(self) -> int:
        """Height and width of their pictures [px]."""
        ...

    @property
    def control_hz(self) -> int:
        """Steps a second [Hz]."""
        ...

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Name, unit and range of each number of proprioception."""
        ...

    @property
    def scene(self) -> Scene:
        """The simulated world; of a real arm its model, moved as the arm reports."""
        ...

    @property
    def judged_by(self) -> str:
        """Who says whether an episode succeeded: "predicate", or `demos.episode.NOBODY`."""
        ...

    @property
    def shows_goal(self) -> bool:
        """Whether observations hold pictures of a goal, of each camera."""
        ...

    @property
    def cadence(self) -> Cadence | None:
        """The beat that `step` keeps; None where time waits for the next step."""
        ...

    @property
    def views(self) -> tuple[str, ...]:
        """Cameras that `picture` takes."""
        ...

    @property
    def status(self) -> Status:
        """How task and arm stand at this moment."""
        ...

    @property
    def gl_renderer(self) -> str:
        """What made the images."""
        ...

    @property
    def randomisation(self) -> Randomisation:
        """The ranges that worlds are drawn from."""
        ...

    @property
    def drawn(self) -> Drawn | None:
        """What was drawn, if anything was."""
        ...

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode."""
        ...

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One control period under an action (A,) in [-1, 1]."""
        ...

    def look(self, homing: bool = False) -> Observation:
        """What is seen now, between steps; `homing` lets a real arm move a little towards its home."""
        ...

    def picture(self, camera: str, size: int, paths_m: Sequence[NDArray[np.float64]] = ()) -> Image:
        """A large picture for a person, uint8 (H, W, 3), of about `size` pixels; where it is simulated with
        lines, each (n, 3) points in the world [m].
        """
        ...
