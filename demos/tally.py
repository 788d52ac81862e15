"""What came of every attempt to multiply demonstrations: one file in the store that takes them.

    <store>/multiplied.json    {<key>: {"plan": ..., "yields": [...], "attempts": [...]}, ...}

Failed attempts are counted here even where their episodes are not kept, so that a run that is started again
does not repeat them, and how many attempts an episode took stays known. A key names a plan: other
demonstrations or another noise are counted apart.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from demos.rate import Rate
from demos.staging import whole
from demos.workers import Ended

FILE = "multiplied.json"

UNTOLD = ("size", "noise")  # what ids do not tell of how an episode was made


@dataclass(frozen=True)
class Yield:
    """How many attempts of an arm at a task succeeded."""

    arm: str
    task: str
    rate: Rate

    @staticmethod
    def of(arm: str, task: str, attempts: Sequence[Ended]) -> "Yield":
        """Of some attempts, at least one."""
        return Yield(arm, task, Rate.of(sum(each.success for each in attempts), len(attempts)))


class Tally:
    """The attempts at one task under one plan, in the order in which they were made."""

    def __init__(self, store: Path, plan: Mapping[str, Any]) -> None:
        """Reads what is known already.

        Args:
            store: The store that takes the episodes.
            plan: All that decides what an attempt does, but its arm, variation and seed.

        Raises:
            ValueError: Episodes of the task are there that were made otherwise, as an id does not say.
        """
        self._path, self._plan = store / FILE, plan
        self._expect_alike()
        self._key = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:8]
        known = self._read().get(self._key, {}).get("attempts", [])
        names = [field.name for field in fields(Ended)]
        self.attempts = [Ended(**dict(zip(names, row, strict=True))) for row in known]

    def _expect_alike(self) -> None:
        """Other demonstrations and worlds give other ids; what is `UNTOLD` does not."""
        for record in self._read().values():
            other: Mapping[str, Any] = record["plan"]
            known = json.loads(json.dumps(self._plan))
            off = [key for key in UNTOLD if other.get(key) != known.get(key)]
            if other["task"] == known["task"] and off:
                raise ValueError(
                    f"{self._path.parent} holds {known['task']} made with another {' and '.join(off)}; "
                    f"expected the same again ({self._path.name} has it), or another --out"
                )

    def of(self, arm: str, first_seed: int = 0) -> list[Ended]:
        """The attempts of an arm in scenes of this seed and later ones."""
        return [each for each in self.attempts if each.arm == arm and each.seed >= first_seed]

    def forget(self, ids: set[str]) -> None:
        """Leaves out attempts whose episodes were lost: they are made again."""
        self.attempts = [each for each in self.attempts if each.id not in ids]

    def add(self, ended: Sequence[Ended]) -> None:
        """Enters attempts and writes the file, whole or not at all."""
        self.attempts += ended
        record = self._read()
        record[self._key] = {
            "plan": self._plan,
            "yields": [asdict(each) for each in self.yields()],
            "attempts": [list(asdict(each).values()) for each in self.attempts],
        }
        with whole(self._path) as part:
            part.write_text(json.dumps(record) + "\n", encoding="utf-8")

    def yields(self) -> list[Yield]:
        """What each arm yielded, of all attempts."""
        return [
            Yield.of(arm, self._plan["task"], self.of(arm))
            for arm in dict.fromkeys(each.arm for each in self.attempts)
        ]

    def _read(self) -> dict[str, Any]:
        return json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
