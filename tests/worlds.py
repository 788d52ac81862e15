"""Small helpers for tests that run environments."""

from itertools import cycle, product
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.arms import ARMS, Arm
from sim.env import ManipulationEnv, Observation, make
from sim.scene import TABLE_CENTRE_M
from sim.tasks import TASKS
from sim.tasks.task import PATCH_M
from sim.tool_control import TOOL_LOW_M

# Every task on one of the arms and the basic ones on each; tests marked slow take all arms with all tasks.
BASIC = ("reach", "push", "lift", "stack")
ONE_OF_EACH = list(zip(cycle(ARMS), TASKS, strict=False))
PAIRS = list(dict.fromkeys([*product(ARMS, BASIC), *ONE_OF_EACH]))
# Tasks with the various triplets differ in shapes alone: where that is all the same, one of each will do, and
# where every arm comes often enough anyway, the basic ones on all arms are left out as well.
ALIKE = [(arm, task) for arm, task in PAIRS if "rgb" not in task or task.endswith("-1")]
FEW = [pair for pair in ONE_OF_EACH if pair in ALIKE]
# Too small for the tool's fence: such an arm must get wherever tasks put things, as high as they are carried.
SMALL = ("so101",)


def corners_m(arm: str) -> list[tuple[float, float, float]]:
    """Corners (x, y, z) [m] of the box all over which an arm's tool must get: about its fence."""
    if arm not in SMALL:
        return list(product((0.36, 0.64), (-0.22, 0.22), (0.01, 0.35)))
    (x, y), (half_x, half_y) = TABLE_CENTRE_M, PATCH_M
    return list(product((x - half_x, x + half_x), (y - half_y, y + half_y), (TOOL_LOW_M[2], 0.12)))


def blind(arm: str, task: str, **options: Any) -> ManipulationEnv:
    """An environment without cameras, which costs half and needs no OpenGL."""
    return make(arm, task, cameras=(), **options)


def joint_limits(model: mujoco.MjModel, arm: Arm) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest angles (n,) [rad] of an arm's joints, infinite for those that turn without end."""
    ids = [model.joint(name).id for name in arm.joints]
    low, high = np.where(model.jnt_limited[ids, None], model.jnt_range[ids], [-np.inf, np.inf]).T
    return low, high


def actions(env: ManipulationEnv, steps: int, seed: int = 0, size: float = 1.0) -> NDArray[np.float32]:
    """Random actions (steps, A), uniform in [-size, size]."""
    rng = np.random.default_rng(seed)
    return rng.uniform(-size, size, (steps, env.arm.action_size)).astype(np.float32)


def bits(env: ManipulationEnv, observation: Observation) -> bytes:
    """All that an observation and the simulator's state hold."""
    parts = [observation["proprio"], env.scene.state()]
    for kind in ("images", "goal"):
        parts += [image for _, image in sorted(observation[kind].items())]
    return b"".join(part.tobytes() for part in parts)


def play(env: ManipulationEnv, moves: NDArray[np.float32], seed: int = 0, **options: Any) -> list[bytes]:
    """What is seen at the reset and after each action."""
    observation, _ = env.reset(seed=seed, options=options)
    seen = [bits(env, observation)]
    for move in moves:
        seen.append(bits(env, env.step(move)[0]))
    return seen
