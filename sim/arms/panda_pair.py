"""Two Pandas side by side at one table, each turned a little towards the middle."""

import math
from dataclasses import replace

from sim.arms.arm import Arm
from sim.arms.panda import PANDA

# Own choice: the tools are 30 cm apart at home, the bases 64, so that both reach all of the patch and no
# forearm crosses the middle.
TURN_RAD = 0.35  # of each arm's first joint, and back of its last, so that the tool's axes stay the world's
ASIDE_M = 0.15  # of each tool at home from the middle
BEYOND_M = 0.03  # how far each tool may go beyond it


def _beside(side: int) -> Arm:
    """A Panda to the left (1) or right (-1)."""
    first, *others, last = PANDA.home_rad
    reach_m = PANDA.home_m[0]
    return replace(
        PANDA,
        home_rad=(first - side * TURN_RAD, *others, last - side * TURN_RAD),
        base_m=(reach_m * (1 - math.cos(TURN_RAD)), side * (ASIDE_M + reach_m * math.sin(TURN_RAD)), 0.0),
        home_m=(reach_m, side * ASIDE_M, PANDA.home_m[2]),
        across_m=(-BEYOND_M, math.inf) if side == 1 else (-math.inf, BEYOND_M),
        cartesian_dof=6,
    )


PANDA_PAIR = replace(
    _beside(1),
    name="panda_pair",
    title="two Franka Emika Pandas",
    partner=replace(_beside(-1), name="panda_right"),
)
