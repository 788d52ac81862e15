"""How fast an agent acts: the policy that a checkpoint makes, with as many arms as act side by side.

A decision reads whole windows: keys are not kept from one control step to the next, `robocat.cache` says why.
At 1.2B a window of a Panda has 819 tokens, three control steps, and 1.21 billion parameters multiply each:
2 x 1.21e9 x 819 = 2.0 TFLOP a decision, and attention 0.07 more. So 32 arms take 63 TFLOP, and at 10 Hz 634
TFLOP/s: 64 % of the 989 that NVIDIA's data sheet has for an H100, about as much as large products reach there
at best. 16 arms at 10 Hz, or one at 40 Hz (79 TFLOP/s), leave room. Action numbers after the first are one
token each, which is little to compute, but each reads all weights again: 2.4 GB in bfloat16, 0.7 ms at 3.35
TB/s, for one arm as for 32; the keys of 32 arms, 161 MB an arm, are 5.2 GB more, 1.5 ms; a captured step
reads all places laid out, 1,024 of them, 1.9 ms. That is arithmetic: nothing of it has been measured.

Of the figures, `decide` is from codes to bins, and `see_and_decide` all of `Policy.act`: from pictures and
proprioception in the host's memory to actions there. Windows are full.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from bench.timed import timed
from robocat.agent import Agent, Window
from robocat.agent_checkpoint import AgentCard, cached_agent, save_agent
from robocat.bins import CHOICES
from robocat.config import Preset
from robocat.patches import Pixels, PixelsConfig
from robocat.policy import Policy
from robocat.tokeniser import load_tokeniser, save_tokeniser
from robocat.vocabulary import Embodiment
from robocat.vqgan import VQGAN
from sim.env import make


def acting(
    preset: Preset,
    agent: Agent,
    body: Embodiment,
    windows: Mapping[int, Window],
    *,
    device: torch.device,
    seconds: float,
) -> dict[str, Any]:
    """Times an agent of a preset by way of a checkpoint, as it would be used.

    Args:
        preset: Says tokeniser, arm and task.
        agent: With any weights.
        body: The slots of the preset's first arm.
        windows: By how many arms act side by side; on the device.
        device: Where to act.
        seconds: That each figure is measured for, at least.
    """
    arm, task = preset.collection.arms[0], preset.collection.tasks[0]
    env = make(arm, task, size=preset.vqgan.size)
    observation, _ = env.reset(seed=0)
    by_arms: dict[str, dict[str, Any]] = {}
    with TemporaryDirectory() as folder:
        model, eyes = Path(folder) / "agent", Path(folder) / "tokeniser"
        size = preset.vqgan.size
        save_tokeniser(eyes, Pixels(PixelsConfig(size)) if preset.agent.patch else VQGAN(preset.vqgan), {})
        weights = load_tokeniser(eyes, device).weights
        save_agent(model, agent, weights, AgentCard("bench", None, None), lineage={}, steps=0)
        policy, network = Policy(model, eyes, device=device), cached_agent(model, weights, device).network
    context, choose = network.layout(body).context, CHOICES[preset.agent.choose]
    for arms, window in windows.items():
        slots, seen = list(range(arms)), [observation] * arms
        for slot in slots:
            policy.begin(slot, env, seed=slot)
        for _ in range(context):
            policy.act(slots, seen)
        by_arms[str(arms)] = {
            "decide": asdict(timed(lambda w=window: network.act(w, body, choose).cpu(), device, seconds)),
            "see_and_decide": asdict(timed(lambda s=slots, o=seen: policy.act(s, o), device, seconds)),
            "flop_a_decision": arms * _flop(network, body),
        }
    env.close()
    return {"at_once": preset.agent.at_once, "control_steps_a_window": context, "by_arms": by_arms}


def _flop(agent: Agent, body: Embodiment) -> float:
    """FLOP of a window through the trunk's matrices; of experts, through those that a token passes."""
    config, length = agent.config, agent.layout(body).length
    share = config.experts_used / config.experts if config.experts else 1.0
    matrices = {name: p.numel() for name, p in agent.trunk.named_parameters() if p.ndim == 2}
    return 2 * length * sum(count * (share if "experts" in name else 1.0) for name, count in matrices.items())
