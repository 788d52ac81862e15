"""The arms, by name: the table, and those that the user declared (`sim.own`)."""

from dataclasses import replace

from sim.arms.arm import Arm as Arm
from sim.arms.arm import Gripper as Gripper
from sim.arms.arm import load as load
from sim.arms.jaco2 import JACO2
from sim.arms.kinova_gen3 import KINOVA_GEN3
from sim.arms.kuka_hand import KUKA_HAND
from sim.arms.kuka_iiwa14 import KUKA_IIWA14
from sim.arms.meshes import ENTRIES, SUFFIX
from sim.arms.panda import PANDA
from sim.arms.panda_pair import PANDA_PAIR
from sim.arms.sawyer import SAWYER
from sim.arms.so101 import SO101
from sim.arms.ur5e import UR5E
from sim.arms.viperx_300s import VIPERX_300S
from sim.arms.xarm7 import XARM7
from sim.names import pick

ARMS: dict[str, Arm] = {
    "kuka_iiwa14": KUKA_IIWA14,
    "kuka_hand": KUKA_HAND,
    "panda": PANDA,
    "sawyer": SAWYER,
    "ur5e": UR5E,
    "xarm7": XARM7,
    "kinova_gen3": KINOVA_GEN3,
    "jaco2": JACO2,
    "viperx_300s": VIPERX_300S,
    "so101": SO101,
}

PAIRS: dict[str, Arm] = {"panda_pair": PANDA_PAIR}  # two arms at one table

# In DeepMind's meshes, by names of their own: pictures differ, and so does what is recorded of them.
MESHED: dict[str, Arm] = {
    name + SUFFIX: replace(
        ARMS[name], name=name + SUFFIX, title=f"{ARMS[name].title}, DeepMind's meshes", meshes=name
    )
    for name in ENTRIES
}

OWN_ARMS: dict[str, Arm] = {}  # filled by `sim.own`


def find_arm(name: str) -> Arm:
    """Returns the arm called `name`.

    Raises:
        UnknownName: If there is none; the message lists the arms.
    """
    return pick(
        {**ARMS, **PAIRS, **MESHED, **OWN_ARMS},
        name,
        "arm",
        "an arm of your own is given by the path of its .py file",
    )
