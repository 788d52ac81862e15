"""A decoder-only transformer over embedded tokens, with a key-value cache; it knows of no robots or images.

Shapes: B windows (or one row of packed ones), L tokens, D width, H heads, K numbers a head.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from robocat.cache import Cache
from robocat.packing import Packing

Feed = Callable[[int], nn.Module]  # makes a layer (..., D) -> (..., D) of a width
LEAP = 256  # tokens by which a cache that is kept grows


class Attention(nn.Module):
    """Causal self-attention."""

    def __init__(self, width: int, heads: int, index: int) -> None:
        super().__init__()
        self.heads, self.index = heads, index
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x_BLD: Tensor, cache: Cache | None, packing: Packing | None) -> Tensor:
        q, k, v = rearrange(self.qkv(x_BLD), "b l (n h k) -> n b h l k", n=3, h=self.heads)
        if cache is not None:
            y = cache.attend(self.index, q, k, v)
        elif packing is not None:
            y = packing.attend(q, k, v)
        else:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
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
        self.heads = heads
        self._step: Callable[[Tensor, Cache], Tensor] | None = None  # see `capture`
        self._kept: Cache | None = None
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
            cache: Gets the tokens.
            packing: Which windows stand in the row; there is no cache then.
        """
        for block in self.blocks:
            x_BLD = block(x_BLD, cache, packing)
        if cache is not None:
            cache.advance(x_BLD.shape[1])
        return self.norm(x_BLD)

    def capture(self, backend: str | Callable[..., Any] = "inductor") -> None:
        """From now on a pass over one token is compiled for fixed shapes, and on CUDA replayed as one graph.

        A token of a few windows is matrices times vectors: to launch its kernels one by one takes longer than
        to run them. A pass over whole windows is left as it is: from the paper's sizes on its kernels are the
        longer ones, and its shapes change with the arm and while a window fills.

        Args:
            backend: Of `torch.compile`.
        """
        self._step = torch.compile(self.forward, backend=backend, mode="reduce-overhead", dynamic=False)

    def cache(self, windows: int, length: int) -> Cache:
        """An empty cache for so many windows of at most `length` tokens.

        Where steps are captured it is always the same one, for a graph reads and writes where it did when it
        was captured; so one decision is under way at a time. It grows with the most windows and the longest,
        in few leaps, after each of which the next step takes long: it is compiled again.
        """
        weight, width = self.norm.weight.detach(), self.norm.normalized_shape[0]
        kept = self._kept
        if kept is not None and windows <= kept.windows and length <= kept.length:
            kept.clear()
            return kept
        if self._step is not None:
            windows, length = 1 << (windows - 1).bit_length(), -(-length // LEAP) * LEAP
            if kept is not None:
                windows, length = max(windows, kept.windows), max(length, kept.length)
        shape = windows, self.heads, length, width // self.heads
        cache = Cache(len(self.blocks), shape, weight, fixed=self._step is not None)
        if self._step is not None:
            cache.stay()
            self._kept = cache
        return cache

    def step(self, x_BD: Tensor, cache: Cache) -> Tensor:
        """Outputs (B, D) for one more token (B, D) of each window in a cache from `cache`."""
        if self._step is None:
            return self(x_BD[:, None], cache)[:, 0]
        padded_BD = F.pad(x_BD, (0, 0, 0, cache.windows - len(x_BD)))
        return self._step(padded_BD[:, None], cache)[: len(x_BD), 0]
