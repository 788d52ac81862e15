"""Loop two: an agent on tokens; used to train generalists, branches and controls alike.

For example:

    robocat train --stores runs/cycle/stores/demos --out runs/cycle/models/generalist-0
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from demos.progress import progress
from robocat.agent import Agent, Losses, Window
from robocat.agent_checkpoint import AgentCard, load_agent, read_agent, read_card, save_agent
from robocat.agent_config import AgentConfig
from robocat.checkpoint import CheckpointError, clear_state, finished, load_state, save_state, seeded
from robocat.config import Training
from robocat.data import Data, identity_of, learnt_from, lineage, sources_of, window_steps
from robocat.devices import best, device_of, moved
from robocat.metrics import Metrics
from robocat.mixture import Mixture, NothingToLearn, Source, Steps
from robocat.presets import PRESETS
from robocat.replicas import ALONE, Replica, replicate
from robocat.schedule import check_finite, learning_rate, set_learning_rate
from robocat.tokeniser import extended_from, load_tokeniser
from robocat.vocabulary import Embodiment
from sim.names import pick

HELD_OUT_BATCHES = 4
LOSSES = (
    "loss",
    "action_loss",
    "future_loss",
    "goal_loss",
    "progress_loss",
    "trunk_loss",
)  # as `Losses` has them


def main_train(
    *,
    stores: tuple[Path, ...] = (Path("runs/cycle/stores/demos"),),
    tokeniser: Path = Path("runs/cycle/tokeniser"),
    out: Path = Path("runs/cycle/models/generalist-0"),
    preset: str = "nano",
    parent: Path | None = None,
    extended: bool = False,
    steps: int | None = None,
    seed: int = 0,
    workers: int = 2,
) -> None:
    """Trains a generalist on the successes in stores; goes on where it was interrupted.

    Args:
        stores: Episode stores, with even shares.
        tokeniser: Checkpoint of the image tokeniser.
        out: Folder of the checkpoint; token sets are kept beside the folder it is in, in `tokens`.
        preset: Which preset's network and schedule.
        parent: Checkpoint to start from instead of from scratch.
        extended: The tokeniser is the parent's, extended (`robocat tokenise --parent`), and not the same.
        steps: Optimiser steps instead of the preset's.
        seed: Seeds weights and draws.
        workers: Processes, each with a share of every batch.
    """
    chosen = pick(PRESETS, preset, "preset")
    training = chosen.train if steps is None else replace(chosen.train, steps=steps)
    data = Data(stores, (1.0,) * len(stores), tokeniser, out.parent.parent / "tokens", extended)
    before = "finished before, " if finished(out) else ""
    card = AgentCard(out.name, 0, None) if parent is None else _child(out.name, parent)
    train_together(data, out, chosen.agent, training, card, seed=seed, parent=parent, workers=workers)
    print(f"{out}: {before}{describe(out)}")


def _child(name: str, parent: Path) -> AgentCard:
    """The card of the generation after a parent's; a parent of none was trained from scratch."""
    before = read_card(parent).generation
    return AgentCard(name, 0 if before is None else before + 1, str(parent))


def describe(checkpoint: Path) -> str:
    """One line about a finished agent: name and hash of the weights, size, steps."""
    record = read_agent(checkpoint)
    size = f"{record['parameters'] / 1e6:.2f} M parameters, {record['steps']} steps"
    return f"{read_card(checkpoint).name}@{record['weights']}, {size}"


