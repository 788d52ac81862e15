"""The agent: tokens of images, goal, joints and past actions in; the next action, number by number, out.

Shapes: B windows, T steps, V cameras, N codes an image, P proprioception numbers, A action numbers, L tokens,
D width, Z bins.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from robocat.contrast import contrast
from robocat.future import FutureHead
from robocat.sequence import Goal, Layout
from robocat.stem import CodeStem, MergedStem
from robocat.transformer import Cache, Transformer
from robocat.vocabulary import ACTION_SLOTS, BINS, PROPRIO_SLOTS, Embodiment

# Picks bins (B,) from logits (B, Z) of one action number.
Choose = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class AgentConfig:
    """Shape of the agent.

    Attributes:
        width: Numbers a token.
        blocks: Transformer blocks.
        heads: Attention heads.
        context: Control steps in a window.
        goal_at: "step" repeats the goal at each step as RoboCat does; "prefix" gives it once.
        image_tokens: Tokens an image; 0 is RoboCat's layout, a token for each code and each joint.
        patch_width: Channels of the merging stem; unused when image_tokens is 0.
        modulate: Whether the goal modulates the patches before they are merged.
        cameras: Images a step.
        drop: Stochastic depth of the last block.
        target_bins: Standard deviation, in bins, of the soft target around an action's bin; 0 is one-hot.
            Bins are ordered, and a neighbour of the right one is nearly right.
        bin_waves: Cosines that an action's logits are made of, so that neighbouring bins get neighbouring
            logits; 0 gives every bin a weight vector of its own, as RoboCat has it.
        future_steps: How many steps ahead image codes are predicted; RoboCat: 5.
        future_weight: Weight of that loss; 0 leaves it out.
        future_cells: How many cells a camera and window are scored, drawn at random; 0 scores all.
        goal_weight: Weight of the loss that makes goals of one meaning alike, see `robocat.contrast`; 0, as
            RoboCat has it, leaves it out. A first value: 0.5 did as well, one training each.
        progress_weight: Weight of the loss of telling how far along the task is, which failures teach as
            well as successes do; 0, as RoboCat has it, leaves it out. At 1 pushing is learnt worse, at 0.3
            and 0.1 nothing is (`bench/results/ablation-unjudged-light-third.json`).
    """

    width: int = 128
    blocks: int = 2
    heads: int = 4
    context: int = 1
    goal_at: Goal = "prefix"
    image_tokens: int = 2
    patch_width: int = 64
    modulate: bool = True
    cameras: int = 2
    drop: float = 0.0
    target_bins: float = 8.0
    bin_waves: int = 64
    future_steps: int = 5
    future_weight: float = 0.05
    future_cells: int = 4
    goal_weight: float = 0.1
    progress_weight: float = 0.3

    def __post_init__(self) -> None:
        least: dict[str, int] = dict.fromkeys(
            ("width", "blocks", "heads", "context", "cameras", "future_steps"), 1
        )
        weights = "future_weight", "goal_weight", "progress_weight"
        least |= dict.fromkeys(("image_tokens", "target_bins", "bin_waves", "future_cells", *weights), 0)
        least["patch_width"] = 1 if self.image_tokens else 0
        for name, smallest in least.items():
            if (value := getattr(self, name)) < smallest:
                raise ValueError(f"agent: {name}: got {value}, expected at least {smallest}")
        if not 0 <= self.drop < 1:
            raise ValueError(f"agent: drop: got {self.drop}, expected at least 0 and below 1")
        if self.goal_weight and not self.image_tokens:
            raise ValueError(
                f"agent: goal_weight: got {self.goal_weight}, expected 0 where image_tokens is 0: there no "
                "one vector stands for a goal"
            )
        if self.goal_at not in ("step", "prefix"):
            raise ValueError(f"agent: goal_at: got {self.goal_at!r}, expected 'step' or 'prefix'")


class Window(NamedTuple):
    """A batch of windows of one arm; all integers.

    Attributes:
        proprio: Bins (B, T, P).
        codes: Image codes (B, T, V, N).
        goal: Codes of the goal images (B, V, N).
        action: Bins (B, T, A).
        future: Image codes `future_steps` later (B, T, V, N), or None when acting.
        meaning: Equal numbers where goals mean the same (B,), or None when acting.
        progress: How far along the task is at each step, bins (B, T), or None when acting.
        learnt: Whether a window's actions are to be learnt (B,), 1 or 0; None when acting, and for all.
    """

    proprio: Tensor
    codes: Tensor
    goal: Tensor
    action: Tensor
    future: Tensor | None = None
    meaning: Tensor | None = None
    progress: Tensor | None = None
    learnt: Tensor | None = None


class Losses(NamedTuple):
    """In nats: cross-entropies of action tokens and of future image codes, the goals' contrast, the
    cross-entropy of progress; first their weighted sum.
    """

    total: Tensor
    action: Tensor
    future: Tensor
    goal: Tensor
    progress: Tensor


class ValueEmbedding(nn.Module):
    """Embeds value bins with their slot: sines of the bin's centre, so that near bins look alike."""

    OCTAVES = 6
    features: Tensor

    def __init__(self, slots: int, width: int) -> None:
        super().__init__()
        centre = (torch.arange(BINS) + 0.5) / BINS * 2 - 1
        angles = centre[:, None] * math.pi * 2.0 ** torch.arange(self.OCTAVES) / 2
        table = torch.cat([centre[:, None], angles.sin(), angles.cos()], dim=1)
        self.register_buffer("features", table, persistent=False)
        self.weight = nn.Parameter(torch.randn(slots, table.shape[1], width) * table.shape[1] ** -0.5)
        self.slot = nn.Parameter(torch.randn(slots, width) * 0.02)

    def forward(self, bins_BTP: Tensor, slots: tuple[int, ...]) -> Tensor:
        """(B, T, P) bins of the slots named to (B, T, P, D)."""
        index = list(slots)
        x = torch.einsum("btpf,pfd->btpd", self.features[bins_BTP], self.weight[index])
        return x + self.slot[index]


