"""What is decided before a run: frozen dataclasses; `robocat.presets` has the instances that have names."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from demos.collect import Collection
from robocat.agent_config import AgentConfig
from robocat.vqgan import VQGANConfig
from sim.tasks import refuse_held_out

Practised = Literal["progress", "hindsight"]


def _check_sizes(what: str, steps: int, batch: int) -> None:
    for name, value, least in (("steps", steps, 0), ("batch", batch, 1)):
        if value < least:
            raise ValueError(f"{what}: {name}: got {value}, expected {least} or more")


@dataclass(frozen=True)
class TokeniserTraining:
    """How the VQ-GAN is trained.

    Attributes:
        steps: Optimiser steps.
        batch: Images a step.
        learning_rate: Peak, reached after `warm_up` steps, cosine to a twentieth.
        commitment: Weight of the encoder's distance from its codes (van den Oord et al. 2017: 0.25).
        rarity: How much more pixels count that differ from their camera's mean picture: small things survive.
        critic_from: Share of the steps after which, in every other one, the critic's judgement counts (Esser
            et al.: late).
        critic_weight: Weight of that judgement.
        perceptual_weight: Weight, in the same steps, of how unlike picture and reconstruction are to the
            critic, see `robocat.vqgan.Critic.unlikeness`; 0 leaves it out.
        images: Images drawn from the stores and kept in memory.
    """

    BEFORE: ClassVar[dict[str, object]] = {"perceptual_weight": 0.0}  # see `robocat.checkpoint.from_dict`

    steps: int = 1500
    batch: int = 64
    learning_rate: float = 2e-3
    warm_up: int = 100
    weight_decay: float = 1e-4
    commitment: float = 0.25
    rarity: float = 8.0
    critic_from: float = 0.5
    critic_weight: float = 0.02
    perceptual_weight: float = 0.0
    critic_learning_rate: float = 4e-4
    images: int = 30_000
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        _check_sizes("tokeniser", self.steps, self.batch)


@dataclass(frozen=True)
class Training:
    """How an agent is trained, and fine-tuned.

    Attributes:
        steps: Optimiser steps.
        batch: Windows a step, over all arms.
        micro: Windows that are computed at a time, for want of memory; gradients are summed until the batch
            is through, and are the whole batch's. What is drawn at random in the network (depth, cells of
            `future_cells`) and what experts are loaded with is so for each portion. 0 computes all at once.
        learning_rate: Peak, reached after `warm_up` steps, then cosine to `floor` of it.
        clip: Largest norm of the gradient.
        hindsight: Share of goals that are the end of the same episode; the others are the end of any success
            of the same arm, task and variation.
        held_out: Share of episodes kept from training, for the held-out loss.
        practised: What is learnt of a policy's own episodes: the steps that led somewhere ("progress"), or,
            as RoboCat has it, every step, of a failure towards where it ended ("hindsight").
        rise: By how much the task's progress must rise soon after such a step for it to have led somewhere,
            see `robocat.worth.worth_learning`.
        judged: Share of a policy's own windows that are drawn from its other steps: they only teach how far
            along a task is, see `robocat.mixture.Mixture`.
        packed: Whether a batch holds windows of all arms by their shares, in one row and without padding, see
            `robocat.packing`; otherwise it holds windows of one arm, which is drawn by its share.
        precision: "fp32", or "bf16" for matrix products, on CPUs that have it; whether it
            pays at the width of `nano` is not measured.
        evaluate_every: Steps between held-out losses.
        checkpoint_every: Steps between resume points.
    """

    BEFORE: ClassVar[dict[str, object]] = {"micro": 0, "practised": "progress"}

    steps: int = 4000
    batch: int = 128
    micro: int = 0
    learning_rate: float = 2e-3
    warm_up: int = 100
    floor: float = 0.02
    weight_decay: float = 0.05
    clip: float = 1.0
    hindsight: float = 0.2
    held_out: float = 0.03
    practised: Practised = "progress"
    rise: float = 0.06
    judged: float = 0.5
    packed: bool = False
    precision: str = "fp32"
    evaluate_every: int = 500
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        _check_sizes("training", self.steps, self.batch)


@dataclass(frozen=True)
class SuccessTraining:
    """How a success model is trained.

    Attributes:
        steps: Optimiser steps.
        batch: Images, each of all cameras, a step.
        learning_rate: Peak, reached after `warm_up` steps, then cosine to a fiftieth.
        held_out: Share of episodes kept apart.
        checkpoint_every: Steps between resume points.
    """

    steps: int = 2000
    batch: int = 256
    learning_rate: float = 2e-3
    warm_up: int = 100
    weight_decay: float = 0.05
    held_out: float = 0.15
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        _check_sizes("success", self.steps, self.batch)


@dataclass(frozen=True)
class Practice:
    """How a branch practises.

    Attributes:
        episodes: Attempts at each of its arms and tasks.
        explore: Standard deviation of the noise added to executed Cartesian actions; the label stays the
            policy's own mean action.
        first_seed: Seeds of the scenes.
        judge: Whether a success model that learnt from the demonstrations judges the attempts instead of the
            simulator's predicate: what counts as a success, and lends goals, is then what it says. When an
            attempt ends, and which of its steps led somewhere, is told by the simulator still.
    """

    BEFORE: ClassVar[dict[str, object]] = {"judge": False}

    episodes: int = 1500
    explore: float = 0.1
    first_seed: int = 200_000
    judge: bool = False

    def __post_init__(self) -> None:
        for name in ("explore", "first_seed"):
            if not (value := getattr(self, name)) >= 0:
                raise ValueError(f"practice: {name}: got {value}, expected 0 or more")


@dataclass(frozen=True)
class Evaluation:
    """How models are measured, on seeds used for nothing else.

    Attributes:
        episodes: Episodes for each arm and task.
        first_seed: Seeds of their scenes.
        gate_episodes: Episodes of the gate for each new arm and task: with 600, and two models that differ on
            every fourth scene, a difference is known to 4 points either way.
        gate_old_episodes: And for each old one.
        gate_seed: Seeds of the gate's scenes.
        goal_seed: Seeds of the scenes in which experts bring about goals.
    """

    episodes: int = 50
    first_seed: int = 500_000
    gate_episodes: int = 600
    gate_old_episodes: int = 25
    gate_seed: int = 600_000
    goal_seed: int = 400_000


@dataclass(frozen=True)
class Shares:
    """Shares of the windows: of what a later generation is trained on, and of what the branch hears again.

    Attributes:
        base: Demonstrations that the first generation learnt from.
        adaptation: Demonstrations that the branch learnt from.
        practice: What it did by itself.
        replay: The first generation's demonstrations, beside the branch's own while it is fine-tuned; RoboCat
            fine-tunes on the new ones alone: 0.
    """

    BEFORE: ClassVar[dict[str, object]] = {"replay": 0.4}  # see `robocat.checkpoint.from_dict`

    base: float = 0.4
    adaptation: float = 0.2
    practice: float = 0.4
    replay: float = 0.4


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A whole cycle.

    Attributes:
        extension: How the tokeniser goes on, after practice and before the next generalist, on the images of
            demonstrations and practice; of none, it stays as it is.
        anew: Whether a later generation begins from nothing, as RoboCat's does, or from the first's weights.
    """

    # What is later than the first runs, and what those have that say nothing of it.
    BEFORE: ClassVar[dict[str, object]] = {"extension": None, "anew": False}

    seed: int = 0
    collection: Collection = field(default_factory=Collection)
    vqgan: VQGANConfig = field(default_factory=VQGANConfig)
    tokeniser: TokeniserTraining = field(default_factory=TokeniserTraining)
    agent: AgentConfig
    train: Training = field(default_factory=Training)
    adaptation: Collection = field(
        default_factory=lambda: Collection(
            arms=("kuka_hand",),
            tasks=("place",),
            episodes=102,  # a hundred, and as many for each of its variations
            first_seed=100_000,
        )
    )
    finetune: Training = field(
        default_factory=lambda: Training(steps=600, learning_rate=7e-4, checkpoint_every=200)
    )
    success: SuccessTraining = field(default_factory=SuccessTraining)
    practice: Practice = field(default_factory=Practice)
    retrain: Training = field(
        default_factory=lambda: Training(steps=1000, learning_rate=7e-4, checkpoint_every=200)
    )
    shares: Shares = field(default_factory=Shares)
    extension: TokeniserTraining | None = None
    anew: bool = False
    evaluation: Evaluation = field(default_factory=Evaluation)
    workers: int = 2

    def __post_init__(self) -> None:
        sizes = (self.collection.size, self.adaptation.size, self.vqgan.size)
        if len(set(sizes)) != 1:
            raise ValueError(f"sizes of collection, adaptation and vqgan must be one, got {sizes} px")
        for plan in (self.collection, self.adaptation):
            refuse_held_out(plan.tasks, "a cycle cannot collect it, for it would be trained on")

    @property
    def size(self) -> int:
        """Height and width of all images [px]."""
        return self.collection.size
