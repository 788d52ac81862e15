"""KUKA LBR iiwa 14 R820 with a hand of three fingers: 6 + 8 action numbers, as RoboCat's unseen arm."""

from dataclasses import replace

from sim.arms.grippers import THREE_FINGER
from sim.arms.kuka_iiwa14 import KUKA_IIWA14

KUKA_HAND = replace(
    KUKA_IIWA14,
    name="kuka_hand",
    title="KUKA LBR iiwa 14 R820, three-finger hand",
    # As the KUKA's home, solved for a tool that is 25 mm farther from the flange.
    home_rad=(0.0, 0.34935, 0.0, -1.65444, 0.0, 1.1378, 0.0),
    gripper=THREE_FINGER,
    cartesian_dof=6,
)
