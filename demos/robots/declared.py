"""Robots by what a user says: a Python file that declares one, or a type of LeRobot's and its port.

A file, which ends in ".py", is run as those of own arms are (`sim.own`); at its top level stands one robot:
anything with LeRobot's `Robot` interface, or with that of `demos.robots.robot.Robot`. Own files know cameras,
calibrations and limits; a type is said as "so101_follower:/dev/ttyACM0" or, with the name of its calibration,
"so101_follower:/dev/ttyACM0:blue", and has no cameras.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from demos.robots.lerobot_arm import LeRobotArm, is_lerobot
from demos.robots.robot import Robot
from demos.robots.robot_env import RealTask, RobotEnv, goal_of
from sim.arms import find_arm
from sim.arms.arm import Arm
from sim.extras import extra
from sim.names import pick
from sim.own import SUFFIX, run_file
from sim.tasks import find_task
from sim.tool_control import fence_m


def _so101(port: str, id: str) -> Any:
    module = extra("lerobot.robots.so_follower", "robots")
    return module.SO101Follower(module.SO101FollowerConfig(port=port, id=id))


TYPES: dict[str, Callable[[str, str], Any]] = {"so101_follower": _so101}


def real_env(
    robot: str, arm: str, task: str, goal: Path | None, cameras: tuple[str, ...] | None, **options: int
) -> RobotEnv:
    """A real arm, connected, as the environment of a task; says where the arm must stand.

    Args:
        robot: See `find_robot`.
        arm: Name of the simulated arm that it is one of.
        task: Name of a task.
        goal: Folder of the goal's pictures, if there is one.
        cameras: Which are recorded; all if None.
        options: `size` [px] and `control_hz` of `demos.robots.robot_env.RobotEnv`.

    Raises:
        ValueError: If it is no robot, or another arm's, or lacks a camera or a picture of the goal.
        Unplugged: If it cannot be connected.
    """
    found = find_robot(robot, arm)
    shown = None if goal is None else goal_of(goal, found.cameras if cameras is None else cameras)
    known = find_task(task)
    print(standing(found.arm))
    return RobotEnv(found, RealTask(known.name, known.summary), cameras=cameras, goal=shown, **options)


def standing(arm: Arm) -> str:
    """Where a real arm must stand for its workspace to be where it is thought to be, in a line."""
    low_m, high_m = (corner - arm.base_m for corner in fence_m(arm))
    ranges = ", ".join(
        f"{axis} {low:.2f} to {high:.2f}" for axis, low, high in zip("xyz", low_m, high_m, strict=True)
    )
    return (
        f"{arm.title} must stand with its base {arm.base_m[2]:.3f} m above the table; from there its tool is "
        f"kept in {ranges} m"
    )


def find_robot(given: str, arm: str) -> Robot:
    """The robot that a user means, not yet connected.

    Args:
        given: Path of a file, or type and port.
        arm: Name of the simulated arm that it is one of.

    Raises:
        ValueError: If it is none, or of another arm; one line.
        MissingExtra: If it is of a type of LeRobot's, which is not installed.
    """
    robot = _of_file(given, arm) if given.endswith(SUFFIX) else _of_type(given, arm)
    if robot.arm != find_arm(arm):
        raise ValueError(f"{given}: robot {robot.name!r} is {robot.arm.name}, expected {arm}, as was said")
    return robot


def _of_file(given: str, arm: str) -> Robot:
    try:
        values = vars(run_file(Path(given).resolve())).values()
        known = [value for value in values if isinstance(value, Robot) and not isinstance(value, type)]
        theirs = [LeRobotArm(value, arm) for value in values if is_lerobot(value) and value not in known]
    except ValueError as error:
        raise ValueError(f"{given}: {error}") from error
    if len(found := [*known, *theirs]) != 1:
        raise ValueError(f"{given} declares {len(found)} robots; expected one at its top level")
    return found[0]


def _of_type(given: str, arm: str) -> Robot:
    name, _, rest = given.partition(":")
    make = pick(TYPES, name, "type of robot", "or the path of a .py file that declares one")
    port, _, id = rest.partition(":")
    if not port:
        raise ValueError(f"robot {given!r}: expected a port, as in {name}:/dev/ttyACM0")
    return LeRobotArm(make(port, id or name), arm)
