"""A mixture of experts instead of a feed-forward layer: each token passes the few that a router gives it.

The router's softmax over all experts is cut to the `used` largest, which are scaled to sum to one (Shazeer et
al. 2017). Dropless: no expert has a capacity, so every token passes all of its experts however uneven the
load. What keeps the load even is a loss (Fedus et al. 2021): experts x sum over experts of (share of the
picks x mean probability), 1 where all are even and up to the number of experts where one has everything.

Shapes: N tokens, D width, E experts, U experts a token.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Routing(NamedTuple):
    """Who gets which token.

    Attributes:
        experts: Of each token, the likest first (N, U).
        weights: How much each of them counts, sums of 1 (N, U).
        imbalance: The loss that keeps the load even; scalar.
    """

    experts: Tensor
    weights: Tensor
    imbalance: Tensor


class MixtureOfExperts(nn.Module):
    """Feed-forward layers of which each token passes a few.

    Args:
        width: D.
        experts: E.
        used: U.
        make: Makes one expert of a width: the layer that stands here otherwise.
    """

    def __init__(self, width: int, experts: int, used: int, make: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.used = used
        self.router = nn.Linear(width, experts, bias=False)
        nn.init.normal_(self.router.weight, std=0.02)
        self.experts = nn.ModuleList(make(width) for _ in range(experts))
        self.imbalance = torch.zeros(())  # of the newest pass, see `imbalance`

    def route(self, x_ND: Tensor) -> Routing:
        """The experts of each token."""
        share_NE = self.router(x_ND).float().softmax(dim=1)  # bfloat16 would not tell close ones apart
        likest = share_NE.topk(self.used, dim=1)
        weights_NU = likest.values / likest.values.sum(dim=1, keepdim=True)
        count_E = torch.bincount(likest.indices.flatten(), minlength=share_NE.shape[1])
        picked_E = count_E.to(share_NE.dtype) / likest.indices.numel()
        imbalance = share_NE.shape[1] * (picked_E * share_NE.mean(dim=0)).sum()
        return Routing(likest.indices, weights_NU, imbalance)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (..., D) to tokens (..., D)."""
        x_ND = x.flatten(0, -2)
        routing = self.route(x_ND)
        self.imbalance = routing.imbalance
        y_ND = torch.zeros_like(x_ND)
        for index, expert in enumerate(self.experts):
            token, rank = (routing.experts == index).nonzero(as_tuple=True)
            answer = expert(x_ND[token]) * routing.weights[token, rank, None]
            y_ND = y_ND.index_add(0, token, answer.to(y_ND.dtype))
        return y_ND.view_as(x)


def imbalance(network: nn.Module) -> Tensor | None:
    """Mean imbalance of a network's mixtures in their newest pass; None if it has none."""
    each = [module.imbalance for module in network.modules() if isinstance(module, MixtureOfExperts)]
    return torch.stack(each).mean() if each else None
