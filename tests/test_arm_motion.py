"""The arms in motion: inverse kinematics over the workspace, tracking, gravity and grasping with physics."""

import mink
import mujoco
import numpy as np
import pytest

from sim.arms import ARMS, Arm, load
from tests.worlds import corners_m, joint_limits

# Columns: the tool's x, y, z in the world: closing along +y, camera's up along +x, pointing down.
DOWN = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
TIMESTEP_S = 0.002
CUBE_M = 0.04


def put_home(model: mujoco.MjModel, chosen: Arm, q: np.ndarray | None = None) -> mujoco.MjData:
    """Data with the arm at `q` (home if None) and commanded to stay there, the gripper open."""
    data = mujoco.MjData(model)
    for name, angle in zip(chosen.joints, chosen.home_rad if q is None else q, strict=True):
        data.joint(name).qpos = angle
        data.actuator(name).ctrl = angle
    for name, position in zip(chosen.gripper.joints, chosen.gripper.joints_at[-1], strict=True):
        data.joint(name).qpos = position
    tell(data, chosen, -1)
    mujoco.mj_forward(model, data)
    return data


def tell(data: mujoco.MjData, chosen: Arm, pose: int) -> None:
    """Commands the gripper to close (0) or to open (-1)."""
    for name, control in zip(chosen.gripper.actuators, chosen.gripper.controls_at[pose], strict=True):
        data.actuator(name).ctrl = control


def opening_m(model: mujoco.MjModel, data: mujoco.MjData, chosen: Arm) -> float:
    """The gap between the middles of the faces of the pads of the two sides, along the closing direction."""
    sides: list[np.ndarray] = []
    for side, inwards in zip(chosen.gripper.pads, _inwards(data, chosen), strict=True):
        pads = [(data.geom(pad), model.geom(pad).size[0]) for pad in side]
        # The first axis of a pad's box, turned so that it points at the other side.
        axes = [pad.xmat.reshape(3, 3)[:, 0] for pad, _ in pads]
        faces = [
            pad.xpos + np.sign(axis @ inwards) * half * axis
            for (pad, half), axis in zip(pads, axes, strict=True)
        ]
        sides.append(np.mean(faces, axis=0))
    return abs(float((sides[0] - sides[1]) @ data.body("hand").xmat.reshape(3, 3)[:, 0]))


def _inwards(data: mujoco.MjData, chosen: Arm) -> list[np.ndarray]:
    """From each side's pads to the other's."""
    one, other = (np.mean([data.geom(pad).xpos for pad in side], axis=0) for side in chosen.gripper.pads)
    return [other - one, one - other]


def with_scene(
    chosen: Arm, payload_kg: float = 0.0, cube_at: tuple[float, float, float] | None = None
) -> mujoco.MjModel:
    """The arm over a floor with the options that scenes use; a payload at the tool, a 60 g cube."""
    spec = load(chosen)
    spec.option.timestep = TIMESTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1.0, 1.0, 0.1])
    if payload_kg:
        ball = spec.body("hand").add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.03, 0, 0], pos=[0, 0, 0.12]
        )
        ball.mass, ball.contype, ball.conaffinity = payload_kg, 0, 0
    if cube_at is not None:
        cube = spec.worldbody.add_body(name="cube", pos=cube_at)
        cube.add_freejoint()
        cube.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[CUBE_M / 2] * 3, mass=0.06)
    return spec.compile()


