"""Predicting what the cameras will see some steps ahead: an objective beside the actions (RoboCat: 5 steps).

Shapes: B windows, T steps, V cameras, N codes an image, M tokens of all cameras, D width, E code numbers.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class FutureHead(nn.Module):
    """Predicts image codes some steps ahead from the outputs at a camera's tokens.

    Args:
        codebook_KE: For the numbers of codes and of their vectors.
        cameras: Images a step.
        cells: Height and width of the grid of codes.
        width: D.
        tokens: Tokens an image.
        faithful: Each code has a token, whose output predicts the code at its place; otherwise all outputs of
            a camera together predict all its codes.
        scored: How many cells of an image are scored in training, drawn at random once for all windows that
            are computed together; 0 scores all.
    """

    def __init__(
        self,
        codebook_KE: Tensor,
        cameras: int,
        cells: int,
        width: int,
        *,
        tokens: int,
        faithful: bool,
        scored: int,
    ) -> None:
        super().__init__()
        self.cameras, self.cells, self.faithful, self.scored = cameras, cells, faithful, scored
        codes, numbers = codebook_KE.shape
        if faithful:
            self.read = nn.Linear(width, codes)
        else:
            self.read = nn.Linear(width * tokens, cells * cells * numbers)
            self.code = nn.Linear(numbers, codes)

    def forward(self, outputs_BTMD: Tensor, future_BTVN: Tensor) -> Tensor:
        """Mean cross-entropy in nats, over a random choice of cells if so configured."""
        scored = self._cells(future_BTVN.shape[-1], future_BTVN.device)
        target = future_BTVN[..., scored]
        if self.faithful:
            outputs = rearrange(outputs_BTMD, "b t (v n) d -> b t v n d", v=self.cameras)
            logits = self.read(outputs[..., scored, :])
        else:
            flat = rearrange(outputs_BTMD, "b t (v m) d -> b t v (m d)", v=self.cameras)
            weight = rearrange(self.read.weight, "(n e) d -> n e d", n=self.cells**2)[scored]
            bias = rearrange(self.read.bias, "(n e) -> n e", n=self.cells**2)[scored]
            logits = self.code(torch.einsum("btvd,ned->btvne", flat, weight) + bias)
        return F.cross_entropy(logits.flatten(0, -2), target.flatten())

    def _cells(self, count: int, device: torch.device) -> Tensor:
        if not self.scored or self.scored >= count or not self.training:
            return torch.arange(count, device=device)
        # Drawn on the CPU, where it takes no time, and sent so that nobody waits for what CUDA still does.
        drawn = torch.randperm(count)[: self.scored]
        return (drawn.pin_memory() if device.type == "cuda" else drawn).to(device, non_blocking=True)
