"""One arm doing one task: the only `gymnasium.Env` of the project."""

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim.arms import find_arm
from sim.arms.arm import Arm
from sim.cameras import CAMERAS, Image, pictures
from sim.control import CartesianControl
from sim.names import pick
from sim.poses import wrap
from sim.proprioception import Channel, channels, read
from sim.scene import Scene
from sim.tasks import find_task
from sim.tasks.task import HOLD_S, Task

Observation = dict[str, Any]
CONTROL_HZ = (10, 20)


class ManipulationEnv(gym.Env[Observation, NDArray[np.float32]]):
    """One arm at a table doing one task, told by a goal image what to bring about.

    Observation: `images` camera name to uint8 (size, size, 3); `proprio` float32 (P,), physical units as
    `channels` says; `goal` camera name to uint8 (size, size, 3).
    Action: float32 (A,) in [-1, 1], see `sim.control.CartesianControl`.
    Reward: 1.0 on the step on which success has held for `HOLD_S`, else 0.0; the episode then terminates. After
    the task's horizon it is truncated.
    Info: `is_success`, `progress` in [0, 1], `variation`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - Gymnasium's own name and type

    def __init__(
        self,
        arm: Arm | str,
        task: Task | str,
        *,
        cameras: tuple[str, ...] = CAMERAS,
        size: int = 64,
        control_hz: int = 10,
        render_mode: str | None = None,
    ) -> None:
        """Builds the world.

        Args:
            arm: An arm or its name.
            task: A task or its name.
            cameras: Which cameras are observed, of "front" (fixed) and "wrist".
            size: Height and width of the images [px].
            control_hz: Actions per second, 10 or 20.
            render_mode: "rgb_array" makes `render` return the first camera's picture.

        Raises:
            ValueError: For a name or number that is not offered; the message lists what is.
        """
        self.arm = find_arm(arm) if isinstance(arm, str) else arm
        self.task = find_task(task) if isinstance(task, str) else task
        for camera in cameras:
            pick(dict.fromkeys(CAMERAS, True), camera, "camera")
        if control_hz not in CONTROL_HZ:
            raise ValueError(f"control_hz {control_hz} is not offered; expected one of {CONTROL_HZ}")
        if not 8 <= size <= 1024:
            raise ValueError(f"image size {size} px is out of range; expected 8 to 1024")
        self.cameras = tuple(cameras)
        self.size = size
        self.control_hz = control_hz
        self.render_mode = render_mode
        self.scene = Scene(self.arm, self.task.things)
        self.channels: tuple[Channel, ...] = channels(self.arm)
        self.max_steps = round(self.task.horizon_s * control_hz)
        self._control = CartesianControl(self.scene, control_hz)
        self._pictures = pictures(self.scene.model, size)
        self._hold_steps = round(HOLD_S * control_hz)
        self._held = self._steps = 0
        self._goal: dict[str, Image] = {}
        self.variation = self.task.variations[0]
        self.observation_space = self._observation_space()
        self.action_space = spaces.Box(-1.0, 1.0, (self.arm.action_size,), np.float32)

    def _observation_space(self) -> spaces.Dict:
        image = spaces.Box(0, 255, (self.size, self.size, 3), np.uint8)
        low = np.array([channel.low for channel in self.channels], dtype=np.float32)
        high = np.array([channel.high for channel in self.channels], dtype=np.float32)
        views = {camera: image for camera in self.cameras}
        return spaces.Dict(
            {"images": spaces.Dict(views), "proprio": spaces.Box(low, high), "goal": spaces.Dict(views)}
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts an episode.

        Args:
            seed: Seeds the generator that draws the variation and the placement.
            options: `variation` (name), `goal` (camera name to image, else one is posed and rendered),
                `state` (vector from an earlier `scene.state()`, restored exactly).
        """
        super().reset(seed=seed)
        options = dict(options or {})
        variations = self.task.variations
        drawn = variations[int(self.np_random.integers(len(variations)))]
        self.variation = pick({v: v for v in variations}, options.pop("variation", drawn), f"{self.task.name} variation")
        self._begin(options.pop("state", None))
        goal = options.pop("goal", None)
        if options:
            raise ValueError(f"unknown reset options {sorted(options)}; expected variation, goal, state")
        self._goal = self._posed_goal() if goal is None else self._checked_goal(goal)
        self._held = self._steps = 0
        return self._observation(), self._info()

    def _begin(self, state: NDArray[np.float64] | None) -> None:
        self.scene.reset()
        self.task.place(self.scene, self.variation, self.np_random)
        self.scene.forward()
        if state is not None:
            self.scene.restore(state)
        self._control.reset()

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advances by one control period; see the class for reward and ends."""
        self._control.step(action)
        self._steps += 1
        self._held = self._held + 1 if self.task.success(self.scene, self.variation) else 0
        info = self._info()
        done = bool(info["is_success"])
        return self._observation(), float(done), done, not done and self._steps >= self.max_steps, info

    def render(self) -> Image | None:  # type: ignore[override]
        """The first camera's picture, uint8 (size, size, 3), in render mode "rgb_array"."""
        if self.render_mode is None:
            return None
        return self._pictures.take(self.scene, self.cameras[:1])[self.cameras[0]]

    def proprio(self) -> NDArray[np.float32]:
        """Proprioception (P,), clipped to the declared ranges."""
        return read(self.scene, self.channels)

    def _observation(self) -> Observation:
        images = self._pictures.take(self.scene, self.cameras)
        return {"images": images, "proprio": self.proprio(), "goal": dict(self._goal)}

    def _info(self) -> dict[str, Any]:
        return {
            "is_success": self._held >= self._hold_steps,
            "progress": self.task.progress(self.scene, self.variation),
            "variation": self.variation,
        }

    def _posed_goal(self) -> dict[str, Image]:
        """A picture of a success posed by hand from this episode's own scene, which is left as it was."""
        before = self.scene.state()
        tool_m, width_m = self.task.pose(self.scene, self.variation, self.np_random)
        self.scene.set_joints(self._control.reach(tool_m, wrap(0.0, np.pi)))
        self.scene.set_gripper(width_m)
        mujoco.mj_kinematics(self.scene.model, self.scene.data)
        mujoco.mj_camlight(self.scene.model, self.scene.data)
        goal = self._pictures.take(self.scene, self.cameras)
        self.scene.restore(before)
        self._control.reset()
        return goal

    def _checked_goal(self, goal: dict[str, Image]) -> dict[str, Image]:
        if set(goal) != set(self.cameras):
            raise ValueError(f"goal has cameras {sorted(goal)}, expected {sorted(self.cameras)}")
        shape = (self.size, self.size, 3)
        for camera, image in goal.items():
            if image.shape != shape or image.dtype != np.uint8:
                raise ValueError(f"goal image {camera!r} is {image.dtype} {image.shape}, expected uint8 {shape}")
        return dict(goal)

    def close(self) -> None:
        """Nothing to free: models and renderers are shared by the process."""


def make(arm: str, task: str, **options: Any) -> ManipulationEnv:
    """Makes the environment without Gymnasium's registry and wrappers."""
    return ManipulationEnv(arm, task, **options)
