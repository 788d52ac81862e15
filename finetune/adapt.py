"""A generalist and some demonstrations become a branch for an arm and one or a few tasks.

For example:

    robocat finetune --parent runs/cycle/models/generalist-0 --stores runs/cycle/stores/adaptation
"""

from dataclasses import replace
from pathlib import Path

from robocat.agent_checkpoint import AgentCard, read_card
from robocat.checkpoint import finished
from robocat.data import Data
from robocat.presets import PRESETS
from robocat.train import describe, train
from sim.names import pick

STORES = Path("runs/cycle/stores")


def finetune(
    *,
    parent: Path = Path("runs/cycle/models/generalist-0"),
    stores: tuple[Path, ...] | None = None,
    tokeniser: Path = Path("runs/cycle/tokeniser"),
    out: Path = Path("runs/cycle/models/branch"),
    preset: str = "nano",
    from_scratch: bool = False,
    steps: int | None = None,
    seed: int = 0,
) -> None:
    """Fine-tunes a generalist on demonstrations into a branch; goes on where it was interrupted.

    Args:
        parent: The generalist.
        stores: Stores of demonstrations, with even shares. If not given, `adaptation` and, so that a few are
            not learnt by heart, `demos` of runs/cycle, from which the parent has learnt.
        tokeniser: The generalist's tokeniser.
        out: Folder of the branch's checkpoint; token sets are kept beside the folder it is in, in `tokens`.
        preset: Which preset's schedule.
        from_scratch: Train the same network on the same demonstrations without the parent: the control.
        steps: Optimiser steps instead of the preset's.
        seed: Seeds draws, and the weights of a control.
    """
    chosen = pick(PRESETS, preset, "preset")
    if stores is None:
        stores = (STORES / "adaptation",) if from_scratch else (STORES / "adaptation", STORES / "demos")
    training = chosen.finetune if steps is None else replace(chosen.finetune, steps=steps)
    data = Data(stores, (1.0,) * len(stores), tokeniser, out.parent.parent / "tokens")
    before = "finished before, " if finished(out) else ""
    if from_scratch:
        # The control may not suffer from a rate that suits fine-tuning only.
        scratch = replace(training, learning_rate=chosen.train.learning_rate)
        train(data, out, chosen.agent, scratch, AgentCard(out.name, None, None), seed=seed)
    else:
        card = AgentCard(out.name, read_card(parent).generation, str(parent))
        train(data, out, chosen.agent, training, card, seed=seed, parent=parent)
    print(f"{out}: {before}{describe(out)}")
