"""How fast a trained policy acts, one environment, one core: images to codes, observation to action.

python -m bench policy runs/cycle
"""

import time
from pathlib import Path

import numpy as np
import torch
import tyro

from bench.record import write
from robocat.agent_checkpoint import tokeniser_beside
from robocat.policy import Policy
from sim.env import make

STEPS, WARM_UP = 400, 20


def policy(
    run: tyro.conf.Positional[Path] = Path("runs/cycle"),
    model: str = "generalist-0",
    arm: str = "panda",
    task: str = "lift",
) -> None:
    """Times `Policy.act` in a real episode, rendering and physics left out."""
    torch.set_num_threads(1)
    env = make(arm, task)
    agent = run / "models" / model
    actor = Policy(agent, tokeniser_beside(agent))
    observation, _ = env.reset(seed=0)
    actor.begin(0, env, 0)
    seconds: list[float] = []
    for step in range(STEPS + WARM_UP):
        started = time.perf_counter()
        act = actor.act([0], [observation])[0]
        seconds.append(time.perf_counter() - started)
        observation, _, terminated, truncated, _ = env.step(act.action)
        if terminated or truncated:
            observation, _ = env.reset(seed=step)
            actor.begin(0, env, step)
    taken = np.array(seconds[WARM_UP:])
    p50, p99 = np.percentile(taken, [50, 99])
    write(
        "policy",
        {
            "model": model,
            "threads": 1,
            "n": STEPS,
            "p50_ms": 1e3 * float(p50),
            "p99_ms": 1e3 * float(p99),
            "mean_hz": float(1 / taken.mean()),
            "p99_hz": float(1 / p99),
        },
    )
