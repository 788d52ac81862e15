"""The whole cycle: demonstrations, tokens, generalist, branch, practice, next generalist, gate, report.

For example:

    robocat improve --preset nano --out runs/cycle
    robocat improve --preset nano --arms my_arm.py --out runs/mine
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from demos.collect import collect_experts
from demos.locks import alone
from demos.store import EpisodeStore
from finetune import gate
from finetune.practice import practise_episodes
from finetune.report import report, summary_table
from finetune.side_by_side import Job, train_side_by_side
from finetune.stages import Stage, Summary, open_run, run_stages
from robocat.agent_checkpoint import AgentCard
from robocat.agreement import heard
from robocat.checkpoint import CheckpointError, read_config, read_json, write_json
from robocat.config import Collection, Preset, Training
from robocat.data import Data
from robocat.evaluate import Bench, Cell, make_goals, measure
from robocat.presets import PRESETS
from robocat.scores import Scores
from robocat.success import SuccessConfig
from robocat.tokens import build
from robocat.train import train_together
from robocat.train_success import train_success
from robocat.train_tokeniser import train_tokeniser
from sim.names import pick
from sim.own import arm_names, task_names
from sim.randomisation import NOTHING, Randomisation, find_randomisation

BASE, BRANCH, SCRATCH, NEXT, CONTROL = "generalist-0", "branch", "scratch", "generalist-1", "control-1"
TOKENISER, EXTENDED = "tokeniser", "tokeniser-1"
SEEN = ("demos", "adaptation", "practice")  # the stores that a next generation learns from


def improve(
    preset: str = "nano",
    out: Path = Path("runs/cycle"),
    *,
    arms: tuple[str, ...] | None = None,
    tasks: tuple[str, ...] | None = None,
    randomise: str = "none",
    judge: bool = False,
) -> None:
    """Runs the cycle from demonstrations to the next generalist; goes on where it was interrupted.

    Args:
        preset: Sizes and schedules, see `robocat/presets.py`; "debug" takes about a minute.
        out: Folder of the run.
        arms: The new arms, which the branch is for, instead of the preset's; or files that declare some.
        tasks: What the branch learns on them instead; or files that declare some.
        randomise: How far the worlds of all its episodes differ: "none", "moderate".
        judge: Whether a success model, learnt from the demonstrations, judges practice instead of the
            predicate; what it gets wrong is then told beside the gain.
    """
    ranges = find_randomisation(randomise)
    chosen = _randomised(_adapted(pick(PRESETS, preset, "preset"), arms, tasks), ranges)
    if judge:
        chosen = replace(chosen, practice=replace(chosen.practice, judge=True))
    with alone(out):
        open_run(out, preset, chosen)
        torch.set_num_threads(chosen.workers)
        cycle = Cycle(out, chosen)
        cycle.check_stores()
        run_stages(out, cycle.stages(), chosen.workers)
        report(out)
    console = Console()
    console.print(summary_table(out))
    console.print(f"report: {out / 'report.html'}")


def _adapted(preset: Preset, arms: tuple[str, ...] | None, tasks: tuple[str, ...] | None) -> Preset:
    """The preset with other arms and tasks for its branch."""
    plan = preset.adaptation
    arms, tasks = arm_names(arms or plan.arms), task_names(tasks or plan.tasks)
    return replace(preset, adaptation=replace(plan, arms=arms, tasks=tasks))


def _randomised(preset: Preset, ranges: Randomisation) -> Preset:
    """The preset in worlds that differ so far; what practises and is measured follows the demonstrations."""
    if ranges == NOTHING:
        return preset
    collection = replace(preset.collection, randomise=ranges)
    return replace(preset, collection=collection, adaptation=replace(preset.adaptation, randomise=ranges))


@dataclass(frozen=True)
class Cycle:
    """One turn of the cycle in a folder."""

    out: Path
    preset: Preset

    def stages(self) -> list[Stage]:
        """Everything that is done, in order."""
        preset = self.preset
        extension = [Stage(EXTENDED, self._extend), Stage("tokens-1", self._tokens_anew)]
        return [
            Stage("demonstrations", partial(self._collect, "demos", preset.collection)),
            Stage(TOKENISER, self._tokeniser),
            Stage("tokens", partial(self._tokens, "demos", BASE)),
            Stage(BASE, self._base),
            Stage("adaptation", partial(self._collect, "adaptation", preset.adaptation)),
            Stage(BRANCH, self._branch),
            *([Stage("judge", self._judge)] if preset.practice.judge else []),
            Stage("practice", self._practise),
            *(extension if preset.extension else []),
            Stage(NEXT, self._next),
            Stage("evaluation", self._evaluate),
            Stage("gate", self._gate),
        ]

    # What the stages share.

    def store(self, name: str) -> Path:
        return self.out / "stores" / name

    def model(self, name: str) -> Path:
        return self.out / "models" / name

    def extended(self, model: str) -> bool:
        """Whether a model reads the extended tokeniser."""
        return self.preset.extension is not None and model in (NEXT, CONTROL)

    def tokeniser(self, model: str) -> Path:
        """The tokeniser whose codes a model reads."""
        return self.out / (EXTENDED if self.extended(model) else TOKENISER)

    @property
    def judge(self) -> Path:
        return self.out / "judge"

    @property
    def new(self) -> list[tuple[str, str]]:
        """The new arms and tasks, which the branch is for."""
        return self.preset.adaptation.cells

    @property
    def old(self) -> list[tuple[str, str]]:
        """Arms and tasks of the demonstrations."""
        return self.preset.collection.cells

    def data(self, stores: dict[str, float], model: str) -> Data:
        """What a model learns from: shares of stores, as tokens that it reads."""
        paths = tuple(self.store(name) for name in stores)
        return Data(
            paths, tuple(stores.values()), self.tokeniser(model), self.out / "tokens", self.extended(model)
        )

    def check_stores(self) -> None:
        """Sees that nobody has added to a store since its stage was finished.

        Raises:
            CheckpointError: A store is not what its stage left: later stages would learn from other data.
        """
        for manifest in sorted((self.out / "stages").glob("*.json")):
            stage = read_json(manifest)
            if (digest := stage["summary"].get("digest")) is None:
                continue
            store = self.store("demos" if stage["name"] == "demonstrations" else stage["name"])
            if EpisodeStore(store).digest() != digest:
                raise CheckpointError(
                    f"{store} has changed since {manifest.stem} finished; take out what was added, or choose "
                    "another --out"
                )

    # The stages.

    def _collect(self, name: str, plan: Collection) -> Summary:
        preset, store = self.preset, self.store(name)
        collect_experts(store, plan, preset.workers, name)
        return _stock(store)

    def _tokeniser(self) -> Summary:
        preset, out = self.preset, self.out / TOKENISER
        train_tokeniser([self.store("demos")], out, preset.vqgan, preset.tokeniser, preset.seed)
        return read_json(out / "card.json")

    def _extend(self) -> Summary:
        """The next generation's tokeniser: the first one, gone on with on all images there are by now."""
        preset, out = self.preset, self.out / EXTENDED
        assert preset.extension is not None
        stores, parent = [self.store(name) for name in SEEN], self.out / TOKENISER
        train_tokeniser(stores, out, preset.vqgan, preset.extension, preset.seed, parent=parent)
        card = read_json(out / "card.json")
        effects = {
            f"{Path(path).name} gain_db": each["gain_db"] for path, each in card.pop("extended").items()
        }
        return card | effects

    def _tokens(self, name: str, model: str) -> Summary:
        """A store's tokens as a model reads them."""
        tokens = build(self.store(name), self.tokeniser(model), self.out / "tokens", self.preset.workers)
        return {"episodes": len(list(tokens.episodes)), "arms": len(tokens.arms)}

    def _tokens_anew(self) -> Summary:
        return {name: self._tokens(name, NEXT)["episodes"] for name in SEEN}

    def _base(self) -> Summary:
        preset, out = self.preset, self.model(BASE)
        card = AgentCard(BASE, generation=0, parent=None)
        data = self.data({"demos": 1.0}, BASE)
        train_together(data, out, preset.agent, preset.train, card, seed=preset.seed, workers=preset.workers)
        return self._trained(BASE)

    def _branch(self) -> Summary:
        """The branch, and beside it the control: the same network from scratch on the same demonstrations.

        What the parent learnt from is replayed beside what is new, see `Shares`. Without it a few
        demonstrations are learnt by heart, and practice would be of a worse policy than the next generation's
        own start.
        """
        preset, parent, old = self.preset, self.model(BASE), self.preset.shares.replay
        new = {"adaptation": 1.0}
        both = self.data({"demos": old, "adaptation": 1.0 - old} if old else new, BRANCH)
        self._tokens("adaptation", BRANCH)
        scratch: Training = replace(preset.finetune, learning_rate=preset.train.learning_rate)
        tuned, alone = AgentCard(BRANCH, 0, str(parent)), AgentCard(SCRATCH, None, None)
        jobs = [
            Job(both, self.model(BRANCH), preset.agent, preset.finetune, tuned, preset.seed, parent),
            Job(self.data(new, SCRATCH), self.model(SCRATCH), preset.agent, scratch, alone, preset.seed),
        ]
        train_side_by_side(jobs, preset.workers)
        return self._trained(BRANCH)

    def _judge(self) -> Summary:
        stores, preset = [self.store("demos"), self.store("adaptation")], self.preset
        train_success(
            stores, self.tokeniser(BRANCH), self.judge, SuccessConfig(), preset.success, seed=preset.seed
        )
        return {"calibration_error": read_config(self.judge, "success")["calibration_error"]}

    def _practise(self) -> Summary:
        preset, store = self.preset, self.store("practice")
        bench = self._bench(self.store("adaptation"), BRANCH)
        judge = self.judge if preset.practice.judge else None
        for cell in self.new:
            practise_episodes(self.model(BRANCH), cell, bench, out=store, plan=preset.practice, judge=judge)
        return _stock(store)

    def _next(self) -> Summary:
        """Generalist 1 and, beside it, the control: the same training without the practice data.

        Where the tokeniser was extended, both read by it, so that they differ in what they learnt from alone.
        """
        preset, shares = self.preset, self.preset.shares
        parent = None if preset.anew else self.model(BASE)
        said = None if parent is None else str(parent)
        self._tokens("practice", NEXT)
        demos = {"demos": shares.base, "adaptation": shares.adaptation}
        without = {"demos": shares.base, "adaptation": shares.adaptation + shares.practice}
        jobs = [
            Job(self.data(stores, name), self.model(name), preset.agent, preset.retrain,
                AgentCard(name, 1, said), preset.seed, parent)
            for name, stores in ((NEXT, {**demos, "practice": shares.practice}), (CONTROL, without))
        ]  # fmt: skip
        train_side_by_side(jobs, preset.workers)
        return self._trained(NEXT)

    def _evaluate(self) -> Summary:
        """Every model on every arm and task it should know, on seeds of their own."""
        plan = self.preset.evaluation
        old = [Cell(arm, task, plan.episodes, plan.first_seed) for arm, task in self.old]
        new = [Cell(arm, task, plan.episodes, plan.first_seed) for arm, task in self.new]
        goals = self.store("goals")
        make_goals(self._bench(goals, BASE), old + new, plan.goal_seed)
        for name in (BASE, BRANCH, SCRATCH, NEXT, CONTROL):
            cells = new if name in (BRANCH, SCRATCH) else old + new
            self._measure(name, cells, goals, name, self.store("clips"))
        scores = Scores.load(self.out / "scores" / f"{BASE}.json")
        return {f"{BASE} {task}": f"{scores.pooled([c for c in self.old if c[1] == task]).mean:.0%}"
                for task in self.preset.collection.tasks}  # fmt: skip

    def _gate(self) -> Summary:
        plan = self.preset.evaluation
        new = [Cell(arm, task, plan.gate_episodes, plan.gate_seed) for arm, task in self.new]
        old = [Cell(arm, task, plan.gate_old_episodes, plan.gate_seed) for arm, task in self.old]
        goals = self.store("gate-goals")
        make_goals(self._bench(goals, BASE), old + new, plan.gate_seed + 50_000)
        scores = {
            name: self._measure(name, cells, goals, f"gate-{name}", None)
            for name, cells in ((BASE, old + new), (NEXT, old + new), (CONTROL, new))
        }
        judged = heard(EpisodeStore(self.store("practice")))
        verdict = gate.judge(scores[NEXT], scores[BASE], scores[CONTROL], self.new, self.old, judged=judged)
        write_json(self.out / "gate.json", verdict.record())
        told = {"new": verdict.reasons[0], "old": verdict.reasons[1]}
        agreed = {f"verdicts on {' '.join(cell)}": str(each) for cell, each in verdict.judged}
        return {"accepted": str(verdict.accepted), **told, **agreed}

    def _measure(self, name: str, cells: list[Cell], goals: Path, record: str, clips: Path | None) -> Scores:
        path = self.out / "scores" / f"{record}.json"
        if not path.exists():
            measure(name, self.model(name), cells, self._bench(goals, name, clips)).save(path)
        return Scores.load(path)

    def _bench(self, goals: Path, model: str, clips: Path | None = None) -> Bench:
        """How a model is measured, by its own tokeniser; goals are pictures, and so the same for all."""
        preset, eyes = self.preset, self.tokeniser(model)
        return Bench(eyes, goals, clips, workers=preset.workers, randomise=preset.collection.randomise)

    def _trained(self, name: str) -> Summary:
        record = read_json(self.model(name) / "config.json")
        return {"steps": record["steps"], "parameters": record["parameters"]}


def _stock(path: Path) -> Summary:
    entries = EpisodeStore(path).entries()
    return {
        "episodes": len(entries),
        "successful": sum(entry.success for entry in entries),
        "steps": sum(entry.length for entry in entries),
        "digest": EpisodeStore(path).digest(),
    }