class Agent(nn.Module):
    """Embeds a window, runs the transformer, reads actions and future codes off its outputs."""

    def __init__(self, config: AgentConfig, codebook_KE: Tensor, cells: int) -> None:
        super().__init__()
        self.config, self.cells = config, cells
        self.codebook_shape = tuple(codebook_KE.shape)
        width, cameras = config.width, config.cameras
        if config.image_tokens:
            self.stem: CodeStem | MergedStem = MergedStem(
                codebook_KE,
                cameras,
                cells,
                width,
                tokens=config.image_tokens,
                patch_width=config.patch_width,
                modulate=config.modulate,
            )
        else:
            self.stem = CodeStem(codebook_KE, cameras, cells, width)
        self.proprio = ValueEmbedding(len(PROPRIO_SLOTS), width)
        self.action = ValueEmbedding(len(ACTION_SLOTS), width)
        self.step = nn.Parameter(torch.randn(config.context, width) * 0.02)
        # What the output at a token must predict next: nothing, or the action number of a slot.
        self.ask = nn.Parameter(torch.randn(len(ACTION_SLOTS), width) * 0.02)
        self.trunk = Transformer(width, config.blocks, config.heads, config.drop)
        self.bins = BinHead(width, config.bin_waves)
        self.progress = BinHead(width, config.bin_waves) if config.progress_weight else None
        self.future = FutureHead(
            codebook_KE,
            cameras,
            cells,
            width,
            tokens=self.stem.tokens_per_image,
            faithful=config.image_tokens == 0,
            scored=config.future_cells,
        )

    def layout(self, body: Embodiment, context: int | None = None) -> Layout:
        """The order of tokens for an arm."""
        config = self.config
        return Layout(
            proprio=1 if config.image_tokens else len(body.proprio),
            images=config.cameras * self.stem.tokens_per_image,
            goal=config.cameras * self.stem.tokens_per_goal,
            actions=len(body.action),
            context=context or config.context,
            goal_at=config.goal_at,
        )

    def losses(self, window: Window, body: Embodiment) -> Losses:
        """Training losses of a batch of windows, each averaged over the tokens that it is about."""
        config, layout = self.config, self.layout(body)
        # Nothing follows the last token, so nothing is read off its output.
        tokens_BLD, meant_BD = self.embed(window, body)
        outputs_BLD = self.trunk(tokens_BLD[:, :-1])
        asked_BTAD = outputs_BLD[:, layout.action_outputs]
        learnt = slice(None) if window.learnt is None else window.learnt.bool()
        action = soft_cross_entropy(self.bins(asked_BTAD[learnt]), window.action[learnt], config.target_bins)
        future = goal = progress = torch.zeros((), device=action.device)
        if config.future_weight and window.future is not None:
            future = self.future(outputs_BLD[:, layout.image_positions], window.future)
        if config.goal_weight and window.meaning is not None and meant_BD is not None:
            goal = contrast(meant_BD, window.meaning)
        if self.progress is not None and window.progress is not None:
            # Where the first action number is asked for, everything has been seen and nothing done yet.
            logits_BTZ = self.progress(asked_BTAD[:, :, 0])
            progress = soft_cross_entropy(logits_BTZ, window.progress, config.target_bins)
        total = action + config.future_weight * future + config.goal_weight * goal
        return Losses(total + config.progress_weight * progress, action, future, goal, progress)

    def embed(self, window: Window, body: Embodiment) -> tuple[Tensor, Tensor | None]:
        """Embedded tokens (B, L, D) in the layout's order, the action tokens included; and what the goal
        means (B, D), where the stem has one vector for that.
        """
        images_BTMD, goal_BGD, meant_BD = self.stem(window.codes, window.goal)
        proprio_BTPD = self.proprio(window.proprio, body.proprio)
        if self.config.image_tokens:
            proprio_BTPD = proprio_BTPD.sum(dim=2, keepdim=True) * len(body.proprio) ** -0.5
        action_BTAD = self.action(window.action, body.action)
        parts = [proprio_BTPD, images_BTMD]
        if self.config.goal_at == "step":
            parts.append(goal_BGD[:, None].expand(-1, images_BTMD.shape[1], -1, -1))
        # The last observed token asks for the first action number, each action token for the next.
        ask_AD = self.ask[list(body.action)]
        parts[-1] = torch.cat([parts[-1][:, :, :-1], parts[-1][:, :, -1:] + ask_AD[0]], dim=2)
        asked_AD = torch.cat([ask_AD[1:], torch.zeros_like(ask_AD[:1])])
        steps = torch.cat([*parts, action_BTAD + asked_AD], dim=2)
        steps = steps + self.step[: steps.shape[1], None]
        tokens = rearrange(steps, "b t l d -> b (t l) d")
        tokens = torch.cat([goal_BGD, tokens], dim=1) if self.config.goal_at == "prefix" else tokens
        return tokens, meant_BD

    @torch.inference_mode()
    def act(self, window: Window, body: Embodiment, choose: Choose) -> Tensor:
        """Decodes the action of the window's last step, number by number, with a key-value cache.

        Args:
            window: `action` holds the bins of the steps before the last; its last step is ignored.
            body: The arm's slots.
            choose: Picks bins (B,) from logits (B, BINS) of one action number.

        Returns:
            Bins (B, A).
        """
        layout = self.layout(body, window.proprio.shape[1])
        tokens_BLD, _ = self.embed(window, body)
        cache = Cache()
        output_BD = self.trunk(tokens_BLD[:, : -layout.actions], cache)[:, -1]
        ask_AD, step_D = self.ask[list(body.action)], self.step[window.proprio.shape[1] - 1]
        chosen: list[Tensor] = []
        for i, slot in enumerate(body.action):
            chosen.append(choose(self.bins(output_BD)))
            if i + 1 < layout.actions:
                token_BD = self.action(chosen[-1][:, None, None], (slot,))[:, 0, 0] + ask_AD[i + 1] + step_D
                output_BD = self.trunk(token_BD[:, None], cache)[:, 0]
        return torch.stack(chosen, dim=1)


