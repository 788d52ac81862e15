"""A peer's environment, stepped on demand. The peer's own Python runs this; it knows nothing of this project.

    <python> peer_worlds.py robosuite 84

For each line on its input it takes so many steps as the line says, and answers with the seconds they took.
The first answer, unasked, is what the environment is, as JSON. A picture of 0 px is none.
"""

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SMALL = 0.3  # of the action's range: the arm wanders about its home
Step = Callable[[Any], object]


def robosuite(size: int) -> tuple[Step, int, dict[str, object]]:
    """Lift with a Panda and the controller it has by default, 20 Hz, physics of 2 ms."""
    import robosuite as suite  # noqa: PLC0415

    env = suite.make(
        "Lift",
        robots="Panda",
        has_renderer=False,
        has_offscreen_renderer=size > 0,
        use_camera_obs=size > 0,
        camera_names="agentview",
        camera_heights=size or 84,
        camera_widths=size or 84,
        control_freq=20,
        horizon=10**9,
        ignore_done=True,
        hard_reset=False,
    )
    env.reset()
    about = {"environment": "Lift, Panda", "control_hz": 20, "physics_s": env.sim.model.opt.timestep}
    return env.step, len(env.action_spec[0]), about


def gymnasium_robotics(size: int) -> tuple[Step, int, dict[str, object]]:
    """FetchPickAndPlace as it is registered: 25 Hz, physics of 2 ms."""
    import gymnasium  # noqa: PLC0415
    import gymnasium_robotics  # noqa: PLC0415

    gymnasium.register_envs(gymnasium_robotics)
    return _gym(gymnasium.make("FetchPickAndPlace-v4", **_drawn(size)), size)


def metaworld(size: int) -> tuple[Step, int, dict[str, object]]:
    """Pick-place as it is registered: 80 Hz, physics of 2.5 ms."""
    import gymnasium  # noqa: PLC0415
    import metaworld as world  # noqa: PLC0415

    del world  # importing it registers its environments
    options = {"env_name": "pick-place-v3", "seed": 0, "camera_name": "corner" if size else None}
    return _gym(gymnasium.make("Meta-World/MT1", **options, **_drawn(size)), size)


def _drawn(size: int) -> dict[str, object]:
    return {"render_mode": "rgb_array", "width": size, "height": size} if size else {}


def _gym(env: Any, size: int) -> tuple[Step, int, dict[str, object]]:
    """A gymnasium environment whose picture, if there is one, is taken after each step."""
    env.reset(seed=0)
    inner = env.unwrapped
    about = {
        "environment": env.spec.id,
        "control_hz": round(1 / inner.dt, 2),
        "physics_s": inner.model.opt.timestep,
    }

    def step(action: Any) -> None:
        *_, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
        if size and env.render().shape != (size, size, 3):
            raise RuntimeError(f"the picture has shape {env.render().shape}")

    return step, env.action_space.shape[0], about


PEERS = {"robosuite": robosuite, "gymnasium_robotics": gymnasium_robotics, "metaworld": metaworld}


def main(name: str, size: int) -> None:
    """Builds an environment and steps it as asked, until the input ends."""
    talk, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    step, numbers, about = PEERS[name](size)
    versions = {package: importlib.metadata.version(package) for package in (name, "mujoco", "numpy")}
    print(json.dumps({**about, "action": numbers, "versions": versions}), file=talk, flush=True)
    rng = np.random.default_rng(0)
    for line in sys.stdin:
        actions = rng.uniform(-SMALL, SMALL, (int(line), numbers)).astype(np.float32)
        start = time.perf_counter()
        for action in actions:
            step(action)
        print(time.perf_counter() - start, file=talk, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
