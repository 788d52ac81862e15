"""PRESETS: whole cycles by name."""

from dataclasses import replace

from demos.collect import COLLECTIONS, Collection
from robocat.agent import AgentConfig
from robocat.config import Evaluation, Practice, Preset, TokeniserTraining, Training
from robocat.vqgan import VQGANConfig

NANO = Preset(collection=COLLECTIONS["nano"])

# The cycle in a minute: every part is real and much too small to be good. Tests and tutorials run it.
DEBUG = Preset(
    collection=COLLECTIONS["debug"],
    vqgan=VQGANConfig(size=32, cells=8, codes=32, code_dim=8, width=16),
    tokeniser=TokeniserTraining(steps=12, batch=16, warm_up=4, images=600, checkpoint_every=5),
    agent=AgentConfig(width=32, blocks=1, heads=2, image_tokens=2, patch_width=16, future_cells=4),
    train=Training(steps=12, batch=16, warm_up=4, held_out=0.2, evaluate_every=5, checkpoint_every=5),
    adaptation=Collection(("kuka_hand",), ("reach", "lift"), episodes=4, first_seed=100_000, size=32),
    finetune=Training(steps=6, batch=16, warm_up=2, held_out=0.2, evaluate_every=3, checkpoint_every=3),
    practice=Practice(episodes=4),
    retrain=Training(steps=6, batch=16, warm_up=2, held_out=0.2, evaluate_every=3, checkpoint_every=3),
    evaluation=Evaluation(episodes=2, gate_episodes=4, gate_old_episodes=2),
)

PRESETS: dict[str, Preset] = {
    "debug": DEBUG,
    "nano": NANO,
    "nano-faithful": replace(
        NANO,
        agent=replace(
            NANO.agent,
            image_tokens=0,
            goal_at="step",
            target_bins=0.0,
            bin_waves=0,
            goal_weight=0.0,
            progress_weight=0.0,
        ),
    ),
}
