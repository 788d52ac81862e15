"""Arms in the menagerie's meshes: each sits where its own model has it, and nothing but looks changes."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

from sim.arms import ARMS, MESHED
from sim.arms.meshes import ENTRIES, UNSEEN_GROUP
from sim.cameras import pictures
from sim.control import CartesianControl
from sim.extras import MissingExtra
from sim.scene import Scene, compile_model
from sim.things.blocks import BLOCKS
from tests.menagerie_models import MODELS, write_model

pytest.importorskip("mujoco_menagerie")
arms = pytest.mark.parametrize("arm", MODELS)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MENAGERIE_ROOT", str(tmp_path))
    compile_model.cache_clear()
    yield tmp_path
    compile_model.cache_clear()


def _scene(arm: str) -> Scene:
    scene = Scene(MESHED[f"{arm}_menagerie"], BLOCKS)
    scene.reset()
    return scene


@arms
def test_meshes_move_as_in_their_own_model(arm: str, root: Path) -> None:
    theirs = mujoco.MjModel.from_xml_path(str(write_model(root, arm)))
    scene, data = _scene(arm), mujoco.MjData(theirs)
    shown = [geom for geom in range(theirs.ngeom) if theirs.geom_group[geom] == 2]
    hung = np.flatnonzero(scene.model.geom_type == mujoco.mjtGeom.mjGEOM_MESH)
    assert len(hung) == len(shown) == len(ARMS[arm].joints) + 1
    rng = np.random.default_rng(0)
    for _ in range(5):
        joints = rng.uniform(-1.5, 1.5, len(ARMS[arm].joints))
        data.qpos[:] = joints
        mujoco.mj_kinematics(theirs, data)
        scene.limbs[0].set_joints(joints)
        mujoco.mj_kinematics(scene.model, scene.data)
        there, here = _places(data, shown), _places(scene.data, hung)
        np.testing.assert_allclose(here, there, atol=1e-3)


def _places(data: mujoco.MjData, geoms: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float64]:
    """Where each geom is as the one before it sees it: rotation and place (n, 3, 4), whatever the base."""
    at, turned = data.geom_xpos[geoms], data.geom_xmat[geoms].reshape(-1, 3, 3)
    steps = np.concatenate([turned[1:], (at[1:] - at[:-1])[..., None]], axis=2)
    return turned[:-1].transpose(0, 2, 1) @ steps


@arms
def test_only_looks_change(arm: str, root: Path) -> None:
    write_model(root, arm)
    plain, dressed = Scene(ARMS[arm], BLOCKS), _scene(arm)
    plain.reset()
    np.testing.assert_array_equal(plain.model.body_mass, dressed.model.body_mass)
    np.testing.assert_array_equal(plain.model.body_inertia, dressed.model.body_inertia)
    controls = [CartesianControl(scene, 10) for scene in (plain, dressed)]
    rng = np.random.default_rng(0)
    for _ in range(15):
        action = rng.uniform(-1.0, 1.0, ARMS[arm].action_size).astype(np.float32)
        for control in controls:
            control.step(action)
    np.testing.assert_allclose(dressed.state(), plain.state(), atol=1e-9)


def test_the_meshes_are_seen_and_the_own_shapes_are_not(root: Path) -> None:
    write_model(root, "panda")
    scene = _scene("panda")
    scene.forward()
    hidden = scene.model.geom_group == UNSEEN_GROUP
    assert hidden.any()
    assert not hidden[[pad for side in scene.limbs[0].pads for pad in side]].any()
    camera = mujoco.MjvCamera()
    camera.lookat[:], camera.distance, camera.azimuth, camera.elevation = (0.2, 0.0, 0.4), 1.6, 130.0, -15.0
    with mujoco.Renderer(scene.model, 96, 96) as renderer:
        renderer.update_scene(scene.data, camera)
        picture = renderer.render().astype(int)
    red = (picture[..., 0] > 60) & (picture[..., 1] < picture[..., 0] // 4)
    assert red.sum() > 100
    assert pictures(scene.base, 16).take(scene, ("front",))["front"].shape == (16, 16, 3)


def test_another_arm_is_refused(root: Path) -> None:
    write_model(root, "panda", longer_m=0.004)
    with pytest.raises(ValueError, match=r"menagerie's model of panda is another .* [45]\.\d mm apart"):
        _scene("panda")


def test_without_a_copy_or_the_internet_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MENAGERIE_ROOT")
    monkeypatch.setenv("MENAGERIE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MENAGERIE_BASE_URL", "http://127.0.0.1:9")  # where nobody listens
    with pytest.raises(OSError, match="could not be brought: .* MENAGERIE_ROOT"):
        _scene("panda")


def test_without_the_package_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco_menagerie", None)
    with pytest.raises(MissingExtra, match=r"pip install '.\[menagerie\]'"):
        _scene("panda")


def test_every_entry_is_in_the_menageries_own_list() -> None:
    import mujoco_menagerie

    for robot, entry in ENTRIES.values():
        assert entry in mujoco_menagerie.get(robot).entry_names
