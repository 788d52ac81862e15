"""How the numbers of an action stand in the sequence, and how they are decoded: one after another.

    [ seen ... | number 1 | number 2 | ... | number Q ]       each output predicts the number to its right

Each output is asked for the number that follows it, and each number is seen by those after it: RoboCat's way.
`robocat.at_once` has the other one. Where an agent plans several steps at once, the numbers of the later ones
follow those of the first; the window is then one step long, for nobody could say later what was planned.

Shapes: B windows, T steps, S tokens seen a step, Q = C x A numbers of C planned steps, L tokens, D width,
Z bins.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from robocat.sequence import Layout
from robocat.transformer import Transformer

# Picks bins (B,) from logits (B, Z) of one action number.
Choose = Callable[[Tensor], Tensor]
# The token (B, D) of bins (B,) of a number, in the last step of a window.
Number = Callable[[Tensor, int], Tensor]


def arrange(seen_BTSD: Tensor, value_BTQD: Tensor, ask_QD: Tensor) -> Tensor:
    """The tokens of a step: the last one seen asks for the first number, each number for the next."""
    last_BTD = seen_BTSD[:, :, -1:] + ask_QD[0]
    asked_QD = torch.cat([ask_QD[1:], torch.zeros_like(ask_QD[:1])])
    return torch.cat([seen_BTSD[:, :, :-1], last_BTD, value_BTQD + asked_QD], dim=2)


def decode(
    trunk: Transformer,
    read: Callable[[Tensor], Tensor],
    tokens_BLD: Tensor,
    layout: Layout,
    *,
    longest: int,
    number: Number,
    choose: Choose,
) -> Tensor:
    """Bins (B, Q) of the last step, with a key-value cache.

    Args:
        trunk: The network.
        read: Outputs (B, D) to logits (B, Z).
        tokens_BLD: The window, as arranged; its last Q tokens are ignored.
        layout: Of the window.
        longest: Tokens of the arm's windows at most: keys lie in memory that has room for them.
        number: Embeds what was chosen.
        choose: Picks from logits.
    """
    cache = trunk.cache(len(tokens_BLD), longest)
    output_BD = trunk(tokens_BLD[:, : -layout.actions], cache)[:, -1]
    chosen: list[Tensor] = []
    for index in range(layout.actions):
        chosen.append(choose(read(output_BD)))
        if index + 1 < layout.actions:
            output_BD = trunk.step(number(chosen[-1], index), cache)
    return torch.stack(chosen, dim=1)
