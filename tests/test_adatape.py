"""AdaTape: reading by the rule, worked out step by step; halting; banks; gradients; nothing leaks."""

import pytest
import torch
from torch import Tensor

from robocat.adatape import Bank, Tape

WIDTH, ENTRIES, BATCH, LENGTH, MOST = 16, 24, 5, 9, 6
banks = pytest.mark.parametrize("bank", ["learnt", "input"])


def _tape(bank: Bank = "learnt", most: int = MOST, threshold: float = 2.0) -> Tape:
    torch.manual_seed(2)
    tape = Tape(WIDTH, most, bank, ENTRIES, threshold)
    if tape.entries is not None:
        torch.nn.init.normal_(tape.entries)
    return tape


def _read_by_hand(tape: Tape, x: Tensor, bank: Tensor) -> tuple[list[Tensor], float]:
    """One window's tokens before the layer of their own, and its unsureness, as the paper's loop goes."""
    bank, query = tape.norm(bank), tape.norm(x.mean(dim=0))
    left, sure, unsure = list(range(len(bank))), 0.0, 0.0
    tokens: list[Tensor] = []
    while sure < tape.threshold and len(tokens) < tape.most and len(left) >= tape.picks:
        likeness = bank[left] @ query
        best = likeness.argsort(descending=True)[: tape.picks]
        weight = (likeness[best] / WIDTH**0.5).softmax(dim=0)
        token = weight @ bank[[left[i] for i in best]]
        tokens.append(token)
        sure, unsure = sure + float(weight[0]), unsure + 1 - float(weight.square().sum())
        left = [entry for i, entry in enumerate(left) if i not in best.tolist()]
        query = (query + token) / 2
    return tokens, unsure


@banks
@pytest.mark.parametrize("threshold", [0.5, 1.0, 2.0, 3.0])
@torch.inference_mode()
def test_reads_by_the_rule(bank: Bank, threshold: float) -> None:
    tape, x = _tape(bank, threshold=threshold), torch.randn(BATCH, LENGTH, WIDTH)
    entries = torch.randn(BATCH, ENTRIES, WIDTH) if bank == "input" else None
    read = tape(x, entries)
    unsure: list[float] = []
    for i in range(BATCH):
        own = tape.entries if entries is None else entries[i]
        assert own is not None
        tokens, lack = _read_by_hand(tape, x[i], own)
        unsure.append(lack)
        count = len(tokens)
        assert int(read.lengths[i]) == count
        made = torch.stack(tokens)
        meant = made + tape.feed(made) + tape.place[:count]
        torch.testing.assert_close(read.tokens[i, :count], meant, rtol=1e-4, atol=1e-5)
        assert not read.tokens[i, count:].any()
    torch.testing.assert_close(read.unsureness, torch.tensor(unsure).mean())


@torch.inference_mode()
def test_sure_windows_get_short_tapes() -> None:
    """A bank with one entry that is like the query and others that are not: each pick's weight is near 1."""
    tape = _tape("input", most=6, threshold=2.0)
    x, directions = torch.randn(1, LENGTH, WIDTH), torch.linalg.qr(torch.randn(WIDTH, WIDTH)).Q * 4
    alike = x.mean(dim=1, keepdim=True).expand(-1, ENTRIES, -1)
    unsure = tape(x, alike)
    assert int(unsure.lengths[0]) == 6 and float(unsure.unsureness) > 3.0  # thirds: it never knows which
    distinct = directions[None] * torch.tensor([1.0, -1.0]).repeat(8)[:, None]
    assert int(tape(x, distinct).lengths[0]) < 6


def test_every_weight_has_a_gradient() -> None:
    tape = _tape()
    read = tape(torch.randn(BATCH, LENGTH, WIDTH))
    (read.tokens.square().sum() + read.unsureness).backward()
    for name, weight in tape.named_parameters():
        assert weight.grad is not None and weight.grad.any(), name


@banks
@torch.inference_mode()
def test_windows_do_not_mix(bank: Bank) -> None:
    tape, x = _tape(bank), torch.randn(BATCH, LENGTH, WIDTH)
    entries = torch.randn(BATCH, ENTRIES, WIDTH) if bank == "input" else None
    together = tape(x, entries).tokens
    for i in range(BATCH):
        alone = tape(x[i : i + 1], None if entries is None else entries[i : i + 1])
        torch.testing.assert_close(alone.tokens[0], together[i])


def test_small_and_missing_banks() -> None:
    x = torch.randn(1, LENGTH, WIDTH)
    few = _tape("input", most=6, threshold=2.0)  # three picks a token: seven entries lend two
    assert few(x, torch.randn(1, 7, WIDTH)).lengths.max() <= 2
    with pytest.raises(ValueError, match="a bank of 2 entries lends no token of 3 picks"):
        few(x, torch.randn(1, 2, WIDTH))
    for tape, bank in ((few, None), (_tape(), x)):
        with pytest.raises(ValueError, match="a bank is either learnt or given with the input"):
            tape(x, bank)
    with pytest.raises(ValueError, match="bank 'none' is not offered; expected 'learnt' or 'input'"):
        Tape(WIDTH, 2, "none")  # pyright: ignore[reportArgumentType]
