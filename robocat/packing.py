"""Windows of different lengths in one row, one after the other and with no padding: each attends to itself.

Two windows of two tokens and one of three, and what each token may attend to:

    window   0 0 1 1 2 2 2
       0     x
       0     x x
       1         x
       1         x x
       2             x
       2             x x
       2             x x x

All that works token by token then runs over the whole row at once; attention alone must tell windows apart.
Windows of one arm are equally long and stand together, a run, so a row is a few runs: attention takes each as
a batch of its own, and nothing is computed for what is masked. How many windows a run has is read off the
shape of a tensor, so a compiled trunk need not be compiled again when it changes.

Shapes: B windows of a run, W windows in all, L tokens, D width, H heads, K numbers a head.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor


class Packing:
    """Which windows stand in a row.

    Args:
        runs: How many equally long windows stand one after the other, and how long they are.
    """

    def __init__(self, runs: Sequence[tuple[int, int]]) -> None:
        self.runs = tuple(runs)
        self.windows = sum(count for count, _ in self.runs)
        self._sizes = [count * length for count, length in self.runs]

    def spread(self, each_W11: Tensor) -> Tensor:
        """A number for each window as one for each of its tokens (1, L, 1)."""
        parts = each_W11.split([count for count, _ in self.runs])
        spread = [
            rearrange(part.expand(-1, length, -1), "b l d -> 1 (b l) d")
            for part, (_, length) in zip(parts, self.runs, strict=True)
        ]
        return torch.cat(spread, dim=1)

    def attend(self, q_1HLK: Tensor, k_1HLK: Tensor, v_1HLK: Tensor) -> Tensor:
        """Causal attention of each window to itself (1, H, L, K)."""
        runs = zip(*(each.split(self._sizes, dim=2) for each in (q_1HLK, k_1HLK, v_1HLK)), strict=True)
        parts: list[Tensor] = []
        for (count, _), run in zip(self.runs, runs, strict=True):
            q, k, v = (rearrange(each, "a h (b l) k -> (a b) h l k", b=count) for each in run)
            y_BHLK = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            parts.append(rearrange(y_BHLK, "(a b) h l k -> a h (b l) k", b=count))
        return torch.cat(parts, dim=2)

    def unpack(self, row_1LD: Tensor) -> list[Tensor]:
        """The runs of a row, each as a batch of windows (B, L, D)."""
        parts = row_1LD.split(self._sizes, dim=1)
        return [
            rearrange(part, "a (b l) d -> (a b) l d", b=count)
            for part, (count, _) in zip(parts, self.runs, strict=True)
        ]


def pack(batches: Sequence[Tensor]) -> tuple[Tensor, Packing]:
    """Batches of windows (B, L, D), of any lengths, as one row (1, sum of B x L, D). Undone by `unpack`."""
    runs = [(batch.shape[0], batch.shape[1]) for batch in batches]
    row_1LD = torch.cat([rearrange(batch, "b l d -> 1 (b l) d") for batch in batches], dim=1)
    return row_1LD, Packing(runs)


def through(trunk: Callable[..., Tensor], batches: Sequence[Tensor]) -> list[Tensor]:
    """What a trunk makes of batches of windows (B, L, D) of any lengths, side by side; as many batches."""
    if len(batches) == 1:
        return [trunk(batches[0])]
    row_1LD, packing = pack(batches)
    return packing.unpack(trunk(row_1LD, packing=packing))
