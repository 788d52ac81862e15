"""Where an agent acts and a tokeniser computes: nothing changes on a CPU; the same decisions on CUDA."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters

from demos.store import EpisodeStore
from robocat.agent_checkpoint import load_agent
from robocat.devices import device_of, fit_to_act
from robocat.policy import Policy
from robocat.tokeniser import load_tokeniser
from sim.env import make
from tests.test_agent import agent_of
from tests.tiny import SIZE

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_nothing_changes_on_a_cpu() -> None:
    """Weights, precision and the way a step is made: only dropping is off."""
    agent, other = agent_of().train(), agent_of()
    fit = fit_to_act(agent, CPU)
    assert fit is agent and not fit.training and device_of(fit) == CPU
    assert fit.trunk._step is None  # pyright: ignore[reportPrivateUsage]
    for name, weight in fit.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


def test_a_policy_acts_in_bfloat16_with_fixed_shapes(agent: Path, tokeniser: Path) -> None:
    """All of a GPU's way of acting but the GPU: for three arms, then for fewer, near what float32 decides."""
    exact, rounded = Policy(agent, tokeniser), Policy(agent, tokeniser)
    network = load_agent(agent, load_tokeniser(tokeniser).weights).network.to(torch.bfloat16)
    network.trunk._step = network.trunk.forward  # pyright: ignore[reportPrivateUsage]
    rounded._agent = network  # pyright: ignore[reportPrivateUsage]
    worlds = [make("panda", "lift", size=SIZE) for _ in range(3)]
    seen = [env.reset(seed=seed)[0] for seed, env in enumerate(worlds)]
    for policy in (exact, rounded):
        for slot, env in enumerate(worlds):
            policy.begin(slot, env, seed=slot)
    for slots in ([0, 1, 2], [2], [0, 1]):
        acts = zip(*(p.act(slots, [seen[slot] for slot in slots]) for p in (exact, rounded)), strict=True)
        for one, other in acts:
            assert other.label.dtype == np.float32 and np.abs(other.label).max() <= 1
            assert abs(one.label[0] - other.label[0]) < 0.05


@pytest.mark.gpu
def test_a_policy_on_cuda_decides_as_on_a_cpu(agent: Path, tokeniser: Path) -> None:
    """Near it, for it rounds; its steps are graphs, none of which was given up."""
    counters.clear()
    worlds = [make("panda", "lift", size=SIZE) for _ in range(3)]
    seen = [env.reset(seed=seed)[0] for seed, env in enumerate(worlds)]
    here, there = Policy(agent, tokeniser, device=CPU), Policy(agent, tokeniser, device=CUDA)
    for policy in (here, there):
        for slot, env in enumerate(worlds):
            policy.begin(slot, env, seed=slot)
    for slots in ([0, 1, 2], [2], [0, 1], [0, 1, 2], [0, 1, 2]):
        acts = zip(*(p.act(slots, [seen[slot] for slot in slots]) for p in (here, there)), strict=True)
        for one, other in acts:
            assert abs(one.label[0] - other.label[0]) < 0.05
    assert device_of(there._agent).type == "cuda"  # pyright: ignore[reportPrivateUsage]
    assert not counters["inductor"]["cudagraph_skips"]


@pytest.mark.gpu
def test_codes_on_cuda_are_those_of_a_cpu_but_for_ties(demos: Path, tokeniser: Path) -> None:
    store = EpisodeStore(demos)
    images = store.load(store.ids()[0]).images["front"]
    here, there = load_tokeniser(tokeniser, CPU), load_tokeniser(tokeniser, CUDA)
    assert (here.encode(images) == there.encode(images)).mean() > 0.98
    assert np.abs(here.decode(here.encode(images)).astype(int) - there.decode(here.encode(images))).max() < 8
