"""PRESETS: whole cycles by name."""

from dataclasses import replace

from demos.collect import COLLECTIONS, Collection
from robocat.agent_config import AgentConfig
from robocat.config import Evaluation, Practice, Preset, Shares, SuccessTraining, TokeniserTraining, Training
from robocat.vqgan import VQGANConfig

# One control step with a goal in front and two tokens an image: a twentieth of the paper's tokens, for two
# cores. Numbers and codes look alike where they are near from the start, for there are no million steps to
# learn it in.
NANO = Preset(
    collection=COLLECTIONS["nano"],
    agent=AgentConfig(
        context=1,
        context_tokens=0,
        goal_at="prefix",
        image_tokens=2,
        code_vectors="started",
        values="waves",
        modulate=True,
        drop=0.0,
        target_bins=8.0,
        bin_waves=64,
        choose="mean",
        mean_over="kinds",
        future_weight=0.05,
        future_cells=4,
        goal_weight=0.1,  # a first value: 0.5 did as well, one training each
        # At 1 pushing is learnt worse, at 0.3 and 0.1 nothing is
        # (`bench/results/ablation-unjudged-light-third.json`).
        progress_weight=0.3,
    ),
)

# The tokeniser of the next generation has seen what practice saw, as RoboCat's second one has. It is not the
# default: images of practice gain 0.77 dB by it, those of demonstrations 0.30, but generalist 1 gains nothing
# at what is new (-1.7 points, -4.0 to +0.6, n 600), nor at the old tasks (+1.0, -0.8 to +3.1, n 300; see
# `bench/results/extension-nano.json`).
NANO_EXTENDED = replace(NANO, extension=replace(NANO.tokeniser, steps=500, learning_rate=5e-4))

# The agent as the paper and Gato have it, of one control step, where the larger presets have as many as fit.
FAITHFUL = AgentConfig(context=1, context_tokens=0)

# The cycle in a minute: every part is real and much too small to be good. Tests and tutorials run it.
DEBUG = Preset(
    collection=COLLECTIONS["debug"],
    vqgan=VQGANConfig(size=32, cells=8, codes=32, code_dim=8, width=16),
    tokeniser=TokeniserTraining(steps=12, batch=16, warm_up=4, images=600, checkpoint_every=5),
    agent=replace(NANO.agent, width=32, blocks=1, heads=2, patch_width=16),
    train=Training(steps=12, batch=16, warm_up=4, held_out=0.2, evaluate_every=5, checkpoint_every=5),
    adaptation=Collection(("kuka_hand",), ("reach", "lift"), episodes=4, first_seed=100_000, size=32),
    finetune=Training(steps=6, batch=16, warm_up=2, held_out=0.2, evaluate_every=3, checkpoint_every=3),
    success=SuccessTraining(steps=12, batch=48, warm_up=4, held_out=0.5, checkpoint_every=5),
    practice=Practice(episodes=4),
    retrain=Training(steps=6, batch=16, warm_up=2, held_out=0.2, evaluate_every=3, checkpoint_every=3),
    evaluation=Evaluation(episodes=1, gate_episodes=2, gate_old_episodes=1),
)

# The schedule of Gato (Reed et al. 2022) with the batch of RoboCat's appendix.
LONG = Training(
    steps=1_000_000,
    batch=256,
    micro=64,  # by arithmetic: some 0.55 GB of activations a window of 364M; measured nowhere
    learning_rate=1e-4,
    warm_up=15_000,
    floor=0.1,
    weight_decay=0.1,
    practised="hindsight",
    packed=True,
    precision="bf16",
    evaluate_every=5_000,
    checkpoint_every=5_000,
)

# The paper's two sizes: shapes of Gato's, the rate and batch of fine-tuning of RoboCat's appendix (Adam: no
# decay of weights; its dropout of 0.1 is stochastic depth here). Of the tokeniser, the number of codes and
# the attention are the paper's; its convolutions, losses and rates are this project's. They are for
# accelerators; nobody has trained them here.
PAPER = Preset(
    collection=replace(COLLECTIONS["nano"], size=128),
    vqgan=VQGANConfig(size=128, cells=8, codes=4096, code_dim=32, width=128, blocks=2, attention=3),
    tokeniser=TokeniserTraining(steps=1_000_000, warm_up=5_000, checkpoint_every=5_000, images=200_000),
    agent=AgentConfig(width=1536, blocks=12, heads=12),
    train=LONG,
    retrain=LONG,
    anew=True,
    shares=Shares(replay=0.0),
    adaptation=replace(NANO.adaptation, size=128),
    finetune=Training(
        steps=50_000,
        batch=32,
        learning_rate=1e-5,
        warm_up=1,
        floor=1.0,
        weight_decay=0.0,
        precision="bf16",
        evaluate_every=5_000,
        checkpoint_every=5_000,
    ),
    practice=replace(NANO.practice, episodes=10_000),
)

PRESETS: dict[str, Preset] = {
    "debug": DEBUG,
    "nano": NANO,
    "nano-extended": NANO_EXTENDED,
    "nano-faithful": replace(
        NANO,
        agent=FAITHFUL,
        train=replace(NANO.train, practised="hindsight"),
        retrain=replace(NANO.train, practised="hindsight"),
        anew=True,
        shares=Shares(replay=0.0),
    ),
    "364M": PAPER,
    "1.2B": replace(
        PAPER,
        agent=replace(PAPER.agent, width=2048, blocks=24, heads=16),
        train=replace(LONG, micro=16),  # by arithmetic: 1.45 GB a window
        retrain=replace(LONG, micro=16),
        finetune=replace(PAPER.finetune, micro=16),
    ),
}
