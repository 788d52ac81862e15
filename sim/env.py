"""One arm doing one task: the only `gymnasium.Env` of the project."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from zlib import crc32

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim.arms import find_arm
from sim.arms.arm import Arm
from sim.cameras import CAMERAS, Image, Pictures, cameras_of, pictures
from sim.control import CartesianControl
from sim.names import pick
from sim.own import check_arm, check_task
from sim.poses import Array
from sim.proprioception import Channel, channels, read
from sim.randomisation import NOTHING, Drawn, Randomisation, draw, find_randomisation
from sim.scene import Scene
from sim.tasks import find_task
from sim.tasks.task import HOLD_S, Task
from sim.touch import Touch, touch

Observation = dict[str, Any]
CONTROL_HZ = (10, 20)
RENDER_MODES = ("rgb_array",)
RESET_OPTIONS = ("variation", "goal", "state", "drawn")


class Status(NamedTuple):
    """How an environment stands, for whoever watches it.

    Attributes:
        success: Whether the task is done at this moment.
        progress: How far it is, in [0, 1].
        homed: Whether the arm is where episodes begin.
        silence_s: For how long the arm has not answered [s]; infinite once it is gone.
        note: What is the matter, in a line; "" if nothing is.
        deaf_s: For how long it has taken no action [s]; infinite as well.
        touch: What each hand feels; none where nothing tells.
    """

    success: bool
    progress: float
    homed: bool = True
    silence_s: float = 0.0
    note: str = ""
    deaf_s: float = 0.0
    touch: tuple[Touch, ...] = ()


class ManipulationEnv(gym.Env[Observation, NDArray[np.float32]]):
    """One arm at a table doing one task, told by a goal image what to bring about.

    Observation: `images` camera name to uint8 (size, size, 3); `proprio` float32 (P,), physical units as
    `channels` says; `goal` camera name to uint8 (size, size, 3).
    Action: float32 (A,) in [-1, 1], see `sim.control.CartesianControl`.
    Reward: 1.0 on the step on which success has held for `HOLD_S`, else 0.0; the episode then terminates.
    After the task's horizon it is truncated.
    Info: `is_success`, `progress` in [0, 1], `variation`.
    """

    metadata = {"render_modes": [*RENDER_MODES], "render_fps": 10}
    judged_by = "predicate"
    shows_goal = True
    cadence = None  # time stands still between steps: whoever wants a beat keeps it

    def __init__(
        self,
        arm: Arm | str,
        task: Task | str,
        *,
        cameras: tuple[str, ...] = CAMERAS,
        size: int = 64,
        control_hz: int = 10,
        render_mode: str | None = None,
        randomise: Randomisation | str | None = None,
    ) -> None:
        """Builds the world.

        Args:
            arm: An arm, of the user's own perhaps, or the name of one that is known.
            task: A task or its name.
            cameras: Which cameras are observed, of "front" (fixed), "wrist" and, of two arms, "second_wrist";
                the first two, which every arm has, let one agent learn from all.
            size: Height and width of the images [px].
            control_hz: Actions per second, 10 or 20.
            render_mode: "rgb_array" makes `render` return the first camera's picture.
            randomise: How far episodes' worlds differ, or the name of such ranges; None not at all.

        Raises:
            ValueError: For a name or number that is not offered; the message lists what is. For a task of
                two arms and one arm, or the other way round. For an arm or task that is not what it says, or
                bears the name of another; see `sim.own`.
        """
        self.arm = find_arm(arm) if isinstance(arm, str) else arm
        self.task = find_task(task) if isinstance(task, str) else task
        check_arm(self.arm)
        check_task(self.task)
        self.cameras = tuple(cameras)
        _check_arms(self.arm, self.task)
        _check_pictures(self.arm, self.cameras, size, render_mode)
        if control_hz not in CONTROL_HZ:
            raise ValueError(f"control_hz {control_hz} is not offered; expected one of {CONTROL_HZ}")
        self.size = size
        self.control_hz = control_hz
        self.render_mode = render_mode
        self.randomisation = find_randomisation(randomise)
        self.drawn: Drawn | None = None
        self.scene = Scene(self.arm, self.task.things, self.task.light, self.randomisation)
        self._key = crc32(self.arm.name.encode()), crc32(self.task.name.encode())
        self.channels: tuple[Channel, ...] = channels(self.arm)
        self.max_steps = round(self.task.horizon_s * control_hz)
        self._control = CartesianControl(self.scene, control_hz)
        self._hold_steps = round(HOLD_S * control_hz)
        self._low, self._high = np.array([(channel.low, channel.high) for channel in self.channels]).T
        self._held = self._steps = 0
        self._goal: dict[str, Image] = {}
        self.variation = self.task.variations[0]
        self.observation_space = self._observation_space()
        self.action_space = spaces.Box(-1.0, 1.0, (self.arm.action_size,), np.float32)

    def _observation_space(self) -> spaces.Dict:
        image = spaces.Box(0, 255, (self.size, self.size, 3), np.uint8)
        proprio = spaces.Box(self._low.astype(np.float32), self._high.astype(np.float32))
        views: dict[str, spaces.Space[Any]] = {camera: image for camera in self.cameras}
        return spaces.Dict({"images": spaces.Dict(views), "proprio": proprio, "goal": spaces.Dict(views)})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: Seeds the generator that draws the variation and the placement.
            options: `variation` (name), `goal` (camera name to image, else one is posed and rendered),
                `state` (vector from an earlier `scene.state()`, restored exactly), `drawn` (numbers from an
                earlier `drawn` of a randomised world, else the seed draws them).
        """
        super().reset(seed=seed)
        options = options or {}
        for name in options:
            pick(dict.fromkeys(RESET_OPTIONS, True), name, "reset option")
        # One number a reset, then a generator of this arm and task alone: with the same scenes under the same
        # seeds everywhere, an agent could learn by heart which block a scene's demonstrations go for.
        entropy = [int(self.np_random.integers(2**32)), *self._key]
        rng = np.random.default_rng(entropy)
        variations = self.task.variations
        drawn = variations[int(rng.integers(len(variations)))]
        named = options.get("variation", drawn)
        self.variation = pick({v: v for v in variations}, named, f"{self.task.name} variation")
        if (drawn := options.get("drawn")) is not None or self.randomisation != NOTHING:
            # From a generator of its own, so that things lie where they lie without randomisation.
            own = np.random.default_rng([*entropy, 1])
            drawn = drawn or draw(self.randomisation, self.arm, self.task.things, own)
            self.scene.randomise(drawn)
            self.drawn = drawn
        self.scene.reset()
        self.task.place(self.scene, self.variation, rng)
        self.scene.forward()
        if (state := options.get("state")) is not None:
            self.scene.restore(state)
        goal = options.get("goal")
        self._goal = self._posed_goal(rng) if goal is None else self._checked_goal(goal)
        self._held = self._steps = 0
        return self._observation(), self._info()

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advances by one control period; see the class for reward and ends."""
        self._control.step(action)
        return self.conclude()

    @property
    def piece_steps(self) -> int:
        """Steps of physics for each row of a `plan`."""
        return self._control.piece_steps

    def plan(self, action: NDArray[np.float32]) -> Array:
        """Actuator targets (pieces, nu) of a step under an action (A,), if its physics is done elsewhere.

        A `step` is `plan`, for each row `piece_steps` steps of physics, `scene.take_over` and `conclude`.

        Raises:
            ValueError: If the action has the wrong shape or a number that is not finite; nothing is changed.
        """
        return self._control.plan(action)

    def conclude(self) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """What `step` returns, once the physics of a control period is done."""
        self._steps += 1
        self._held = self._held + 1 if self.task.success(self.scene, self.variation) else 0
        info = self._info()
        done = bool(info["is_success"])
        return self._observation(), float(done), done, not done and self._steps >= self.max_steps, info

    def render(self) -> Image | None:  # type: ignore[override]
        """The first camera's picture, uint8 (size, size, 3), in render mode "rgb_array"."""
        if self.render_mode is None:
            return None
        return self._take(self.cameras[:1])[self.cameras[0]]

    @property
    def views(self) -> tuple[str, ...]:
        """Cameras that `picture` takes, recorded or not."""
        return cameras_of(self.arm)

    def picture(self, camera: str, size: int, paths_m: Sequence[NDArray[np.float64]] = ()) -> Image:
        """What a camera sees now, uint8 (size, size, 3); paths are drawn in, see `sim.cameras.Pictures`."""
        return pictures(self.scene.base, size).take(self.scene, (camera,), paths_m)[camera]

    @property
    def status(self) -> Status:
        """How the task stands; a simulated arm is at home after each reset and always answers."""
        scene, task = self.scene, self.task
        return Status(
            bool(task.success(scene, self.variation)),
            task.progress(scene, self.variation),
            touch=tuple(touch(scene.model, scene.data, limb) for limb in scene.limbs),
        )

    def look(self, homing: bool = False) -> Observation:
        """The newest observation, outside of any step; nothing moves."""
        del homing  # `reset` brings the arm home.
        return self._observation()

    @property
    def gl_renderer(self) -> str:
        """The OpenGL implementation that draws the images, "none" without cameras."""
        return self._pictures().gl_renderer if self.cameras else "none"

    def proprio(self) -> NDArray[np.float32]:
        """Proprioception (P,), clipped to the declared ranges."""
        return np.minimum(np.maximum(read(self.scene), self._low), self._high).astype(np.float32)

    def _pictures(self) -> Pictures:
        # Not before the first picture: without cameras nothing needs OpenGL, which a machine may lack.
        return pictures(self.scene.base, self.size)

    def _take(self, cameras: tuple[str, ...]) -> dict[str, Image]:
        return self._pictures().take(self.scene, cameras) if cameras else {}

    def _observation(self) -> Observation:
        # Whoever keeps an observation may write into it, so each has a goal of its own.
        goal = {camera: image.copy() for camera, image in self._goal.items()}
        return {"images": self._take(self.cameras), "proprio": self.proprio(), "goal": goal}

    def _info(self) -> dict[str, Any]:
        return {
            "is_success": self._held >= self._hold_steps,
            "progress": self.task.progress(self.scene, self.variation),
            "variation": self.variation,
        }

    def _posed_goal(self, rng: np.random.Generator) -> dict[str, Image]:
        """A picture of a success posed by hand from this episode's own scene, which is left as it was."""
        if not self.cameras:
            return {}
        before = self.scene.state()
        self._pose_success(rng)
        goal = self._take(self.cameras)
        self.scene.restore(before)
        return goal

    def _pose_success(self, rng: np.random.Generator) -> None:
        self._control.pose(*self.task.pose(self.scene, self.variation, rng))

    def _checked_goal(self, goal: dict[str, Image]) -> dict[str, Image]:
        if set(goal) != set(self.cameras):
            raise ValueError(f"goal has cameras {sorted(goal)}, expected {sorted(self.cameras)}")
        shape = (self.size, self.size, 3)
        for camera, image in goal.items():
            if np.shape(image) != shape or image.dtype != np.uint8:
                got = f"{getattr(image, 'dtype', type(image).__name__)} {np.shape(image)}"
                raise ValueError(f"goal image {camera!r} is {got}, expected uint8 {shape}")
        return {camera: goal[camera] for camera in self.cameras}

    def close(self) -> None:
        """Nothing to free: models and renderers are shared by the process."""


