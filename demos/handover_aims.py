"""The scripted expert of handover: where both tools should go from here, a function of the state alone."""

import numpy as np

from demos.aims import ALIGNED_M, FUNNEL, Aim
from sim.scene import Scene
from sim.tasks.handover import BAR, GIVER, MEETING_M, MEETING_RAD, end_m, to_end_m, waiting_m

THERE_M = 0.015  # from where the bar changes hands, within which it is there
LOW_M = 0.10  # below this the bar goes up before it goes across
CLEAR_M = 0.09  # height above the bar at which open jaws pass over it


def handover_aims(scene: Scene, variation: str) -> tuple[Aim, Aim]:
    """The giver takes the bar to the middle, the taker shuts its jaws about its end, the giver lets go."""
    giver = GIVER[variation]
    taker = 1 - giver
    given, held = scene.grasped(BAR.name, taker), scene.grasped(BAR.name, giver)
    if given and not held:
        mine = _away(scene, giver)
        theirs = Aim(scene.limbs[taker].tool_m, _yaw(scene, taker), False)
    elif given:
        mine = Aim(scene.limbs[giver].tool_m, _yaw(scene, giver), True)
        theirs = Aim(scene.limbs[taker].tool_m, _yaw(scene, taker), False)
    elif held:
        mine = _carry(scene, giver)
        theirs = _grasp(scene, taker) if _is_there(scene) else _wait(taker)
    else:
        mine, theirs = _grasp(scene, giver), _wait(taker)
    return (mine, theirs) if giver == 0 else (theirs, mine)


def _grasp(scene: Scene, limb: int) -> Aim:
    """Above the arm's end of the bar, down a funnel around it, and shut."""
    tool, end = scene.limbs[limb].tool_m, end_m(scene, limb)
    across = float(np.linalg.norm(tool[:2] - end[:2]))
    rise = float(np.clip(FUNNEL * (across - 0.008), 0.0, CLEAR_M))
    shut = across < ALIGNED_M and abs(tool[2] - end[2]) < 0.012
    return Aim(end + np.array([0.0, 0.0, rise]), scene.yaw_rad(BAR.name), not shut)


def _carry(scene: Scene, limb: int) -> Aim:
    """To where the bar changes hands: up, then across and turned."""
    tool, bar = scene.limbs[limb].tool_m, scene.position_m(BAR.name)
    yaw = _yaw(scene, limb) + MEETING_RAD - scene.yaw_rad(BAR.name)
    goal = MEETING_M + to_end_m(MEETING_RAD, limb)
    if bar[2] < LOW_M:
        return Aim(np.array([*tool[:2], goal[2]]), _yaw(scene, limb), False)
    return Aim(goal, yaw, False)


def _away(scene: Scene, limb: int) -> Aim:
    """Straight up off the bar with open jaws, then to where the arm waits."""
    tool, end = scene.limbs[limb].tool_m, end_m(scene, limb)
    if np.linalg.norm(tool[:2] - end[:2]) < 0.05 and tool[2] < end[2] + 0.06:
        return Aim(np.array([*tool[:2], end[2] + CLEAR_M]), _yaw(scene, limb), True)
    return _wait(limb)


def _wait(limb: int) -> Aim:
    return Aim(waiting_m(limb), 0.0, True)


def _is_there(scene: Scene) -> bool:
    return bool(np.linalg.norm(scene.position_m(BAR.name) - MEETING_M) < THERE_M)


def _yaw(scene: Scene, limb: int) -> float:
    return float(scene.limbs[limb].tool_tilt_rad[2])
