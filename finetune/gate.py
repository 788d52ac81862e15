"""The comparison that lets a generation replace the one before it.

On scenes and goals used for nothing else, all models on the same ones. Generation g + 1 is accepted if
  - on what is new it is better than generation g, the interval of the paired difference over all of it above
    zero, and at no new arm and task worse by more than `MARGIN`;
  - over the old arms and tasks together its paired difference does not lie below zero by more than noise: the
    interval is not wholly below zero, and its mean is no worse than `MARGIN`.
Beside it stands the control that matters, the same training without the practice data. It does not decide; it
says what practice was worth. Where a success model judged the practice, what it got wrong stands beside both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from demos.intervals import Difference
from robocat.agreement import Agreement, Cell
from robocat.scores import Scores

MARGIN = 0.05  # a loss that nobody may call noise, however wide the interval


@dataclass(frozen=True)
class Verdict:
    """What the gate says, and why.

    Attributes:
        accepted: Whether the new generation replaces its parent.
        reasons: One line a condition.
        versus_parent: Over all that is new, new generation minus parent.
        versus_control: Over all that is new, new generation minus the training without practice.
        new: The same two for each new arm and task.
        old: For each old arm and task, new generation minus parent.
        old_mean: The same over all of them.
        judged: How verdicts on practice agree with the predicate, by arm and task; empty where it judged.
    """

    accepted: bool
    reasons: tuple[str, ...]
    versus_parent: Difference
    versus_control: Difference
    new: tuple[tuple[Cell, Difference, Difference], ...]
    old: tuple[tuple[Cell, Difference], ...]
    old_mean: Difference
    judged: tuple[tuple[Cell, Agreement], ...] = ()

    def record(self) -> dict[str, object]:
        """As JSON."""
        return {
            "accepted": self.accepted,
            "reasons": list(self.reasons),
            "versus_parent": asdict(self.versus_parent),
            "versus_control": asdict(self.versus_control),
            "new": [
                {"arm": a, "task": t, "versus_parent": asdict(parent), "versus_control": asdict(control)}
                for (a, t), parent, control in self.new
            ],
            "old": [{"arm": a, "task": t, "difference": asdict(d)} for (a, t), d in self.old],
            "old_mean": asdict(self.old_mean),
            "judged": [{"arm": a, "task": t, **each.record()} for (a, t), each in self.judged],
        }


def judge(
    candidate: Scores,
    parent: Scores,
    control: Scores,
    new: Sequence[Cell],
    old: Sequence[Cell],
    *,
    judged: Mapping[Cell, Agreement] | None = None,
) -> Verdict:
    """Compares paired scores on new arms and tasks and on old ones.

    Args:
        candidate: Of the new generation.
        parent: Of the one before it.
        control: Of the training without practice.
        new: What is new.
        old: What is not.
        judged: What a success model that judged the practice got wrong: reported, and decides nothing.
    """
    gain = candidate.paired_over(parent, new)
    change = candidate.paired_over(parent, old)
    better = gain.low > 0.0 and all(candidate.paired(parent, *cell).mean >= -MARGIN for cell in new)
    kept = change.high >= 0.0 and change.mean >= -MARGIN
    reasons = (
        f"{'better' if better else 'not better'} on {', '.join(map(' '.join, new))}: {_says(gain)}",
        f"{'not worse' if kept else 'worse'} on {len(old)} old cells: {_says(change)}",
    )
    return Verdict(
        accepted=better and kept,
        reasons=reasons,
        versus_parent=gain,
        versus_control=candidate.paired_over(control, new),
        new=tuple((cell, candidate.paired(parent, *cell), candidate.paired(control, *cell)) for cell in new),
        old=tuple((cell, candidate.paired(parent, *cell)) for cell in old),
        old_mean=change,
        judged=tuple((judged or {}).items()),
    )


def _says(difference: Difference) -> str:
    return f"{difference.mean:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}), n {difference.n}"
