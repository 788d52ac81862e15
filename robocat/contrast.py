"""Goal images that mean the same are alike: an objective beside the actions (Khosla et al. 2020).

What a goal asks for is otherwise learnt only through the actions that it changes, which may be few and late:
of a stack, which block lies below matters once the upper one is in the hand. Which goals mean the same is
known where they are drawn: those of one task and variation. Where several processes share a batch, each
compares the goals of its own windows.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

TEMPERATURE = 0.1  # of Khosla et al. 2020


def contrast(vectors_BD: Tensor, meaning_B: Tensor) -> Tensor:
    """How badly each vector tells those of its meaning from the others (nats); 0 if no two mean the same.

    Args:
        vectors_BD: What is made of each goal.
        meaning_B: Equal numbers where goals mean the same.
    """
    unit_BD = F.normalize(vectors_BD.float(), dim=1)
    itself = torch.eye(len(unit_BD), dtype=torch.bool, device=unit_BD.device)
    with torch.autocast(unit_BD.device.type, enabled=False):  # bfloat16 tells likenesses of 10 apart by 0.06
        likeness_BB = (unit_BD @ unit_BD.T / TEMPERATURE).masked_fill(itself, -torch.inf)
    same_BB = (meaning_B[:, None] == meaning_B) & ~itself
    log_share_BB = likeness_BB.log_softmax(dim=1).masked_fill(~same_BB, 0.0)
    count_B = same_BB.sum(dim=1)
    each_B = -log_share_BB.sum(dim=1) / count_B.clamp(min=1)
    return each_B.sum() / (count_B > 0).sum().clamp(min=1)