class BinHead(nn.Module):
    """Outputs (..., D) to logits (..., Z) over value bins."""

    waves: Tensor

    def __init__(self, width: int, waves: int) -> None:
        super().__init__()
        self.read = nn.Linear(width, waves or BINS)
        centre = (torch.arange(BINS) + 0.5) / BINS
        table = torch.cos(math.pi * torch.arange(waves)[:, None] * centre)
        self.register_buffer("waves", table, persistent=False)

    def forward(self, outputs: Tensor) -> Tensor:
        return self.read(outputs) @ self.waves if len(self.waves) else self.read(outputs)


def soft_cross_entropy(logits: Tensor, target: Tensor, spread_bins: float) -> Tensor:
    """Mean cross-entropy (nats) against a discretised normal around the target bin; spread 0 is one-hot.

    Of no targets it is 0.
    """
    if not len(target):
        return logits.sum()
    if spread_bins == 0.0:
        return F.cross_entropy(logits.flatten(0, -2), target.flatten())
    return F.cross_entropy(logits.flatten(0, -2), _normals(spread_bins, logits.device)[target.flatten()])


@lru_cache(maxsize=8)
def _normals(spread_bins: float, device: torch.device) -> Tensor:
    """The normal around each bin (Z, Z), rows of sum 1: looked up, not computed for each number anew."""
    place = torch.arange(BINS, device=device)
    weight = torch.exp(-0.5 * ((place - place[:, None]) / spread_bins) ** 2)
    return weight / weight.sum(dim=-1, keepdim=True)


def expectation(logits_BZ: Tensor) -> Tensor:
    """The bins (B,) nearest to the means of the distributions: steadier than the most likely ones."""
    place = torch.arange(BINS, dtype=logits_BZ.dtype, device=logits_BZ.device)
    return (logits_BZ.softmax(dim=-1) @ place).round().long()
