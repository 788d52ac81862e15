"""FSQ: each code its own vector, rounding to the nearest, straight-through gradients, a whole tokeniser."""

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from einops import rearrange

from robocat.agent_checkpoint import read_agent
from robocat.data import Data
from robocat.fsq import FSQ
from robocat.tokeniser import load_tokeniser
from robocat.train_tokeniser import train_tokeniser
from robocat.vqgan import VQGAN, VQGANConfig, to_pixels
from tests.tiny import SIZE, TOKENISER, VQ, learn

LEVELS = (4, 3, 5)
CONFIG = replace(VQ, codes=prod(LEVELS), code_dim=len(LEVELS), levels=LEVELS)


def test_every_code_has_a_vector_of_its_own() -> None:
    """And the vector's code is it again: rounding what lies on a level moves nothing."""
    fsq = FSQ(LEVELS)
    assert fsq.vectors.shape == (60, 3) and len(fsq.vectors.unique(dim=0)) == 60
    assert float(fsq.vectors.min()) == -1.0 and float(fsq.vectors.max()) == 1.0
    assert not list(fsq.state_dict())  # nothing is learnt, so nothing is stored
    inside = torch.atanh(fsq.vectors.clamp(-0.999, 0.999))
    assert torch.equal(fsq.nearest(inside), torch.arange(60))


def test_one_by_hand() -> None:
    """Levels (2, 3): codes count through the first number fastest."""
    assert FSQ((2, 3)).vectors.tolist() == [[-1, -1], [1, -1], [-1, 0], [1, 0], [-1, 1], [1, 1]]
    z = torch.tensor([[-0.1, -3.0], [0.1, 0.2], [5.0, 5.0]])
    assert FSQ((2, 3)).nearest(z).tolist() == [0, 3, 5]


def test_codes_are_the_nearest_vectors() -> None:
    fsq, z = FSQ(LEVELS), torch.randn(200, 3)
    scale = (fsq.levels - 1) / 2  # a step between levels is as long in each number
    distance = torch.cdist(z.tanh() * scale, fsq.vectors * scale)
    assert torch.equal(fsq.nearest(z), distance.argmin(dim=1))


def test_gradient_is_that_of_what_was_not_rounded() -> None:
    fsq, z = FSQ(LEVELS), torch.randn(2, 3, 4, 4, requires_grad=True)
    found = fsq(z)
    assert found.codes.shape == (2, 4, 4) and float(found.commitment) == 0.0
    vectors = rearrange(fsq.vectors[found.codes], "b h w d -> b d h w")
    torch.testing.assert_close(found.vectors, vectors)
    assert torch.equal(fsq.encode(z), found.codes.flatten(1))
    weight = torch.randn_like(z)
    (gradient,) = torch.autograd.grad((found.vectors * weight).sum(), z)
    torch.testing.assert_close(gradient, weight * (1 - z.tanh().square()).detach())


def test_a_tokeniser_of_it(demos: Path, data: Data, tmp_path: Path) -> None:
    """Trained, saved, loaded and read by an agent as the other one is; in training no code dies."""
    train_tokeniser([demos], tmp_path / "tokeniser", CONFIG, TOKENISER, seed=0)
    loaded = load_tokeniser(tmp_path / "tokeniser")
    assert loaded.config == CONFIG and loaded.codebook.shape == (60, 3)
    images = np.random.default_rng(0).integers(256, size=(5, SIZE, SIZE, 3), dtype=np.uint8)
    codes = loaded.encode(images)
    assert codes.shape == (5, VQ.cells**2) and 0 <= codes.min() and codes.max() < 60
    assert loaded.decode(codes).shape == images.shape
    own = replace(data, tokeniser=tmp_path / "tokeniser", tokens=tmp_path / "tokens")
    agent = learn(own, tmp_path / "models" / "agent")
    assert read_agent(agent)["codebook"] == {"codes": 60, "numbers": 3, "cells": VQ.cells}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"levels": (4, 3)}, r"levels \(4, 3\) of at least 2 each make 12 codes of 2 numbers, got codes 60"),
        ({"levels": (60, 1), "code_dim": 2}, "of at least 2 each"),
        ({"code_dim": 4}, "make 60 codes of 3 numbers, got codes 60 and code_dim 4"),
    ],
)
def test_levels_that_do_not_fit_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(CONFIG, **change)  # pyright: ignore[reportArgumentType]


def test_attention_lets_cells_see_each_other() -> None:
    """With it a far corner decides about a cell; without, only what lies near does."""
    for layers, seen in ((0, False), (2, True)):
        torch.manual_seed(0)
        config = VQGANConfig(size=SIZE, cells=8, codes=16, code_dim=4, width=16, attention=layers)
        model, image = VQGAN(config).eval(), torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8)
        other = image.clone()
        other[:, -4:, -4:] = 255
        with torch.inference_mode():
            moved = (model.encoder(to_pixels(image)) - model.encoder(to_pixels(other))).abs()
        assert bool((moved[0, :, 0, 0] > 0).any()) == seen
