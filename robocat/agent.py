"""The agent: tokens of images, goal, joints and past actions in; the next action, number by number, out.

Shapes: B windows, T steps, V cameras, N codes an image, P proprioception numbers, A action numbers, L tokens,
D width, Z bins.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from robocat.adatape import Tape
from robocat.agent_config import AgentConfig
from robocat.bins import BinHead, ValueEmbedding, soft_cross_entropy
from robocat.contrast import contrast
from robocat.future import FutureHead
from robocat.moe import MixtureOfExperts, imbalance
from robocat.packing import pack
from robocat.sequence import Layout
from robocat.stem import CodeStem, MergedStem
from robocat.transformer import Cache, Feed, Transformer, feed_forward
from robocat.vocabulary import ACTION_SLOTS, PROPRIO_SLOTS, Embodiment

# Picks bins (B,) from logits (B, Z) of one action number.
Choose = Callable[[Tensor], Tensor]


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
    cross-entropy of progress; last what the trunk's options ask for, weighted; first the weighted sum of all.
    """

    total: Tensor
    action: Tensor
    future: Tensor
    goal: Tensor
    progress: Tensor
    trunk: Tensor


class Embedded(NamedTuple):
    """A window as the trunk sees it.

    Attributes:
        tokens: (B, L, D) in the layout's order, the action tokens included.
        meant: What the goal means (B, D), where the stem has one vector for that.
        unsureness: Loss of the tape, if there is one.
    """

    tokens: Tensor
    meant: Tensor | None
    unsureness: Tensor | None


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
        self.tape = Tape(width, config.tape, config.tape_bank) if config.tape else None
        self.tape_bank: CodeStem | None = None
        if config.tape and config.tape_bank == "input":
            self.tape_bank = CodeStem(codebook_KE, cameras, cells, width)
        feed: Feed = feed_forward
        if config.experts:
            feed = partial(
                MixtureOfExperts, experts=config.experts, used=config.experts_used, make=feed_forward
            )
        self.trunk = Transformer(width, config.blocks, config.heads, config.drop, feed)
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
        """The order of tokens for an arm, see `AgentConfig.layout`."""
        return self.config.layout(body, self.cells**2, context)

    def losses(self, window: Window, body: Embodiment) -> Losses:
        """Training losses of a batch of windows, each averaged over the tokens that it is about."""
        return self.packed_losses([(body, window)])

    def packed_losses(self, parts: Sequence[tuple[Embodiment, Window]]) -> Losses:
        """As `losses`, of windows of several arms that share one row; parts count by their windows."""
        embedded = [self.embed(window, body) for body, window in parts]
        # Nothing follows the last token, so nothing is read off its output.
        tokens = [each.tokens[:, :-1] for each in embedded]
        if len(parts) == 1:
            outputs = [self.trunk(tokens[0])]
        else:
            row_1LD, packing = pack(tokens)
            outputs = packing.unpack(self.trunk(row_1LD, packing=packing))
        windows = sum(len(window.proprio) for _, window in parts)
        uneven = imbalance(self.trunk)
        trunk = outputs[0].new_zeros(()) if uneven is None else self.config.balance_weight * uneven
        sums = [trunk, *[torch.zeros_like(trunk)] * 4, trunk]
        for (body, window), seen, outputs_BLD in zip(parts, embedded, outputs, strict=True):
            each, share = self._read(outputs_BLD, seen, window, body), len(window.proprio) / windows
            sums = [total + share * value for total, value in zip(sums, each, strict=True)]
        return Losses(*sums)

    def _read(self, outputs_BLD: Tensor, seen: Embedded, window: Window, body: Embodiment) -> Losses:
        """Losses of the windows of one arm, given the trunk's outputs."""
        config, layout = self.config, self.layout(body, window.proprio.shape[1])
        asked_BTAD = outputs_BLD[:, layout.action_outputs]
        learnt = slice(None) if window.learnt is None else window.learnt.bool()
        action = soft_cross_entropy(self.bins(asked_BTAD[learnt]), window.action[learnt], config.target_bins)
        future = goal = progress = torch.zeros((), device=action.device)
        if config.future_weight and window.future is not None:
            future = self.future(outputs_BLD[:, layout.image_positions], window.future)
        if config.goal_weight and window.meaning is not None and seen.meant is not None:
            goal = contrast(seen.meant, window.meaning)
        if self.progress is not None and window.progress is not None:
            # Where the first action number is asked for, everything has been seen and nothing done yet.
            logits_BTZ = self.progress(asked_BTAD[:, :, 0])
            progress = soft_cross_entropy(logits_BTZ, window.progress, config.target_bins)
        trunk = torch.zeros_like(action) if seen.unsureness is None else config.tape_weight * seen.unsureness
        total = action + config.future_weight * future + config.goal_weight * goal
        total = total + config.progress_weight * progress + trunk
        return Losses(total, action, future, goal, progress, trunk)

    def embed(self, window: Window, body: Embodiment) -> Embedded:
        """Embeds a window of an arm."""
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
        if self.tape is None:
            return Embedded(tokens, meant_BD, None)
        layout = self.layout(body, window.proprio.shape[1])
        # What is seen before the first action decides, and nothing later: so it is the same while acting.
        seen_BLD = tokens[:, : layout.prefix - layout.tape + layout.observed]
        read = self.tape(seen_BLD, self._bank(window))
        return Embedded(torch.cat([read.tokens, tokens], dim=1), meant_BD, read.unsureness)

    def _bank(self, window: Window) -> Tensor | None:
        """Every code of the first images and of the goal, for a tape that reads from the input (B, N, D)."""
        if self.tape_bank is None:
            return None
        seen = self.tape_bank(window.codes[:, :1], window.goal)
        return torch.cat([seen.images[:, 0], seen.goal], dim=1)

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
        tokens_BLD, cache = self.embed(window, body).tokens, Cache()
        output_BD = self.trunk(tokens_BLD[:, : -layout.actions], cache)[:, -1]
        ask_AD, step_D = self.ask[list(body.action)], self.step[window.proprio.shape[1] - 1]
        chosen: list[Tensor] = []
        for i, slot in enumerate(body.action):
            chosen.append(choose(self.bins(output_BD)))
            if i + 1 < layout.actions:
                token_BD = self.action(chosen[-1][:, None, None], (slot,))[:, 0, 0] + ask_AD[i + 1] + step_D
                output_BD = self.trunk(token_BD[:, None], cache)[:, 0]
        return torch.stack(chosen, dim=1)
