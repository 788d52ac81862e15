"""Several processes that train one network: sums, errors that arrive, and a training that resumes."""

import os
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from demos.workers import WorkerDied
from robocat.agent_checkpoint import AgentCard, read_agent
from robocat.checkpoint import CheckpointError
from robocat.data import Data
from robocat.metrics import read_metrics
from robocat.replicas import ALONE, Replica, replicate
from robocat.train import train, train_together
from tests.tiny import AGENT, TRAINING, measured

CARD = AgentCard("together", 0, None)
linux = pytest.mark.skipif(sys.platform != "linux", reason="processes meet over the loopback called lo")


# What the processes do in these tests; they find it by name.


def _sum(folder: Path, replica: Replica) -> None:
    network = torch.nn.Linear(2, 1, bias=False)
    idle = torch.nn.Linear(3, 1)
    both = torch.nn.ModuleList([network, idle])
    (network(torch.full((1, 2), float(replica.rank + 1)))).sum().backward()
    if replica.leads:  # a gradient that only one of them has
        idle.weight.grad = torch.ones(1, 3)
    replica.sum_gradients(both)
    replica.meet()
    said = replica.sum(torch.tensor([0.25, replica.rank])).tolist()
    assert network.weight.grad is not None and idle.weight.grad is not None and idle.bias.grad is not None
    gradients = [*network.weight.grad[0].tolist(), *idle.weight.grad[0].tolist(), *idle.bias.grad.tolist()]
    (folder / str(replica.rank)).write_text(f"{gradients} {said} {torch.get_num_threads()}")


def _end(how: str, replica: Replica) -> None:
    if replica.rank == 1 and how == "fail":
        raise CheckpointError("one line about what is wrong")
    if replica.rank == 1 and how == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    while True:
        replica.meet()


def _train_until_killed(data: Data, out: Path, replica: Replica) -> None:
    """Ends the second process once the first has written a state."""

    class Deserter(Replica):
        def sum_gradients(self, network: torch.nn.Module) -> None:
            super().sum_gradients(network)
            if self.rank == 1 and (out / "resume" / "step-00000004.safetensors").exists():
                os.kill(os.getpid(), signal.SIGKILL)

    deserter = Deserter(replica.rank, replica.count)
    train(data, out, AGENT, TRAINING, CARD, seed=0, replica=deserter)


def test_alone_nothing_is_summed() -> None:
    network = torch.nn.Linear(2, 1)
    ALONE.sum_gradients(network)
    assert network.weight.grad is None
    assert ALONE.leads and ALONE.sum(torch.tensor([2.0])).tolist() == [2.0]
    called: list[Replica] = []
    replicate(called.append, 1)
    assert called == [ALONE]


def test_a_number_of_processes_is_needed() -> None:
    with pytest.raises(ValueError, match="workers 0 is out of range; expected at least 1"):
        replicate(print, 0)


@linux
@pytest.mark.slow
def test_sums_over_processes(tmp_path: Path) -> None:
    replicate(partial(_sum, tmp_path), 2)
    expected = "[3.0, 3.0, 1.0, 1.0, 1.0, 0.0] [0.5, 1.0] 1"
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == [expected] * 2


@linux
@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("fail", CheckpointError, "^one line about what is wrong$"),
        ("die", WorkerDied, "^a worker process was killed or ran out of memory"),
    ],
)
def test_an_error_in_one_ends_all(how: str, kind: type[Exception], said: str) -> None:
    """With its own words, not with what its absence does to the others."""
    started = time.monotonic()
    with pytest.raises(kind, match=said):
        replicate(partial(_end, how), 2)
    assert time.monotonic() - started < 60


@linux
@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(data: Data, tmp_path: Path) -> None:
    together = partial(train_together, data, config=AGENT, training=TRAINING, card=CARD, seed=0, workers=2)
    together(out=tmp_path / "whole")
    with pytest.raises(WorkerDied):
        replicate(partial(_train_until_killed, data, tmp_path / "part"), 2)
    with pytest.raises(CheckpointError, match="unfinished training of another network, seed or data"):
        train(data, tmp_path / "part", AGENT, TRAINING, CARD, seed=0)  # a single process is another training
    together(out=tmp_path / "part")
    weights = [read_agent(tmp_path / name)["weights"] for name in ("whole", "part")]
    assert weights[0] == weights[1]
    rows = [measured(tmp_path / name) for name in ("whole", "part")]
    assert rows[0] == rows[1] and len(rows[0]) == len({row["step"] for row in rows[0]})
    # Two processes learn what one does, to rounding: but for cells and depth, which each draws for itself,
    # and for goals, which each compares with its own.
    plain = replace(AGENT, drop=0.0, future_cells=0, goal_weight=0.0)
    losses: list[float] = []
    for count in (1, 2):
        out = tmp_path / f"plain-{count}"
        train_together(data, out, plain, TRAINING, CARD, seed=0, workers=count)
        losses.append(read_metrics(out)[-1]["held_out_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
