"""The arms in DeepMind's meshes (extra `menagerie`): links look like the makers' own; nothing else changes.

`mujoco-menagerie` downloads a model on first use. Its meshes are hung on this project's links, which stay
what moves and touches: joints, masses, gripper and what follows from them are the same. That the two models
are of one arm is not believed but measured: every joint's axis must lie where the menagerie has it.
"""

from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from sim.extras import extra
from sim.poses import Array, rotation_z

ENTRIES = {
    "panda": ("franka_emika_panda", "panda_nohand"),
    "sawyer": ("rethink_robotics_sawyer", "sawyer"),
    "ur5e": ("universal_robots_ur5e", "ur5e"),
    "xarm7": ("ufactory_xarm7", "xarm7_nohand"),
    "kinova_gen3": ("kinova_gen3", "gen3"),
    "viperx_300s": ("trossen_vx300s", "vx300s"),
    "so101": ("robotstudio_so101", "so101"),
}
# Not offered: the menagerie has no Jaco 2, and its iiwa 14 is 2 cm longer between shoulder and elbow than the
# model that ours follows (robosuite's).
SUFFIX = "_menagerie"
# Own choice: with the makers' figures six of the seven lie within 0.01 mm (tests/menagerie_models.py).
APART_M = 1e-3  # at most, between a joint's axis here and there: what the eye does not see
ALONG = 0.9999  # at least, the cosine between the two
UNSEEN_GROUP, SEEN_GROUP = 5, 1
COLLISION_GROUP = 3  # of geoms that the menagerie's models do not show, and above


@dataclass(frozen=True)
class _Chain:
    """A model at zero: where its n joints are in the world, and which link each of its bodies belongs to.

    Attributes:
        anchors_m: (n, 3) [m].
        axes: (n, 3).
        link: Of each body, how many of the joints come before it on its way from the base.
    """

    anchors_m: Array
    axes: Array
    link: list[int]


def hang(spec: mujoco.MjSpec, name: str, joints: tuple[str, ...]) -> None:
    """Hangs an arm's meshes on its links, whose own shapes are drawn no more.

    Args:
        spec: The arm where it stands.
        name: A key of `ENTRIES`.
        joints: The arm's joints from base to tip.

    Raises:
        MissingExtra: If the package is not installed.
        OSError: If the meshes are not there and cannot be downloaded.
        ValueError: If the menagerie's model is of another arm.
    """
    source = _source(name)
    there, here = source.compile(), spec.copy().compile()
    theirs = _chain(there, [j for j in range(there.njnt) if _turns(there, j)][: len(joints)])
    ours = _chain(here, [here.joint(joint).id for joint in joints])
    turn, shift_m = _alignment(name, ours, theirs)
    bodies = [here.body(here.body_parentid[here.jnt_bodyid[here.joint(joints[0]).id]]).name]
    bodies += [here.body(here.jnt_bodyid[here.joint(joint).id]).name for joint in joints]
    zero, zero_there = _at_zero(here), _at_zero(there)
    for number, body in enumerate(bodies):
        for geom in spec.body(body).geoms:
            geom.group = UNSEEN_GROUP
        at_m, matrix = zero.body(body).xpos, zero.body(body).xmat.reshape(3, 3)
        for geom in _shown(there, theirs.link, number):
            place, rotation = _frame(there, zero_there, geom)
            pose = matrix.T @ (turn @ place + shift_m - at_m), matrix.T @ turn @ rotation
            _copy(spec, there.mesh(there.geom_dataid[geom]).name, source)
            _show(spec.body(body), there, geom, pose)


def _source(name: str) -> mujoco.MjSpec:
    """The menagerie's model of an arm, downloaded if need be."""
    menagerie = extra("mujoco_menagerie", "menagerie")
    robot, entry = ENTRIES[name]
    try:
        path = Path(menagerie.get(robot).xml(entry))
    except menagerie.MenagerieError as error:
        raise OSError(
            f"the meshes of {name} are not on this machine and could not be brought: {error}. They come "
            "from the internet once; where there is none, MENAGERIE_ROOT names a copy of mujoco_menagerie"
        ) from error
    spec = mujoco.MjSpec.from_file(str(path))
    for key in [*spec.keys]:
        spec.delete(key)
    return spec


