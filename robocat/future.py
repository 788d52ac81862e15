"""Predicting what the cameras will see some steps ahead: an objective beside the actions (RoboCat: 5 steps).

Shapes: B windows, T steps, V cameras, N codes an image, M tokens an image, D width, E code numbers.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class CodeFuture(nn.Module):
    """The faithful layout: the output at each code's token predicts the code at its place.

    Args:
        codes: Entries of the codebook.
        width: D.
        scored: How many cells of an image are scored in training, see `cells`.
    """

    def __init__(self, codes: int, width: int, scored: int) -> None:
        super().__init__()
        self.scored = scored
        self.read = nn.Linear(width, codes)

    def forward(self, outputs_BTMD: Tensor, future_BTVN: Tensor) -> Tensor:
        """Mean cross-entropy in nats of codes (B, T, V, N), given the outputs at images (B, T, V * N, D)."""
        chosen = cells(future_BTVN, self.scored if self.training else 0)
        outputs = rearrange(outputs_BTMD, "b t (v n) d -> b t v n d", v=future_BTVN.shape[2])
        return _mean(self.read(outputs[..., chosen, :]), future_BTVN[..., chosen])


class MergedFuture(nn.Module):
    """Where codes are merged: all outputs at a camera's tokens together predict all its codes.

    Args:
        codebook_KE: For the numbers of codes and of their vectors.
        places: N.
        width: D.
        tokens: M.
        scored: How many cells of an image are scored in training, see `cells`.
    """

    def __init__(self, codebook_KE: Tensor, places: int, width: int, tokens: int, scored: int) -> None:
        super().__init__()
        self.places, self.scored = places, scored
        codes, numbers = codebook_KE.shape
        self.read = nn.Linear(width * tokens, places * numbers)
        self.code = nn.Linear(numbers, codes)

    def forward(self, outputs_BTMD: Tensor, future_BTVN: Tensor) -> Tensor:
        """As `CodeFuture`, given the outputs at images (B, T, V * M, D)."""
        chosen = cells(future_BTVN, self.scored if self.training else 0)
        flat = rearrange(outputs_BTMD, "b t (v m) d -> b t v (m d)", v=future_BTVN.shape[2])
        weight = rearrange(self.read.weight, "(n e) d -> n e d", n=self.places)[chosen]
        bias = rearrange(self.read.bias, "(n e) -> n e", n=self.places)[chosen]
        logits = self.code(torch.einsum("btvd,ned->btvne", flat, weight) + bias)
        return _mean(logits, future_BTVN[..., chosen])


def cells(future_BTVN: Tensor, scored: int) -> Tensor:
    """Which cells of an image are scored: so many, drawn at random once for all windows; 0 takes all."""
    count, device = future_BTVN.shape[-1], future_BTVN.device
    if not scored or scored >= count:
        return torch.arange(count, device=device)
    # Drawn on the CPU, where it takes no time, and sent so that nobody waits for what CUDA still does.
    drawn = torch.randperm(count)[:scored]
    return (drawn.pin_memory() if device.type == "cuda" else drawn).to(device, non_blocking=True)


def _mean(logits: Tensor, codes: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(0, -2), codes.flatten())
