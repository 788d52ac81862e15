"""What an agent is trained on: one weighted sum of cross-entropies, in nats.

    total      predicted + goal_weight x goal + progress_weight x progress + trunk
    predicted  (m x action + w x n x future) / (m + w x n), of a window's m action numbers and n image codes,
               w being future_weight; or action + w x future, where `mean_over` is "kinds"

    action     of each action number that is to be learnt, against its bin or a normal around it
    future     of image codes some steps ahead, see `robocat.future`
    goal       how badly goals of one meaning are told from others, see `robocat.contrast`
    progress   of how far along the task is, asked where the first action number is; 0 where nobody tells
    trunk      what options of the trunk ask for, see `robocat.adatape` and `robocat.moe`

The weights are those of `robocat.agent_config.AgentConfig`; RoboCat has `predicted` alone, a sum over tokens.

All but `goal` and the experts' part of `trunk` are means over windows, and a batch may be computed in parts,
by turns or by several processes: the parts' losses, each times its share of the windows, add up to the whole
batch's, and so do their gradients. An action that is not to be learnt has weight 0 and the others the more,
by all windows of its arm in the batch, see `weigh`. `goal` compares the goals of an arm that are computed
together, and experts are evenly loaded by what is.

Shapes: B windows, T steps, Q = C x A numbers of C planned steps, D width, L tokens, M image tokens a step,
Z bins.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from robocat.agent import Agent, Embedded, Window
from robocat.agent_config import AgentConfig
from robocat.contrast import contrast
from robocat.moe import imbalance
from robocat.packing import through
from robocat.sequence import Layout
from robocat.vocabulary import BINS, Embodiment

Part = tuple[Embodiment, Window]  # what a batch holds of one arm
# The trunk's outputs for batches of embedded windows, as `robocat.packing.through` has it.
Through = Callable[[Callable[..., Tensor], Sequence[Tensor]], list[Tensor]]


class Losses(NamedTuple):
    """As above; scalars."""

    total: Tensor
    action: Tensor
    future: Tensor
    goal: Tensor
    progress: Tensor
    trunk: Tensor


class Positions(NamedTuple):
    """Of a window's tokens, those whose outputs predict action numbers (T, Q), and those of images (T, M)."""

    asked: Tensor
    images: Tensor


def losses(agent: Agent, parts: Sequence[Part], via: Through = through) -> Losses:
    """Losses of windows of one arm or of several, which count by their windows.

    Args:
        agent: The network.
        parts: An arm's slots and its windows, for one arm or several in one row.
        via: Passes them through the trunk; it may be compiled.
    """
    embedded = [agent.embed(window, body) for body, window in parts]
    # Nothing follows the last action number, so nothing is read off its output.
    layouts = [agent.layout(body, window.proprio.shape[1]) for body, window in parts]
    tokens = [each.tokens[:, : lay.read_length] for each, lay in zip(embedded, layouts, strict=True)]
    outputs = via(agent.trunk, tokens)
    windows = sum(len(window.proprio) for _, window in parts)
    uneven = imbalance(agent.trunk)
    trunk = outputs[0].new_zeros(()) if uneven is None else agent.config.balance_weight * uneven
    sums = [trunk, *[torch.zeros_like(trunk)] * 4, trunk]
    for (_, window), layout, seen, outputs_BLD in zip(parts, layouts, embedded, outputs, strict=True):
        each, share = _read(agent, outputs_BLD, seen, window, layout), len(window.proprio) / windows
        sums = [total + share * value for total, value in zip(sums, each, strict=True)]
    return Losses(*sums)


