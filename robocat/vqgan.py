"""The VQ-GAN between images and codes: encoder, codebook, decoder, and the critic that trains them.

Shapes: B images, C channels, H x W pixels, h x w cells (one code each), K codes, D numbers a code.

An image becomes `cells` x `cells` codes. `robocat.fsq` is another quantiser in the place of the codebook. The
codebook is kept by exponential moving averages (van den Oord et
al. 2017, appendix A.1); codes that no longer win are moved onto encoder outputs of the batch, the remedy for
dead codes of Jukebox (Dhariwal et al. 2020). The critic judges patches (Esser et al. 2021).
"""

from dataclasses import dataclass
from math import prod
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from robocat.fsq import FSQ
from robocat.quantised import Quantised


@dataclass(frozen=True)
class VQGANConfig:
    """Shape of the tokeniser.

    Attributes:
        size: Image height and width [px].
        cells: Height and width of the grid of codes; size / cells must be a power of two.
        codes: Entries of the codebook.
        code_dim: Numbers per entry. Few keep the nearest-neighbour search meaningful (Yu et al. 2021).
        width: Channels inside.
        blocks: Residual blocks at the lowest resolution, in encoder and decoder each.
        attention: Attention layers there; RoboCat: 3.
        levels: Values that each of the numbers of a code may have, which makes the quantiser an FSQ and needs
            no codebook; of none, codes are those of a codebook.
    """

    # Options that came after the first checkpoints, and what those have that say nothing of them.
    BEFORE: ClassVar[dict[str, object]] = {"attention": 0, "levels": ()}

    size: int = 64
    cells: int = 8
    codes: int = 512
    code_dim: int = 16
    width: int = 64
    blocks: int = 1
    attention: int = 0
    levels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))  # JSON has lists
        ratio = self.size // max(self.cells, 1)
        if self.cells < 1 or self.size % self.cells or ratio & (ratio - 1) or ratio < 2:
            raise ValueError(
                f"cells {self.cells} does not divide size {self.size} into a power of two of at least 2"
            )
        if not 2 <= self.codes <= 2**15:
            raise ValueError(f"codes {self.codes} is out of range; expected 2 to {2**15}")
        meant = prod(self.levels), len(self.levels)
        if self.levels and (min(self.levels) < 2 or (self.codes, self.code_dim) != meant):
            raise ValueError(
                f"levels {self.levels} of at least 2 each make {meant[0]} codes of {meant[1]} numbers, got "
                f"codes {self.codes} and code_dim {self.code_dim}"
            )

    @property
    def halvings(self) -> int:
        """How often the encoder halves the resolution."""
        return (self.size // self.cells).bit_length() - 1


class Residual(nn.Module):
    """Two convolutions beside the identity, through half the channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width // 2, 3, padding=1), nn.SiLU(), nn.Conv2d(width // 2, width, 1)
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return x_BCHW + self.layers(x_BCHW)


class CellAttention(nn.Module):
    """Every cell looks at all others, beside the identity."""

    HEADS = 4

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        split = "b (n a c) h w -> n b a (h w) c"
        q, k, v = rearrange(self.qkv(self.norm(x_BCHW)), split, n=3, a=self.HEADS)
        y = F.scaled_dot_product_attention(q, k, v)
        h = x_BCHW.shape[2]
        return x_BCHW + self.out(rearrange(y, "b a (h w) c -> b (a c) h w", h=h))


def encoder(config: VQGANConfig) -> nn.Sequential:
    """Pixels in [-1, 1] (B, 3, H, W) to vectors (B, D, h, w)."""
    layers: list[nn.Module] = []
    channels = 3
    for level in reversed(range(config.halvings)):
        out = config.width if level == 0 else config.width // 2
        layers += [nn.Conv2d(channels, out, 4, stride=2, padding=1), nn.SiLU()]
        channels = out
    layers += [Residual(channels) for _ in range(config.blocks)]
    layers += [CellAttention(channels) for _ in range(config.attention)]
    return nn.Sequential(*layers, nn.Conv2d(channels, config.code_dim, 1))


def decoder(config: VQGANConfig) -> nn.Sequential:
    """Vectors (B, D, h, w) to pixels, about [-1, 1] (B, 3, H, W)."""
    layers: list[nn.Module] = [nn.Conv2d(config.code_dim, config.width, 3, padding=1)]
    layers += [CellAttention(config.width) for _ in range(config.attention)]
    layers += [Residual(config.width) for _ in range(config.blocks)]
    channels = config.width
    for level in range(config.halvings):
        out = 3 if level == config.halvings - 1 else config.width // 2
        layers += [nn.SiLU(), nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1)]
        channels = out
    return nn.Sequential(*layers)


class Codebook(nn.Module):
    """K unit vectors; each encoder output, scaled to unit length, is replaced by the nearest."""

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    DECAY = 0.99
    DEAD = 0.03  # a code that wins less than this share of an even part is moved

    def __init__(self, codes: int, code_dim: int) -> None:
        super().__init__()
        vectors = F.normalize(torch.randn(codes, code_dim), dim=1)
        self.register_buffer("vectors", vectors)
        self.register_buffer("counts", torch.ones(codes))
        self.register_buffer("sums", vectors.clone())

    def nearest(self, z_ND: Tensor) -> Tensor:
        """Codes (N,) of unit vectors (N, D): the largest inner product is the nearest on the sphere."""
        return (z_ND @ self.vectors.T).argmax(dim=1)

    def encode(self, z_BDhw: Tensor) -> Tensor:
        """Codes (B, h * w) of an encoder's vectors, in raster order."""
        z_ND = rearrange(F.normalize(z_BDhw, dim=1), "b d h w -> (b h w) d")
        return self.nearest(z_ND).view(len(z_BDhw), -1)

    def forward(self, z_BDhw: Tensor) -> Quantised:
        """Replaces an encoder's vectors; in training mode the entries follow."""
        z_BDhw = F.normalize(z_BDhw, dim=1)
        z_ND = rearrange(z_BDhw, "b d h w -> (b h w) d")
        codes_N = self.nearest(z_ND.detach())
        if self.training:
            self.follow(z_ND.detach(), codes_N)
        codes_Bhw = codes_N.view(len(z_BDhw), *z_BDhw.shape[2:])
        q_BDhw = rearrange(self.vectors[codes_Bhw], "b h w d -> b d h w")
        commitment = (z_BDhw - q_BDhw).square().sum(dim=1).mean()
        # Straight through: the decoder's gradient reaches the encoder as if nothing had been rounded.
        return Quantised(z_BDhw + (q_BDhw - z_BDhw).detach(), codes_Bhw, commitment)

    @torch.no_grad()
    def follow(self, z_ND: Tensor, codes_N: Tensor) -> None:
        """Moves the entries towards what they won, and dead ones onto random vectors of the batch."""
        count_K = torch.bincount(codes_N, minlength=len(self.counts)).to(z_ND.dtype)
        sum_KD = torch.zeros_like(self.sums).index_add_(0, codes_N, z_ND)
        self.counts.lerp_(count_K, 1 - self.DECAY)
        self.sums.lerp_(sum_KD, 1 - self.DECAY)
        even = len(z_ND) / len(self.counts)
        dead_K = self.counts < self.DEAD * even
        if dead_K.any():
            pick = torch.randint(len(z_ND), (int(dead_K.sum()),))
            self.sums[dead_K] = z_ND[pick] * even
            self.counts[dead_K] = even
        self.vectors.copy_(F.normalize(self.sums, dim=1))


class Reconstruction(NamedTuple):
    """What a training step of the tokeniser needs.

    Attributes:
        images: (B, 3, H, W) in about [-1, 1].
        codes: (B, h, w).
        commitment: Scalar: how far the encoder's vectors lie from their codes.
    """

    images: Tensor
    codes: Tensor
    commitment: Tensor


class VQGAN(nn.Module):
    """Images to codes and back."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder(config)
        quantiser = FSQ(config.levels) if config.levels else Codebook(config.codes, config.code_dim)
        self.codebook: Codebook | FSQ = quantiser
        self.decoder = decoder(config)

    def forward(self, x_BCHW: Tensor) -> Reconstruction:
        """Reconstructs pixels in [-1, 1]; in training mode the codebook follows."""
        vectors_BDhw, codes_Bhw, commitment = self.codebook(self.encoder(x_BCHW))
        return Reconstruction(self.decoder(vectors_BDhw), codes_Bhw, commitment)

    def vectors_of(self, codes_Bhw: Tensor) -> Tensor:
        """Codebook entries (B, D, h, w)."""
        return rearrange(self.codebook.vectors[codes_Bhw], "b h w d -> b d h w")

    @torch.inference_mode()
    def encode(self, images_BHWC: Tensor) -> Tensor:
        """uint8 images (B, H, W, 3) to codes (B, cells * cells) int64, in raster order."""
        return self.codebook.encode(self.encoder(to_pixels(images_BHWC)))

    @torch.inference_mode()
    def decode(self, codes_BN: Tensor) -> Tensor:
        """Codes (B, cells * cells) to uint8 images (B, H, W, 3)."""
        codes_Bhw = rearrange(codes_BN, "b (h w) -> b h w", h=self.config.cells)
        return to_images(self.decoder(self.vectors_of(codes_Bhw)))


class Critic(nn.Module):
    """Judges overlapping patches of an image real (positive) or reconstructed (negative)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.layers(x_BCHW)

    def unlikeness(self, x_BCHW: Tensor, y_BCHW: Tensor) -> Tensor:
        """How far images are from others in the eyes of this critic, image against image: a scalar.

        The perceptual term of a VQ-GAN compares features of a network that was trained on photographs (Esser
        et al. 2021). These are the critic's own, as Larsen et al. (2016) have it: nothing must be downloaded,
        and it knows what is small and matters in the images at hand.
        """
        apart = x_BCHW.new_zeros(())
        for layer in list(self.layers)[:-1]:
            x_BCHW = layer(x_BCHW)
            with torch.no_grad():  # those are given
                y_BCHW = layer(y_BCHW)
            if isinstance(layer, nn.LeakyReLU):
                apart = apart + F.l1_loss(x_BCHW, y_BCHW)
        return apart


def to_pixels(images_BHWC: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in [-1, 1]."""
    return rearrange(images_BHWC, "b h w c -> b c h w").float().div(127.5).sub(1.0)


def to_images(x_BCHW: Tensor) -> Tensor:
    """Pixels (B, 3, H, W) in [-1, 1] to uint8 (B, H, W, 3)."""
    return rearrange(x_BCHW.add(1.0).mul(127.5).round().clamp(0, 255).byte(), "b c h w -> b h w c")
