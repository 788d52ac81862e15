"""Keys and values of the tokens that a trunk has seen, in memory laid out once; it knows of no layers.

A token is written at the next free place of each block, and attends to that place and all before it:

    place      0 1 2 3 4 5 6 7
    written    k k k k k . . .      of five tokens; place 5 is the next one

What is free is kept from attention in one of two ways. Where shapes may change it is given the first places
alone, a view. Where they must not, because a step is captured as a graph of kernels and replayed, it is given
all places and a mask that hides the free ones. Which place is next is a number on the device then, for a
replay sees Python's numbers as they were when it was captured. The two ways differ in the last bits: sums
over more places are added up in another order.

Keys are not kept from one control step to the next. A step is known by its position in a window that slides,
so with each step every token of the window changes, and with it every key.

Shapes: B windows, L tokens, H heads, K numbers a head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._dynamo import mark_static_address


class Cache:
    """Keys and values, by block.

    Args:
        blocks: How many.
        shape: Windows B, heads H, places for tokens L and numbers a head K.
        like: A tensor of the device and of the dtype that they have.
        fixed: Whether attention is given all places, see above. Fewer windows than B then take the first rows
            of a pass over several tokens; a pass over one token is over all B rows.

    Attributes:
        at: The next free place (1,).
        empty: Whether no token has been seen.
    """

    def __init__(
        self, blocks: int, shape: tuple[int, int, int, int], like: Tensor, *, fixed: bool = False
    ) -> None:
        # Zeros, and not whatever lies there: what a mask hides is multiplied by 0, and a NaN would stay one.
        self.blocks = [(like.new_zeros(shape), like.new_zeros(shape)) for _ in range(blocks)]
        self.windows, self.length, self.fixed = shape[0], shape[2], fixed
        self.places = torch.arange(self.length, device=like.device)
        self.at = torch.zeros(1, dtype=torch.int64, device=like.device)
        self.empty = True

    def stay(self) -> None:
        """Promises graphs that its memory stays where it is: they write into it then, not into a copy."""
        for tensor in (self.at, self.places, *(each for block in self.blocks for each in block)):
            mark_static_address(tensor)

    def clear(self) -> None:
        """Forgets all tokens."""
        self.at.zero_()
        self.empty = True

    def advance(self, tokens: int) -> None:
        """What so many tokens have written stays: to be called when all blocks have seen them."""
        self.at.add_(tokens)
        if self.empty:
            self.empty = False

    def attend(self, block: int, q_BHLK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor) -> Tensor:
        """Causal attention of the newest tokens to themselves and all before them (B, H, L, K)."""
        rows, new = len(k_BHLK), k_BHLK.shape[2]
        place_L = self.at if new == 1 else self.at + self.places[:new]
        keys, values = self.blocks[block]
        if rows < self.windows:
            keys, values = keys[:rows], values[:rows]
        keys.index_copy_(2, place_L, k_BHLK)
        values.index_copy_(2, place_L, v_BHLK)
        if self.empty:
            return F.scaled_dot_product_attention(q_BHLK, k_BHLK, v_BHLK, is_causal=True)
        seen = self.length if self.fixed else int(self.at) + new
        # Of one newest token that sees all places nothing is hidden.
        hidden = self.fixed or new > 1
        mask_LL = self.places[:seen] <= place_L[:, None] if hidden else None
        return F.scaled_dot_product_attention(
            q_BHLK, keys[:, :, :seen], values[:, :, :seen], attn_mask=mask_LL
        )
