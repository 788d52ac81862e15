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

FEW = 256  # tokens up to which a GPU asks all experts; own choice: the arms that act side by side


class Routing(NamedTuple):
    """Who gets which token.

    Attributes:
        experts: Of each token, the likest first (N, U).
        weights: How much each of them counts, sums of 1 (N, U).
        load: How many tokens an expert gets (E,).
        imbalance: The loss that keeps the load even; scalar.
    """

    experts: Tensor
    weights: Tensor
    load: Tensor
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
        every_E = torch.arange(share_NE.shape[1], device=share_NE.device)
        load_E = (likest.indices[..., None] == every_E).sum(dim=(0, 1))  # `bincount` waits for the device
        picked_E = load_E.to(share_NE.dtype) / likest.indices.numel()
        imbalance = share_NE.shape[1] * (picked_E * share_NE.mean(dim=0)).sum()
        return Routing(likest.indices, weights_NU, load_E, imbalance)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (..., D) to tokens (..., D)."""
        x_ND = x.flatten(0, -2)
        routing = self.route(x_ND)
        self.imbalance = routing.imbalance
        few = len(x_ND) <= FEW and (x.is_cuda or torch.compiler.is_compiling())
        y_ND = self._by_all(x_ND, routing) if few else self._in_turn(x_ND, routing)
        return y_ND.to(x.dtype).view_as(x)

    def _in_turn(self, x_ND: Tensor, routing: Routing) -> Tensor:
        """Tokens sorted by expert: each expert has one run of rows, and how long they are is read once."""
        flat = routing.experts.flatten()
        order = flat.argsort(stable=True)
        runs = x_ND.index_select(0, order // self.used).split(routing.load.tolist())
        answers = [expert(run) for expert, run in zip(self.experts, runs, strict=True) if len(run)]
        answer_NUD = torch.cat(answers).index_select(0, order.argsort()).view(len(x_ND), self.used, -1)
        return (answer_NUD * routing.weights[..., None]).sum(dim=1)

    def _by_all(self, x_ND: Tensor, routing: Routing) -> Tensor:
        """Every expert's answer to every token, most of them times 0: nothing hangs on who got how many.

        So it can be captured as a graph, and for the tokens of one step it costs the same: the time goes into
        reading the experts' weights.
        """
        share_NE = x_ND.new_zeros(len(x_ND), len(self.experts), dtype=routing.weights.dtype)
        share_NE = share_NE.scatter(1, routing.experts, routing.weights)
        answers = [expert(x_ND) * share_NE[:, e, None] for e, expert in enumerate(self.experts)]
        return torch.stack(answers).sum(dim=0)


def imbalance(network: nn.Module) -> Tensor | None:
    """Mean imbalance of a network's mixtures in their newest pass; None if it has none."""
    each = [module.imbalance for module in network.modules() if isinstance(module, MixtureOfExperts)]
    return torch.stack(each).mean() if each else None
