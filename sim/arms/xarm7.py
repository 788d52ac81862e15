"""UFACTORY xArm 7, 7 joints, with the xArm gripper."""

from sim.arms.arm import Arm
from sim.arms.grippers import XARM_GRIPPER

XARM7 = Arm(
    name="xarm7",
    title="UFACTORY xArm 7",
    mjcf="xarm7.xml",
    joints=("joint1", "joint2", "joint3", "joint4", "joint5", "joint6", "joint7"),
    home_rad=(0.0, 0.28165, 0.0, 1.04166, 0.0, 0.76001, 0.0),
    velocity_limit_rad_s=(3.14159, 3.14159, 3.14159, 3.14159, 3.14159, 3.14159, 3.14159),
    force_limit_nm=(80.0, 80.0, 80.0, 80.0, 80.0, 80.0, 80.0),
    gripper=XARM_GRIPPER,
    cartesian_dof=4,
    linear_m_s=0.3,
    angular_rad_s=1.5,
    payload_kg=3.5,  # UFACTORY's data sheet
    source=(
        "joint speeds: UFACTORY, xArm user manual, technical specifications (180 degrees/s); "
        "kinematics, masses, inertias, joint ranges and torque limits: robosuite's xArm 7 model"
    ),
    # From the table itself it would not get to the far upper corners of its fence.
    base_m=(0.0, 0.0, 0.18),
    stand_m=((-0.08, -0.08), (0.08, 0.08)),
)
