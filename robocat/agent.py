"""The agent: tokens of images, goal, joints and past actions in; the next action, number by number, out.

What it is trained on is `robocat.objective`.

Shapes: B windows, T steps, V cameras, N codes an image, P proprioception numbers, A action numbers, L tokens,
D width, Z bins.
"""

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from robocat import actions, at_once, choices
from robocat.actions import Choose
from robocat.adatape import Tape
from robocat.agent_config import AgentConfig
from robocat.bins import BinHead, places, value_embedding
from robocat.sequence import Layout
from robocat.transformer import Transformer
from robocat.vocabulary import ACTION_SLOTS, PROPRIO_SLOTS, Embodiment


class Window(NamedTuple):
    """A batch of windows of one arm; all integers.

    Attributes:
        proprio: Bins (B, T, P).
        codes: Image codes (B, T, V, N).
        goal: Codes of the goal images (B, V, N).
        action: Bins (B, T, A).
        future: Image codes `future_steps` later (B, T, V, N), the last ones where the episode is over by
            then, or None when acting.
        meaning: Equal numbers where goals mean the same (B,), or None when acting.
        progress: How far along the task is at each step, bins (B, T), -1 where nobody tells; None when
            acting.
        learnt: What the loss of each action counts, float32 (B, T, C), see `robocat.objective.weigh`; None
            when acting, and where all of them count alike.
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
        self.codes = 3 * cells**2 if config.patch else cells**2
        width = config.width
        self.stem = choices.stem(config, codebook_KE, cells)
        self.proprio = value_embedding(config.values, len(PROPRIO_SLOTS), width)
        self.action = value_embedding(config.values, len(ACTION_SLOTS), width)
        self.step = nn.Parameter(torch.randn(config.context, width) * 0.02)
        # What the output at a token must predict next: nothing, or the action number of a slot.
        self.ask = nn.Parameter(torch.randn(len(ACTION_SLOTS), width) * 0.02)
        # And of which planned step it is.
        self.plan = nn.Parameter(torch.randn(config.chunk, width) * 0.02) if config.chunk > 1 else None
        self.tape = Tape(width, config.tape, config.tape_bank) if config.tape else None
        self.tape_bank = choices.bank(config, codebook_KE, cells)
        self.trunk = Transformer(width, config.blocks, config.heads, config.drop, choices.feed(config))
        self.bins = BinHead(width, config.bin_waves)
        self.progress = BinHead(width, config.bin_waves) if config.progress_weight else None
        self.future = choices.future(config, codebook_KE, cells)

    def layout(self, body: Embodiment, context: int | None = None) -> Layout:
        """The order of tokens for an arm, see `AgentConfig.layout`."""
        return self.config.layout(body, self.codes, context)

    def planned(self, window: Window) -> Tensor:
        """Bins of each step's own action and of those planned with it (B, T, Q); 0 where there is none."""
        if self.config.chunk == 1:
            return window.action
        own_BT1A = window.action[:, :, None]
        later = window.later
        if later is None:
            later = torch.zeros_like(own_BT1A).expand(-1, -1, self.config.chunk - 1, -1)
        return torch.cat([own_BT1A, later.clamp(min=0)], dim=2).flatten(2)

    def _asks(self, body: Embodiment) -> Tensor:
        """What asks for each number of each planned step (Q, D)."""
        ask_AD = self.ask[places(body.action, self.ask.device)]
        return ask_AD if self.plan is None else (self.plan[:, None] + ask_AD).flatten(0, 1)

    def _numbers(self, window: Window, body: Embodiment) -> Tensor:
        """Tokens of the action numbers that stand in the sequence (B, T, ..., D)."""
        if self.plan is None or self.config.at_once:
            return self.action(window.action, body.action)
        numbers_BTQD = self.action(self.planned(window), body.action * self.config.chunk)
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
