"""Patches of pixels instead of codes: Gato's image embedding, which RoboCat compares its tokeniser with.

An image is cut into patches in raster order; each passes one residual block of convolutions (ResNet v2 with
group norms and GELU; Reed et al. 2022, appendix C) and becomes one token, with its camera and place. There is
no tokeniser to train, and there are no codes: what an image will be in some steps cannot be asked for as
codes, so an agent that reads patches refuses a `future_weight` above 0, and there is nothing to merge.

So that stores, token sets, training and policy need not know, pixels go the way of codes: `Pixels` stands
where a VQ-GAN stands and gives each number of an image as a code of its own, 0 to 255. Such token sets are
larger than the images; those of codes are a hundredth of them.

Shapes: B windows, T steps, V cameras, N = size x size x 3 numbers an image, M patches an image, D width.
"""

from dataclasses import dataclass
from math import isqrt

import torch
from einops import rearrange
from torch import Tensor, nn

from robocat.stem import ImageTokens

LEVELS = 256  # values of a pixel


@dataclass(frozen=True)
class PixelsConfig:
    """Images of `size` x `size` pixels that are left as they are."""

    size: int = 64

    @property
    def cells(self) -> int:
        """Height and width of the grid of "codes": the pixels."""
        return self.size


class Pixels(nn.Module):
    """Stands where a `robocat.vqgan.VQGAN` stands; `vectors` are the brightnesses (256, 1)."""

    vectors: Tensor
    size: Tensor

    def __init__(self, config: PixelsConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("vectors", torch.linspace(-1, 1, LEVELS)[:, None], persistent=False)
        self.register_buffer("size", torch.tensor(config.size))  # so that each size has a hash of its own

    @property
    def codebook(self) -> "Pixels":
        """Whose `vectors` are those of the codes."""
        return self

    def encode(self, images_BHWC: Tensor) -> Tensor:
        """uint8 images (B, H, W, 3) to their numbers (B, N) int64."""
        return images_BHWC.flatten(1).long()

    def decode(self, numbers_BN: Tensor) -> Tensor:
        """Back again."""
        size = self.config.size
        return rearrange(numbers_BN.byte(), "b (h w c) -> b h w c", h=size, w=size)


class PatchStem(nn.Module):
    """Pixels to a token a patch.

    Args:
        cameras: V.
        size: Of the images [px].
        patch: Height and width of a patch [px]; Gato: 16.
        width: D.

    Raises:
        ValueError: If patches do not fill the image.
    """

    CHANNELS, GROUPS = 32, 8

    def __init__(self, cameras: int, size: int, patch: int, width: int) -> None:
        super().__init__()
        if size % patch:
            raise ValueError(f"images of {size} px are not cut into patches of {patch} px")
        self.patch, channels = patch, self.CHANNELS
        self.root = nn.Conv2d(3, channels, 3, padding=1)
        self.block = nn.Sequential(
            nn.GroupNorm(self.GROUPS, channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(self.GROUPS, channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.merge = nn.Linear(channels * patch**2, width)
        self.tokens = (size // patch) ** 2
        # Of images, and of goals.
        self.place = nn.Parameter(torch.randn(2, cameras, self.tokens, width) * 0.02)

    def forward(self, numbers_BTVN: Tensor, goal_BVN: Tensor) -> ImageTokens:
        images_BTVMD = self._embed(numbers_BTVN) + self.place[0]
        goal_BVMD = self._embed(goal_BVN) + self.place[1]
        return ImageTokens(images_BTVMD.flatten(2, 3), goal_BVMD.flatten(1, 2))

    def _embed(self, numbers: Tensor) -> Tensor:
        """Numbers (..., N) to a token a patch (..., M, D)."""
        side, patch = isqrt(numbers.shape[-1] // 3), self.patch
        cut = "i (h p w q c) -> (i h w) c p q"
        pixels = rearrange(numbers.flatten(0, -2), cut, h=side // patch, p=patch, q=patch, c=3)
        # Gato: pixels in [-1, 1], divided by the root of the patch's size.
        x = self.root(((pixels / 127.5 - 1.0) / patch**0.5).to(self.root.weight.dtype))
        tokens = self.merge((x + self.block(x)).flatten(1))
        return tokens.view(*numbers.shape[:-1], self.tokens, -1)
