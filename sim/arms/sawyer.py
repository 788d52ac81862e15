"""Rethink Robotics Sawyer, 7 joints, with the Robotiq 2F-85 gripper."""

from sim.arms.arm import Arm
from sim.arms.grippers import ROBOTIQ_2F85

SAWYER = Arm(
    name="sawyer",
    title="Rethink Robotics Sawyer",
    mjcf="sawyer.xml",
    joints=("right_j0", "right_j1", "right_j2", "right_j3", "right_j4", "right_j5", "right_j6"),
    home_rad=(-0.2932, -1.46167, -0.04236, 1.93807, 0.00519, 1.09449, -0.16316),
    velocity_limit_rad_s=(1.74, 1.328, 1.957, 1.957, 3.485, 3.485, 4.545),
    force_limit_nm=(80.0, 80.0, 40.0, 40.0, 9.0, 9.0, 9.0),
    gripper=ROBOTIQ_2F85,
    cartesian_dof=4,
    linear_m_s=0.3,
    angular_rad_s=1.5,
    payload_kg=4.0,  # Rethink Robotics' data sheet
    source=(
        "joint speeds: Rethink Robotics, sawyer_description URDF; "
        "kinematics, masses, inertias, joint ranges and torque limits: robosuite's Sawyer model"
    ),
)
