"""One training on several processes: each takes its share of every batch, and gradients are summed.

For networks of a few million parameters two processes of one thread each are nearly twice as fast as one
process of two threads, whose threads would meet at every small matrix product.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from demos.workers import processes


@dataclass(frozen=True)
class Replica:
    """One of several processes that train the same network.

    Attributes:
        rank: Which one; the first leads: it logs and writes.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this one logs and writes."""
        return self.rank == 0

    def sum_gradients(self, network: nn.Module) -> None:
        """Replaces each gradient by the sum over all processes; a missing one counts as zero."""
        if self.count == 1:
            return
        parameters = [p for p in network.parameters() if p.requires_grad]
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def sum(self, numbers: Tensor) -> Tensor:
        """Each number (N,) summed over all processes."""
        if self.count > 1:
            dist.all_reduce(numbers)
        return numbers

    def meet(self) -> None:
        """Waits for the others."""
        self.sum(torch.zeros(1))


ALONE = Replica()


def replicate(function: Callable[[Replica], None], count: int) -> None:
    """Calls a picklable function in `count` processes that can sum over each other.

    Raises:
        WorkerDied: If a process ended abruptly; and whatever the function raises in one of them.
        ValueError: If the count is below 1.
    """
    if count < 1:
        raise ValueError(f"workers {count} is out of range; expected at least 1")
    if count == 1:
        function(ALONE)
        return
    with tempfile.TemporaryDirectory() as folder, processes(count) as pool:
        meeting = Path(folder) / "meeting"
        futures = [pool.submit(_join, function, Replica(rank, count), meeting) for rank in range(count)]
        wait(futures, return_when=FIRST_EXCEPTION)
        _raise_cause(futures)


def _raise_cause(futures: Sequence[Future[None]]) -> None:
    """Raises what went wrong in one of the processes, rather than what that did to the others.

    Those say "connection closed" in a plain RuntimeError, and may say so first.
    """
    done, running = wait(futures, timeout=0)
    if any(future.exception() for future in done) and running:
        done, _ = wait(futures, timeout=5.0)
    errors = [error for future in futures if future in done and (error := future.exception())]
    for error in sorted(errors, key=lambda error: type(error) is RuntimeError):
        raise error


def _join(function: Callable[[Replica], None], replica: Replica, meeting: Path) -> None:
    """In a process of its own: meets the others at a file and works with them."""
    # All are on this machine, whatever its name resolves to.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    where, rank, count = f"file://{meeting}", replica.rank, replica.count
    dist.init_process_group("gloo", init_method=where, rank=rank, world_size=count)
    try:
        function(replica)
    finally:
        dist.destroy_process_group()
