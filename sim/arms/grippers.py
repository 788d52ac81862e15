"""The grippers, as data. Both close along x of their root body; the tool frame is given in `sim.arms.arm`."""

from sim.arms.arm import Gripper

PANDA_HAND = Gripper(
    name="panda_hand",
    mjcf="panda_hand.xml",
    joints=("finger_left", "finger_right"),
    actuator="gripper",
    width_m=(0.0, 0.08),
    pads=("pad_left", "pad_right"),
    source=(
        "Franka Emika, Panda data sheet: hand 0.7 kg, opening 80 mm, 70 N continuous (35 N used here); "
        "0.73 kg and the tool point 103.4 mm from the flange: Franka Control Interface documentation"
    ),
)

ROBOTIQ_2F85 = Gripper(
    name="robotiq_2f85",
    mjcf="robotiq_2f85.xml",
    joints=("finger_left", "finger_right"),
    actuator="gripper",
    width_m=(0.0, 0.085),
    pads=("pad_left", "pad_right"),
    source="Robotiq, 2F-85 data sheet: 0.925 kg, stroke 85 mm, grip force 20 to 235 N (35 N used here)",
)
