"""A batch computed in parts is the whole: what it is dealt into, and the gradients of its parts."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from robocat import objective
from robocat import train as training
from robocat.agent import Agent
from robocat.batch import Batch, dealt, portions, windows_of
from robocat.bins import expectation, places
from robocat.config import Training
from robocat.objective import Part, losses, positions, weigh
from robocat.replicas import ALONE, Replica
from robocat.train import make_optimiser, train_step
from tests.test_agent import CASES, PANDA, UR5E, agent_of, window_of

# What is drawn in the network, and what compares what is computed together, is not the sum of its parts.
SUM = {"future_cells": 0, "goal_weight": 0.0, "balance_weight": 0.0}


def _parts(context: int, chunk: bool = False) -> list[Part]:
    """Seven windows of one arm, two of them learnt, and four of another, three of them; plans that end."""
    parts: list[Part] = []
    for body, learnt in ((PANDA, [0, 1, 0, 0, 1, 0, 0]), (UR5E, [1, 1, 0, 1])):
        window = window_of(body, context, batch=len(learnt))
        later = window.later if chunk else None
        if later is not None:
            later[1, -1, 1], later[-1, 0] = -1, -1
        weights = weigh(torch.tensor(learnt)[:, None].expand(-1, context), later)
        parts.append((body, window._replace(learnt=weights, later=later)))
    return parts


def _numbers(parts: list[Part]) -> list[int]:
    return [int(number) for _, window in parts for number in window.proprio[:, 0, 0]]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 11, 12])
def test_what_is_dealt_is_all_and_even(count: int) -> None:
    """Also where no arm has a window for each: a share is empty only if there are too few in all."""
    parts = [(body, window_of(body, 1, batch=batch)) for body, batch in ((PANDA, 7), (UR5E, 1), (PANDA, 3))]
    hands = [dealt(parts, first, count) for first in range(count)]
    assert sorted(number for hand in hands for number in _numbers(hand)) == sorted(_numbers(parts))
    sizes = [windows_of(hand) for hand in hands]
    assert max(sizes) - min(sizes) <= 1 and sizes[0] == max(sizes)
    assert all(len(window.proprio) for hand in hands for _, window in hand)


@pytest.mark.parametrize("most", [0, 1, 3, 4, 11, 50])
def test_portions_are_as_few_as_can_be(most: int) -> None:
    parts = _parts(1)
    sizes = [windows_of(portion) for portion in portions(parts, most)]
    assert sum(sizes) == 11 and len(sizes) == (-(-11 // most) if most else 1)
    assert not most or max(sizes) <= most


class _Summed(Replica):
    """One of several, whose gradients are summed by whoever tests it."""

    def sum_gradients(self, network: torch.nn.Module) -> None:
        pass

    def sum(self, numbers: Tensor) -> Tensor:
        return numbers


def _gradients(agent: Agent, batch: Batch, how: Training, replica: Replica) -> dict[str, Tensor]:
    """What a step leaves of gradients and losses, before clipping."""
    values = train_step(agent, torch.optim.SGD(agent.parameters(), 0.0), batch, how, replica=replica)
    left = {name: p.grad for name, p in agent.named_parameters() if p.grad is not None}
    return left | {name: value for name, value in values.items() if name != "gradient_norm"}


@pytest.mark.parametrize("layout", ["faithful", "merged", "tape", "experts", "at-once", "chunk-at-once"])
@pytest.mark.parametrize(("micro", "replicas"), [(4, 1), (1, 1), (0, 3), (2, 3)])
def test_gradients_of_the_parts_add_up(layout: str, micro: int, replicas: int) -> None:
    """Of arms in one row, where few windows are learnt and those unevenly, and where plans end early."""
    options: dict[str, Any] = CASES[layout] | SUM
    how = Training(batch=11, clip=1e9)
    context = 1 if "chunk" in layout else 3
    batch = Batch(0, _parts(context, chunk="chunk" in layout), 11)
    whole = _gradients(agent_of(context=context, **options), batch, how, ALONE)
    agent = agent_of(context=context, **options)
    found: dict[str, Tensor] = {}
    for rank in range(replicas):
        part = _gradients(agent, batch, replace(how, micro=micro), _Summed(rank, replicas))
        for name, value in part.items():
            found[name] = found.get(name, torch.zeros(())) + value
    assert found.keys() == whole.keys() and whole["action_loss"] > 0.0
    for name, value in whole.items():
        if "trunk_loss" not in name:  # experts' imbalance is shown, weighted with 0 here
            torch.testing.assert_close(found[name], value, rtol=1e-4, atol=2e-6, msg=lambda m, n=name: n + m)


def test_a_part_with_nothing_to_learn_takes_nothing_away() -> None:
    """The mean is over what is learnt: a share without any has no action loss, the others all of it."""
    agent, how = agent_of(**SUM), Training(batch=4, clip=1e9)
    window = window_of(PANDA, 1, batch=4)
    batch = Batch(0, [(PANDA, window._replace(learnt=weigh(torch.tensor([[1], [0], [1], [0]]), None)))], 4)
    each = [_gradients(agent, batch, how, _Summed(rank, 2))["action_loss"] for rank in range(2)]
    alone = _gradients(agent, Batch(0, dealt([(PANDA, window)], 0, 2), 2), how, ALONE)["action_loss"]
    assert float(each[1]) == 0.0
    torch.testing.assert_close(each[0], alone)


def test_what_was_first_used_in_acting_can_be_trained_with() -> None:
    """Indices and targets are made once: in inference mode they would be of no use to a backward pass."""
    for made in (positions, places, objective._normals):  # pyright: ignore[reportPrivateUsage]
        made.cache_clear()
    agent, parts = agent_of(context=3), _parts(3)
    body, window = parts[0]
    agent.act(window, body, expectation)
    with torch.inference_mode():
        losses(agent, parts)
    losses(agent, parts).total.backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in agent.bins.parameters())


def test_weights_worked_by_hand() -> None:
    assert weigh(torch.ones(2, 2), None) is None
    weights = weigh(torch.tensor([[1, 0], [0, 1]]), None)
    assert weights is not None and weights[..., 0].tolist() == [[2.0, 0.0], [0.0, 2.0]]
    nothing = weigh(torch.zeros(2, 3), None)
    assert nothing is not None and nothing.tolist() == [[[0.0]] * 3] * 2
    later = torch.zeros(2, 1, 2, 5, dtype=torch.int64)
    assert weigh(torch.ones(2, 1), later) is None
    later[0, 0, 1] = -1
    ended = weigh(torch.ones(2, 1), later)
    assert ended is not None
    torch.testing.assert_close(ended[:, 0], torch.tensor([[1.2, 1.2, 0.0], [1.2, 1.2, 1.2]]))


@pytest.mark.parametrize(
    ("changes", "replicas", "said"),
    [
        ({"micro": -1}, 1, "training: micro: got -1, expected at least 0"),
        (
            {"micro": 4},
            1,
            "training: micro: got 4 with a goal_weight of 0.1, expected 0: the goals",
        ),
        ({"batch": 2}, 3, "training: batch: got 2 for 3 processes, expected a window for each"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, int], replicas: int, said: str) -> None:
    config = agent_of().config
    training._refuse(Training(), config, Replica(0, 3))  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(ValueError, match=said):
        training._refuse(Training(**changes), config, Replica(0, replicas))  # pyright: ignore


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # torch's tracing
def test_a_compiled_step_is_the_same_step() -> None:
    """As CUDA takes it but for the kernels: one graph, and no other for other numbers of windows."""
    from torch._dynamo.testing import CompileCounterWithBackend

    counter = CompileCounterWithBackend("aot_eager")
    via = torch.compile(training.through, backend=counter, fullgraph=True)
    how, context = Training(batch=11, clip=1e9), 3
    for counts in ((7, 4), (6, 5), (5, 6), (8, 3), (4, 7)):
        parts = [(b, window_of(b, context, batch=n)) for b, n in zip((PANDA, UR5E), counts, strict=True)]
        ways: list[dict[str, Tensor | None]] = []
        for each in (training.through, via):
            agent = agent_of(context=context, drop=0.1)
            train_step(agent, make_optimiser(agent, how), Batch(1, parts, 11), how, via=each)
            ways.append({name: p.grad for name, p in agent.named_parameters()})
        for name, gradient in ways[0].items():
            torch.testing.assert_close(ways[1][name], gradient, rtol=1e-4, atol=1e-6)
    assert counter.frame_count <= 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.filterwarnings("default")
def test_no_step_waits_for_the_device() -> None:
    """Once everything is compiled and in place: torch raises where the CPU would wait."""
    device, how = torch.device("cuda"), Training(batch=11, micro=4, precision="bf16")
    agent = agent_of(context=3, **(CASES["faithful"] | {"drop": 0.1, "future_cells": 4})).to(device)
    optimiser, via = make_optimiser(agent, how), training.way_through(agent)
    pinned = [
        (body, type(window)(*(None if part is None else part.pin_memory() for part in window)))
        for body, window in _parts(3)
    ]
    for step in range(6):
        if step == 4:
            torch.cuda.set_sync_debug_mode("error")
        try:
            train_step(agent, optimiser, Batch(step, pinned, 11), how, via=via)
        finally:
            torch.cuda.set_sync_debug_mode("default")
