"""The joints of DeepMind's models as figures, and models in their manner made of them: boxes for meshes.

From mujoco_menagerie's files: place [m], turn and axis of each joint's body in its parent's.
"""

from pathlib import Path

Figures = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
STILL, X, Y, Z = (1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
BACK = (1.0, -1.0, 0.0, 0.0)
HERE = (0.0, 0.0, 0.0)

# Of each arm: folder and file, the base, the joints.
MODELS: dict[str, tuple[str, str, Figures, tuple[Figures, ...]]] = {
    "panda": (
        "franka_emika_panda",
        "panda_nohand",
        (HERE, STILL, HERE),
        (
            ((0.0, 0.0, 0.333), STILL, Z),
            (HERE, BACK, Z),
            ((0.0, -0.316, 0.0), X, Z),
            ((0.0825, 0.0, 0.0), X, Z),
            ((-0.0825, 0.384, 0.0), BACK, Z),
            (HERE, X, Z),
            ((0.088, 0.0, 0.0), X, Z),
        ),
    ),
    "ur5e": (
        "universal_robots_ur5e",
        "ur5e",
        (HERE, (1.0, 0.0, 0.0, 1.0), HERE),
        (
            ((0.0, 0.0, 0.163), STILL, Z),
            ((0.0, 0.138, 0.0), (1.0, 0.0, 1.0, 0.0), Y),
            ((0.0, -0.131, 0.425), STILL, Y),
            ((0.0, 0.0, 0.392), (1.0, 0.0, 1.0, 0.0), Y),
            ((0.0, 0.127, 0.0), STILL, Z),
            ((0.0, 0.0, 0.1), STILL, Y),
        ),
    ),
    "sawyer": (
        "rethink_robotics_sawyer",
        "sawyer",
        (HERE, STILL, HERE),
        (
            ((0.0, 0.0, 0.08), STILL, Z),
            ((0.081, 0.05, 0.237), (1.0, -1.0, 1.0, 1.0), Z),
            ((0.0, -0.14, 0.1425), X, Z),
            ((0.0, -0.042, 0.26), BACK, Z),
            ((0.0, -0.125, -0.1265), X, Z),
            ((0.0, 0.031, 0.275), BACK, Z),
            ((0.0, -0.11, 0.1053), (0.0616248, 0.06163, -0.704416, 0.704416), Z),
        ),
    ),
    "kinova_gen3": (
        "kinova_gen3",
        "gen3",
        (HERE, STILL, HERE),
        (
            ((0.0, 0.0, 0.15643), (0.0, 1.0, 0.0, 0.0), Z),
            ((0.0, 0.005375, -0.12838), X, Z),
            ((0.0, -0.21038, -0.006375), BACK, Z),
            ((0.0, 0.006375, -0.21038), X, Z),
            ((0.0, -0.20843, -0.006375), BACK, Z),
            ((0.0, 0.00017505, -0.10593), X, Z),
            ((0.0, -0.10593, -0.00017505), BACK, Z),
        ),
    ),
    "xarm7": (
        "ufactory_xarm7",
        "xarm7_nohand",
        ((0.0, 0.0, 0.12), STILL, HERE),
        (
            ((0.0, 0.0, 0.267), STILL, Z),
            (HERE, BACK, Z),
            ((0.0, -0.293, 0.0), X, Z),
            ((0.0525, 0.0, 0.0), X, Z),
            ((0.0775, -0.3425, 0.0), X, Z),
            (HERE, X, Z),
            ((0.076, 0.097, 0.0), BACK, Z),
        ),
    ),
    "so101": (
        "robotstudio_so101",
        "so101",
        (HERE, STILL, HERE),
        (
            ((0.0388353, 0.0, 0.0624), (0.0, 0.0, -1.0, 0.0), Z),
            ((-0.0303992, -0.0182778, -0.0542), (1.0, -1.0, -1.0, -1.0), Z),
            ((-0.11257, -0.028, 0.0), (1.0, 0.0, 0.0, 1.0), Z),
            ((-0.1349, 0.0052, 0.0), (1.0, 0.0, 0.0, -1.0), Z),
            ((0.0, -0.0611, 0.0181), (0.0172091, -0.0172091, 0.706897, 0.706897), Z),
        ),
    ),
}
# A box far from its file's origin and turned, so that MuJoCo moves it; each link has it in another place.
CORNERS = [
    (0.02 + 0.03 * (i & 1) + 0.01 * (i >> 1 & 1), 0.02 * (i >> 1 & 1), 0.05 * (i >> 2)) for i in range(8)
]
FACES = ((1, 3, 4, 2), (5, 6, 8, 7), (1, 2, 6, 5), (3, 7, 8, 4), (1, 5, 7, 3), (2, 4, 8, 6))


def write_model(root: Path, arm: str, longer_m: float = 0.0) -> Path:
    """Writes a model of an arm below `root`, its third joint so much farther from the second than it is."""
    folder, entry, base, joints = MODELS[arm]
    path = root / folder / f"{entry}.xml"
    (path.parent / "assets").mkdir(parents=True, exist_ok=True)
    lines = [f"v {x} {y} {z}" for x, y, z in CORNERS]
    lines += [f"f {' '.join(map(str, face))}" for face in FACES]
    (path.parent / "assets" / "box.obj").write_text("\n".join(lines) + "\n")
    bodies, ends = "", ""
    for number, ((x, y, z), turn, axis) in enumerate((base, *joints)):
        place = (x + longer_m * (number == 3), y + longer_m * (number == 3), z)
        joint = f'<joint name="j{number}" axis="{_said(axis)}"/>' if number else ""
        bodies += f'<body name="b{number}" pos="{_said(place)}" quat="{_said(turn)}">{joint}'
        bodies += f'<inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/><geom pos="0 0 {0.01 * number}" '
        bodies += 'type="mesh" mesh="box" contype="0" conaffinity="0" group="2" material="red"/>'
        bodies += '<geom type="mesh" mesh="box" group="3"/>'
        ends += "</body>"
    path.write_text(
        '<mujoco><compiler angle="radian" meshdir="assets"/><asset><material name="red" rgba="1 0 0 1"/>'
        f'<mesh file="box.obj" scale="1 2 1"/></asset><worldbody>{bodies}{ends}</worldbody>'
        f'<keyframe><key name="home" qpos="{_said((0.1,) * len(joints))}"/></keyframe></mujoco>'
    )
    return path


def _said(numbers: tuple[float, ...]) -> str:
    return " ".join(map(str, numbers))