def solve(
    model: mujoco.MjModel, chosen: Arm, start: np.ndarray, at_m: np.ndarray, yaw_rad: float = 0.0
) -> np.ndarray:
    """Joint angles that put the tool at `at_m`, vertical, turned by `yaw_rad` about the world's z."""
    configuration = mink.Configuration(model)
    q = model.qpos0.copy()
    q[: len(start)] = start
    configuration.update(q)
    task = mink.FrameTask("tool", "site", position_cost=1.0, orientation_cost=0.5, lm_damping=1e-6)
    turned = mink.SO3.from_z_radians(yaw_rad) @ mink.SO3.from_matrix(DOWN)
    task.set_target(mink.SE3.from_rotation_and_translation(turned, np.asarray(at_m)))
    limits = [mink.ConfigurationLimit(model)]
    for _ in range(40):
        velocity = mink.solve_ik(configuration, [task], 0.05, "daqp", damping=1e-6, limits=limits)
        configuration.integrate_inplace(velocity, 0.05)
    error = task.compute_error(configuration)
    assert np.linalg.norm(error[:3]) < 1e-3, f"{chosen.name}: {at_m} yaw {yaw_rad:.2f}: {error}"
    assert np.linalg.norm(error[3:]) < 2e-3, f"{chosen.name}: {at_m} yaw {yaw_rad:.2f}: {error}"
    return configuration.q[: len(start)].copy()


def sweep(model: mujoco.MjModel, chosen: Arm, along: np.ndarray) -> np.ndarray:
    """Joint angles (21, n) of a straight path of 20 cm, centred on home, along a unit vector."""
    path = [np.array(chosen.home_rad)]
    for way in np.linspace(-0.1, 0.1, 21):
        path.append(solve(model, chosen, path[-1], chosen.home_m + way * along))
    return np.array(path[1:])


@pytest.mark.parametrize("name", sorted(ARMS))
def test_tool_reaches_the_whole_workspace(name: str) -> None:
    chosen = ARMS[name]
    model = load(chosen).compile()
    low, high = joint_limits(model, chosen)
    for corner in corners_m(name):
        over = solve(model, chosen, np.array(chosen.home_rad), np.array([0.5, 0.0, corner[2]]))
        straight = solve(model, chosen, over, np.array(corner))
        # How far five joints turn depends on the place: the last must make up for the first.
        for yaw_rad in (-np.pi / 3, 0.0, np.pi / 3) if len(chosen.joints) > 5 else (0.0,):
            q = solve(model, chosen, straight, np.array(corner), yaw_rad)
            assert np.all((q > low) & (q < high)), f"{chosen.name}: {corner}: {q}"


@pytest.mark.parametrize("name", sorted(ARMS))
def test_home_is_held_against_gravity(name: str) -> None:
    chosen = ARMS[name]
    model = with_scene(chosen)
    data = put_home(model, chosen)
    mujoco.mj_step(model, data, nstep=500)
    np.testing.assert_allclose(data.site("tool").xpos, chosen.home_m, atol=1e-3)


@pytest.mark.parametrize("name", sorted(ARMS))
def test_tool_goes_sideways_and_settles(name: str) -> None:
    chosen = ARMS[name]
    bare_model, model = load(chosen).compile(), with_scene(chosen, payload_kg=0.5)
    path = sweep(bare_model, chosen, np.array([0.0, 1.0, 0.0]))
    data, ideal = put_home(model, chosen, path[0]), mujoco.MjData(bare_model)
    mujoco.mj_step(model, data, nstep=250)
    lag, error = [], []
    for step in range(600):  # 0.7 s of motion (0.29 m/s), 0.5 s of rest
        at = min((step + 1) / 350, 1.0) * 20
        q = np.array([np.interp(at, range(21), column) for column in path.T])
        data.ctrl[: len(q)] = ideal.qpos[: len(q)] = q
        mujoco.mj_step(model, data)
        mujoco.mj_kinematics(bare_model, ideal)
        lag.append(np.linalg.norm(data.site("tool").xpos - ideal.site("tool").xpos))
        error.append(data.qpos[: len(q)] - q)
    assert max(lag) < 0.01
    assert lag[-1] < 0.002
    # No oscillation: once 0.1 s have passed after the stop, no joint swings by more than 0.5 mrad.
    assert np.ptp(error[400:], axis=0).max() < 5e-4


