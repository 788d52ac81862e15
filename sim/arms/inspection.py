"""Whether an arm's model is what its declaration says, which `Arm` cannot see; if not, one line of reason."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from xml.etree.ElementTree import ParseError

import mujoco
import numpy as np

from sim.arms.arm import ASSETS, MOST_FINGERS, MOST_JOINTS, Arm
from sim.control import CartesianControl
from sim.names import check_name
from sim.poses import DOWN, Array, rotation_log
from sim.scene import TIMESTEP_S, Scene, cell
from sim.tool_control import fence_m

HOME_M = 2e-3  # how far the tool may be from `home_m` at home
HOME_RAD = 0.01  # and turned from straight down
SAG_M = 0.01  # how far it may be from there after two seconds
WIDTH_M = 3e-3  # how far a declared opening may be from the one that the pads' positions give
CUBE_M = 0.04  # what every task asks to hold
ROOM_M = 0.005  # how much wider an open gripper is, and how much narrower a shut one
GRIPPER_S = 1.0  # time in which it opens, and closes

Objects = dict[str, list[str]]  # what a compiled model holds, kind to names


@lru_cache(maxsize=64)
def inspect_arm(arm: Arm) -> None:
    """Compiles an arm's cell and tries it: names, limits, home, gripper.

    Raises:
        ValueError: One line that names the value, what was expected and what there is.
    """
    check_name(arm.name, "arm")
    for what, file in (("mjcf", arm.mjcf), ("gripper.mjcf", arm.gripper.mjcf)):
        if not (ASSETS / file).is_file():
            here = ", ".join(sorted(path.name for path in ASSETS.glob("*.xml")))
            _refuse(arm, what, file, f"an existing file: an absolute path, or one of {here}")
    try:
        model = cell(arm, ()).compile()
    except (ParseError, ValueError) as error:
        said = " ".join(str(error).split()).removeprefix(f"arm {arm.name!r}: ")
        raise ValueError(f"arm {arm.name!r}: {Path(arm.mjcf).name} makes no model: {said}") from error
    _check_slots(arm)
    _check_names(arm, model)
    _check_joints(arm, model)
    scene = Scene(arm, ())
    _check_home(scene)
    _check_gripper(scene)


def _refuse(arm: Arm, what: str, got: object, expected: str) -> None:
    raise ValueError(f"arm {arm.name!r}: {what}: got {got}, expected {expected}")


def _check_slots(arm: Arm) -> None:
    """Agents have a place for each number by its name, and no more of them."""
    if not 1 <= len(arm.joints) <= MOST_JOINTS:
        _refuse(arm, "joints", f"{len(arm.joints)} names", f"1 to {MOST_JOINTS}")
    fingers = tuple(f"finger_{i}" for i in range(1, MOST_FINGERS + 1))
    numbers = arm.gripper.numbers
    if numbers != ("gripper",) and not (1 < len(numbers) and set(numbers) <= {*fingers}):
        _refuse(arm, "gripper.numbers", numbers, f"('gripper',), or several of {', '.join(fingers)}")
    if len(numbers) > 1 and len(arm.gripper.joints) > MOST_FINGERS:
        _refuse(arm, "gripper.joints", f"{len(arm.gripper.joints)} names", f"{MOST_FINGERS} at most")


def _check_names(arm: Arm, model: mujoco.MjModel) -> None:
    gripper = arm.gripper
    has: Objects = {
        "joint": [model.joint(i).name for i in range(model.njnt)],
        "actuator": [model.actuator(i).name for i in range(model.nu)],
        "geom": [model.geom(i).name for i in range(model.ngeom)],
        "site": [model.site(i).name for i in range(model.nsite)],
        "camera": [model.cam(i).name for i in range(model.ncam)],
        "body": [model.body(i).name for i in range(model.nbody)],
    }
    wanted: list[tuple[str, str, Iterable[str]]] = [
        ("joints", "joint", arm.joints),
        ("joints", "actuator", arm.joints),
        ("gripper.joints", "joint", gripper.joints),
        ("gripper.actuators", "actuator", gripper.actuators),
        ("gripper.pads", "geom", [pad for side in gripper.pads for pad in side]),
        ("gripper.mjcf", "site", ["tool"]),
        ("gripper.mjcf", "camera", ["wrist"]),
        ("gripper.mjcf", "body", ["hand"]),
    ]
    for what, kind, names in wanted:
        for name in names:
            if name not in has[kind]:
                there = ", ".join(each for each in has[kind] if each) or "(none)"
                raise ValueError(
                    f"arm {arm.name!r}: {what}: the model has no {kind} {name!r}; {kind}s: {there}"
                )
    for what, kind, names in (
        ("joints", "joint", (*arm.joints, *gripper.joints)),
        ("actuators", "actuator", (*arm.joints, *gripper.actuators)),
    ):
        if more := [name or "(unnamed)" for name in has[kind] if name not in names]:
            _refuse(arm, what, f"a model with {', '.join(more)} besides", f"{', '.join(names)} only")


def _check_joints(arm: Arm, model: mujoco.MjModel) -> None:
    """Hinges with position actuators that can go where the joints can, no stronger than declared."""
    for name, home, force in zip(arm.joints, arm.home_rad, arm.force_limit_nm, strict=True):
        joint, drive = model.joint(name), model.actuator(name)
        if joint.type[0] != mujoco.mjtJoint.mjJNT_HINGE:
            _refuse(arm, f"joint {name!r}", mujoco.mjtJoint(joint.type[0]).name, "a hinge")
        kp = drive.gainprm[0]
        if drive.trnid[0] != joint.id or kp <= 0.0 or drive.biasprm[1] != -kp:
            _refuse(arm, f"actuator {name!r}", "another kind", f"a position actuator of joint {name!r}")
        if not model.actuator_forcelimited[drive.id]:
            _refuse(arm, f"actuator {name!r}", "no force limit", f'forcerange="{-force:g} {force:g}"')
        if not np.allclose(drive.forcerange, (-force, force), rtol=1e-6):
            _refuse(
                arm, f"actuator {name!r}", f"forcerange {_few(drive.forcerange)}", f"{-force:g}, {force:g}"
            )
        if not model.jnt_limited[joint.id]:
            continue
        low, high = joint.range
        if not (np.isfinite([low, high]).all() and low < high):
            _refuse(arm, f"joint {name!r}", f"range {_few(joint.range)}", "finite, the smaller number first")
        if not low <= home <= high:
            _refuse(arm, f"home_rad of {name!r}", home, f"an angle inside its range, {low:g} to {high:g}")
        start, end = drive.ctrlrange
        if model.actuator_ctrllimited[drive.id] and (start > low + 1e-6 or end < high - 1e-6):
            _refuse(arm, f"actuator {name!r}", f"ctrlrange {_few((start, end))}", f"{low:g}, {high:g}")


def _check_home(scene: Scene) -> None:
    arm, home_m = scene.arm, np.array(scene.arm.home_m)
    low_m, high_m = fence_m(arm)
    if not (np.isfinite(home_m).all() and np.all((home_m >= low_m) & (home_m <= high_m))):
        _refuse(arm, "home_m", arm.home_m, f"inside {_few(low_m)} to {_few(high_m)}")
    scene.reset()
    scene.forward()
    if _at(scene, home_m):
        return
    axes = scene.tool_rotation.T
    got = f"one at which the tool is at {_few(scene.tool_m)}, x {_few(axes[0])} and z {_few(axes[2])}"
    expected = f"{_few(home_m)}, x (0, 1, 0) and z (0, 0, -1)"
    joints = CartesianControl(scene, 10).tools[0].reach(home_m)
    scene.limbs[0].set_joints(joints)
    scene.forward()
    hint = (
        f"; {_few(joints)} gives that" if _at(scene, home_m) else "; nothing near it does, if it is in reach"
    )
    _refuse(arm, "home_rad", got, expected + hint)


def _at(scene: Scene, home_m: Array) -> bool:
    turned = rotation_log(scene.tool_rotation @ DOWN.T)
    # The rotation vector of half a turn is zero too, so the direction is asked for as well.
    down = scene.tool_rotation[2, 2] < 0.0 and scene.tool_rotation[1, 0] > 0.0
    near = np.linalg.norm(scene.tool_m - home_m) < HOME_M
    return bool(down and near and np.linalg.norm(turned) < HOME_RAD)


def _check_gripper(scene: Scene) -> None:
    """Openings as declared; then it shuts and opens in the simulation, while the arm stays at home."""
    arm, gripper = scene.arm, scene.arm.gripper
    if not (gripper.width_m[0] < CUBE_M - ROOM_M and gripper.width_m[-1] > CUBE_M + ROOM_M):
        _refuse(arm, "gripper.width_m", gripper.width_m, f"{CUBE_M} m, the cubes' side, well inside it")
    for width in gripper.width_m:
        scene.reset()
        scene.limbs[0].set_gripper(width)
        scene.forward()
        if not abs(scene.width_m - width) <= WIDTH_M:
            got = f"pads {scene.width_m:.4f} m apart"
            _refuse(arm, f"gripper.joints_at of width {width} m", got, f"as far as declared, to {WIDTH_M} m")
    scene.reset()
    scene.forward()
    home = scene.tool_m
    shut, opened = (_moved(scene, controls) for controls in (gripper.controls_at[0], gripper.controls_at[-1]))
    if not shut <= CUBE_M - ROOM_M:
        _refuse(arm, "gripper.controls_at", f"pads {shut:.4f} m apart when shut", "less than a cube's 0.04 m")
    if not opened >= CUBE_M + ROOM_M:
        _refuse(
            arm, "gripper.controls_at", f"pads {opened:.4f} m apart when open", "more than a cube's 0.04 m"
        )
    if not (sag := float(np.linalg.norm(scene.tool_m - home))) < SAG_M:
        _refuse(
            arm, "actuators", f"the tool {sag:.3f} m from home after 2 s of rest", f"it to stay, to {SAG_M} m"
        )


def _moved(scene: Scene, controls: Sequence[float]) -> float:
    """The opening [m] after a second in which the gripper's actuators are told this."""
    limb, targets = scene.limbs[0], scene.data.ctrl.copy()
    targets[limb.ctrl], targets[limb.gripper_ctrl] = scene.arm.home_rad, controls
    scene.command(targets)
    mujoco.mj_step(scene.model, scene.data, round(GRIPPER_S / TIMESTEP_S))
    scene.forward()
    return scene.width_m


def _few(numbers: Iterable[float]) -> str:
    return f"({', '.join(f'{round(float(number), 4) + 0.0:g}' for number in numbers)})"
