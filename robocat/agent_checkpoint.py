"""An agent on disk, bound to the tokeniser whose codes it reads."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import torch

from robocat.agent import Agent, AgentConfig
from robocat.checkpoint import CheckpointError, from_dict, load_weights, read_config, save_checkpoint


@dataclass(frozen=True)
class AgentCard:
    """What a checkpoint is called, and where it comes from.

    Attributes:
        name: Such as "generalist-0" or "branch".
        generation: Of the generalist it is or comes from; None for a network trained from scratch as a control.
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


def save_agent(folder: Path, agent: Agent, tokeniser: str, card: AgentCard, lineage: dict[str, object]) -> None:
    """Writes an agent's checkpoint."""
    codes, numbers = agent.codebook_shape
    steps = lineage["training"]["steps"]  # pyright: ignore
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


def load_agent(folder: Path, tokeniser: str) -> LoadedAgent:
    """Loads a fresh copy of an agent.

    Args:
        folder: Its checkpoint.
        tokeniser: Weights hash of the tokeniser it will be used with.

    Raises:
        CheckpointError: If there is none, it does not fit, or it reads another tokeniser's codes.
    """
    record = read_config(folder, "agent")
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
    card = AgentCard(record["name"], record["generation"], record["parent"])
    return LoadedAgent(network.eval(), card, record["weights"])


cached_agent = lru_cache(maxsize=2)(load_agent)
