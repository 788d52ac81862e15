"""What a hand feels: how hard its fingers hold, and what pushes it."""

from typing import NamedTuple

import mujoco
import numpy as np

from sim.limb import Limb
from sim.poses import Array


class Touch(NamedTuple):
    """Forces of one arm's hand, from the contacts of the simulation as they are now.

    Attributes:
        held_n: What both sides of the gripper press with: the smaller of the two sides' sums [N].
        pushed_n: The sum (3,) of all that touches hand and fingers from outside, in the world [N]. What lies
            between the fingers cancels out, but for its weight.
    """

    held_n: float
    pushed_n: Array


def touch(model: mujoco.MjModel, data: mujoco.MjData, limb: Limb) -> Touch:
    """Reads an arm's contacts."""
    own = _bodies_below(model, limb.hand)
    sides = [0.0, 0.0]
    pushed_n = np.zeros(3)
    force = np.zeros(6)  # along the contact's axes: normal, two tangents; then torques
    for number in range(data.ncon):
        contact = data.contact[number]
        bodies = model.geom_bodyid[contact.geom]
        mine = [int(body) in own for body in bodies]
        if mine[0] == mine[1]:
            continue
        mujoco.mj_contactForce(model, data, number, force)
        # The axes' rows turn a vector of the world into the contact's; it acts on the second geom.
        sign = 1.0 if mine[1] else -1.0
        pushed_n += sign * (contact.frame.reshape(3, 3).T @ force[:3])
        for side, pads in enumerate(limb.pads):
            sides[side] += float(force[0]) if contact.geom[mine.index(True)] in pads else 0.0
    return Touch(min(sides), pushed_n)


def _bodies_below(model: mujoco.MjModel, top: int) -> set[int]:
    """A body and all that hang on it."""
    found = {top}
    for body in range(top + 1, model.nbody):  # parents come first
        if int(model.body_parentid[body]) in found:
            found.add(body)
    return found
