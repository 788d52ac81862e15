"""Kinova Jaco 2, 7 joints with a spherical wrist, with its own hand KG-3 of three fingers."""

from sim.arms.arm import Arm
from sim.arms.grippers import KINOVA_KG3

JACO2 = Arm(
    name="jaco2",
    title="Kinova Jaco 2",
    mjcf="jaco2.xml",
    joints=("joint_1", "joint_2", "joint_3", "joint_4", "joint_5", "joint_6", "joint_7"),
    home_rad=(-0.02041, 2.38207, 0.0013, 4.74892, -0.00128, 2.36685, -0.01855),
    velocity_limit_rad_s=(0.62832, 0.62832, 0.62832, 0.62832, 0.83776, 0.83776, 0.83776),
    force_limit_nm=(30.5, 30.5, 30.5, 30.5, 30.5, 6.8, 6.8),
    gripper=KINOVA_KG3,
    cartesian_dof=4,
    # Half the speed of the other arms, as its joints turn at a third of theirs.
    linear_m_s=0.15,
    angular_rad_s=0.8,
    source=(
        "joint speeds: Kinova, kinova_description URDF, j2s7s300 (36 and 48 degrees/s); "
        "kinematics, masses, inertias, joint ranges and torque limits: robosuite's Jaco model"
    ),
    # From the table itself it would not get to the far upper corners of its fence.
    base_m=(0.0, 0.0, 0.2),
    stand_m=((-0.08, -0.08), (0.08, 0.08)),
)