def train(
    data: Data,
    out: Path,
    config: AgentConfig,
    training: Training,
    card: AgentCard,
    *,
    seed: int,
    parent: Path | None = None,
    replica: Replica = ALONE,
) -> None:
    """Trains an agent to `out`, resuming bit for bit; does nothing if it is finished.

    Args:
        data: What to learn from.
        out: Folder of the checkpoint.
        config: The network; a parent's own if there is a parent.
        training: The schedule.
        card: Name, generation and parent, for the record.
        seed: Seeds weights and draws.
        parent: Checkpoint whose weights it starts from.
        replica: Which of the processes this is that train the network together. Their number is part of what
            a training is: sums differ in the last bits, and each compares the goals of its own rows only.

    Raises:
        CheckpointError: If tokeniser, parent and what is in `out` do not belong together.
        NothingToLearn: If the stores hold no success.
        TrainingDiverged: If a loss is no longer finite.
    """
    if finished(out):
        clear_state(out)  # what a kill right after the end left
        return
    agent = _first(config, data, seed, parent).to(best())
    sources = sources_of(data, agent.config.cameras)
    if replica.leads:
        _name_barren(data, sources, training, window_steps(agent.config))
    fit = mixture_of(sources, training, agent.config)
    held = held_out_batches(sources, training, agent.config, seed)
    optimiser = make_optimiser(agent, training)
    identity = identity_of(agent.config, sources, training, seed=seed, parent=parent, replicas=replica.count)
    models, optimisers = {"agent": agent}, {"agent": optimiser}
    start = load_state(out, models, optimisers, identity, training.steps)
    settings = {"agent": asdict(agent.config), "training": asdict(training), "card": asdict(card)}
    with _watched(out, card.name, settings, start=start, steps=training.steps, replica=replica) as log:
        for step in range(start, training.steps):
            set_learning_rate(optimiser, rate := _rate(training, step))
            values = train_step(agent, optimiser, fit, training, seeded(seed, 21, step), replica=replica)
            check_finite(values, out, step)
            if not replica.leads:
                continue
            if (step + 1) % training.evaluate_every == 0 or step + 1 == training.steps:
                values |= {f"held_out_{k}": v for k, v in held_out_losses(agent, held).items()}
            log(step, {**values, "learning_rate": rate})
            if (step + 1) % training.checkpoint_every == 0:
                save_state(out, step + 1, models, optimisers, identity)
    replica.meet()  # before the state goes that the others may still be reading
    if replica.leads:
        origin = lineage(data, sources, training, window_steps(agent.config), seed)
        eyes = load_tokeniser(data.tokeniser).weights
        save_agent(out, agent, eyes, card, lineage=origin, steps=training.steps)
        clear_state(out)


def _name_barren(data: Data, sources: Sequence[Source], training: Training, context: Steps) -> None:
    """Says which stores show nothing worth doing: whoever gave the shares should know."""
    for path, source in zip(data.stores, sources, strict=True):
        if not learnt_from(source, training, context):
            note = f"{path} holds no action worth learning: at most how far along a task is can be learnt"
            Console(stderr=True).print(note, markup=False, highlight=False, soft_wrap=True)


def train_together(
    data: Data,
    out: Path,
    config: AgentConfig,
    training: Training,
    card: AgentCard,
    *,
    seed: int,
    parent: Path | None = None,
    workers: int,
) -> None:
    """As `train`, by several processes at once; by one where it trains on an accelerator."""
    if not finished(out):
        sources_of(data)  # tokens are made once, not by each process
        work = partial(train, data, out, config, training, card, seed=seed, parent=parent)
        replicate(partial(_as_replica, work), workers if best().type == "cpu" else 1)


def _as_replica(work: Callable[..., None], replica: Replica) -> None:
    work(replica=replica)


def mixture_of(
    sources: Sequence[Source], training: Training, config: AgentConfig, validation: bool = False
) -> Mixture:
    """What a training draws its windows from; raises as `Mixture`."""
    judged = training.judged if config.progress_weight else 0.0
    kept, context, rise = training.held_out, window_steps(config), training.rise
    options: dict[str, Any] = {"rise": rise, "judged": judged, "chunk": config.chunk}
    return Mixture(sources, kept, context, validation=validation, **options)


@contextmanager
def _watched(
    out: Path, name: str, settings: dict[str, Any], *, start: int, steps: int, replica: Replica
) -> Generator[Callable[[int, dict[str, float]], None]]:
    """Metrics and a progress bar of the leading process: a function of step and values that feeds both."""
    if not replica.leads:
        yield lambda step, values: None
        return
    with Metrics(out, name, settings, resume_step=start) as metrics, progress(name, steps) as advance:
        advance(start)

        def log(step: int, values: dict[str, float]) -> None:
            if step % 20 == 0 or "held_out_action_loss" in values:
                metrics.log(step, values)
            advance(1, note=f"loss {values['loss']:.3f}")

        yield log


