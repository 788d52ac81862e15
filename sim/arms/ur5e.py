"""Universal Robots UR5e, 6 joints, with the Robotiq 2F-85 gripper."""

from sim.arms.arm import Arm
from sim.arms.grippers import ROBOTIQ_2F85

UR5E = Arm(
    name="ur5e",
    title="Universal Robots UR5e",
    mjcf="ur5e.xml",
    joints=(
        "shoulder_pan_joint",
        "shoulder_lift_joint",
        "elbow_joint",
        "wrist_1_joint",
        "wrist_2_joint",
        "wrist_3_joint",
    ),
    home_rad=(-0.27132, -1.56925, 1.80615, -1.8077, -1.5708, -0.27132),
    velocity_limit_rad_s=(3.14159, 3.14159, 3.14159, 3.14159, 3.14159, 3.14159),
    force_limit_nm=(150.0, 150.0, 150.0, 28.0, 28.0, 28.0),
    gripper=ROBOTIQ_2F85,
    cartesian_dof=6,
    linear_m_s=0.3,
    angular_rad_s=1.5,
    payload_kg=5.0,  # Universal Robots' data sheet
    source=(
        "joint speeds: Universal Robots, UR5e data sheet (180 degrees/s); "
        "kinematics, masses, inertias, joint ranges and torque limits: robosuite's UR5e model"
    ),
)
