"""A person as a controller in the environment loop, who may let a helper act and take over again."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from demos.cadence import Cadence
from demos.controller import Act, Controller
from demos.environment import Environment
from demos.episode import Provenance
from demos.expert import Expert, aims
from demos.teleop.console import GONE_S, SILENT_S, Console
from sim.env import ManipulationEnv, Observation
from sim.names import UnknownName

Phase = Literal["ready", "homing", "recording", "paused"]
LOST_S = 0.25  # own choice: so long an arm may be silent before the episode waits for it


class Abandoned(Exception):
    """The episode is not to be: the order that said so."""


class Teleoperator:
    """Acts for the person at a console, in one environment, at the control rate.

    The person may hand the controls to a helper: a policy, or the scripted expert, which knows simulations
    alone. Each time it begins anew, with no memory of what the person did. If it fails, the controls go back
    to the person, and the episode goes on.

    Attributes:
        marked: What the person says of the episode, or None.
        trouble: Why the helper lost the controls, in a line; "" if it did not.
    """

    def __init__(
        self,
        console: Console,
        control_hz: int,
        show: Callable[[Phase, str, Observation], None],
        undo: Callable[[], None],
        helper: Controller[Environment] | None = None,
    ) -> None:
        """For a console.

        Args:
            console: What the person asks for.
            control_hz: Steps a second.
            show: Is told the phase, who acts and what is seen, once a tick.
            undo: Undoes the episode that was kept last.
            helper: Whom the person may hand the controls to; in simulation the expert if not given.
        """
        self._console, self._show, self._undo = console, show, undo
        self.cadence = Cadence(control_hz)
        self._given = helper
        self._helper: Controller[Any] | None = helper  # the expert wants a simulation, and gets no other
        self._slot, self._seed = 0, 0
        self._actor = "teleop"
        self._started = self._recording = self._ending = False
        self.marked: bool | None = None
        self.trouble = ""

    def provenance(self, seed: int) -> Provenance:
        """Teleoperated, perhaps beside a policy; who acted at each step is in the episode's `actor`."""
        if self._given is None:
            return Provenance(controller="teleop", seed=seed)
        return replace(self._given.provenance(seed), controller="teleop")

    def begin(self, slot: int, env: Environment, seed: int) -> None:
        """Waits, from the first `act` on, for the order to start."""
        self._started = self._recording = self._ending = False
        self.marked, self._actor = None, "teleop"
        self._console.rest()
        self._env, self._slot, self._seed = env, slot, seed
        self.cadence = env.cadence or self.cadence
        if self._given is None:
            self._helper = _expert_of(env)
        self._hand_over()

    def act(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[Act]:
        """One step, at its time: the person's or the helper's; none moves without a person at the controls.

        Raises:
            Abandoned: At the order "discard", "next" or "again".
        """
        seen = None
        if not self._recording:
            self._wait("ready", lambda: self._started)
            seen = self._wait("homing", lambda: self._env.status.homed)
            self._recording = True
        elif self._is_away():
            seen = self._wait("paused", lambda: not self._is_away())
        seen_s = None if seen is None else time.time()
        self._show("recording", self._actor, observations[0] if seen is None else seen)
        if self._env.cadence is None:
            self.cadence.wait()
        self._obey()
        ends = self._ending
        command = self._console.command()
        helped = None
        if self._actor != "teleop" and self._console.silence_s <= SILENT_S:
            helped = self._helped(slots, observations if seen is None else [seen])
        if helped is None:
            return [Act(command.limited, command.limited, ends, command.commanded, "teleop", seen_s, seen)]
        self._console.follow(helped.action)
        return [Act(helped.action, helped.label, ends, command.commanded, self._actor, seen_s, seen)]

    @property
    def helper(self) -> str:
        """Who it is that the controls may be handed to, one of `demos.episode.CONTROLLERS`; "" if nobody."""
        return "" if self._helper is None else self._helper.provenance(self._seed).controller

    def _hand_over(self) -> bool:
        """Has the helper begin anew; whether there is one and it could."""
        self.trouble = ""
        if self._helper is None:
            return False
        try:
            self._helper.begin(self._slot, self._env, self._seed)
        except Exception as error:  # as in `_helped`
            self._give_back(error)
        return not self.trouble

    def _helped(self, slots: Sequence[int], observations: Sequence[Observation]) -> Act | None:
        """What the helper does; None once it fails, and the person acts."""
        assert self._helper is not None
        try:
            return self._helper.act(slots, observations)[0]
        except Exception as error:  # whatever a network or a foreign file raises, the episode is the person's
            self._give_back(error)
        return None

    def _give_back(self, error: Exception) -> None:
        """The controls, to the person."""
        line = " ".join(f"{type(error).__name__}: {error}".split())
        self.trouble = f"the {self.helper} failed, you act: {line}"
        self._actor = "teleop"

    def _is_away(self) -> bool:
        """Whether the person is, or an arm that may still come back."""
        status = self._env.status
        silence_s = max(status.silence_s, status.deaf_s)
        return self._console.silence_s > GONE_S or (LOST_S < silence_s < math.inf)

    def _wait(self, phase: Phase, over: Callable[[], bool]) -> Observation:
        """Shows what is to be seen until the wait is over; returns what was seen last.

        Nothing moves but, when that is the phase, an arm on its way home, as long as the person is there.
        """
        observation = self._env.look()
        while not over():
            self._show(phase, self._actor, observation)
            self.cadence.wait()
            self._obey()
            if self._ending:
                break  # kept as it is: one step more, in which the arm holds still
            observation = self._env.look(phase == "homing" and self._console.silence_s <= SILENT_S)
        self._console.still()
        self.cadence.start()
        return observation

    def _obey(self) -> None:
        """Carries out what was ordered."""
        for order in self._console.orders():
            if order in ("discard", "next", "again"):
                raise Abandoned(order)
            if order == "start":
                self._started = True
            elif order == "undo":
                if not self._started:
                    self._undo()
            elif order == "keep":
                self._ending = self._recording
            elif order in ("success", "failure"):
                self.marked = order == "success"
            elif order == "unmark":
                self.marked = None
            elif order == "person":
                self._actor = "teleop"
            elif order == "helper" and self._hand_over():
                self._actor = self.helper


def _expert_of(env: Environment) -> Expert | None:
    """The scripted expert, if there is one for what is simulated."""
    if not isinstance(env, ManipulationEnv):
        return None
    try:
        aims(env.task, env.scene, env.variation)
    except UnknownName:
        return None
    return Expert()