def _read(agent: Agent, outputs_BLD: Tensor, seen: Embedded, window: Window, layout: Layout) -> Losses:
    """Losses of the windows of one arm, given the trunk's outputs."""
    config, places = agent.config, positions(layout, outputs_BLD.device)
    asked_BTQD = outputs_BLD[:, places.asked]
    action = _action_loss(agent, asked_BTQD, window)
    future = goal = progress = torch.zeros((), device=action.device)
    if config.future_weight and agent.future is not None and window.future is not None:
        future = agent.future(outputs_BLD[:, places.images], window.future)
    if config.goal_weight and window.meaning is not None and seen.meant is not None:
        goal = contrast(seen.meant, window.meaning)
    if agent.progress is not None and window.progress is not None:
        # Where the first action number is asked for, everything has been seen and nothing done yet.
        logits_BTZ = agent.progress(asked_BTQD[:, :, 0])
        known_BT = (window.progress >= 0).float()
        progress = soft_cross_entropy(logits_BTZ, window.progress.clamp(min=0), config.target_bins, known_BT)
    trunk = torch.zeros_like(action) if seen.unsureness is None else config.tape_weight * seen.unsureness
    total = _predicted(config, window, action, future) + config.goal_weight * goal
    total = total + config.progress_weight * progress + trunk
    return Losses(total, action, future, goal, progress, trunk)


def _predicted(config: AgentConfig, window: Window, action: Tensor, future: Tensor) -> Tensor:
    """The losses of actions and of future images as one; of actions all count that are asked for."""
    weight = config.future_weight
    if config.mean_over == "kinds" or window.future is None:
        return action + weight * future
    numbers, codes = config.chunk * window.action[0].numel(), weight * window.future[0].numel()
    return (numbers * action + codes * future) / (numbers + codes)


def _action_loss(agent: Agent, asked_BTQD: Tensor, window: Window) -> Tensor:
    planned_BTQ, weight_BTQ = agent.planned(window), window.learnt
    if weight_BTQ is not None:
        weight_BTQ = weight_BTQ.repeat_interleave(window.action.shape[2], dim=2)
    return soft_cross_entropy(agent.bins(asked_BTQD), planned_BTQ, agent.config.target_bins, weight_BTQ)


@lru_cache(maxsize=64)
def positions(layout: Layout, device: torch.device) -> Positions:
    """Where a layout's outputs are read; made once for each device, for a copy makes the CPU wait for it."""
    with torch.inference_mode(False):  # or what was first asked for while acting could not be trained with
        places = layout.action_outputs, layout.image_positions
        return Positions(*(torch.from_numpy(each).to(device) for each in places))


def weigh(learnt_BT: Tensor, later: Tensor | None) -> Tensor | None:
    """What the loss of each action of a batch counts, of one arm: its mean is then that of those learnt.

    Args:
        learnt_BT: Whether the action of a window's step is to be learnt, and what is planned with it.
        later: As `robocat.agent.Window` has it: an episode may end before a plan does.

    Returns:
        Weights (B, T, C) of mean 1, or all 0 if nothing is learnt; None if everything is.
    """
    counts_BTC = learnt_BT.bool()[..., None]
    if later is not None:
        there_BTC = F.pad((later >= 0).all(dim=3), (1, 0), value=True)  # a step's own action always is
        counts_BTC = counts_BTC & there_BTC
    if counts_BTC.all():
        return None
    weight_BTC = counts_BTC.float()
    return weight_BTC / weight_BTC.mean().clamp(min=1 / weight_BTC.numel())


def soft_cross_entropy(
    logits: Tensor, target: Tensor, spread_bins: float, weight: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy (nats) against a discretised normal around the target bin.

    Args:
        logits: (..., Z).
        target: Bins (...).
        spread_bins: Standard deviation of the normal, in bins; 0 is one-hot.
        weight: What each counts (...); all alike if None.
    """
    flat, meant = logits.flatten(0, -2), target.flatten()
    if spread_bins:
        meant = _normals(spread_bins, logits.device)[meant]
    if weight is None:
        return F.cross_entropy(flat, meant)
    return (F.cross_entropy(flat, meant, reduction="none") * weight.flatten()).mean()


@lru_cache(maxsize=8)
def _normals(spread_bins: float, device: torch.device) -> Tensor:
    """The normal around each bin (Z, Z), rows of sum 1: looked up, not computed for each number anew."""
    with torch.inference_mode(False):  # see `positions`
        place = torch.arange(BINS, device=device)
        weight = torch.exp(-0.5 * ((place - place[:, None]) / spread_bins) ** 2)
        return weight / weight.sum(dim=-1, keepdim=True)
