"""How many threads torch computes with: where it must not matter which process does the work, one."""

from collections.abc import Generator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Generator[None]:
    """Computes with one thread meanwhile: the order of sums, and so their last bits, depends on how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
