"""Patches of pixels: what is cut where, one token a patch, and a whole agent that has no codes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from demos.store import EpisodeStore
from robocat.agent import Agent, Window
from robocat.data import Data, sources_of
from robocat.objective import losses
from robocat.patches import PatchStem, Pixels, PixelsConfig
from robocat.policy import Policy
from robocat.presets import NANO
from robocat.tokeniser import load_tokeniser
from robocat.train_tokeniser import tokenise
from robocat.vocabulary import BINS
from sim.env import make
from tests.test_agent import PANDA
from tests.tiny import AGENT, SIZE, learn

PATCH = 16
READS_PATCHES: dict[str, Any] = {"patch": PATCH, "image_tokens": 0, "goal_weight": 0.0, "future_weight": 0.0}


def test_pixels_come_back() -> None:
    model = Pixels(PixelsConfig(8))
    images = torch.randint(256, (3, 8, 8, 3), dtype=torch.uint8)
    numbers = model.encode(images)
    assert numbers.shape == (3, 192) and numbers.dtype == torch.int64
    assert torch.equal(model.decode(numbers), images)
    assert model.codebook.vectors.shape == (256, 1)


@torch.inference_mode()
def test_pixels_in_bfloat16() -> None:
    """As where an agent acts on CUDA."""
    stem = PatchStem(cameras=2, size=SIZE, patch=PATCH, width=12)
    images, goal = torch.randint(256, (2, 1, 2, 3 * SIZE**2)), torch.randint(256, (2, 2, 3 * SIZE**2))
    exact, rounded = stem(images, goal).images, stem.to(torch.bfloat16)(images, goal).images
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded.float(), exact, rtol=0.05, atol=0.02)


@torch.inference_mode()
def test_a_token_sees_its_own_patch() -> None:
    stem = PatchStem(cameras=2, size=SIZE, patch=PATCH, width=12)
    images = torch.randint(256, (2, 3, 2, SIZE, SIZE, 3))
    goal = torch.randint(256, (2, 2, SIZE, SIZE, 3))
    before = stem(images.flatten(3), goal.flatten(2))
    assert before.images.shape == (2, 3, 2 * 4, 12) and before.goal.shape == (2, 2 * 4, 12)
    changed = images.clone()
    changed[1, 2, 1, 3, 20] = 255 - changed[1, 2, 1, 3, 20]  # in the upper right patch of the second camera
    moved = (stem(changed.flatten(3), goal.flatten(2)).images - before.images).abs().amax(dim=3) > 1e-6
    assert moved.nonzero().tolist() == [[1, 2, 4 + 1]]


def test_patches_must_fill_the_image() -> None:
    with pytest.raises(ValueError, match="images of 32 px are not cut into patches of 12 px"):
        PatchStem(1, SIZE, 12, 8)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            READS_PATCHES | {"future_weight": 0.1},
            "patch: got 16 with image_tokens 0, future_weight 0.1",
        ),
        (READS_PATCHES | {"image_tokens": 2}, "agent: patch: got 16 with image_tokens 2"),
        (READS_PATCHES | {"tape_bank": "input"}, "and tape_bank 'input'"),
    ],
)
def test_what_needs_codes_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(NANO.agent, **options)


def test_tokenisers_and_agents_must_agree() -> None:
    pixels, codes = Pixels(PixelsConfig(SIZE)).vectors, torch.zeros(32, 8)
    with pytest.raises(ValueError, match="patch: got 16 with a tokeniser that gives codes"):
        Agent(replace(NANO.agent, **READS_PATCHES), codes, 8)
    with pytest.raises(ValueError, match="patch: got 0 with a tokeniser that gives pixels"):
        Agent(NANO.agent, pixels, SIZE)


def test_every_weight_has_a_gradient() -> None:
    config = replace(NANO.agent, width=16, heads=2, **READS_PATCHES)
    agent = Agent(config, Pixels(PixelsConfig(SIZE)).vectors, SIZE)
    images = torch.randint(256, (2, 1, 2, 3 * SIZE**2))
    window = Window(
        proprio=torch.randint(BINS, (2, 1, len(PANDA.proprio))),
        codes=images,
        goal=images[:, 0],
        action=torch.randint(BINS, (2, 1, len(PANDA.action))),
        future=images,
        progress=torch.randint(BINS, (2, 1)),
    )
    assert agent.layout(PANDA).images == 2 * 4
    found = losses(agent, [(PANDA, window)])
    assert float(found.future.detach()) == 0.0
    found.total.backward()
    idle = [name for name, weight in agent.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert idle == []


def test_trained_and_acting(data: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the verb on, as any other: tokens are the images, training learns, the policy acts."""
    folder = tmp_path / "tokeniser"
    tokenise(data.stores, folder, preset="debug", pixels=True)
    assert "pixels as they are, 32 x 32" in capsys.readouterr().out
    own = replace(data, tokeniser=folder, tokens=tmp_path / "tokens")
    tokens = sources_of(own)[0].tokens
    episode = next(each for each in tokens.arms["panda"].episodes)
    stored = EpisodeStore(data.stores[0]).load(episode.id)
    front = tokens.arms["panda"].codes[episode.start : episode.start + episode.rows, 0]
    assert np.array_equal(front, stored.images[stored.meta.cameras[0]].reshape(episode.rows, -1))
    config = replace(AGENT, **READS_PATCHES)
    agent = learn(own, tmp_path / "models" / "agent", config)
    env = make("panda", "lift", size=SIZE)
    policy = Policy(agent, folder)
    policy.begin(0, env, seed=0)
    (act,) = policy.act([0], [env.reset(seed=0)[0]])
    assert act.label.shape == (5,)
    assert load_tokeniser(folder).encode(np.zeros((2, SIZE, SIZE, 3), np.uint8)).shape == (2, 3 * SIZE**2)
