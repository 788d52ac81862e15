"""Every preset is a cycle that can be begun: its parts fit together and can be written down."""

import json
from dataclasses import asdict, replace

import pytest
import torch

from demos.collect import Collection
from robocat.agent import Agent, Window
from robocat.config import Preset
from robocat.presets import PRESETS
from robocat.vocabulary import BINS, embodiment
from robocat.vqgan import VQGAN
from sim.arms import find_arm
from sim.proprioception import channels
from sim.tasks import find_task

presets = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


@presets
def test_every_part_fits(preset: Preset) -> None:
    """Networks of the preset's shapes take a window of each of its arms."""
    model = VQGAN(preset.vqgan)
    agent = Agent(preset.agent, model.codebook.vectors, preset.vqgan.cells).eval()
    cells, steps = preset.vqgan.cells**2, preset.agent.context
    for name in {*preset.collection.arms, *preset.adaptation.arms}:
        arm = find_arm(name)
        body = embodiment([channel.name for channel in channels(arm)], arm.action_names)
        images = torch.randint(preset.vqgan.codes, (1, steps, preset.agent.cameras, cells))
        window = Window(
            proprio=torch.randint(BINS, (1, steps, len(body.proprio))),
            codes=images,
            goal=images[:, 0],
            action=torch.randint(BINS, (1, steps, len(body.action))),
            future=images,
        )
        with torch.inference_mode():
            assert agent.losses(window, body).total.isfinite()


@presets
def test_what_it_names_exists(preset: Preset) -> None:
    for plan in (preset.collection, preset.adaptation):
        for task in map(find_task, plan.tasks):
            assert plan.episodes >= len(task.variations), "a variation would go without"
    for training in (preset.train, preset.finetune, preset.retrain):
        assert training.warm_up < training.steps
    assert preset.tokeniser.warm_up < preset.tokeniser.steps


@presets
def test_seeds_do_not_overlap(preset: Preset) -> None:
    """Scenes of demonstrations, practice, evaluation, gate and goals are all different ones."""
    plan, looked = preset.evaluation, max(preset.evaluation.gate_episodes, preset.evaluation.episodes)
    starts = {
        preset.collection.first_seed: preset.collection.episodes,
        preset.adaptation.first_seed: preset.adaptation.episodes,
        preset.practice.first_seed: preset.practice.episodes,
        plan.first_seed: plan.episodes,
        plan.gate_seed: looked,
        plan.gate_seed + 50_000: looked,
        plan.goal_seed: plan.episodes,
    }
    ends = sorted((start, start + count) for start, count in starts.items())
    assert len(ends) == 7
    assert all(end <= start for (_, end), (start, _) in zip(ends, ends[1:], strict=False))


@presets
def test_it_can_be_written_down(preset: Preset) -> None:
    assert json.loads(json.dumps(asdict(preset)))["seed"] == preset.seed


def test_images_are_of_one_size() -> None:
    with pytest.raises(
        ValueError, match=r"sizes of collection, adaptation and vqgan must be one, got \(16, "
    ):
        replace(PRESETS["debug"], collection=Collection(size=16))
