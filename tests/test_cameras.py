"""Pictures: what they show, and that one does not depend on the others."""

import copy
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from sim import cameras
from sim.arms import ARMS
from sim.cameras import CAMERAS, Image, Pictures, pictures
from sim.env import ManipulationEnv, make
from sim.things.blocks import COLOURS
from tests.worlds import actions

arms = pytest.mark.parametrize("arm", ARMS)
ROOT = Path(__file__).parents[1]


def _started(arm: str, task: str = "lift") -> ManipulationEnv:
    env = make(arm, task)
    env.reset(seed=0)
    return env


def _coloured(image: Image, name: str) -> np.ndarray:
    """Which pixels (H, W) have the hue of a block: its strongest channel far above the others."""
    strongest = int(np.argmax(COLOURS[name][:3]))
    channels = image.astype(int)
    others = np.delete(channels, strongest, axis=2).max(axis=2)
    return channels[..., strongest] > 1.6 * others + 20


@arms
def test_cameras_differ_and_a_moved_block_is_seen(arm: str) -> None:
    env = _started(arm)
    env.scene.place("red", np.array([0.5, 0.0, 0.02]))
    env.scene.forward()
    before = env._take(CAMERAS)
    assert not np.array_equal(before["front"], before["wrist"])
    env.scene.place("red", np.array([0.5, 0.01, 0.02]))
    env.scene.forward()
    after = env._take(CAMERAS)
    for camera in CAMERAS:
        changed = (before[camera] != after[camera]).any(axis=2).sum()
        assert 3 < changed < 0.2 * 64 * 64, camera


@arms
def test_the_front_camera_sees_every_block_on_the_patch(arm: str) -> None:
    env = make(arm, "lift", cameras=("front",))
    for seed in range(10):
        image = env.reset(seed=seed)[0]["images"]["front"]
        for name in COLOURS:
            assert _coloured(image, name).sum() >= 15, f"{name}, seed {seed}"


@arms
def test_the_wrist_camera_sees_the_block_between_the_fingers(arm: str) -> None:
    env = _started(arm)
    empty = _coloured(env._take(("wrist",))["wrist"], "red")
    env.scene.place("red", env.scene.tool_m)
    env.scene.limbs[0].set_gripper(0.04)
    env.scene.forward()
    held = _coloured(env._take(("wrist",))["wrist"], "red")
    assert held.sum() > 100 + empty.sum()
    rows, columns = np.nonzero(held)
    assert abs(columns.mean() - 31.5) < 6, "it is in the middle from left to right"
    assert abs(rows.mean() - 31.5) < 16


@arms
def test_what_is_left_out_of_a_picture_would_not_show(arm: str) -> None:
    env = _started(arm)
    model = copy.copy(env.scene.model)
    model.vis.global_.offwidth = model.vis.global_.offheight = 64
    everything = mujoco.Renderer(model, 64, 64)
    for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_SKYBOX):
        everything.scene.flags[flag] = 0
    for action in np.sign(actions(env, 30, seed=2)):
        seen = env.step(action)[0]["images"]
        for camera in CAMERAS:
            everything.update_scene(env.scene.data, camera)
            np.testing.assert_array_equal(seen[camera], everything.render(), err_msg=camera)
    everything.close()


def test_sizes_share_nothing() -> None:
    env = _started("panda")
    small, large = pictures(env.scene.model, 16), pictures(env.scene.model, 200)
    before = small.take(env.scene, CAMERAS)
    assert large.take(env.scene, CAMERAS)["front"].shape == (200, 200, 3)
    after = small.take(env.scene, CAMERAS)
    assert all(np.array_equal(before[camera], after[camera]) for camera in CAMERAS)
    assert small is pictures(env.scene.model, 16)


