"""Values into and out of the network: an embedding of bins, logits over bins, and what is read off them.

Shapes: B windows, T steps, P numbers a step, D width, Z bins.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn

from robocat.vocabulary import BINS

Values = Literal["waves", "table"]
Chosen = Literal["likeliest", "mean"]


@lru_cache(maxsize=512)
def places(slots: tuple[int, ...], device: torch.device) -> Tensor:
    """Slots as an index (P,) of a device, made once: a list would be copied there at every use."""
    with torch.inference_mode(False):  # whoever acts first may train later, whose backward pass keeps it
        return torch.tensor(slots, device=device)


class ValueEmbedding(nn.Module):
    """Embeds value bins with their slot: sines of the bin's centre, so that near bins look alike."""

    OCTAVES = 6
    features: Tensor

    def __init__(self, slots: int, width: int) -> None:
        super().__init__()
        centre = (torch.arange(BINS) + 0.5) / BINS * 2 - 1
        angles = centre[:, None] * math.pi * 2.0 ** torch.arange(self.OCTAVES) / 2
        table = torch.cat([centre[:, None], angles.sin(), angles.cos()], dim=1)
        self.register_buffer("features", table, persistent=False)
        self.weight = nn.Parameter(torch.randn(slots, table.shape[1], width) * table.shape[1] ** -0.5)
        self.slot = nn.Parameter(torch.randn(slots, width) * 0.02)

    def forward(self, bins_BTP: Tensor, slots: tuple[int, ...]) -> Tensor:
        """(B, T, P) bins of the slots named to (B, T, P, D)."""
        index = places(slots, bins_BTP.device)
        x = torch.einsum("btpf,pfd->btpd", self.features[bins_BTP], self.weight[index])
        return x + self.slot[index]


class TableEmbedding(nn.Module):
    """Embeds value bins by a learnt vector a bin, whatever its slot, and one a slot (Reed et al. 2022)."""

    def __init__(self, slots: int, width: int) -> None:
        super().__init__()
        self.value = nn.Embedding(BINS, width)
        self.slot = nn.Parameter(torch.randn(slots, width))

    def forward(self, bins_BTP: Tensor, slots: tuple[int, ...]) -> Tensor:
        """As `ValueEmbedding`."""
        return self.value(bins_BTP) + self.slot[places(slots, bins_BTP.device)]


def value_embedding(values: Values, slots: int, width: int) -> ValueEmbedding | TableEmbedding:
    """What embeds numbers of so many slots."""
    return (TableEmbedding if values == "table" else ValueEmbedding)(slots, width)


class BinHead(nn.Module):
    """Outputs (..., D) to logits (..., Z) over value bins."""

    waves: Tensor

    def __init__(self, width: int, waves: int) -> None:
        super().__init__()
        self.read = nn.Linear(width, waves or BINS)
        centre = (torch.arange(BINS) + 0.5) / BINS
        table = torch.cos(math.pi * torch.arange(waves)[:, None] * centre)
        self.register_buffer("waves", table, persistent=False)

    def forward(self, outputs: Tensor) -> Tensor:
        return self.read(outputs) @ self.waves if len(self.waves) else self.read(outputs)


def likeliest(logits_BZ: Tensor) -> Tensor:
    """The likeliest bins (B,)."""
    return logits_BZ.argmax(dim=-1)


def expectation(logits_BZ: Tensor) -> Tensor:
    """The bins (B,) nearest to the means of the distributions: steadier than the most likely ones."""
    place = torch.arange(BINS, dtype=torch.float32, device=logits_BZ.device)  # bfloat16 has no 1,023
    return (logits_BZ.float().softmax(dim=-1) @ place).round().long()


CHOICES: dict[Chosen, Callable[[Tensor], Tensor]] = {"likeliest": likeliest, "mean": expectation}
