"""SO-101, 5 joints, with its own gripper of one fixed and one hinged jaw."""

from sim.arms.arm import Arm
from sim.arms.grippers import SO101_JAWS

SO101 = Arm(
    name="so101",
    title="SO-101",
    mjcf="so101.xml",
    joints=("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll"),
    home_rad=(-0.00054, -0.41, 0.66125, 1.31955, 1.61893),
    velocity_limit_rad_s=(4.71, 4.71, 4.71, 4.71, 4.71),
    force_limit_nm=(3.35, 3.35, 3.35, 3.35, 3.35),
    gripper=SO101_JAWS,
    cartesian_dof=4,
    linear_m_s=0.2,
    angular_rad_s=1.5,
    source=(
        "joint speeds: Feetech, STS3215 data sheet, from memory (0.222 s for 60 degrees without load); "
        "kinematics, masses, inertias, joint ranges, damping, friction and torque limits: The Robot Studio's "
        "SO-101 model"
    ),
    # Upper arm and forearm are 0.25 m together and the wrist bends to 95 degrees: from here, on a post, the
    # upright tool gets wherever tasks put things, from the table to 0.12 m, and before the arm to 0.2 m.
    base_m=(0.318, -0.01, 0.114),
    stand_m=((-0.033, -0.045), (0.057, 0.045)),
    home_m=(0.5, 0.0, 0.16),
)
