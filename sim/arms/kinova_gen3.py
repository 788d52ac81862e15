"""Kinova Gen3, 7 joints, with the Robotiq 2F-85 gripper."""

from sim.arms.arm import Arm
from sim.arms.grippers import ROBOTIQ_2F85

KINOVA_GEN3 = Arm(
    name="kinova_gen3",
    title="Kinova Gen3",
    mjcf="kinova_gen3.xml",
    joints=("Actuator1", "Actuator2", "Actuator3", "Actuator4", "Actuator5", "Actuator6", "Actuator7"),
    home_rad=(-0.04559, 0.74238, -0.00658, 1.64622, 0.00653, 0.75302, -0.0552),
    velocity_limit_rad_s=(1.3963, 1.3963, 1.3963, 1.3963, 1.2218, 1.2218, 1.2218),
    force_limit_nm=(32.0, 32.0, 32.0, 32.0, 32.0, 13.0, 13.0),
    gripper=ROBOTIQ_2F85,
    cartesian_dof=4,
    # Somewhat slower than the arms whose joints turn faster: at 0.3 m/s the elbow is often at its limit.
    linear_m_s=0.25,
    angular_rad_s=1.2,
    payload_kg=4.0,  # Kinova's user guide, mid-range and continuous
    source=(
        "joint speeds: Kinova, kortex_description URDF, from memory (80 and 70 degrees/s); "
        "kinematics, masses, inertias, joint ranges and torque limits: robosuite's Kinova Gen3 model"
    ),
    # From the table itself it would not get to the far upper corners of its fence.
    base_m=(0.0, 0.0, 0.2),
    stand_m=((-0.08, -0.08), (0.08, 0.08)),
)
