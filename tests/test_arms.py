"""The arms: the compiled models against the published figures, and what is refused."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import mink
import mujoco
import numpy as np
import pytest

from sim.arms import ARMS, Arm, find_arm, load
from sim.arms.arm import ASSETS
from sim.arms.grippers import (
    KINOVA_KG3,
    PANDA_HAND,
    ROBOTIQ_2F85,
    SO101_JAWS,
    THREE_FINGER,
    VIPERX_GRIPPER,
    XARM_GRIPPER,
)
from sim.names import UnknownName
from tests.worlds import joint_limits

DATA = Path(__file__).parent / "data"
# Columns: the tool's x, y, z in the world: closing along +y, camera's up along +x, pointing down.
DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


@pytest.fixture(scope="module", params=sorted(ARMS))
def bare(request: pytest.FixtureRequest) -> tuple[Arm, mujoco.MjModel]:
    """An arm and its model without any scene."""
    chosen = ARMS[request.param]
    return chosen, load(chosen).compile()


def published(chosen: Arm) -> dict[str, Any]:
    return json.loads((DATA / Path(chosen.mjcf).with_suffix(".json")).read_text())


def at_home(model: mujoco.MjModel, chosen: Arm) -> mujoco.MjData:
    """Data with the arm at home and the gripper open, positions computed."""
    data = mujoco.MjData(model)
    for name, angle in zip(chosen.joints, chosen.home_rad, strict=True):
        data.joint(name).qpos = angle
    for name, position in zip(chosen.gripper.joints, chosen.gripper.joints_at[-1], strict=True):
        data.joint(name).qpos = position
    mujoco.mj_forward(model, data)
    return data


def test_table_is_keyed_by_the_arms_names() -> None:
    assert all(name == chosen.name for name, chosen in ARMS.items())
    assert find_arm("panda") is ARMS["panda"]
    with pytest.raises(UnknownName, match="did you mean 'panda'"):
        find_arm("pnada")


def test_tip_is_where_the_published_kinematics_put_it(bare: tuple[Arm, mujoco.MjModel]) -> None:
    chosen, model = bare
    data = mujoco.MjData(model)
    figures = published(chosen)
    assert len(figures["forward_kinematics"]) == 32
    for qpos, pos, quat in figures["forward_kinematics"]:
        data.qpos[: len(qpos)] = qpos
        mujoco.mj_kinematics(model, data)
        tip = data.body(figures["tip"])
        np.testing.assert_allclose(tip.xpos - chosen.base_m, pos, atol=1e-4)
        # Sign-free: q and -q are one rotation. The sine of half the angle, since arccos is blind near 1.
        inverse, apart = np.zeros(4), np.zeros(4)
        mujoco.mju_negQuat(inverse, tip.xquat)
        mujoco.mju_mulQuat(apart, inverse, np.array(quat))
        assert 2 * np.linalg.norm(apart[1:]) < 1e-4


def test_base_is_where_it_is_said_to_stand_and_stands_on_something(bare: tuple[Arm, mujoco.MjModel]) -> None:
    chosen, model = bare
    (base,) = np.flatnonzero(model.body_parentid[1:] == 0) + 1
    assert model.body_pos[base].tolist() == [*chosen.base_m]
    assert model.body_quat[base].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert (chosen.stand_m is not None) == (chosen.base_m[2] > 0.0)
    if chosen.stand_m is not None:
        stand = model.geom("stand")
        low, high = stand.pos - stand.size - chosen.base_m, stand.pos + stand.size - chosen.base_m
        np.testing.assert_allclose([low[:2], high[:2]], chosen.stand_m, atol=1e-9)
        np.testing.assert_allclose([low[2], high[2]], [-chosen.base_m[2], 0.0], atol=1e-9)


def test_joints_and_force_limits_are_the_published_ones(bare: tuple[Arm, mujoco.MjModel]) -> None:
    chosen, model = bare
    joints = published(chosen)["joints"]
    assert tuple(joints) == chosen.joints
    assert [model.joint(i).name for i in range(model.njnt)] == [*chosen.joints, *chosen.gripper.joints]
    assert [model.actuator(i).name for i in range(model.nu)] == [*chosen.joints, *chosen.gripper.actuators]
    for (name, figures), declared in zip(joints.items(), chosen.force_limit_nm, strict=True):
        joint, actuator = model.joint(name), model.actuator(name)
        # A joint that turns without end has no range, and MuJoCo two zeros for it.
        limited = figures["range"] is not None
        assert bool(model.jnt_limited[joint.id]) == bool(model.actuator_ctrllimited[actuator.id]) == limited
        np.testing.assert_allclose(joint.range, figures["range"] or (0.0, 0.0), atol=1e-9)
        np.testing.assert_allclose(actuator.ctrlrange, figures["range"] or (0.0, 0.0), atol=1e-9)
        assert joint.damping[0] == figures["damping"]
        assert joint.frictionloss[0] == figures["frictionloss"]
        assert declared == figures["force"]
        assert tuple(actuator.forcerange) == (-declared, declared)
        assert actuator.trnid[0] == joint.id


def test_masses_and_inertias_are_the_published_ones(bare: tuple[Arm, mujoco.MjModel]) -> None:
    chosen, model = bare

    def tensor(quat: Any, diagonal: Any) -> np.ndarray:
        rotation = mink.SO3(np.asarray(quat) / np.linalg.norm(quat)).as_matrix()
        return rotation @ np.diag(diagonal) @ rotation.T

    for name, figures in published(chosen)["bodies"].items():
        body = model.body(name)
        np.testing.assert_allclose(body.mass, figures["mass"], rtol=1e-9)
        np.testing.assert_allclose(body.ipos, figures["com"], atol=1e-9)
        expected = tensor(figures["inertia_quat"], figures["inertia"])
        np.testing.assert_allclose(tensor(body.iquat, body.inertia), expected, atol=1e-8)


def test_gripper_weighs_what_its_maker_says(bare: tuple[Arm, mujoco.MjModel]) -> None:
    chosen, model = bare
    weights = {
        PANDA_HAND.name: 0.73,
        ROBOTIQ_2F85.name: 0.925,
        THREE_FINGER.name: 0.98,
        XARM_GRIPPER.name: 0.82,
        KINOVA_KG3.name: 0.727,
        # What holds their jaws weighs with the arm's last link.
        VIPERX_GRIPPER.name: 0.077601,
        SO101_JAWS.name: 0.012,
    }
    expected = weights[chosen.gripper.name]
    total = model.body_subtreemass[model.body("hand").id]
    assert total == pytest.approx(expected, rel=1e-9)


def test_only_the_hand_and_the_last_link_collide(bare: tuple[Arm, mujoco.MjModel]) -> None:
    chosen, model = bare
    last = model.jnt_bodyid[model.joint(chosen.joints[-1]).id]
    for geom in range(model.ngeom):
        if model.geom_contype[geom] or model.geom_conaffinity[geom]:
            assert model.geom_bodyid[geom] >= last
            assert model.geom_conaffinity[geom] == 0, "the robot would collide with itself"
    assert all(model.geom(pad).contype[0] for side in chosen.gripper.pads for pad in side)
    assert np.all(model.body_gravcomp[1:] == 1.0)


def test_home_points_straight_down_over_the_workspace(bare: tuple[Arm, mujoco.MjModel]) -> None:
    chosen, model = bare
    tool = at_home(model, chosen).site("tool")
    np.testing.assert_allclose(tool.xpos, chosen.home_m, atol=1e-3)
    np.testing.assert_allclose(tool.xmat.reshape(3, 3), DOWN, atol=2e-3)
    low, high = joint_limits(model, chosen)
    assert np.minimum(chosen.home_rad - low, high - chosen.home_rad).min() > 0.3


def test_wrist_camera_sees_the_fingertips_and_what_lies_below(bare: tuple[Arm, mujoco.MjModel]) -> None:
    chosen, model = bare
    data = at_home(model, chosen)
    camera, tool = data.camera("wrist"), data.site("tool")
    reach = np.tan(np.radians(model.cam("wrist").fovy[0] / 2))

    def seen(point: np.ndarray) -> np.ndarray:
        """Right and up in the square picture, -1 to 1 at its edges."""
        right, up, back = camera.xmat.reshape(3, 3).T @ (point - camera.xpos)
        assert back < 0
        return np.array([right, up]) / -back / reach

    sides = [np.array([seen(data.geom(pad).xpos) for pad in side]) for side in chosen.gripper.pads]
    assert sides[0][:, 0].max() * sides[1][:, 0].max() < 0, "one side left, one right"
    assert np.abs(np.concatenate(sides)).max() < 1
    assert np.abs(seen(tool.xpos)).max() < 0.5
    assert np.abs(seen(tool.xpos - [0, 0, 0.15])).max() < 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"home_rad": (0.0,)}, "home_rad: got 1 values, expected 7"),
        ({"home_rad": (float("nan"),) * 7}, "home_rad: got .* expected finite"),
        ({"velocity_limit_rad_s": (1.0,) * 8}, "velocity_limit_rad_s: got 8 values, expected 7"),
        ({"force_limit_nm": (1.0,) * 6 + (0.0,)}, "force_limit_nm: got .* expected positive"),
        ({"linear_m_s": -0.1}, "linear_m_s: got -0.1, expected positive"),
        ({"angular_rad_s": 0.0}, "angular_rad_s: got 0.0, expected positive"),
        ({"cartesian_dof": 5}, "cartesian_dof: got 5, expected 4 .* or 6"),
        ({"stand_m": ((-0.1, -0.1), (0.1, 0.1))}, "stand_m: got .* under a base at 0.0 m, expected .* above"),
        (
            {"base_m": (0.0, 0.0, 0.1), "stand_m": ((0.1, -0.1), (-0.1, 0.1))},
            "stand_m: got .* under a base at 0.1 m, expected smaller numbers before larger ones",
        ),
    ],
)
def test_arm_refuses_what_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(ARMS["panda"], **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width_m": (0.08, 0.0)}, "width_m: got .* expected 0 or more, rising, at least two"),
        ({"width_m": (0.0,)}, "width_m: got .* expected 0 or more, rising, at least two"),
        ({"joints": ("finger",)}, r"joints_at: got poses of .2, 2. numbers, expected 2 poses, .* of finger"),
        ({"controls_at": ((0.0,), (0.1, 0.2))}, r"controls_at: got poses of .1, 2. numbers, expected 2"),
        ({"controls_at": ((0.0,),)}, r"controls_at: got poses of .1. numbers, expected 2 poses"),
        ({"middle_m": (0.0,)}, "middle_m: got 1 numbers, expected none or 2, one a width"),
        ({"numbers": ("a", "b")}, "numbers: got 2 names, expected 1, or 1"),
        ({"pads": (("pad",), ("pad",))}, "pads: got .* expected different geom names on two sides"),
        ({"pads": (("pad",), ())}, "pads: got .* expected different geom names on two sides"),
    ],
)
def test_gripper_refuses_what_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PANDA_HAND, **changes)


def test_any_gripper_goes_on_any_arm_and_names_stay_plain() -> None:
    for chosen, gripper in itertools.product(ARMS.values(), (PANDA_HAND, ROBOTIQ_2F85, THREE_FINGER)):
        model = load(dataclasses.replace(chosen, gripper=gripper)).compile()
        first = gripper.actuators[0]
        named = (model.site("tool"), model.site("flange"), model.cam("wrist"), model.actuator(first))
        assert [element.name for element in named] == ["tool", "flange", "wrist", first]


def test_arm_from_elsewhere_needs_a_flange_and_names_of_its_own(tmp_path: Path) -> None:
    text = (ASSETS / "panda.xml").read_text()
    without, clashing = tmp_path / "without.xml", tmp_path / "clashing.xml"
    without.write_text(text.replace('name="flange"', 'name="end"'))
    with pytest.raises(ValueError, match="no site 'flange' in .*without.xml; sites: end"):
        load(dataclasses.replace(ARMS["panda"], mjcf=str(without)))
    clashing.write_text(text.replace('body name="link1"', 'body name="hand"'))
    with pytest.raises(ValueError, match="hand"):
        load(dataclasses.replace(ARMS["panda"], mjcf=str(clashing)))
