"""What practice is worth: a run's next generalist trained anew in several ways, on the same scenes and goals.

python -m bench practice runs/cycle
python -m bench practice runs/cycle --variants "half:practice=0.2" "unjudged:judged=0" --seeds 0 1

The one as it is learns from the run's own practice; "demonstrations only" gives the share of practice to the
adaptation's demonstrations and stands beside it always. The intervals are about scenes; what the order of the
data does shows in its repetition with other seeds.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from rich.console import Console

from bench.record import write
from bench.variants import AS_IT_IS, changed, compare, comparison_table, parse_variants
from demos.store import EpisodeStore
from finetune.improve import BASE
from finetune.side_by_side import Job, train_side_by_side
from robocat.agent_checkpoint import AgentCard, read_agent
from robocat.checkpoint import config_hash, from_dict, read_json
from robocat.config import Preset, Training
from robocat.data import Data
from robocat.evaluate import Bench, Cell, make_goals, measure

STORES = ("demos", "adaptation", "practice")
CONTROL = "demonstrations-only"
FIELDS = ("steps", "learning_rate", "hindsight", "rise", "judged")  # of `Training`, that bear on practice


@dataclass(frozen=True)
class Retraining:
    """What can be varied: `robocat.config.Shares`, and `FIELDS` of `robocat.config.Training`."""

    base: float
    adaptation: float
    practice: float
    steps: int
    learning_rate: float
    hindsight: float
    rise: float
    judged: float

    @classmethod
    def of(cls, preset: Preset) -> "Retraining":
        """As a preset has it."""
        shares = {name: getattr(preset.shares, name) for name in ("base", "adaptation", "practice")}
        return cls(**shares, **{name: getattr(preset.retrain, name) for name in FIELDS})

    def training(self, start: Training) -> Training:
        """A schedule with what is varied of it."""
        return replace(start, **{name: getattr(self, name) for name in FIELDS})

    @property
    def shares(self) -> dict[str, float]:
        """Share of each store that has one."""
        shares = dict(zip(STORES, (self.base, self.adaptation, self.practice), strict=True))
        return {name: share for name, share in shares.items() if share}


def practice(
    run: tyro.conf.Positional[Path] = Path("runs/cycle"),
    *,
    variants: tuple[str, ...] = (),
    episodes: int = 300,
    first_seed: int = 900_000,
    seeds: tuple[int, ...] = (0,),
    workers: int = 2,
) -> None:
    """Trains a run's next generalist in several ways and compares them on its new arms and tasks.

    Args:
        run: A run that has practised; what is trained is kept below it.
        variants: Each a name and what is changed in `Retraining`, such as "half:practice=0.2,adaptation=0.4".
        episodes: Episodes for each new arm and task.
        first_seed: Seeds of their scenes.
        seeds: Of draws; every variant is trained once with each.
        workers: Processes.
    """
    about = read_json(run / "run.json")
    preset = from_dict(Preset, about["config"])
    start = Retraining.of(preset)
    control = replace(start, adaptation=start.adaptation + start.practice, practice=0.0)
    ways = {**parse_variants(variants, start), CONTROL: control}
    parent = run / "models" / BASE
    stocks = {name: EpisodeStore(run / "stores" / name) for name in STORES}
    origin = read_agent(parent)["weights"], {name: stock.digest() for name, stock in stocks.items()}
    jobs: dict[tuple[str, int], Job] = {}
    for name, way in ways.items():
        stores = tuple(run / "stores" / store for store in way.shares)
        data = Data(stores, tuple(way.shares.values()), run / "tokeniser", run / "tokens")
        training = way.training(preset.retrain)
        for seed in seeds:
            out = run / "ways" / f"{name}-{config_hash(way, training, origin, seed)}"
            card = AgentCard(name, 1, str(parent))
            jobs[name, seed] = Job(data, out, preset.agent, training, card, seed, parent)
    train_side_by_side(list(jobs.values()), workers)
    cells = [Cell(arm, task, episodes, first_seed) for arm, task in preset.adaptation.cells]
    bench = Bench(run / "tokeniser", run / "stores" / f"goals-{first_seed}", workers=workers)
    make_goals(bench, cells, first_seed + 50_000)
    scores = {key: measure(key[0], job.out, cells, bench) for key, job in jobs.items()}
    figures = {
        name: {
            "changed": changed(way, start),
            "by_seed": {seed: compare(scores[name, seed], scores[AS_IT_IS, seed]) for seed in seeds},
        }
        for name, way in ways.items()
    }
    Console().print(comparison_table(figures, "each trained once a seed; 95 % intervals over scenes"))
    settings = {"preset": about["preset"], "run_seed": about["seed"], "episodes": episodes}
    attempts = len(stocks["practice"].entries())
    names = "-".join(name for name in ways if name != AS_IT_IS)
    write(f"practice-{names}", {**settings, "attempts": attempts, "first_seed": first_seed, "ways": figures})
