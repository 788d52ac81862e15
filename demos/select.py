"""Which episodes of a store are meant, in the words of a command line: `robocat data ... --tasks lift`."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import arg

from demos.episode import CONTROLLERS, OUTCOMES
from demos.manifest import Entry
from demos.store import EpisodeStore
from sim.names import pick as find

ANY = "any"


@dataclass(frozen=True)
class Selection:
    """What an episode must be to be meant; what is not given does not matter.

    Attributes:
        arms: Of one of these arms.
        tasks: Of one of these tasks.
        variations: Of one of these variations.
        controllers: Acted by one of "expert", "policy", "teleop", "replay" and "multiplied".
        outcome: "success", "failure", "unjudged" (nobody has said how it ended) or "any".
        generation: By a policy of this generation.
    """

    arms: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    variations: tuple[str, ...] = ()
    controllers: tuple[str, ...] = ()
    outcome: str = ANY
    generation: int | None = None

    def means(self, entry: Entry) -> bool:
        """Whether an episode is meant."""
        wanted = (
            (self.arms, entry.arm),
            (self.tasks, entry.task),
            (self.variations, entry.variation),
            (self.controllers, entry.controller),
        )
        return (
            all(not names or name in names for names, name in wanted)
            and self.outcome in (ANY, entry.outcome)
            and self.generation in (None, entry.generation)
        )

    def of(self, store: EpisodeStore) -> list[Entry]:
        """The store's episodes that are meant, sorted by id.

        Raises:
            UnknownName: A name that no episode of the store has, or a word that is none of the offered.
            ValueError: Nothing is meant.
        """
        entries = store.entries()
        for names, noun, present in (
            (self.arms, "arm", [entry.arm for entry in entries]),
            (self.tasks, "task", [entry.task for entry in entries]),
            (self.variations, "variation", [entry.variation for entry in entries]),
        ):
            for name in names:
                find(dict.fromkeys(sorted(present), True), name, f"{noun} in {store.path}")
        for name in self.controllers:
            find(dict.fromkeys(CONTROLLERS, True), name, "controller")
        find(dict.fromkeys((*OUTCOMES, ANY), True), self.outcome, "outcome")
        meant = [entry for entry in entries if self.means(entry)]
        if not meant:
            raise ValueError(
                f"no episode of {store.path} is of that kind; `robocat data info` says what is there"
            )
        return meant


ALL = Selection()
SUCCESSES = Selection(outcome="success")
Choice = Annotated[Selection, arg(name="")]  # on a command line, its fields are flags among the verb's own


def of_one_arm_and_task(store: EpisodeStore, pick: Selection) -> list[Entry]:
    """Those meant, for a format whose sets have one environment.

    Raises:
        ValueError: They are of several arms or tasks; or as `Selection.of`.
    """
    chosen = pick.of(store)
    cells = sorted({f"{entry.arm} {entry.task}" for entry in chosen})
    if len(cells) > 1:
        raise ValueError(
            f"{store.path} has episodes of {', '.join(cells)}; a set has one arm and task: say --arms and "
            "--tasks"
        )
    return chosen
