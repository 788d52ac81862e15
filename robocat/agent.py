"""The agent: tokens of images, goal, joints and past actions in; the next action, number by number, out.

Shapes: B windows, T steps, V cameras, N codes an image, P proprioception numbers, A action numbers, L tokens,
D width, Z bins.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from robocat import actions, at_once
from robocat.actions import Choose
from robocat.adatape import Tape
from robocat.agent_config import AgentConfig
from robocat.bins import BinHead, ValueEmbedding, places, soft_cross_entropy
from robocat.contrast import contrast
from robocat.future import FutureHead
from robocat.moe import MixtureOfExperts, imbalance
from robocat.packing import pack
from robocat.patches import LEVELS, PatchStem
from robocat.sequence import Layout
from robocat.stem import CodeStem, MergedStem
from robocat.transformer import Feed, Transformer, feed_forward
from robocat.vocabulary import ACTION_SLOTS, PROPRIO_SLOTS, Embodiment


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
        later: Bins of the actions after each step's own, as far as they are planned with it (B, T, C - 1, A),
            -1 where the episode is over; None when acting, and where one step is planned at a time.
    """

    proprio: Tensor
    codes: Tensor
    goal: Tensor
    action: Tensor
    future: Tensor | None = None
    meaning: Tensor | None = None
    progress: Tensor | None = None
    learnt: Tensor | None = None
    later: Tensor | None = None


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
        if bool(config.patch) != (tuple(codebook_KE.shape) == (LEVELS, 1)):
            given = "codes" if config.patch else "pixels"
            raise ValueError(f"agent: patch: got {config.patch} with a tokeniser that gives {given}")
        self.codes = 3 * cells**2 if config.patch else cells**2
        self.stem: CodeStem | MergedStem | PatchStem
        if config.patch:
            self.stem = PatchStem(cameras, cells, config.patch, width)
        elif config.image_tokens:
            self.stem = MergedStem(
                codebook_KE,
                cameras,
                cells,
                width,
                tokens=config.image_tokens,
                patch_width=config.patch_width,
                modulate=config.modulate,
                from_codebook=config.from_codebook,
            )
        else:
            self.stem = CodeStem(codebook_KE, cameras, cells, width)
        self.proprio = ValueEmbedding(len(PROPRIO_SLOTS), width)
        self.action = ValueEmbedding(len(ACTION_SLOTS), width)
        self.step = nn.Parameter(torch.randn(config.context, width) * 0.02)
        # What the output at a token must predict next: nothing, or the action number of a slot.
        self.ask = nn.Parameter(torch.randn(len(ACTION_SLOTS), width) * 0.02)
        # And of which planned step it is.
        self.plan = nn.Parameter(torch.randn(config.chunk, width) * 0.02) if config.chunk > 1 else None
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
        self.future: FutureHead | None = None
        if not config.patch:  # pixels are no codes that could be predicted
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
        return self.config.layout(body, self.codes, context)

    def losses(self, window: Window, body: Embodiment) -> Losses:
        """Training losses of a batch of windows, each averaged over the tokens that it is about."""
        return self.packed_losses([(body, window)])

    def packed_losses(self, parts: Sequence[tuple[Embodiment, Window]]) -> Losses:
        """As `losses`, of windows of several arms that share one row; parts count by their windows."""
        embedded = [self.embed(window, body) for body, window in parts]
        # Nothing follows the last action number, so nothing is read off its output.
        layouts = [self.layout(body, window.proprio.shape[1]) for body, window in parts]
        tokens = [e.tokens[:, : lay.read_length] for e, lay in zip(embedded, layouts, strict=True)]
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
        asked_BTQD = outputs_BLD[:, layout.action_outputs]
        learnt = slice(None) if window.learnt is None else window.learnt.bool()
        action = self._action_loss(asked_BTQD[learnt], self._planned(window)[learnt])
        future = goal = progress = torch.zeros((), device=action.device)
        if config.future_weight and self.future is not None and window.future is not None:
            future = self.future(outputs_BLD[:, layout.image_positions], window.future)
        if config.goal_weight and window.meaning is not None and seen.meant is not None:
            goal = contrast(seen.meant, window.meaning)
        if self.progress is not None and window.progress is not None:
            # Where the first action number is asked for, everything has been seen and nothing done yet.
            logits_BTZ = self.progress(asked_BTQD[:, :, 0])
            progress = soft_cross_entropy(logits_BTZ, window.progress, config.target_bins)
        trunk = torch.zeros_like(action) if seen.unsureness is None else config.tape_weight * seen.unsureness
        total = action + config.future_weight * future + config.goal_weight * goal
        total = total + config.progress_weight * progress + trunk
        return Losses(total, action, future, goal, progress, trunk)

    def _action_loss(self, asked_BTQD: Tensor, planned_BTQ: Tensor) -> Tensor:
        """Of the numbers that there are: an episode may end before its plan does."""
        if self.config.chunk > 1:
            there = planned_BTQ >= 0
            asked_BTQD, planned_BTQ = asked_BTQD[there], planned_BTQ[there]
        return soft_cross_entropy(self.bins(asked_BTQD), planned_BTQ, self.config.target_bins)

    def _planned(self, window: Window) -> Tensor:
        """Bins of each step's own action and of those planned with it (B, T, Q); 0 where none is given."""
        if self.config.chunk == 1:
            return window.action
        own_BT1A = window.action[:, :, None]
        later = window.later
        if later is None:
            later = torch.zeros_like(own_BT1A).expand(-1, -1, self.config.chunk - 1, -1)
        return torch.cat([own_BT1A, later], dim=2).flatten(2)

    def _asks(self, body: Embodiment) -> Tensor:
        """What asks for each number of each planned step (Q, D)."""
        ask_AD = self.ask[places(body.action, self.ask.device)]
        return ask_AD if self.plan is None else (self.plan[:, None] + ask_AD).flatten(0, 1)

    def _numbers(self, window: Window, body: Embodiment) -> Tensor:
        """Tokens of the action numbers that stand in the sequence (B, T, ..., D)."""
        if self.plan is None or self.config.at_once:
            return self.action(window.action, body.action)
        numbers_BTQD = self.action(self._planned(window).clamp(min=0), body.action * self.config.chunk)
        return numbers_BTQD + self.plan.repeat_interleave(len(body.action), dim=0)

    def embed(self, window: Window, body: Embodiment) -> Embedded:
        """Embeds a window of an arm."""
        images_BTMD, goal_BGD, meant_BD = self.stem(window.codes, window.goal)
        proprio_BTPD = self.proprio(window.proprio, body.proprio)
        if self.config.image_tokens:
            proprio_BTPD = proprio_BTPD.sum(dim=2, keepdim=True) * len(body.proprio) ** -0.5
        parts = [proprio_BTPD, images_BTMD]
        if self.config.goal_at == "step":
            parts.append(goal_BGD[:, None].expand(-1, images_BTMD.shape[1], -1, -1))
        arrange = at_once.arrange if self.config.at_once else actions.arrange
        steps = arrange(torch.cat(parts, dim=2), self._numbers(window, body), self._asks(body))
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
        """Decodes the action of the window's last step, and those planned with it.

        Args:
            window: `action` holds the bins of the steps before the last; its last step is ignored.
            body: The arm's slots.
            choose: Picks bins (B,) from logits (B, BINS) of one action number.

        Returns:
            Bins (B, A), or (B, C x A) of C planned steps, one step after the other.
        """
        layout = self.layout(body, window.proprio.shape[1])
        tokens_BLD = self.embed(window, body).tokens
        if self.config.at_once:
            return at_once.decode(self.trunk, self.bins, tokens_BLD, layout, choose=choose)
        ask_QD, step_D = self._asks(body), self.step[window.proprio.shape[1] - 1]

        def number(bins_B: Tensor, index: int) -> Tensor:
            planned, place = divmod(index, len(body.action))
            token_BD = self.action(bins_B[:, None, None], (body.action[place],))[:, 0, 0]
            token_BD = token_BD if self.plan is None else token_BD + self.plan[planned]
            return token_BD + ask_QD[index + 1] + step_D

        longest = max(layout.length, self.layout(body).length)
        return actions.decode(
            self.trunk, self.bins, tokens_BLD, layout, longest=longest, number=number, choose=choose
        )
