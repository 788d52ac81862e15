"""MuJoCo's viewer is shown each step, in the world's own time, until it is closed."""

import sys
import time

import pytest

from demos.viewer import Closed, Watched, perform, watch


class Window:
    """A window that is closed after so many looks."""

    def __init__(self, env: Watched, looks: int) -> None:
        self._env, self._left = env, looks
        self.seen: list[float] = []

    def is_running(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def sync(self) -> None:
        self.seen.append(self._env.scene.data.time)


def test_scene_after_scene_is_shown_step_by_step() -> None:
    env, slept = Watched("panda", "reach", cameras=()), list[float]()
    window = Window(env, looks=120)
    env.show(window, slept.append)
    with pytest.raises(Closed):
        perform(env, seed=0)
    assert len(window.seen) == 120
    starts = [i for i, moment in enumerate(window.seen) if moment == 0.0]
    assert len(starts) > 1  # one scene after the other
    steps = [later - now for now, later in zip(window.seen, window.seen[1:], strict=False) if later]
    assert steps == pytest.approx([0.1] * len(steps))


def test_it_waits_for_the_worlds_time_and_never_hurries() -> None:
    """Waits add up to the period while it is fast enough; after a hitch nothing is caught up."""
    env, slept = Watched("panda", "reach", cameras=()), list[float]()
    env.show(Window(env, looks=5), slept.append)
    env.reset(seed=0)
    assert 0.0 < slept[0] <= 0.1
    env._due = time.monotonic() - 5.0
    env.step(env.action_space.sample())
    assert slept[1] == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_no_display_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OSError, match="needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set"):
        watch("panda", "lift", 0)
