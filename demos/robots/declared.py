"""Robots by what a user says: a Python file that declares one, with its cameras, calibration and limits.

The file is run as those of own arms are (`sim.own`); at its top level stands one robot: anything with
LeRobot's `Robot` interface, or with that of `demos.robots.robot.Robot`.
"""

from pathlib import Path

from demos.robots.lerobot_arm import LeRobotArm, is_lerobot
from demos.robots.robot import Robot
from demos.robots.robot_env import RealTask, RobotEnv, goal_of
from sim.arms import find_arm
from sim.arms.arm import Arm
from sim.own import SUFFIX, run_file
from sim.tasks import find_task
from sim.tool_control import fence_m

HOW = "SO101Follower(SO101FollowerConfig(port=..., id=..., cameras={'front': OpenCVCameraConfig(...)}))"


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
        ValueError: If it is no robot, or another arm's, or has no camera, lacks one or a picture of the goal.
        Unplugged: If it cannot be connected.
    """
    found = find_robot(robot, arm)
    if not found.cameras or cameras == ():
        raise ValueError(
            f"robot {found.name!r}: cameras: got none, expected one or more, for nothing learns from "
            f"episodes without a picture; declare them in {robot}, as in {HOW}"
        )
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
        given: Path of its file.
        arm: Name of the simulated arm that it is one of.

    Raises:
        ValueError: If it is none, or of another arm; one line.
    """
    if not given.endswith(SUFFIX):
        raise ValueError(f"robot {given!r}: expected a {SUFFIX} file that declares one, as in ARM = {HOW}")
    robot = _of_file(given, arm)
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
