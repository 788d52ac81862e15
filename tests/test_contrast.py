"""Goals of one meaning are pulled together, others apart; whom it cannot help it leaves alone."""

import math

import pytest
import torch
import torch.nn.functional as F

from robocat.contrast import TEMPERATURE, contrast


def test_worked_by_hand() -> None:
    """Two alike and one across: each of the two sees its like at 1/T and the other at 0."""
    vectors = torch.tensor([[2.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    expected = -math.log(math.exp(1 / TEMPERATURE) / (math.exp(1 / TEMPERATURE) + 1))
    assert float(contrast(vectors, torch.tensor([5, 5, 7]))) == pytest.approx(expected, rel=1e-3)
    # Told the other way round, the likes are apart: the one must find its own among two, at 0 and at 1/T.
    wrong = float(contrast(vectors, torch.tensor([5, 7, 5])))
    assert wrong == pytest.approx((expected + 1 / TEMPERATURE + math.log(2)) / 2, rel=0.05)


@pytest.mark.parametrize("meaning", [[0], [0, 1, 2]])
def test_without_a_second_of_a_kind_there_is_nothing_to_learn(meaning: list[int]) -> None:
    vectors = torch.randn(len(meaning), 4, requires_grad=True)
    loss = contrast(vectors, torch.tensor(meaning))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert vectors.grad is not None and not vectors.grad.isnan().any()


def test_descent_gathers_what_means_the_same() -> None:
    meaning = torch.arange(32) % 4
    vectors = torch.randn(32, 8, requires_grad=True)
    optimiser = torch.optim.Adam([vectors], 0.05)
    for _ in range(200):
        optimiser.zero_grad()
        contrast(vectors, meaning).backward()
        optimiser.step()
    unit = F.normalize(vectors.detach(), dim=1)
    likeness, same = unit @ unit.T, meaning[:, None] == meaning
    assert likeness[same].min() > likeness[~same].max() + 0.3


def test_only_equality_of_meanings_counts() -> None:
    vectors = torch.randn(6, 3)
    one, other = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([9, 9, -4, -4, 0, 0])
    torch.testing.assert_close(contrast(vectors, one), contrast(vectors, other))
    order = torch.randperm(6)
    torch.testing.assert_close(contrast(vectors, one), contrast(vectors[order], one[order]))
