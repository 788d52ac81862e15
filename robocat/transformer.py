"""A decoder-only transformer over embedded tokens, with a key-value cache; it knows of no robots or images.

Shapes: B windows (or one row of packed ones), L tokens, D width, H heads, K numbers a head.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from robocat.packing import Packing

Feed = Callable[[int], nn.Module]  # makes a layer (..., D) -> (..., D) of a width


class Cache:
    """Keys and values of the tokens seen so far, by block."""

    def __init__(self) -> None:
        self._blocks: dict[int, tuple[Tensor, Tensor]] = {}

    def length(self, block: int) -> int:
        """How many tokens a block has seen."""
        return self._blocks[block][0].shape[2] if block in self._blocks else 0

    def extend(self, block: int, keys_BHLK: Tensor, values_BHLK: Tensor) -> tuple[Tensor, Tensor]:
        """Appends a block's newest keys and values and returns all of them."""
        if block in self._blocks:
            keys, values = self._blocks[block]
            keys_BHLK = torch.cat([keys, keys_BHLK], dim=2)
            values_BHLK = torch.cat([values, values_BHLK], dim=2)
        self._blocks[block] = (keys_BHLK, values_BHLK)
        return self._blocks[block]


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, width: int, heads: int, index: int) -> None:
        super().__init__()
        self.heads, self.index = heads, index
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x_BLD: Tensor, cache: Cache | None, packing: Packing | None) -> Tensor:
        q, k, v = rearrange(self.qkv(x_BLD), "b l (n h k) -> n b h l k", n=3, h=self.heads)
        held = 0
        if cache is not None:
            held = cache.length(self.index)
            k, v = cache.extend(self.index, k, v)
        if packing is not None:
            y = packing.attend(q, k, v)
        elif held == 0:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            new = x_BLD.shape[1]
            mask = torch.ones(new, held + new, dtype=torch.bool, device=q.device).tril(held)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(rearrange(y, "b h l k -> b l (h k)"))


def feed_forward(width: int) -> nn.Module:
    """The layer that works on each token by itself."""
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


class Block(nn.Module):
    """Attention, then a feed-forward layer, each behind a norm and beside the identity."""

    def __init__(self, width: int, heads: int, index: int, drop: float, feed: Feed) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, index)
        self.forward_norm = nn.LayerNorm(width)
        self.feed = feed(width)
        self.drop = drop

    def forward(self, x_BLD: Tensor, cache: Cache | None = None, packing: Packing | None = None) -> Tensor:
        x_BLD = x_BLD + self._kept(self.attention(self.attention_norm(x_BLD), cache, packing), packing)
        return x_BLD + self._kept(self.feed(self.forward_norm(x_BLD)), packing)

    def _kept(self, branch_BLD: Tensor, packing: Packing | None = None) -> Tensor:
        """Stochastic depth: in training a window skips the branch with probability `drop`."""
        if not self.training or self.drop == 0.0:
            return branch_BLD
        windows = len(branch_BLD) if packing is None else packing.windows
        keep_W11 = torch.rand(windows, 1, 1, device=branch_BLD.device) >= self.drop
        keep = keep_W11 if packing is None else packing.spread(keep_W11)
        return branch_BLD * keep / (1.0 - self.drop)


class Transformer(nn.Module):
    """Blocks and a last norm; positions are the business of whoever embeds the tokens.

    Args:
        width: D.
        blocks: How many.
        heads: H.
        drop: Stochastic depth of the last block.
        feed: Makes the feed-forward layer of a block; `robocat.moe` has another one.
    """

    def __init__(
        self, width: int, blocks: int, heads: int, drop: float = 0.0, feed: Feed = feed_forward
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of heads {heads}")
        # Deeper blocks are skipped more often (Huang et al. 2016).
        rates = [drop * (i + 1) / blocks for i in range(blocks)]
        made = [Block(width, heads, i, rate, feed) for i, rate in enumerate(rates)]
        self.blocks = nn.ModuleList(made)
        self.norm = nn.LayerNorm(width)
        for block in made:
            # Residual branches start small, so that the sum over 2 x blocks of them keeps its scale. An own
            # choice: GPT-2 has 0.02 / sqrt(2 x blocks), whatever the width.
            linear = [each for each in block.feed.modules() if isinstance(each, nn.Linear)]
            last = [each for each in linear if each.in_features == 4 * width]
            for layer in (block.attention.out, *last):
                nn.init.normal_(layer.weight, std=0.5 / (2 * blocks * width) ** 0.5)

    def forward(self, x_BLD: Tensor, cache: Cache | None = None, packing: Packing | None = None) -> Tensor:
        """Outputs (B, L, D) for new tokens (B, L, D).

        Args:
            x_BLD: They follow those in the cache; or a row (1, L, D) of windows, if there is a packing.
            cache: Grows by the tokens.
            packing: Which windows stand in the row; there is no cache then.
        """
        for block in self.blocks:
            x_BLD = block(x_BLD, cache, packing)
        return self.norm(x_BLD)