def test_the_one_unused_for_longest_is_freed_and_no_other_suffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it held is freed in its own context: the others go on drawing what they drew."""
    drawers: list[weakref.ref[mujoco.Renderer]] = []

    class Watched(mujoco.Renderer):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            drawers.append(weakref.ref(self))

    monkeypatch.setattr(mujoco, "Renderer", Watched)
    monkeypatch.setattr(cameras, "_of_thread", cameras._OfThread())
    monkeypatch.setattr(cameras, "MOST_KEPT", 2)
    worlds = [_started(arm).scene for arm in ("panda", "ur5e", "sawyer")]
    drawers.clear()
    monkeypatch.setattr(cameras, "_of_thread", cameras._OfThread())
    first = [pictures(scene.base, 64).take(scene, CAMERAS) for scene in worlds]
    assert [drawer() is None for drawer in drawers] == [True, False, False]
    kept = pictures(worlds[1].base, 64)
    for turn in (0, 1, 2, 1, 0, 2):
        again = pictures(worlds[turn].base, 64).take(worlds[turn], CAMERAS)
        for camera in CAMERAS:
            np.testing.assert_array_equal(again[camera], first[turn][camera])
    assert pictures(worlds[1].base, 64) is not kept
    assert sum(drawer() is not None for drawer in drawers) == 2 + 1, "and the one that is held here, closed"


@pytest.mark.parametrize("size", [8, 1024])
def test_the_sizes_offered_are_drawn(size: int) -> None:
    """MuJoCo's own buffer ends at 640 by 480."""
    env = make("panda", "reach", size=size, cameras=("front",))
    image = env.reset(seed=0)[0]["images"]["front"]
    assert image.shape == (size, size, 3)
    assert np.ptp(image) > 100


def test_paths_are_drawn_for_a_person_and_for_nobody_else() -> None:
    env = _started("panda")
    drawing = pictures(env.scene.base, 320)
    plain = drawing.take(env.scene, CAMERAS)
    start = env.scene.limbs[0].tool_m
    path = start + np.linspace([0.0, -0.15, 0.1], [0.0, 0.0, 0.0], 30)
    drawn = drawing.take(env.scene, CAMERAS, [path])["front"].astype(int)
    changed = np.abs(drawn - plain["front"]).sum(axis=-1) > 30
    assert 20 < changed.sum() < 1500
    assert (drawn[changed][:, 0] > drawn[changed][:, 2]).mean() > 0.9, "it is orange"
    assert np.array_equal(drawing.take(env.scene, CAMERAS)["front"], plain["front"]), "and gone in the next"
    around = drawing.around(env.scene, 160.0, -30.0, 1.1)
    assert (drawing.around(env.scene, 160.0, -30.0, 1.1, [path]) != around).any()
    long = start + np.linspace([0.0, -0.1, 0.0], [0.0, 0.0, 0.0], 2000)
    drawing.take(env.scene, CAMERAS, [long])  # more than there is room for: drawn in part


def test_pictures_leave_the_shared_model_as_it_is() -> None:
    env = make("panda", "lift", size=24)
    buffer = np.empty(mujoco.mj_sizeModel(env.scene.model), np.uint8)
    mujoco.mj_saveModel(env.scene.model, None, buffer)
    before = buffer.copy()
    env.reset(seed=0)
    mujoco.mj_saveModel(env.scene.model, None, buffer)
    np.testing.assert_array_equal(buffer, before)


def test_the_renderer_has_a_name() -> None:
    env = make("panda", "lift", size=16)
    assert env.gl_renderer == pictures(env.scene.model, 16).gl_renderer not in ("", "None")
    assert make("panda", "lift", cameras=()).gl_renderer == "none"


def test_a_machine_that_cannot_draw_says_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no display")

    monkeypatch.setattr(mujoco, "Renderer", fail)
    with pytest.raises(
        OSError, match=r"does not start \(no display\); `robocat doctor` says what to install"
    ):
        Pictures(make("panda", "lift").scene.model, 16)


def test_a_process_without_cameras_starts_no_renderer_and_one_with_them_ends_in_silence() -> None:
    code = (
        "import sys\n"
        "from sim.env import make\n"
        "from sim.cameras import Pictures\n"
        "make('panda', 'lift', cameras=()).reset(seed=0)\n"
        "assert 'OpenGL.GL' not in sys.modules\n"
        "env = make('panda', 'lift', size=16)\n"
        "env.reset(seed=0)\n"
        "for size in (32, 64):\n"
        "    Pictures(env.scene.model, size).take(env.scene, ('front',))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith("software rendering")]
    assert (done.returncode, done.stdout, said) == (0, "", [])
