"""The declared rule of what is learnt of an episode, and towards which goal."""

import numpy as np
from numpy.typing import NDArray

from robocat.config import Practised
from robocat.tokens import WHOLE, ArmTokens, TokenEpisode

Index = NDArray[np.int64]
SOON = 4  # steps within which progress must rise


def worth_learning(
    tokens: ArmTokens, episode: TokenEpisode, context: int, rise: float, practised: Practised = "progress"
) -> Index:
    """First rows (M,) of the windows of an episode that are learnt from: the declared rule.

    Of whoever shows how it is done, all steps of a success. Of what a policy did by itself, successful in the
    end or not, the steps soon after which the task's progress has risen, and those at its goal: hesitation
    and what led nowhere are not repeated, and what went well before a failure is. Where nobody tells the
    progress, as at a real table, the outcome decides: all steps of a success, none of a failure. Or, where
    `practised` is "hindsight", all of it, as RoboCat has it: there a failure's goal is where it ended.

    Args:
        tokens: The arm's rows.
        episode: One of its episodes.
        context: Control steps a window; the last one is judged.
        rise: Least rise of progress, of 1 in all.
        practised: See `robocat.config.Training`.
    """
    first = first_rows(episode, context)
    own = episode.controller == "policy"
    if own and practised == "hindsight":
        return first
    if not (own and episode.told):
        return first if episode.success else first[:0]
    last = episode.start + episode.rows - 1
    now = first + context - 1
    progress = tokens.progress[now].astype(np.int64)
    soon = tokens.progress[np.minimum(now + SOON, last)].astype(np.int64)
    return first[(soon - progress > rise * WHOLE) | (progress == WHOLE)]


def own_end(episode: TokenEpisode, practised: Practised) -> bool:
    """Whether it is learnt from as an attempt at what it brought about."""
    return practised == "hindsight" and episode.controller == "policy" and not episode.success


def first_rows(episode: TokenEpisode, context: int) -> Index:
    """Where windows of so many steps can start: the last row has no action."""
    return np.arange(episode.start, episode.start + max(0, episode.rows - context))