@pytest.mark.parametrize("name", sorted(ARMS))
def test_gripper_lifts_and_holds_a_cube(name: str) -> None:
    chosen = ARMS[name]
    bare_model, model = load(chosen).compile(), with_scene(chosen, cube_at=(0.502, 0.004, 0.02))
    up = np.array(chosen.home_rad)
    down = solve(bare_model, chosen, up, np.array([0.5, 0.0, 0.02]))
    data = put_home(model, chosen, down)
    tell(data, chosen, 0)
    mujoco.mj_step(model, data, nstep=200)
    # A finger that turns does so until its pad lies flat, which takes a little of the way.
    turning = len(chosen.gripper.joints) > 2
    assert opening_m(model, data, chosen) == pytest.approx(CUBE_M, abs=2e-3 if turning else 1e-3)
    for step in range(250):
        data.ctrl[: len(up)] = down + (up - down) * (step + 1) / 250
        mujoco.mj_step(model, data)
    mujoco.mj_step(model, data, nstep=100)
    before = data.body("cube").xpos.copy()
    assert before[2] > chosen.home_m[2] - 0.01
    mujoco.mj_step(model, data, nstep=1000)
    np.testing.assert_allclose(data.body("cube").xpos, before, atol=1e-3)
    fingers = [data.joint(joint).qvel[0] for joint in chosen.gripper.joints]
    assert np.abs(fingers).max() < 1e-3, "the fingers jitter"


@pytest.mark.parametrize("name", ["panda", "ur5e", "xarm7"])
def test_gripper_closes_together_in_a_third_of_a_second(name: str) -> None:
    chosen = ARMS[name]
    model = with_scene(chosen)
    data = put_home(model, chosen)
    tell(data, chosen, 0)
    for _ in range(round(0.33 / TIMESTEP_S)):
        mujoco.mj_step(model, data)
        left, right = (data.joint(joint).qpos[0] for joint in chosen.gripper.joints)
        assert left == pytest.approx(right, abs=1e-4)
    assert data.tendon("opening").length[0] < 2e-3
    (actuator,) = chosen.gripper.actuators
    data.actuator(actuator).ctrl = 0.05
    mujoco.mj_step(model, data, nstep=250)
    assert data.tendon("opening").length[0] == pytest.approx(0.05, abs=1e-4)
    assert tuple(model.actuator(actuator).ctrlrange) == chosen.gripper.width_m


@pytest.mark.parametrize("name", sorted(ARMS))
def test_gripper_opens_and_closes_as_declared(name: str) -> None:
    chosen = ARMS[name]
    model = with_scene(chosen)
    data = put_home(model, chosen)
    for pose in (0, -1):
        tell(data, chosen, pose)
        mujoco.mj_step(model, data, nstep=400)
        assert opening_m(model, data, chosen) == pytest.approx(chosen.gripper.width_m[pose], abs=2e-3)
        reached = [data.joint(joint).qpos[0] for joint in chosen.gripper.joints]
        np.testing.assert_allclose(reached, chosen.gripper.joints_at[pose], atol=3e-3)


@pytest.mark.parametrize("name", sorted(ARMS))
def test_gripper_presses_as_hard_as_declared(name: str) -> None:
    """34 to 35 N from either side, on a cube that nothing else holds; weight is a sixtieth of that."""
    chosen = ARMS[name]
    bare_model, model = load(chosen).compile(), with_scene(chosen, cube_at=(0.5, 0.0, 0.02))
    down = solve(bare_model, chosen, np.array(chosen.home_rad), np.array([0.5, 0.0, 0.02]))
    data = put_home(model, chosen, down)
    tell(data, chosen, 0)
    mujoco.mj_step(model, data, nstep=400)
    force, pressed = np.zeros(6), {side: 0.0 for side in chosen.gripper.pads}
    for index in range(data.ncon):
        names = {model.geom(geom).name for geom in data.contact.geom[index]}
        mujoco.mj_contactForce(model, data, index, force)
        for side in pressed:
            pressed[side] += force[0] if names & set(side) else 0.0
    assert [*pressed.values()] == pytest.approx([34.5, 34.5], abs=2.0)
