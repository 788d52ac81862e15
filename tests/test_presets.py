"""Every preset is a cycle that can be begun: its parts fit together and can be written down."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from demos.collect import Collection
from robocat.agent import Agent, Window
from robocat.checkpoint import CheckpointError, from_dict
from robocat.config import Preset, SuccessTraining, TokeniserTraining, Training
from robocat.objective import losses
from robocat.presets import PRESETS
from robocat.vocabulary import BINS, Embodiment, embodiment
from robocat.vqgan import VQGAN, VQGANConfig
from sim.arms import ARMS, find_arm
from sim.proprioception import channels
from sim.tasks import find_task

presets = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


def _body(name: str) -> Embodiment:
    arm = find_arm(name)
    return embodiment([channel.name for channel in channels(arm)], arm.action_names)


@presets
def test_every_part_fits(preset: Preset) -> None:
    """Networks of the preset's shapes take a window of each of its arms; shapes alone, as some are large."""
    with torch.device("meta"):
        _fit(preset)


def _fit(preset: Preset) -> None:
    model = VQGAN(preset.vqgan)
    agent = Agent(preset.agent, model.codebook.vectors, preset.vqgan.cells).eval()
    cells = preset.vqgan.cells**2
    for name in {*preset.collection.arms, *preset.adaptation.arms}:
        body = _body(name)
        steps = agent.layout(body).context
        images = torch.randint(preset.vqgan.codes, (1, steps, preset.agent.cameras, cells))
        window = Window(
            proprio=torch.randint(BINS, (1, steps, len(body.proprio))),
            codes=images,
            goal=images[:, 0],
            action=torch.randint(BINS, (1, steps, len(body.action))),
            future=images,
        )
        with torch.inference_mode():
            assert losses(agent, [(body, window)]).total.shape == ()


@pytest.mark.parametrize(
    ("name", "trunk", "all_in_all", "nominal"),
    # 12 x blocks x width^2 for the matrices, and 9 x width a block for biases and norms, and the last norm.
    [
        ("364M", 12 * 12 * 1536**2 + 12 * 9 * 1536 + 2 * 1536, 357_782_528, 364e6),
        ("1.2B", 12 * 24 * 2048**2 + 24 * 9 * 2048 + 2 * 2048, 1_232_237_568, 1.18e9),
    ],
)
def test_sizes_of_the_paper(name: str, trunk: int, all_in_all: int, nominal: float) -> None:
    """Counted without memory for them; the paper's own counts have other embeddings and heads."""
    preset = PRESETS[name]
    with torch.device("meta"):
        codebook = torch.empty(preset.vqgan.codes, preset.vqgan.code_dim)
        agent = Agent(preset.agent, codebook, preset.vqgan.cells)
    assert sum(p.numel() for p in agent.trunk.parameters()) == trunk
    assert sum(p.numel() for p in agent.parameters()) == all_in_all
    assert all_in_all == pytest.approx(nominal, rel=0.05)
    assert preset.vqgan == VQGANConfig(128, 8, 4096, preset.vqgan.code_dim, preset.vqgan.width, 2, 3)


@pytest.mark.parametrize("arm", ARMS)
def test_control_steps_in_the_papers_context(arm: str) -> None:
    """As many whole ones as fit, by hand: 2 x 64 codes, as many for the goal, joints and action numbers."""
    config, body = PRESETS["1.2B"].agent, _body(arm)
    layout = config.layout(body, 64)
    assert layout.step_length == 2 * 64 + 2 * 64 + len(body.proprio) + len(body.action)
    assert layout.context == 1024 // layout.step_length == 3
    assert layout.length <= 1024 < layout.length + layout.step_length
    assert config.steps(body, 16) == 8, "never more than there are embeddings for"
    with pytest.raises(ValueError, match=f"context_tokens: got 100, expected at least {layout.step_length}"):
        replace(config, context_tokens=100).steps(body, 64)


def test_large_presets_are_not_trained_as_nano_is() -> None:
    """Whatever trains an agent is said anew: what suits two cores wrecks a large network."""
    nano = PRESETS["nano"]
    for name in ("364M", "1.2B"):
        for part in ("tokeniser", "train", "finetune", "retrain"):
            assert getattr(PRESETS[name], part) != getattr(nano, part), (name, part)
        assert PRESETS[name].retrain.precision == "bf16"


@presets
def test_it_is_read_back_from_a_runs_record(preset: Preset) -> None:
    """Dataclasses inside it, none where there is none, and tuples."""
    record = json.loads(json.dumps(asdict(preset)))
    assert from_dict(Preset, record) == preset
    del record["evaluation"]["gate_seed"]
    with pytest.raises(CheckpointError, match="Evaluation in the record differs .* in: gate_seed$"):
        from_dict(Preset, record)


@pytest.mark.parametrize("kind", [TokeniserTraining, Training, SuccessTraining])
@pytest.mark.parametrize("name", ["steps", "batch"])
def test_no_training_is_of_nothing(kind: type[Any], name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: got -5, expected [01] or more"):
        kind(**{name: -5})


@presets
def test_what_it_names_exists(preset: Preset) -> None:
    for plan in (preset.collection, preset.adaptation):
        for task in map(find_task, plan.tasks):
            assert plan.episodes >= len(task.variations), "a variation would go without"
    for training in (preset.train, preset.finetune, preset.retrain):
        assert training.warm_up < training.steps
    for training in (preset.tokeniser, preset.extension or preset.tokeniser):
        assert training.warm_up < training.steps


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
