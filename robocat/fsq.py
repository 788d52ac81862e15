"""Finite scalar quantisation instead of a learnt codebook: each number is rounded to one of a few levels.

A vector of D numbers is squashed to a box and each number rounded to one of its `levels` (Mentzer et al.
2023); the code is the mixed-radix number that the levels spell. No codebook is learnt, so none can collapse,
and there is no commitment: the encoder is drawn to nothing but what the decoder needs.

Shapes: B images, h x w cells, N vectors, K codes, D numbers a code.
"""

import math

import torch
from einops import rearrange
from torch import Tensor, nn

from robocat.quantised import Quantised


class FSQ(nn.Module):
    """Rounds vectors; in the place of `robocat.vqgan.Codebook`.

    Args:
        levels: How many values each number may have, at least 2.
    """

    vectors: Tensor
    levels: Tensor
    radix: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        radix = [math.prod(levels[:place]) for place in range(len(levels))]
        self.register_buffer("levels", torch.tensor(levels), persistent=False)
        self.register_buffer("radix", torch.tensor(radix), persistent=False)
        codes = torch.arange(math.prod(levels))
        steps_KD = codes[:, None] // self.radix % self.levels
        # Every code's vector (K, D), in [-1, 1]: nothing of it is learnt.
        self.register_buffer("vectors", steps_KD / (self.levels - 1) * 2 - 1, persistent=False)

    def squash(self, z_ND: Tensor) -> Tensor:
        """Numbers (N, D) to places on their scales, from 0 to levels - 1, before they are rounded."""
        return (z_ND.tanh() + 1) / 2 * (self.levels - 1)

    def nearest(self, z_ND: Tensor) -> Tensor:
        """Codes (N,) of vectors (N, D) as the encoder gives them."""
        return (self.squash(z_ND).round().long() * self.radix).sum(dim=1)

    def encode(self, z_BDhw: Tensor) -> Tensor:
        """Codes (B, h * w) of an encoder's vectors, in raster order."""
        return self.nearest(rearrange(z_BDhw, "b d h w -> (b h w) d")).view(len(z_BDhw), -1)

    def forward(self, z_BDhw: Tensor) -> Quantised:
        """Rounds an encoder's vectors; what is not rounded has the gradient of the rounded."""
        b, _, h, w = z_BDhw.shape
        place_ND = self.squash(rearrange(z_BDhw, "b d h w -> (b h w) d"))
        codes_N = (place_ND.detach().round().long() * self.radix).sum(dim=1)
        smooth_ND = place_ND / (self.levels - 1) * 2 - 1
        vectors_ND = smooth_ND + (self.vectors[codes_N] - smooth_ND).detach()
        vectors_BDhw = rearrange(vectors_ND, "(b h w) d -> b d h w", b=b, h=h)
        return Quantised(vectors_BDhw, codes_N.view(b, h, w), z_BDhw.new_zeros(()))
