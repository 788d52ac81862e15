"""AdaTape: tokens read from a bank, put in front of what was seen, as many as it needs (Xue et al. 2023).

A query, at first the mean of the input, is held against a bank of entries. The `picks` likest that have not
been picked before are merged, by the softmax of their likenesses, into one tape token; the next query is the
mean of the last one and that token. How sure a pick was, its largest weight, is added up; once the sum has
reached the threshold, a window gets no more tokens but zeros. So a window whose picks are sure gets few
tokens, and one whose picks are not gets more, up to `most`.

The bank is learnt ("learnt"), the same for every window, or made of what the window itself shows ("input"),
finer than its tokens where there is something finer. Reading is recurrent: which token is second hangs on the
first. After arXiv 2301.13195; its trick of noise in the query is left out, as in its own settings.

Shapes: B windows, L input tokens, N entries, K picks, M tape tokens at most, D width.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

Bank = Literal["learnt", "input"]
ENTRIES = 1024  # of a learnt bank; the paper has 10,000 for ImageNet
THRESHOLD = 2.0  # of the paper: sum of sureness at which reading stops


class Read(NamedTuple):
    """What was read from a bank.

    Attributes:
        tokens: (B, M, D); zeros where reading had stopped.
        lengths: How many tokens a window got (B,).
        unsureness: Mean over windows of the sum of 1 - sum of squared weights: a loss that makes picks sure
            and tapes short.
    """

    tokens: Tensor
    lengths: Tensor
    unsureness: Tensor


class Tape(nn.Module):
    """Reads tape tokens for a window.

    Args:
        width: D.
        most: M.
        bank: "learnt" or "input".
        entries: Entries of a learnt bank.
        threshold: Sum of sureness at which reading stops; a token takes `most` / `threshold` picks. A bank
            that has been picked empty ends reading as well.
    """

    def __init__(
        self, width: int, most: int, bank: Bank, entries: int = ENTRIES, threshold: float = THRESHOLD
    ) -> None:
        super().__init__()
        if bank not in ("learnt", "input"):
            raise ValueError(f"bank {bank!r} is not offered; expected 'learnt' or 'input'")
        self.most, self.threshold, self.picks = most, threshold, max(1, int(most // threshold))
        self.norm = nn.LayerNorm(width)  # of query and entries alike
        self.entries = nn.Parameter(torch.randn(entries, width)) if bank == "learnt" else None
        # Tape tokens pass a layer of their own: what is in a bank need not look like an input.
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GLU(), nn.Linear(2 * width, width))
        self.place = nn.Parameter(torch.randn(most, width) * 0.02)

    def forward(self, x_BLD: Tensor, bank_BND: Tensor | None = None) -> Read:
        """Reads for input tokens (B, L, D), from the entries (B, N, D) of an input-driven bank if it is one.

        Raises:
            ValueError: If a bank is missing, or given where it is learnt, or smaller than one token's picks.
        """
        if (self.entries is None) == (bank_BND is None):
            raise ValueError("a bank is either learnt or given with the input")
        bank = self.norm(self.entries if bank_BND is None else bank_BND)
        if (reads := min(self.most, bank.shape[-2] // self.picks)) < 1:
            raise ValueError(f"a bank of {bank.shape[-2]} entries lends no token of {self.picks} picks")
        query_BD = self.norm(x_BLD.mean(dim=1))
        picked_BN = torch.zeros(len(x_BLD), bank.shape[-2], dtype=torch.bool, device=x_BLD.device)
        sure_B = torch.zeros(len(x_BLD), device=x_BLD.device)
        unsure_B, count_B = torch.zeros_like(sure_B), torch.zeros_like(sure_B)
        tokens: list[Tensor] = []
        for _ in range(reads):
            goes_on_B = (sure_B < self.threshold).to(sure_B.dtype)
            token_BD, weight_BK, place_BK = self._pick(query_BD, bank, picked_BN)
            picked_BN = picked_BN.scatter(1, place_BK, True)
            tokens.append(token_BD * goes_on_B[:, None].to(token_BD.dtype))
            count_B = count_B + goes_on_B
            unsure_B = unsure_B + goes_on_B * (1 - weight_BK.square().sum(dim=1))
            sure_B = sure_B + goes_on_B * weight_BK[:, 0].detach()
            query_BD = (query_BD + token_BD) / 2
        tokens += [torch.zeros_like(query_BD)] * (self.most - reads)
        tape_BMD = torch.stack(tokens, dim=1)
        read_BMD = tape_BMD + self.feed(tape_BMD) + self.place
        there_BM = torch.arange(self.most, device=x_BLD.device) < count_B[:, None]
        return Read(read_BMD * there_BM[..., None], count_B, unsure_B.mean())

    def _pick(self, query_BD: Tensor, bank: Tensor, picked_BN: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One token (B, D): the likest entries merged; their weights and places (B, K), likest first."""
        of_bank = "bd,nd->bn" if bank.ndim == 2 else "bd,bnd->bn"
        likeness_BN = torch.einsum(of_bank, query_BD, bank).masked_fill(picked_BN, -torch.inf)
        likest = likeness_BN.topk(self.picks, dim=1)
        weight_BK = (likest.values / query_BD.shape[1] ** 0.5).softmax(dim=1)
        if bank.ndim == 2:
            entries_BKD = bank[likest.indices]
        else:
            index = likest.indices[..., None].expand(-1, -1, bank.shape[-1])
            entries_BKD = bank.gather(1, index)
        return torch.einsum("bk,bkd->bd", weight_BK, entries_BKD), weight_BK, likest.indices
