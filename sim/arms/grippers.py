"""The grippers, as data. All close along x of their root body; the tool frame is given in `sim.arms.arm`."""

from sim.arms.arm import Gripper

PANDA_HAND = Gripper(
    name="panda_hand",
    mjcf="panda_hand.xml",
    numbers=("gripper",),
    joints=("finger_left", "finger_right"),
    actuators=("gripper",),
    width_m=(0.0, 0.08),
    joints_at=((0.0, 0.0), (0.04, 0.04)),
    controls_at=((0.0,), (0.08,)),
    pads=(("pad_left",), ("pad_right",)),
    source=(
        "Franka Emika, Panda data sheet: hand 0.7 kg, opening 80 mm, 70 N continuous (35 N used here); "
        "0.73 kg and the tool point 103.4 mm from the flange: Franka Control Interface documentation"
    ),
)

ROBOTIQ_2F85 = Gripper(
    name="robotiq_2f85",
    mjcf="robotiq_2f85.xml",
    numbers=("gripper",),
    joints=("finger_left", "finger_right"),
    actuators=("gripper",),
    width_m=(0.0, 0.085),
    joints_at=((0.0, 0.0), (0.0425, 0.0425)),
    controls_at=((0.0,), (0.085,)),
    pads=(("pad_left",), ("pad_right",)),
    source="Robotiq, 2F-85 data sheet: 0.925 kg, stroke 85 mm, grip force 20 to 235 N (35 N used here)",
)

_AXES = (
    *("finger_1_spread", "finger_1_upper", "finger_1_lower"),
    *("finger_2_spread", "finger_2_upper", "finger_2_lower"),
    *("finger_3_upper", "finger_3_lower"),
)
# Tips together, and both links pressing inwards: a pad that meets a face turns until it lies flat [rad].
_CLOSED = (0.0, -0.1, -0.22, 0.0, -0.1, -0.22, -0.1, -0.22)
_FLAT = (0.0,) * 8  # pads parallel
_OPEN = (0.3, 0.42, -0.42, 0.3, 0.42, -0.42, 0.42, -0.42)  # pads parallel, the two fingers spread

THREE_FINGER = Gripper(
    name="three_finger",
    mjcf="three_finger.xml",
    numbers=tuple(f"finger_{i}" for i in range(1, 9)),
    joints=_AXES,
    actuators=_AXES,
    width_m=(0.0113, 0.04, 0.08),
    joints_at=(_CLOSED, _FLAT, _OPEN),
    controls_at=(_CLOSED, _FLAT, _OPEN),
    pads=(("pad_3",), ("pad_1", "pad_2")),
    source=(
        "after the BarrettHand BH8-282: three fingers with eight axes, 0.98 kg (data sheet, from memory); a "
        "motor on each axis, as RoboCat's unseen hand has 8 action numbers (Bousmalis et al. 2023); links "
        "shortened to the reach and opening of the other grippers, 34 N between the pads"
    ),
    shapes=(  # own choices
        ("open", (1.0,) * 8),
        ("half open", (-1.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0)),
        ("shut", (-1.0,) * 8),
        ("shut, spread", (1.0, -1.0, -1.0, 1.0, -1.0, -1.0, -1.0, -1.0)),
        ("two fingers", (-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0)),
    ),
)

XARM_GRIPPER = Gripper(
    name="xarm_gripper",
    mjcf="xarm_gripper.xml",
    numbers=("gripper",),
    joints=("finger_left", "finger_right"),
    actuators=("gripper",),
    width_m=(0.0, 0.084),
    joints_at=((0.0, 0.0), (0.042, 0.042)),
    controls_at=((0.0,), (0.084,)),
    pads=(("pad_left",), ("pad_right",)),
    source=(
        "UFACTORY, xArm gripper manual, from memory: 0.82 kg, stroke 84 mm, tool point 172 mm from the "
        "flange, 30 N (35 N used here, as with the other grippers)"
    ),
)

_PHALANGES = tuple(f"finger_{i}_{link}" for i in (1, 2, 3) for link in ("upper", "lower"))

KINOVA_KG3 = Gripper(
    name="kinova_kg3",
    mjcf="kinova_kg3.xml",
    numbers=("gripper",),
    joints=_PHALANGES,
    actuators=_PHALANGES,
    width_m=(0.0132, 0.04, 0.0822),
    # Tips together and pressing inwards, pads parallel, fingers open with pads parallel [rad].
    joints_at=((-0.1, -0.22) * 3, (0.0, 0.0) * 3, (0.5, -0.5) * 3),
    controls_at=((-0.1, -0.22) * 3, (0.0, 0.0) * 3, (0.5, -0.5) * 3),
    pads=(("pad_1",), ("pad_2", "pad_3")),
    source=(
        "Kinova, KG-3 data sheet, from memory: three fingers, 0.727 kg, 40 N (34 N between the pads here), "
        "opening 175 mm (82 mm here); where the fingers begin: kinova_description URDF, from memory"
    ),
)

VIPERX_GRIPPER = Gripper(
    name="viperx_gripper",
    mjcf="viperx_gripper.xml",
    numbers=("gripper",),
    joints=("finger_left", "finger_right"),
    actuators=("gripper",),
    width_m=(0.015, 0.087),
    joints_at=((0.021, 0.021), (0.057, 0.057)),
    controls_at=((0.042,), (0.114,)),
    pads=(("pad_left",), ("pad_right",)),
    source=(
        "masses and the fingers' range: ALOHA's ViperX model; a finger's face 13.5 mm inside its joint and "
        "its tip 93.7 mm from the flange: the maker's URDF and the mesh it names; 35 N as with the others"
    ),
)

# At a width of 4 cm, that of a block, the tool is in the middle; the fixed jaw stays where it is.
_JAW_RAD = ((-0.17,), (0.302,), (0.61838,), (1.01229,))

SO101_JAWS = Gripper(
    name="so101_jaws",
    mjcf="so101_jaws.xml",
    numbers=("gripper",),
    joints=("jaw",),
    actuators=("gripper",),
    width_m=(0.0082, 0.04, 0.06, 0.08),
    joints_at=_JAW_RAD,
    controls_at=_JAW_RAD,
    pads=(("pad_fixed",), ("pad_hinged",)),
    source=(
        "hinge, its range, damping and friction, mass of the hinged jaw: The Robot Studio's SO-101 model; "
        "faces and tips of the jaws: the meshes there; 35 N as with the others, of 50 N that the servo has"
    ),
    middle_m=(-0.0159, 0.0, 0.01, 0.02),
)
