"""Whether AdaTape solves what the plain transformer does not: the parity of how many ones a sequence holds.

python -m bench parity
python -m bench parity --lengths 16 --steps 1000

Sequences are of 1, 0 and -1, each as likely, as in the paper's data; the label is whether the number of ones
is odd. Every network sees fresh sequences at each step and is tested on others, the same for all. "plain" is
the repository's transformer with a last token that asks for the label; the others have a tape as well, read
from a learnt bank or from the sequence itself; "blank" has as many learnt tokens instead, which nothing is
read into.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from bench.record import write
from demos.progress import progress
from demos.rate import Rate
from demos.workers import in_parallel
from robocat.adatape import Tape
from robocat.threads import one_thread
from robocat.transformer import Transformer
from sim.names import pick

KINDS = {
    "plain": "no tape",
    "blank": "tokens of no content",
    "learnt": "a learnt bank",
    "input": "the sequence",
}
TESTED = 10_000
LOOK_EVERY = 250  # steps between tests
SOLVED = 0.999  # of the tested: training ends there


@dataclass(frozen=True)
class Parity:
    """One training.

    Attributes:
        kind: One of KINDS.
        length: Of the sequences.
        seed: Of weights and sequences.
        steps: At most.
        tape_weight: Weight of the tape's own loss; the paper's 0.01 makes tapes short before anything is
            learnt.
    """

    kind: str = "plain"
    length: int = 16
    seed: int = 0
    steps: int = 4000
    batch: int = 128
    learning_rate: float = 1e-3
    width: int = 64
    blocks: int = 2
    heads: int = 4
    most: int = 10
    tape_weight: float = 0.0


@dataclass(frozen=True)
class Reached:
    """What came of it: how many of those tested were right at the end, after how many steps and seconds."""

    right: int
    tested: int
    steps: int
    seconds: float
    tape: float | None


class ParityNetwork(nn.Module):
    """Sequences (B, L) of 0, 1 and 2 to logits (B, 2), the unsureness of a tape and its mean length."""

    def __init__(self, plan: Parity) -> None:
        super().__init__()
        width = plan.width
        self.value = nn.Embedding(3, width)
        self.place = nn.Parameter(torch.randn(plan.length, width) * 0.02)
        self.ask = nn.Parameter(torch.randn(width) * 0.02)
        self.blank = nn.Parameter(torch.randn(plan.most, width)) if plan.kind == "blank" else None
        self.tape = Tape(width, plan.most, plan.kind) if plan.kind in ("learnt", "input") else None  # pyright: ignore
        self.trunk = Transformer(width, plan.blocks, plan.heads)
        self.read = nn.Linear(width, 2)

    def forward(self, values_BL: Tensor) -> tuple[Tensor, Tensor, float | None]:
        seen, count = self.value(values_BL) + self.place, len(values_BL)
        front, unsure, length = [], torch.zeros(()), None
        if self.blank is not None:
            front = [self.blank.expand(count, -1, -1)]
        if self.tape is not None:
            read = self.tape(seen, seen if self.tape.entries is None else None)
            front, unsure, length = [read.tokens], read.unsureness, float(read.lengths.mean())
        tokens = torch.cat([*front, seen, self.ask.expand(count, 1, -1)], dim=1)
        return self.read(self.trunk(tokens)[:, -1]), unsure, length


def sequences(generator: torch.Generator, count: int, length: int) -> tuple[Tensor, Tensor]:
    """Sequences (count, length) of 0, 1 and 2, which stand for -1, 0 and 1, and whether the ones are odd."""
    values = torch.randint(3, (count, length), generator=generator)
    return values, (values == 2).sum(dim=1) % 2


def learn(plan: Parity) -> Reached:
    """Trains one network and tests it."""
    with one_thread():
        torch.manual_seed(plan.seed)
        network, rng = ParityNetwork(plan), torch.Generator().manual_seed(plan.seed + 1)
        test = sequences(torch.Generator().manual_seed(10**6), TESTED, plan.length)
        optimiser = torch.optim.AdamW(network.parameters(), plan.learning_rate, fused=True)
        started, step = time.monotonic(), 0
        right, tape = 0, None
        for step in range(1, plan.steps + 1):
            warm, left = min(1.0, step / 200), 1 - 0.95 * step / plan.steps
            optimiser.param_groups[0]["lr"] = plan.learning_rate * warm * left
            values, odd = sequences(rng, plan.batch, plan.length)
            logits, unsure, _ = network(values)
            optimiser.zero_grad(set_to_none=True)
            (F.cross_entropy(logits, odd) + plan.tape_weight * unsure).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            if step % LOOK_EVERY == 0 or step == plan.steps:
                right, tape = _test(network, *test)
                if right >= SOLVED * TESTED:
                    break
        return Reached(right, TESTED, step, time.monotonic() - started, tape)


@torch.inference_mode()
def _test(network: ParityNetwork, values: Tensor, odd: Tensor) -> tuple[int, float | None]:
    logits, _, tape = network(values)
    return int((logits.argmax(dim=1) == odd).sum()), tape


def parity(
    *,
    lengths: tuple[int, ...] = (8, 16, 32),
    kinds: tuple[str, ...] = tuple(KINDS),
    seeds: tuple[int, ...] = (0, 1, 2),
    steps: int = 4000,
    workers: int = 2,
) -> None:
    """Trains every kind at every length with every seed and writes results/parity.json.

    Args:
        lengths: Of the sequences.
        kinds: "plain", "blank", "learnt" or "input".
        seeds: Of weights and sequences.
        steps: Optimiser steps at most; a training ends once it is right on 99.9 %.
        workers: Processes.
    """
    for kind in kinds:
        pick(KINDS, kind, "kind")
    start = Parity(steps=steps)
    plans = [
        replace(start, kind=kind, length=length, seed=seed)
        for length, kind, seed in product(lengths, kinds, seeds)
    ]
    reached: list[Reached] = []
    with progress("parity", len(plans)) as advance:
        for plan, each in zip(plans, in_parallel(partial(learn), plans, workers), strict=True):
            reached.append(each)
            advance(1, note=f"{plan.kind} {plan.length}: {each.right / each.tested:.1%}")
    figures = [
        {**asdict(plan), **asdict(each), "rate": asdict(Rate.of(each.right, each.tested))}
        for plan, each in zip(plans, reached, strict=True)
    ]
    Console().print(table(plans, reached))
    write("parity", {"tested": TESTED, "trainings": figures})


def table(plans: Sequence[Parity], reached: Sequence[Reached]) -> Table:
    """Lengths and kinds down, seeds across: how often it was right, with intervals over what was tested."""
    seeds = sorted({plan.seed for plan in plans})
    shown = Table(
        "length", "kind", *(f"seed {seed}" for seed in seeds), title="right on unseen sequences [%]"
    )
    rows: dict[tuple[int, str], dict[int, str]] = {}
    for plan, each in zip(plans, reached, strict=True):
        rate = Rate.of(each.right, each.tested)
        said = f"{100 * rate.mean:.1f} ({100 * rate.low:.1f}-{100 * rate.high:.1f}), {each.steps} steps"
        rows.setdefault((plan.length, plan.kind), {})[plan.seed] = said
    for (length, kind), cells in rows.items():
        shown.add_row(str(length), kind, *(cells.get(seed, "") for seed in seeds))
    return shown
