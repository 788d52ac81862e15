"""Which token stands where: the order of a window of control steps, and what is learnt from it. No networks.

A window of n steps of one arm, with goal "step" (RoboCat's order: the goal is repeated at each step):

    [ proprio | images | goal | action ]_1 [ proprio | images | goal | action ]_2 ... [ ... ]_n

and with goal "prefix", which is n times cheaper in goal tokens:

    [ goal ] [ proprio | images | action ]_1 ... [ proprio | images | action ]_n

    proprio   one token a channel, or one for all
    images    for each camera: one token a code, or a few merged ones
    goal      for each camera of the goal image: one token a code, or one merged one
    action    one token a number of the arm, always; these are predicted one after another

Options add to that: the tokens of a tape stand in front of all, read from what is seen before the first
action (`robocat.adatape`); and where all numbers are predicted at once, tokens that ask for them stand before
those that hold them (`robocat.at_once`).

Attention is causal, so the output at position i predicts token i + 1. The network is asked for
  - the action tokens, from the outputs one position before each, or from those at the asking tokens;
  - the image codes k steps ahead, from the outputs at the image tokens: where each code is a token, from the
    output at its own place, which has seen the image as far as that.
Arms differ in how many proprioception and action numbers they have: windows of different arms have different
lengths. A batch holds windows of one arm, or windows of several arms stand in one row, see `robocat.packing`.
There is no padding, hence no padding mask.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Goal = Literal["step", "prefix"]
Index = NDArray[np.int64]


class Kind(IntEnum):
    """What a token is."""

    PROPRIO = 0
    IMAGE = 1
    GOAL = 2
    ACTION = 3
    TAPE = 4
    ASK = 5


@dataclass(frozen=True)
class Layout:
    """The order of tokens in a window.

    Attributes:
        proprio: Proprioception tokens a step.
        images: Image tokens a step, all cameras together.
        goal: Goal tokens, all cameras together.
        actions: Action tokens a step, those of the steps planned with it included.
        context: Control steps in a window.
        goal_at: "step" or "prefix".
        tape: Tape tokens, in front of all others.
        asks: Tokens a step that ask for action numbers, or 0 where each asks for the next.
    """

    proprio: int
    images: int
    goal: int
    actions: int
    context: int
    goal_at: Goal
    tape: int = 0
    asks: int = 0

    def __post_init__(self) -> None:
        for name in ("proprio", "images", "goal", "actions", "context"):
            if getattr(self, name) < 1:
                raise ValueError(f"layout needs at least 1 {name}, got {getattr(self, name)}")
        if self.goal_at not in ("step", "prefix"):
            raise ValueError(f"goal {self.goal_at!r} is not offered; expected 'step' or 'prefix'")

    def steps_in(self, tokens: int) -> int:
        """How many whole control steps fit into a context of so many tokens; 0 if none does."""
        return max(0, tokens - self.prefix) // self.step_length

    @property
    def prefix(self) -> int:
        """Tokens before the first step."""
        return self.tape + (self.goal if self.goal_at == "prefix" else 0)

    @property
    def observed(self) -> int:
        """Tokens of a step before its action."""
        return self.proprio + self.images + (self.goal if self.goal_at == "step" else 0)

    @property
    def step_length(self) -> int:
        """Tokens of a step."""
        return self.observed + self.asks + self.actions

    @property
    def length(self) -> int:
        """Tokens of a window."""
        return self.prefix + self.context * self.step_length

    @cached_property
    def kinds(self) -> NDArray[np.int8]:
        """Kind of each token (length,)."""
        step = [Kind.PROPRIO] * self.proprio + [Kind.IMAGE] * self.images
        step += [Kind.GOAL] * (self.observed - self.proprio - self.images)
        step += [Kind.ASK] * self.asks + [Kind.ACTION] * self.actions
        front = [Kind.TAPE] * self.tape + [Kind.GOAL] * (self.prefix - self.tape)
        return np.array(front + step * self.context, dtype=np.int8)

    @cached_property
    def action_positions(self) -> Index:
        """Where the action tokens stand (context, actions)."""
        return self._positions(self.observed + self.asks, self.actions)

    @cached_property
    def action_outputs(self) -> Index:
        """Whose outputs predict action numbers: one position before each (context, actions), or the asking
        ones (context, asks).
        """
        return self._positions(self.observed, self.asks) if self.asks else self.action_positions - 1

    @property
    def read_length(self) -> int:
        """Tokens up to the last one whose output predicts anything."""
        return int(self.action_outputs[-1, -1]) + 1

    @cached_property
    def image_positions(self) -> Index:
        """Where the image tokens stand (context, images)."""
        return self._positions(self.proprio, self.images)

    def _positions(self, offset: int, count: int) -> Index:
        starts = self.prefix + np.arange(self.context) * self.step_length + offset
        return starts[:, None] + np.arange(count)