def _chain(model: mujoco.MjModel, joints: list[int]) -> _Chain:
    data = _at_zero(model)
    moved = {int(model.jnt_bodyid[joint]) for joint in joints}
    link = [0] * model.nbody
    for body in range(1, model.nbody):
        link[body] = link[model.body_parentid[body]] + (body in moved)
    return _Chain(data.xanchor[joints].copy(), data.xaxis[joints].copy(), link)


def _alignment(name: str, ours: _Chain, theirs: _Chain) -> tuple[Array, Array]:
    """The turn (3, 3) and the shift (3,) [m] that lay their joints onto ours.

    Raises:
        ValueError: If none of the four quarter turns about the vertical does.
    """
    best, worst = (np.eye(3), np.zeros(3)), np.inf
    if len(ours.axes) == len(theirs.axes):
        for quarter in range(4):
            turn = rotation_z(quarter * np.pi / 2)
            shift_m = ours.anchors_m[0] - turn @ theirs.anchors_m[0]
            apart = theirs.anchors_m @ turn.T + shift_m - ours.anchors_m
            along = np.sum(ours.axes * (theirs.axes @ turn.T), axis=1)
            sideways = np.linalg.norm(apart - np.sum(apart * ours.axes, axis=1)[:, None] * ours.axes, axis=1)
            off = float(sideways.max()) if along.min() >= ALONG else np.inf
            if off < worst:
                best, worst = (turn, shift_m), off
    if worst > APART_M:
        raise ValueError(
            f"the menagerie's model of {name} is another than this project's: joint axes lie "
            f"{1000 * worst:.1f} mm apart, expected at most {1000 * APART_M:g} mm"
        )
    return best


def _shown(model: mujoco.MjModel, link: list[int], number: int) -> list[int]:
    """Geoms of a link that are there to be seen, meshes all."""
    return [
        geom
        for geom in range(model.ngeom)
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH
        and model.geom_group[geom] < COLLISION_GROUP
        and link[model.geom_bodyid[geom]] == number
    ]


def _frame(model: mujoco.MjModel, zero: mujoco.MjData, geom: int) -> tuple[Array, Array]:
    """Where a mesh's own file has its origin at zero: place (3,) [m] and rotation (3, 3), in the world.

    MuJoCo moves a mesh into its own inertial frame, and the geom after it; that is undone here.
    """
    mesh = model.geom_dataid[geom]
    inner = np.empty(9)
    mujoco.mju_quat2Mat(inner, model.mesh_quat[mesh])
    rotation = zero.geom_xmat[geom].reshape(3, 3) @ inner.reshape(3, 3).T
    return zero.geom_xpos[geom] - rotation @ model.mesh_pos[mesh], rotation


def _copy(spec: mujoco.MjSpec, mesh: str, source: mujoco.MjSpec) -> None:
    """Makes a mesh of the menagerie known to an arm's specification, once."""
    if spec.mesh(_named(mesh)) is None:
        asset = source.mesh(mesh)
        file = Path(source.modelfiledir) / source.meshdir / asset.file
        spec.add_mesh(name=_named(mesh), file=str(file), scale=asset.scale)


def _show(body: mujoco.MjsBody, there: mujoco.MjModel, geom: int, pose: tuple[Array, Array]) -> None:
    """Adds a geom of the menagerie's to a body, at a place [m] and turn in its frame: only to be seen."""
    quaternion = np.empty(4)
    mujoco.mju_mat2Quat(quaternion, pose[1].ravel())
    material = there.geom_matid[geom]
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=_named(there.mesh(there.geom_dataid[geom]).name),
        pos=pose[0],
        quat=quaternion,
        rgba=there.mat_rgba[material] if material >= 0 else there.geom_rgba[geom],
        contype=0,
        conaffinity=0,
        mass=0.0,
        group=SEEN_GROUP,
    )


def _named(mesh: str) -> str:
    return f"menagerie/{mesh}"


def _turns(model: mujoco.MjModel, joint: int) -> bool:
    return bool(model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE)


def _at_zero(model: mujoco.MjModel) -> mujoco.MjData:
    """All joints at zero, whether or not that is in their ranges."""
    data = mujoco.MjData(model)
    data.qpos[:] = 0.0
    mujoco.mj_kinematics(model, data)
    return data
