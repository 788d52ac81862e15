"""From image codes to image tokens: one a code, as RoboCat has it, or a few merged ones, which is cheaper.

Shapes: B windows, T steps, V cameras (views), N codes an image, M tokens an image, D width, E code numbers.
"""

from collections.abc import Sequence
from math import isqrt
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

CodeVectors = Literal["started", "fixed", "random"]


class ImageTokens(NamedTuple):
    """Embedded images (B, T, V * M, D) and goal (B, V * M', D); where codes are merged, all of it (B, D)."""

    images: Tensor
    goal: Tensor
    meant: Tensor | None = None


def code_embedding(codebook_KE: Tensor, width: int, vectors: CodeVectors) -> nn.Embedding:
    """A vector (width,) for each code: learnt from nothing ("random"), or a random view of the codebook's.

    In such a view like codes look alike. It is where learning starts ("started"), or stays as it is, and only
    what reads it learns ("fixed").
    """
    codes, numbers = codebook_KE.shape
    code = nn.Embedding(codes, width)
    if vectors != "random":
        with torch.no_grad():
            code.weight.copy_(codebook_KE @ torch.randn(numbers, width))
    code.weight.requires_grad_(vectors != "fixed")
    return code


class CodeStem(nn.Module):
    """The faithful layout: each code is a token, embedded with its camera and place."""

    def __init__(
        self, codebook_KE: Tensor, cameras: int, cells: int, width: int, vectors: CodeVectors
    ) -> None:
        super().__init__()
        self.code = code_embedding(codebook_KE, width, vectors)
        # As large as the codes: a norm follows, after which a small one would hardly be seen beside them.
        self.place = nn.Parameter(torch.randn(2, cameras, cells * cells, width))

    def forward(self, codes_BTVN: Tensor, goal_BVN: Tensor) -> ImageTokens:
        images = self.code(codes_BTVN) + self.place[0]
        goal = self.code(goal_BVN) + self.place[1]
        return ImageTokens(
            rearrange(images, "b t v n d -> b t (v n) d"), rearrange(goal, "b v n d -> b (v n) d")
        )


class MergedStem(nn.Module):
    """Merges an image's codes into `tokens` tokens; before that, the goal modulates every patch (FiLM).

    Codes become vectors, see `code_embedding`, and neighbourhoods of them patches on a grid of 8 x 8; for the
    modulation see Perez et al. 2018. A departure from the paper: the sequence is 20 times shorter, and which
    object the goal means is settled patch by patch, before attention.
    """

    GRID = 8

    def __init__(
        self,
        codebook_KE: Tensor,
        cameras: int,
        cells: int,
        width: int,
        *,
        tokens: int,
        patch_width: int,
        modulate: bool,
        vectors: CodeVectors,
    ) -> None:
        super().__init__()
        side = max(1, cells // self.GRID)
        if cells % side:
            raise ValueError(f"{cells} x {cells} codes do not merge into patches of {side} x {side}")
        grid = cells // side
        self.code = code_embedding(codebook_KE, patch_width, vectors)
        shape = patch_width * side**2, grid, width
        self.cameras = nn.ModuleList(CameraStem(*shape, tokens, patch_width) for _ in range(cameras))
        self.goals = nn.ModuleList(CameraStem(*shape, 1, patch_width) for _ in range(cameras))
        self.mix = nn.Sequential(nn.Linear(cameras * width, width), nn.GELU(), nn.Linear(width, width))
        self.film: nn.Linear | None = None
        if modulate:
            self.film = nn.Linear(width, cameras * 4 * patch_width)
            nn.init.zeros_(self.film.bias)

    def forward(self, codes_BTVN: Tensor, goal_BVN: Tensor) -> ImageTokens:
        b, t, v, _ = codes_BTVN.shape
        goal_BVD = torch.cat([self.goals[i](goal_BVN[:, i], self.code) for i in range(v)], dim=1)
        mixed_BD = self.mix(F.gelu(rearrange(goal_BVD, "b v d -> b (v d)")))
        films: Sequence[Tensor | None] = [None] * v
        if self.film is not None:
            film = rearrange(self.film(F.gelu(mixed_BD)), "b (v n c) -> v b n c", v=v, n=4)
            films = film.repeat_interleave(t, dim=1).unbind()
        images = []
        for i in range(v):
            codes_BN = rearrange(codes_BTVN[:, :, i], "b t n -> (b t) n")
            tokens = self.cameras[i](codes_BN, self.code, films[i])
            images.append(rearrange(tokens, "(b t) m d -> b t m d", b=b))
        return ImageTokens(torch.cat(images, dim=2), goal_BVD + mixed_BD[:, None], mixed_BD)


def patches(codes_BN: Tensor, code: nn.Embedding, first: nn.Linear, grid: int) -> Tensor:
    """Codes (B, N) as vectors, neighbourhoods of them joined to (B, grid * grid, ...), through a layer."""
    side = isqrt(codes_BN.shape[1]) // grid
    if side == 1:
        # A patch is a code: the layer is applied to the codebook once instead of to every patch.
        return F.embedding(codes_BN, first(code.weight))
    joined = "b (h p w q) e -> b (h w) (p q e)"
    return first(rearrange(code(codes_BN), joined, p=side, q=side, h=grid, w=grid))


class CameraStem(nn.Module):
    """Patches of one camera to a few tokens that keep where things are, and what is beside what."""

    OUT = 16

    def __init__(self, patch_numbers: int, grid: int, width: int, tokens: int, patch_width: int) -> None:
        super().__init__()
        self.grid, self.tokens = grid, tokens
        self.first = nn.Linear(patch_numbers, patch_width)
        self.place = nn.Parameter(torch.randn(grid * grid, patch_width) * 0.02)
        self.first_norm = nn.LayerNorm(patch_width)
        self.second = nn.Linear(patch_width, patch_width)
        self.second_norm = nn.LayerNorm(patch_width)
        self.around = nn.Conv2d(patch_width, patch_width, 3, padding=1, groups=patch_width)
        self.third = nn.Linear(patch_width, self.OUT)
        self.merge = nn.Linear(grid * grid * self.OUT, tokens * width)
        self.norm = nn.LayerNorm(width)
        self.camera = nn.Parameter(torch.randn(tokens, width) * 0.02)

    def forward(self, codes_BN: Tensor, code: nn.Embedding, film_B4C: Tensor | None = None) -> Tensor:
        """Codes (B, N) to tokens (B, M, D); a goal's scales and shifts (B, 4, C) modulate the patches."""
        x_BNC = self.first_norm(patches(codes_BN, code, self.first, self.grid) + self.place)
        if film_B4C is None:
            x_BNC = F.gelu(self.second_norm(self.second(F.gelu(x_BNC))))
        else:
            scale1, shift1, scale2, shift2 = film_B4C[:, :, None].unbind(1)
            x_BNC = F.gelu(x_BNC * (1 + scale1) + shift1)
            x_BNC = F.gelu(self.second_norm(self.second(x_BNC)) * (1 + scale2) + shift2)
        x_BCHW = rearrange(x_BNC, "b (h w) c -> b c h w", h=self.grid)
        x_BNC = x_BNC + rearrange(self.around(x_BCHW), "b c h w -> b (h w) c")
        x_BF = rearrange(F.gelu(self.third(x_BNC)), "b n c -> b (n c)")
        return self.norm(rearrange(self.merge(x_BF), "b (m d) -> b m d", m=self.tokens)) + self.camera