def _first(config: AgentConfig, data: Data, seed: int, parent: Path | None) -> Agent:
    """The network before the first step."""
    tokeniser = load_tokeniser(data.tokeniser)
    if parent is not None:
        # A codebook keeps its order when it is extended: what is known of a code serves what it has become.
        read = extended_from(data.tokeniser) if data.extended else tokeniser.weights
        return load_agent(parent, read).network
    if data.extended:
        raise CheckpointError("extended is said of a tokeniser that a parent read before; got no parent")
    torch.manual_seed(seed)
    return Agent(config, tokeniser.codebook, tokeniser.config.cells)


def _rate(training: Training, step: int) -> float:
    return learning_rate(step, training.steps, training.learning_rate, training.warm_up, training.floor)


def train_step(
    agent: Agent,
    optimiser: torch.optim.Optimizer,
    mixture: Mixture,
    training: Training,
    rng: np.random.Generator,
    *,
    replica: Replica = ALONE,
) -> dict[str, float]:
    """One optimiser step on one batch; everything random in it comes from the generator."""
    torch.manual_seed(int(rng.integers(2**31)))
    config = agent.config
    how = training.batch, config.future_steps, training.hindsight
    drawn = mixture.draw(rng, *how) if training.packed else [mixture.draw_alike(rng, *how)]
    device = device_of(agent)
    shared = [(body, moved(_share(replica, window), device)) for body, window in drawn]
    parts = [(body, window) for body, window in shared if len(window.proprio)]
    agent.train()
    optimiser.zero_grad(set_to_none=True)
    with precision(training.precision, device.type):
        losses = agent.packed_losses(parts)
    share = sum(len(window.proprio) for _, window in parts) / training.batch
    (losses.total * share).backward()
    sums: dict[str, float] = dict.fromkeys(LOSSES, 0.0)
    _add(sums, losses, share)
    replica.sum_gradients(agent)
    norm = torch.nn.utils.clip_grad_norm_(agent.parameters(), training.clip)
    optimiser.step()
    return {**replica.sum(sums), "gradient_norm": float(norm)}


def _share(replica: Replica, window: Window) -> Window:
    """A process's part of a window tensor; of few windows it may be none."""
    return Window(*(None if part is None else replica.share(part) for part in window))  # pyright: ignore


def precision(name: str, device: str = "cpu") -> torch.autocast | nullcontext[None]:
    """The context in which losses are computed: "bf16" rounds matrix products, "fp32" nothing.

    Raises:
        ValueError: For any other name.
    """
    if name == "fp32":
        return nullcontext()
    if name == "bf16":
        return torch.autocast(device, torch.bfloat16)
    raise ValueError(f"precision {name!r} is not offered; expected 'fp32' or 'bf16'")


def make_optimiser(agent: Agent, training: Training) -> torch.optim.Optimizer:
    """AdamW (betas of Gato: 0.9, 0.95); vectors and scales do not decay."""
    matrices = [p for p in agent.parameters() if p.ndim >= 2]
    vectors = [p for p in agent.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": training.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=training.learning_rate, betas=(0.9, 0.95), fused=True)


def held_out_batches(
    sources: Sequence[Source], training: Training, config: AgentConfig, seed: int
) -> list[tuple[Embodiment, Window]]:
    """Fixed batches of episodes kept apart; none if so few episodes are there that none is."""
    try:
        mixture = mixture_of(sources, training, config, validation=True)
    except NothingToLearn:
        return []
    drawn: list[tuple[Embodiment, Window]] = []
    for batch in range(HELD_OUT_BATCHES):
        rng = seeded(seed, 22, batch)
        drawn += mixture.draw(rng, training.batch, config.future_steps, training.hindsight)
    return drawn


@torch.inference_mode()
def held_out_losses(agent: Agent, held: Sequence[tuple[Embodiment, Window]]) -> dict[str, float]:
    """Losses on the batches kept apart."""
    agent.eval()
    total = sum(len(window.proprio) for _, window in held)
    sums: dict[str, float] = dict.fromkeys(LOSSES, 0.0)
    for body, window in held:
        losses = agent.losses(moved(window, device_of(agent)), body)
        _add(sums, losses, len(window.proprio) / total)
    return sums if held else {}


def _add(sums: dict[str, float], losses: Losses, share: float) -> None:
    for name, value in zip(LOSSES, losses, strict=True):
        sums[name] += share * float(value.detach())
