"""KUKA LBR iiwa 14 R820, 7 joints, with the Robotiq 2F-85 gripper."""

from sim.arms.arm import Arm
from sim.arms.grippers import ROBOTIQ_2F85

KUKA_IIWA14 = Arm(
    name="kuka_iiwa14",
    title="KUKA LBR iiwa 14 R820",
    mjcf="kuka_iiwa14.xml",
    joints=("joint_1", "joint_2", "joint_3", "joint_4", "joint_5", "joint_6", "joint_7"),
    home_rad=(0.0, 0.37737, 0.0, -1.68514, 0.0, 1.07908, 0.0),
    velocity_limit_rad_s=(1.48353, 1.48353, 1.74533, 1.309, 2.26893, 2.35619, 2.35619),
    force_limit_nm=(176.0, 176.0, 110.0, 110.0, 110.0, 40.0, 40.0),
    gripper=ROBOTIQ_2F85,
    cartesian_dof=4,
    linear_m_s=0.3,
    angular_rad_s=1.5,
    payload_kg=14.0,  # which its name says
    source=(
        "joint speeds: KUKA, LBR iiwa brochure (85, 85, 100, 75, 130, 135, 135 degrees/s); "
        "kinematics, masses, inertias, joint ranges and torque limits: robosuite's iiwa model, whose torques "
        "for joints 1 to 4 lie below the brochure's 320, 320, 176, 176 N m"
    ),
)
