"""Windows of several arms in one row: the same as apart, to rounding, outputs and gradients."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from robocat.objective import losses
from robocat.packing import Packing, pack, through
from robocat.transformer import Transformer
from tests.test_agent import CASES, PANDA, UR5E, agent_of, window_of

RUNS = ((2, 3), (1, 5), (3, 1), (1, 2))
LENGTH = 16


def _tensors(count: int = 3) -> list[Tensor]:
    return [torch.randn(1, 2, LENGTH, 4, requires_grad=True) for _ in range(count)]


def _mask(runs: Sequence[tuple[int, int]]) -> Tensor:
    """Whether token i may attend to token j (L, L)."""
    lengths = [length for count, length in runs for _ in range(count)]
    return torch.block_diag(*(torch.ones(length, length).tril() for length in lengths)).bool()


def test_mask_is_as_drawn() -> None:
    drawn = """
        x
        xx
        ..x
        ..xx
        ....x
        ....xx
        ....xxx
    """.split()
    mask = _mask([(2, 2), (1, 3)])
    assert ["".join(".x"[int(may)] for may in row).rstrip(".") for row in mask] == drawn


def test_attention_is_that_of_the_mask() -> None:
    packing, (q, k, v) = Packing(RUNS), _tensors()
    found = packing.attend(q, k, v)
    meant = F.scaled_dot_product_attention(q, k, v, attn_mask=_mask(RUNS))
    torch.testing.assert_close(found, meant)
    weight = torch.randn_like(found)
    for one, other in zip(
        torch.autograd.grad((found * weight).sum(), (q, k, v)),
        torch.autograd.grad((meant * weight).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_unpacking_undoes_packing() -> None:
    batches = [torch.randn(count, length, 4) for count, length in RUNS]
    row, packing = pack(batches)
    assert row.shape == (1, LENGTH, 4) and packing.runs == RUNS and packing.windows == 7
    numbers = packing.spread(torch.arange(7)[:, None, None])
    assert numbers.flatten().tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 4, 5, 6, 6]
    for batch, again in zip(batches, packing.unpack(row), strict=True):
        assert torch.equal(batch, again)


@torch.inference_mode()
def test_trunk_does_the_same_to_windows_apart() -> None:
    torch.manual_seed(1)
    trunk = Transformer(16, blocks=2, heads=2).eval()
    batches = [torch.randn(count, length, 16) for count, length in RUNS]
    for batch, found in zip(batches, through(trunk, batches), strict=True):
        torch.testing.assert_close(found, trunk(batch), rtol=1e-5, atol=1e-5)


def test_stochastic_depth_skips_whole_windows() -> None:
    torch.manual_seed(3)
    block = Transformer(16, blocks=1, heads=2, drop=0.5).blocks[0].train()
    _, packing = pack([torch.zeros(40, 3, 1), torch.zeros(40, 5, 1)])
    kept = block._kept(torch.ones(1, 320, 1), packing)  # pyright: ignore
    assert kept.unique().tolist() == [0.0, 2.0]
    for run in packing.unpack(kept):
        assert torch.equal(run, run[:, :1].expand_as(run))
    assert 0.5 < float(kept.mean()) < 1.5


@pytest.mark.parametrize("layout", CASES)
@pytest.mark.parametrize("context", [1, 3])
def test_packed_equals_apart(layout: str, context: int) -> None:
    """Losses and every gradient, of two arms with different numbers of tokens, weighted by their windows."""
    parts = [(PANDA, window_of(PANDA, context, batch=4)), (UR5E, window_of(UR5E, context, batch=2))]
    options: dict[str, Any] = {**CASES[layout], "future_cells": 0, "balance_weight": 0.0}
    together, apart = agent_of(context=context, **options), agent_of(context=context, **options)
    packed = losses(together, parts)
    packed.total.backward()
    each = [losses(apart, [part]) for part in parts]
    for name, value in packed._asdict().items():
        alone = sum(getattr(one, name) * share for one, share in zip(each, (4 / 6, 2 / 6), strict=True))
        torch.testing.assert_close(value, alone, rtol=1e-5, atol=1e-5)
    sum(one.total * share for one, share in zip(each, (4 / 6, 2 / 6), strict=True)).backward()
    grads = {name: weight.grad for name, weight in apart.named_parameters()}
    for name, weight in together.named_parameters():
        torch.testing.assert_close(weight.grad, grads[name], rtol=1e-4, atol=1e-5)
