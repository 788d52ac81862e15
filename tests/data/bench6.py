"""Bench6, an arm that is in no table, with the Panda's hand: what a user writes to bring an arm."""

from pathlib import Path

from sim.arms import Arm
from sim.arms.grippers import PANDA_HAND

BENCH6 = Arm(
    name="bench6",
    title="Bench6",
    mjcf=str(Path(__file__).with_suffix(".xml")),  # a site "flange", position actuators named as joints
    joints=("turn", "shoulder", "elbow", "roll", "bend", "spin"),
    home_rad=(0.0, 0.58371, 1.46705, 0.0, 1.09083, 1.5708),  # straight down, 25 cm above the table
    velocity_limit_rad_s=(2.6,) * 6,
    force_limit_nm=(150.0, 150.0, 100.0, 40.0, 40.0, 20.0),
    gripper=PANDA_HAND,
    cartesian_dof=6,
    linear_m_s=0.3,
    angular_rad_s=1.5,
    source="made up for the tests",
)
