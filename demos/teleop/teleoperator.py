"""A person as a controller in the environment loop, who may let the expert act and take over again."""

import time
from collections.abc import Callable, Sequence
from typing import Literal

from demos.controller import Act
from demos.episode import Provenance
from demos.expert import Expert
from demos.teleop.cadence import Cadence
from demos.teleop.console import GONE_S, SILENT_S, Console
from sim.env import ManipulationEnv, Observation

Phase = Literal["ready", "recording", "paused"]


class Abandoned(Exception):
    """The episode is not to be: the order that said so."""


class Teleoperator:
    """Acts for the person at a console, in one environment, at the control rate."""

    def __init__(
        self,
        console: Console,
        control_hz: int,
        show: Callable[[Phase, str, Observation], None],
        undo: Callable[[], None],
    ) -> None:
        """For a console.

        Args:
            console: What the person asks for.
            control_hz: Steps a second.
            show: Is told the phase, who acts and what is seen, once a tick.
            undo: Undoes the episode that was kept last.
        """
        self._console, self._show, self._undo = console, show, undo
        self.cadence = Cadence(control_hz)
        self._expert = Expert()
        self._actor = "teleop"
        self._started = False
        self.marked: bool | None = None

    def provenance(self, seed: int) -> Provenance:
        """Teleoperated; who acted at each step stands in the episode's `actor`."""
        return Provenance(controller="teleop", seed=seed)

    def begin(self, slot: int, env: ManipulationEnv, seed: int) -> None:
        """Waits, from the first `act` on, for the order to start."""
        self._started, self.marked, self._actor = False, None, "teleop"
        self._console.rest()
        self._expert.begin(slot, env, seed)

    def act(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[Act]:
        """One step, at its time: the person's or the expert's; none moves without a person at the controls.

        Raises:
            Abandoned: At the order "discard", "next" or "again".
        """
        seen_s = None
        if not self._started:
            self._wait("ready", lambda: self._started, observations[0])
            seen_s = time.time()
        elif self._console.silence_s > GONE_S:
            self._wait("paused", lambda: self._console.silence_s <= GONE_S, observations[0])
            seen_s = time.time()
        self._show("recording", self._actor, observations[0])
        self.cadence.wait()
        ends = self._obey()
        command = self._console.command()
        if self._actor == "teleop" or self._console.silence_s > SILENT_S:
            return [Act(command.limited, command.limited, ends, command.commanded, "teleop", seen_s)]
        expert = self._expert.act(slots, observations)[0]
        self._console.follow(expert.action)
        return [Act(expert.action, expert.label, ends, command.commanded, "expert", seen_s)]

    def _wait(self, phase: Phase, over: Callable[[], bool], observation: Observation) -> None:
        """Shows the scene, in which nothing happens, until the wait is over."""
        while not over():
            self._show(phase, self._actor, observation)
            self.cadence.wait()
            if self._obey():
                break  # kept as it is: one step more, in which the arm holds still
        self.cadence.start()

    def _obey(self) -> bool:
        """Carries out what was ordered; whether the episode is to end and be kept."""
        ends = False
        for order in self._console.orders():
            if order in ("discard", "next", "again"):
                raise Abandoned(order)
            if order == "start":
                self._started = True
            elif order == "undo":
                if not self._started:
                    self._undo()
            elif order == "keep":
                ends = self._started
            elif order in ("success", "failure"):
                self.marked = order == "success"
            elif order == "unmark":
                self.marked = None
            elif order in ("expert", "person"):
                self._actor = "expert" if order == "expert" else "teleop"
        return ends
