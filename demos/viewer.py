"""A scripted expert at work in MuJoCo's own viewer: the scene can be turned, and its figures looked at."""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from demos.expert import Expert
from demos.rollout import Attempt, rollout
from sim.env import ManipulationEnv, Observation


class Closed(Exception):  # noqa: N818 (no error: it ends what would go on for ever)
    """The viewer's window was closed."""


class Window(Protocol):
    """What MuJoCo's viewer offers of itself."""

    def is_running(self) -> bool:
        """Whether the window is open."""
        ...

    def sync(self) -> None:
        """Shows the world as it is."""
        ...


class Watched(ManipulationEnv):
    """An environment whose world is shown in a window, in its own time, after each step."""

    def show(self, window: Window, sleep: Callable[[float], object] = time.sleep) -> None:
        """Opens its eyes: from now on what happens is shown."""
        self._window, self._sleep, self._due = window, sleep, time.monotonic()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        begun = super().reset(seed=seed, options=options)
        self._look()
        return begun

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        done = super().step(action)
        self._look()
        return done

    def _look(self) -> None:
        """Shows the world when it is due.

        Raises:
            Closed: If nobody is looking any more.
        """
        if not self._window.is_running():
            raise Closed
        self._window.sync()
        # A machine too slow for the world's own time shows it late, and does not hurry afterwards.
        now = time.monotonic()
        self._due = max(self._due + 1.0 / self.control_hz, now)
        self._sleep(self._due - now)


def watch(arm: str, task: str, seed: int) -> None:
    """Lets the expert do one scene after the other, the first of a seed, until the window is closed.

    Raises:
        OSError: If there is no display.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise OSError(
            "MuJoCo's viewer needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set; "
            "`robocat view` without --native writes files that show anywhere"
        )
    from mujoco import viewer  # only where there is a display can it be imported

    env = Watched(arm, task, cameras=())
    with viewer.launch_passive(env.scene.model, env.scene.data) as window, suppress(Closed):
        env.show(window)
        perform(env, seed)


def perform(env: Watched, seed: int) -> None:
    """One scene after the other, until the window is closed.

    Raises:
        Closed: When it is.
    """
    for scene in count(seed):
        for _ in rollout([env], Expert(), [Attempt(scene)]):
            pass
