"""How often the scripted experts succeed, on every arm at every task, with and without noise.

python -m bench experts
"""

from dataclasses import asdict
from functools import partial

from rich.console import Console
from rich.table import Table

from bench.record import write
from demos.expert import SILENT, Expert, Noise
from demos.rollout import Attempt, rollout
from demos.workers import in_parallel
from robocat.scores import Rate
from sim.arms import ARMS
from sim.env import make
from sim.tasks import TASKS

NOISES = {"as meant": SILENT, "with noise": Noise()}
Pair = tuple[str, str]


def main(episodes: int = 50, first_seed: int = 300_000, workers: int = 2) -> None:
    """Lets every expert try and writes results/experts.json.

    Args:
        episodes: Attempts for each arm and task, variations in turn.
        first_seed: Seeds of their scenes.
        workers: Processes.
    """
    pairs = [(arm, task) for arm in ARMS for task in TASKS]
    made = list(in_parallel(partial(_successes, episodes, first_seed), pairs, workers))
    rates = {
        noise: {pair: Rate.of(each[noise], episodes) for pair, each in zip(pairs, made, strict=True)}
        for noise in NOISES
    }
    table = Table("arm", *TASKS, title=f"successes of {episodes}: as meant, with noise")
    for arm in ARMS:
        table.add_row(
            arm, *(", ".join(str(rates[noise][arm, task].successes) for noise in NOISES) for task in TASKS)
        )
    Console().print(table)
    figures = {
        noise: {" ".join(pair): asdict(rate) for pair, rate in each.items()} for noise, each in rates.items()
    }
    write("experts", {"n": episodes, "first_seed": first_seed, "rates": figures})


def _successes(episodes: int, first_seed: int, pair: Pair) -> dict[str, int]:
    """How many attempts at an arm and task succeed, for each noise."""
    arm, task = pair
    env = make(arm, task, cameras=())
    variations = env.task.variations
    attempts = [Attempt(first_seed + i, variations[i % len(variations)]) for i in range(episodes)]
    return {
        name: sum(episode.succeeded for episode in rollout([env], Expert(noise), attempts))
        for name, noise in NOISES.items()
    }
