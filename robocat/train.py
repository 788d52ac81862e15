"""Loop two: an agent on tokens; used to train generalists, branches and controls alike.

For example:

    robocat train --stores runs/cycle/stores/demos --out runs/cycle/models/generalist-0
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from robocat.agent import Agent
from robocat.agent_checkpoint import AgentCard, load_agent, read_agent, read_card, save_agent
from robocat.agent_config import AgentConfig
from robocat.batch import Batch, dealt, draw_batch, portions, windows_of
from robocat.checkpoint import CheckpointError, clear_state, finished, seeded
from robocat.config import Training
from robocat.data import Data, identity_of, learnt_from, lineage, sources_of, window_steps
from robocat.devices import best, device_of, moved
from robocat.loop import Course, Values, run
from robocat.mixture import Mixture, NothingToLearn, Source, Steps
from robocat.objective import Losses, Part, Through, losses
from robocat.packing import through
from robocat.presets import PRESETS
from robocat.replicas import ALONE, Replica, replicate
from robocat.schedule import learning_rate, set_learning_rate
from robocat.tokeniser import extended_from, load_tokeniser
from sim.names import pick

HELD_OUT_BATCHES = 4
LOSSES = ("loss", *(f"{name}_loss" for name in Losses._fields[1:]))  # the first is the total


def main_train(
    *,
    stores: tuple[Path, ...] = (Path("runs/cycle/stores/demos"),),
    tokeniser: Path = Path("runs/cycle/tokeniser"),
    out: Path = Path("runs/cycle/models/generalist-0"),
    preset: str = "nano",
    parent: Path | None = None,
    extended: bool = False,
    steps: int | None = None,
    micro: int | None = None,
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
        micro: Windows computed at a time instead of the preset's, for want of memory; 0 is a whole batch.
        seed: Seeds weights and draws.
        workers: Processes, each with a share of every batch.
    """
    chosen = pick(PRESETS, preset, "preset")
    given = {"steps": steps, "micro": micro}
    training = replace(chosen.train, **{name: n for name, n in given.items() if n is not None})
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
    """Trains an agent to `out`, going on from where it was interrupted, see `robocat.loop`; once only.

    Args:
        data: What to learn from.
        out: Folder of the checkpoint.
        config: The network; a parent's own if there is a parent.
        training: The schedule.
        card: Name, generation and parent, for the record.
        seed: Seeds weights and draws.
        parent: Checkpoint whose weights it starts from.
        replica: Which of the processes this is that train together; their number is part of what a training
            is: each draws depth and cells by the same numbers, and compares the goals of its own windows.

    Raises:
        CheckpointError: If tokeniser, parent and what is in `out` do not belong together.
        NothingToLearn: If the stores hold no success.
        TrainingDiverged: If a loss is no longer finite, see `robocat.loop.run`.
        ValueError: If batch, portions, processes and network do not go together.
    """
    if finished(out):
        clear_state(out)  # what a kill right after the end left
        return
    agent = _first(config, data, seed, parent).to(best())
    config = agent.config
    _refuse(training, config, replica)
    sources = sources_of(data, config.cameras)
    _name_barren(data, sources, training, window_steps(config), replica)
    fit, held = mixture_of(sources, training, config), held_out_batches(sources, training, config, seed)
    optimiser = make_optimiser(agent, training)
    draw, step = learning(agent, optimiser, fit, training, seed=seed, replica=replica)
    course = Course(
        out,
        card.name,
        settings={"agent": asdict(config), "training": asdict(training), "card": asdict(card)},
        models={"agent": agent},
        optimisers={"agent": optimiser},
        identity=identity_of(config, sources, training, seed=seed, parent=parent, replicas=replica.count),
        steps=training.steps,
        checkpoint_every=training.checkpoint_every,
        evaluate_every=training.evaluate_every,
        leads=replica.leads,
    )
    run(course, draw, step, partial(held_out_losses, agent, held, training.precision))
    replica.meet()  # before the state goes that the others may still be reading
    if replica.leads:
        origin = lineage(data, sources, training, window_steps(config), seed)
        eyes = load_tokeniser(data.tokeniser).weights
        save_agent(out, agent, eyes, card, lineage=origin, steps=training.steps)
        clear_state(out)


def _refuse(training: Training, config: AgentConfig, replica: Replica) -> None:
    """Raises a ValueError if what is chosen does not go together."""
    if training.micro < 0:
        raise ValueError(f"training: micro: got {training.micro}, expected at least 0")
    if training.batch < replica.count:
        raise ValueError(
            f"training: batch: got {training.batch} for {replica.count} processes, expected a window for each"
        )
    if config.goal_weight and 0 < training.micro < training.batch:
        raise ValueError(
            f"training: micro: got {training.micro} with a goal_weight of {config.goal_weight}, expected 0: "
            "the goals of a batch are compared with each other"
        )


