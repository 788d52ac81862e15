"""All numbers of an action at once: an option beside `robocat.actions`, one pass of the trunk an action.

    [ seen ... | ask 1 | ask 2 | ... | ask Q | number 1 | ... | number A ]       each ask predicts its number

The asks say nothing but which number is meant, so all are there before any is decided; what was decided
follows, for later steps to see: of several planned steps the first, whichever of them is executed when. What
is lost: numbers of one action do not see each other, so they are chosen as if independent.

Shapes: as `robocat.actions`; A numbers of the step's own action.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from robocat.actions import Choose
from robocat.sequence import Layout
from robocat.transformer import Transformer


def arrange(seen_BTSD: Tensor, value_BTAD: Tensor, ask_QD: Tensor) -> Tensor:
    """The tokens of a step."""
    asks_BTQD = ask_QD.expand(*seen_BTSD.shape[:2], -1, -1)
    return torch.cat([seen_BTSD, asks_BTQD, value_BTAD], dim=2)


def decode(
    trunk: Transformer,
    read: Callable[[Tensor], Tensor],
    tokens_BLD: Tensor,
    layout: Layout,
    *,
    choose: Choose,
) -> Tensor:
    """Bins (B, Q) of the last step; arguments as `robocat.actions.decode`."""
    outputs_BQD = trunk(tokens_BLD[:, : -layout.actions])[:, -layout.asks :]
    return choose(read(outputs_BQD.flatten(0, 1))).view(outputs_BQD.shape[:2])
