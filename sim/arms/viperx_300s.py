"""Trossen Robotics ViperX 300 S, 6 joints, with its own gripper: the arm that follows in ALOHA."""

from sim.arms.arm import Arm
from sim.arms.grippers import VIPERX_GRIPPER

VIPERX_300S = Arm(
    name="viperx_300s",
    title="Trossen ViperX 300 S",
    mjcf="viperx_300s.xml",
    joints=("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate"),
    home_rad=(0.0, -0.17225, 0.39252, 0.0, 1.35052, 0.0),
    velocity_limit_rad_s=(3.14159, 3.14159, 3.14159, 3.14159, 3.14159, 3.14159),
    force_limit_nm=(10.0, 20.0, 15.0, 2.0, 5.0, 1.0),
    gripper=VIPERX_GRIPPER,
    cartesian_dof=4,
    linear_m_s=0.3,
    angular_rad_s=1.5,
    payload_kg=0.75,  # Trossen Robotics' specifications
    source=(
        "torques, joint speeds, damping and friction: Trossen Robotics, URDF of the ViperX 300 S in "
        "interbotix_ros_manipulators; kinematics, masses, inertias and joint ranges: the model in ALOHA's "
        "simulation, whose friction of 30 to 60 N m a joint the servos could not overcome"
    ),
    # Upper arm and forearm are 0.6 m together: from here, on a stand, the tool gets everywhere in its fence.
    base_m=(0.2, 0.0, 0.08),
    stand_m=((-0.19, -0.08), (0.08, 0.08)),
)
