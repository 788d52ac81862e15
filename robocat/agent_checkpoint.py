"""An agent on disk, bound to the tokeniser whose codes it reads."""

from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from robocat.agent import Agent
from robocat.agent_config import AgentConfig
from robocat.checkpoint import (
    CheckpointError,
    from_dict,
    load_weights,
    read_config,
    read_json,
    save_checkpoint,
)
from robocat.devices import fit_to_act


@dataclass(frozen=True)
class AgentCard:
    """What a checkpoint is called, and where it comes from.

    Attributes:
        name: Such as "generalist-0" or "branch".
        generation: Of the generalist it is or comes from; None for a control trained from scratch.
        parent: Folder of the checkpoint it started from.
    """

    name: str
    generation: int | None
    parent: str | None


@dataclass(frozen=True)
class LoadedAgent:
    """A network and its card."""

    network: Agent
    card: AgentCard
    weights: str


def save_agent(
    folder: Path, agent: Agent, tokeniser: str, card: AgentCard, *, lineage: dict[str, object], steps: int
) -> None:
    """Writes an agent's checkpoint."""
    codes, numbers = agent.codebook_shape
    record = {
        "kind": "agent",
        **asdict(card),
        "agent": asdict(agent.config),
        "codebook": {"codes": codes, "numbers": numbers, "cells": agent.cells},
        "tokeniser": tokeniser,
        "steps": steps,
        "parameters": sum(p.numel() for p in agent.parameters()),
        "lineage": {"tokeniser": tokeniser, **lineage},
    }
    save_checkpoint(folder, agent, record)


def read_agent(folder: Path) -> dict[str, Any]:
    """What a checkpoint says of its agent, without loading the weights.

    Raises:
        CheckpointError: If there is none, or it is something else.
    """
    return read_config(folder, "agent", ("name", "generation", "parent", "agent", "codebook", "tokeniser"))


def read_card(folder: Path) -> AgentCard:
    """The card of an agent, without loading its weights; raises as `read_agent`."""
    record = read_agent(folder)
    return AgentCard(record["name"], record["generation"], record["parent"])


def tokeniser_beside(folder: Path) -> Path:
    """The tokeniser of the run that an agent belongs to; of several, that whose codes it reads.

    Raises:
        CheckpointError: As `read_agent`; that there is no tokeniser is told by who loads it.
    """
    weights, run = read_agent(folder)["tokeniser"], folder.parent.parent
    for record in sorted(run.glob("tokeniser*/config.json")):
        if read_json(record).get("weights") == weights:
            return record.parent
    return run / "tokeniser"


def load_agent(folder: Path, tokeniser: str) -> LoadedAgent:
    """Loads a fresh copy of an agent.

    Args:
        folder: Its checkpoint.
        tokeniser: Weights hash of the tokeniser it will be used with.

    Raises:
        CheckpointError: If there is none, it does not fit, or it reads another tokeniser's codes.
    """
    record = read_agent(folder)
    if record["tokeniser"] != tokeniser:
        raise CheckpointError(
            f"{folder} reads the codes of tokeniser {record['tokeniser']}, not of {tokeniser}; "
            "train it again on tokens of this tokeniser, or give its own"
        )
    shape = record["codebook"]
    network = Agent(
        from_dict(AgentConfig, record["agent"]), torch.zeros(shape["codes"], shape["numbers"]), shape["cells"]
    )
    load_weights(folder, network, record["weights"])
    return LoadedAgent(network.eval(), read_card(folder), record["weights"])


def cached_agent(folder: Path, tokeniser: str, device: torch.device) -> LoadedAgent:
    """As `load_agent`, but fit to act on a device, see there; one per weights, device and process, shared."""
    return _cached(folder, tokeniser, read_agent(folder)["weights"], device)


@lru_cache(maxsize=2)
def _cached(folder: Path, tokeniser: str, weights: str, device: torch.device) -> LoadedAgent:
    del weights  # Tells a checkpoint from one that has been there before.
    loaded = load_agent(folder, tokeniser)
    return replace(loaded, network=fit_to_act(loaded.network, device))
