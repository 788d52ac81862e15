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
On a CPU each run of equally long windows is a batch of its own, so nothing is computed for what is masked
(and `flex_attention` has no gradient there); on CUDA `flex_attention` skips the masked blocks of the row.

Shapes: B windows of a run, W windows in all, L tokens, D width, H heads, K numbers a head.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention


@lru_cache(maxsize=1)
def _compiled_attention() -> Callable[..., Tensor]:
    """Uncompiled it would compute the masked blocks as well."""
    return torch.compile(flex_attention)  # pyright: ignore[reportReturnType] no further outputs are asked for


class Packing:
    """Which windows stand in a row.

    Args:
        runs: How many equally long windows stand one after the other, and how long they are.
        device: Where the row is.
    """

    def __init__(self, runs: Sequence[tuple[int, int]], device: torch.device) -> None:
        self.runs, self.device = tuple(runs), device
        lengths = [length for count, length in self.runs for _ in range(count)]
        self.lengths = torch.tensor(lengths, device=device)  # of every window (W,)
        # Number of the window that each token belongs to (L,).
        self.window = torch.arange(len(lengths), device=device).repeat_interleave(self.lengths)
        self._sizes = [count * length for count, length in self.runs]
        # Made here and not where it is used: a compiled trunk takes it as it is.
        self._blocks = self.block_mask() if device.type == "cuda" else None

    def spread(self, each_W11: Tensor) -> Tensor:
        """A number for each window as one for each of its tokens (1, L, 1)."""
        return each_W11[self.window].transpose(0, 1)

    def mask(self) -> Tensor:
        """Whether token i may attend to token j (L, L)."""
        same = self.window[:, None] == self.window
        return same & torch.ones_like(same).tril()

    def block_mask(self) -> BlockMask:
        """The same, as `flex_attention` has it: by blocks, most of which are empty."""
        window, length = self.window, sum(self._sizes)

        def may(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            del batch, head
            return (window[query] == window[key]) & (key <= query)

        return create_block_mask(may, None, None, length, length, device=str(self.device))

    def attend(self, q_1HLK: Tensor, k_1HLK: Tensor, v_1HLK: Tensor) -> Tensor:
        """Causal attention of each window to itself (1, H, L, K)."""
        if self._blocks is not None:
            return _compiled_attention()(q_1HLK, k_1HLK, v_1HLK, block_mask=self._blocks)
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
    return row_1LD, Packing(runs, row_1LD.device)
