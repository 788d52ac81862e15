"""How the models of a run stand: success rates on what the first generalist knew and on what is new."""

from collections.abc import Mapping
from dataclasses import dataclass

from demos.rate import Rate
from finetune.run_folder import Cell, Run, rank
from robocat.scores import Scores


@dataclass(frozen=True)
class Standing:
    """Success rates of models on known and new arms and tasks, from one set of evaluations.

    Attributes:
        scores: Evaluations by model, in the order in which the cycle makes models.
        new_cells: Arms and tasks that count as new.
        demonstrated: Arms and tasks of the first demonstrations; to say what about a new one is new.
    """

    scores: Mapping[str, Scores]
    new_cells: frozenset[Cell]
    demonstrated: frozenset[Cell]

    @staticmethod
    def of(run: Run, scores: Mapping[str, Scores]) -> "Standing":
        """Those of a run's evaluations."""
        demos = run.stores.get("demos")
        shown = frozenset(demos.cells) if demos is not None else frozenset[Cell]()
        return Standing(scores, frozenset(run.new_cells), shown)

    @property
    def cells(self) -> list[Cell]:
        """All that was tried by any model: what is known by task, then what is new."""
        tried = dict.fromkeys(cell for scores in self.scores.values() for cell in scores.cells())
        tasks = list(dict.fromkeys(task for _, task in tried))
        return sorted(tried, key=lambda cell: (cell in self.new_cells, tasks.index(cell[1])))

    @property
    def paired(self) -> bool:
        """Whether, at each arm and task, all models that tried it met the same scenes and goals."""
        for cell in self.cells:
            met = [
                frozenset(trial.scene for trial in scores.trials if (trial.arm, trial.task) == cell)
                for scores in self.scores.values()
                if cell in scores.cells()
            ]
            if len(set(met)) > 1:
                return False
        return True

    @property
    def last(self) -> str | None:
        """The newest generalist that was measured."""
        names = [name for name in self.scores if name.rpartition("-")[0] == "generalist"]
        return max(names, key=rank) if names else None

    @property
    def new_name(self) -> str:
        """What is new, in words, each arm named once: "kuka_hand lift, stack"."""
        tasks: dict[str, list[str]] = {}
        for arm, task in sorted(self.new_cells):
            tasks.setdefault(arm, []).append(task)
        return "; ".join(f"{arm} {', '.join(each)}" for arm, each in tasks.items())

    def rate(self, model: str, cell: Cell) -> Rate | None:
        """A model's rate at one arm and task; None if it was not tried."""
        return self._pooled(model, [cell])

    def known(self, model: str) -> Rate | None:
        """A model's rate over all that is not new, pooled; None if none of it was tried."""
        return self._pooled(model, [cell for cell in self.cells if cell not in self.new_cells])

    def new(self, model: str) -> Rate | None:
        """A model's rate over all that is new, pooled; None if none of it was tried."""
        return self._pooled(model, self.new_cells)

    def by_task(self, model: str) -> dict[str, Rate]:
        """A model's rate at each task over the arms that knew it, pooled."""
        tasks = dict.fromkeys(task for _, task in self.cells)
        known = [cell for cell in self.cells if cell not in self.new_cells]
        rates = {task: self._pooled(model, [cell for cell in known if cell[1] == task]) for task in tasks}
        return {task: rate for task, rate in rates.items() if rate is not None}

    def news(self, cell: Cell) -> tuple[str, ...]:
        """What is new about an arm and task: "new arm", "new task", or only the pair of them."""
        if cell not in self.new_cells:
            return ()
        arms, tasks = ({each[i] for each in self.demonstrated} for i in (0, 1))
        said = [
            word for word, old in (("new arm", cell[0] in arms), ("new task", cell[1] in tasks)) if not old
        ]
        return tuple(said) or ("new pair",)

    def _pooled(self, model: str, cells: "list[Cell] | frozenset[Cell]") -> Rate | None:
        if model not in self.scores:
            return None
        tried = [cell for cell in self.scores[model].cells() if cell in cells]
        return self.scores[model].pooled(tried) if tried else None