def _name_barren(
    data: Data, sources: Sequence[Source], training: Training, context: Steps, replica: Replica
) -> None:
    """Says which stores show nothing worth doing: whoever gave the shares should know."""
    for path, source in zip(data.stores, sources, strict=True):
        if replica.leads and not learnt_from(source, training, context):
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
    options["practised"] = training.practised
    return Mixture(sources, kept, context, validation=validation, **options)


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


def learning(
    agent: Agent,
    optimiser: torch.optim.Optimizer,
    mixture: Mixture,
    training: Training,
    *,
    seed: int,
    replica: Replica = ALONE,
) -> tuple[Callable[[int], Batch], Callable[[int, Batch], Values]]:
    """What a step of a number learns from, and that step, as `robocat.loop` takes them."""
    device, via = device_of(agent), way_through(agent)
    course = training.steps, training.learning_rate, training.warm_up, training.floor

    def draw(number: int) -> Batch:
        return draw_batch(mixture, training, agent.config, seeded(seed, 21, number), device)

    def step(number: int, batch: Batch) -> Values:
        set_learning_rate(optimiser, rate := learning_rate(number, *course))
        values = train_step(agent, optimiser, batch, training, replica=replica, via=via)
        return {**values, "learning_rate": rate}

    return draw, step


def way_through(agent: Agent) -> Through:
    """How windows pass an agent's trunk in training: compiled on CUDA, where the first steps take minutes.

    What is drawn may differ in shape from step to step, for which it is compiled a few times. A mixture of
    experts is not compiled: which tokens an expert gets is known as it is computed.
    """
    return torch.compile(through) if device_of(agent).type == "cuda" and not agent.config.experts else through


def train_step(
    agent: Agent,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    training: Training,
    *,
    replica: Replica = ALONE,
    via: Through = through,
) -> dict[str, Tensor]:
    """One optimiser step on one batch, in portions if it is large; nobody waits for what CUDA does meanwhile.

    Args:
        agent: The network.
        optimiser: Its optimiser.
        batch: What is learnt from, drawn by every process alike.
        training: How.
        replica: Which windows are this process's.
        via: Passes windows through the trunk.

    Returns:
        The batch's losses, and the norm of the gradient before it is clipped; scalars.
    """
    torch.manual_seed(batch.seed)
    device = device_of(agent)
    own = dealt(batch.parts, replica.rank, replica.count)
    own = [(body, moved(window, device)) for body, window in own]
    agent.train()
    optimiser.zero_grad(set_to_none=True)
    sums = torch.zeros(len(LOSSES), dtype=torch.float64, device=device)
    for parts in portions(own, training.micro):
        with precision(training.precision, device.type):
            found = losses(agent, parts, via)
        share = windows_of(parts) / batch.windows
        (found.total * share).backward()
        sums += share * _stacked(found)
    replica.sum_gradients(agent)
    norm = torch.nn.utils.clip_grad_norm_(agent.parameters(), training.clip)
    optimiser.step()
    return dict(zip(LOSSES, replica.sum(sums), strict=True)) | {"gradient_norm": norm}


def _stacked(found: Losses) -> Tensor:
    return torch.stack([loss.detach().double() for loss in found])


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
    """AdamW (betas of Gato: 0.9, 0.95). Biases and scales do not decay; embeddings (of codes, places, steps,
    slots and asks) do, as all that has two dimensions or more.
    """
    matrices = [p for p in agent.parameters() if p.ndim >= 2]
    vectors = [p for p in agent.parameters() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": training.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=training.learning_rate, betas=(0.9, 0.95), fused=True)


def held_out_batches(
    sources: Sequence[Source], training: Training, config: AgentConfig, seed: int
) -> list[Part]:
    """Fixed batches of episodes kept apart; none if so few episodes are there that none is."""
    try:
        mixture = mixture_of(sources, training, config, validation=True)
    except NothingToLearn:
        return []
    drawn: list[Part] = []
    for batch in range(HELD_OUT_BATCHES):
        rng = seeded(seed, 22, batch)
        drawn += mixture.draw(rng, training.batch, config.future_steps, training.hindsight)
    return drawn


@torch.inference_mode()
def held_out_losses(agent: Agent, held: Sequence[Part], name: str) -> dict[str, float]:
    """Losses on the batches kept apart, in the precision of this name."""
    if not held:
        return {}
    agent.eval()
    device, total = device_of(agent), windows_of(held)
    sums = torch.zeros(len(LOSSES), dtype=torch.float64, device=device)
    for body, window in held:
        with precision(name, device.type):
            found = losses(agent, [(body, moved(window, device))])
        sums += len(window.proprio) / total * _stacked(found)
    return {f"held_out_{loss}": value for loss, value in zip(LOSSES, sums.tolist(), strict=True)}