def _check_arms(arm: Arm, task: Task) -> None:
    if task.arms != len(arm.limbs):
        raise ValueError(
            f"task {task.name!r} is done by {_counted(task.arms)}, and {arm.name} is "
            f"{_counted(len(arm.limbs))}; `robocat tasks` lists which go together"
        )


def _check_pictures(arm: Arm, cameras: tuple[str, ...], size: int, render_mode: str | None) -> None:
    for camera in cameras:
        pick(dict.fromkeys(cameras_of(arm), True), camera, "camera")
    if len(set(cameras)) != len(cameras):
        raise ValueError(f"cameras {cameras} name one twice; expected each at most once")
    if not 8 <= size <= 1024:
        raise ValueError(f"image size {size} px is out of range; expected 8 to 1024")
    if render_mode is not None:
        pick(dict.fromkeys(RENDER_MODES, True), render_mode, "render mode")
        if not cameras:
            raise ValueError(
                f"render mode {render_mode!r} needs a camera; cameras: {', '.join(cameras_of(arm))}"
            )


def _counted(arms: int) -> str:
    return "one arm" if arms == 1 else f"{arms} arms"


def make(arm: Arm | str, task: Task | str, **options: Any) -> ManipulationEnv:
    """Makes the environment without Gymnasium's registry and wrappers."""
    return ManipulationEnv(arm, task, **options)
