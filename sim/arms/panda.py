"""Franka Emika Panda, 7 joints, with the Franka hand."""

from sim.arms.arm import Arm
from sim.arms.grippers import PANDA_HAND

PANDA = Arm(
    name="panda",
    title="Franka Emika Panda",
    mjcf="panda.xml",
    joints=("joint1", "joint2", "joint3", "joint4", "joint5", "joint6", "joint7"),
    home_rad=(0.0, -0.04098, 0.0, -2.33479, 0.0, 2.29381, 0.78589),
    velocity_limit_rad_s=(2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61),
    force_limit_nm=(80.0, 80.0, 80.0, 80.0, 80.0, 12.0, 12.0),
    gripper=PANDA_HAND,
    cartesian_dof=4,
    linear_m_s=0.3,
    angular_rad_s=1.5,
    payload_kg=3.0,  # Franka Emika's data sheet
    source=(
        "joint speeds: Franka Control Interface documentation, robot and interface specifications; "
        "kinematics, masses, inertias, joint ranges and torque limits: robosuite's Panda model"
    ),
)
