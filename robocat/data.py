"""What an agent is trained on: where it is, and what a checkpoint and an unfinished training say of it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from robocat.agent_checkpoint import read_agent
from robocat.agent_config import AgentConfig
from robocat.checkpoint import config_hash
from robocat.config import Training
from robocat.mixture import Source, Steps, held_out, steps_of
from robocat.tokeniser import extended_from
from robocat.tokens import ArmTokens, TokenEpisode, build
from robocat.vocabulary import embodiment
from robocat.worth import worth_learning
from sim.tasks import refuse_held_out


@dataclass(frozen=True)
class Data:
    """Where an agent's training data is.

    Attributes:
        stores: Episode stores.
        shares: Share of the windows from each, one a store.
        tokeniser: Its checkpoint.
        tokens: Folder for token sets.
        extended: Whether the tokeniser is that which a parent reads, extended, and not the same. Most codes
            then mean what they meant, and the agent learns anew what the others mean.
    """

    stores: tuple[Path, ...]
    shares: tuple[float, ...]
    tokeniser: Path
    tokens: Path
    extended: bool = False


def sources_of(data: Data, cameras: int | None = None) -> list[Source]:
    """Opens the stores' tokens, building what is not there.

    Args:
        data: Where they are.
        cameras: How many cameras the agent reads, if that is to be checked.

    Raises:
        ValueError: If a store has another number of cameras, or episodes of a task that is held out.
    """
    tokens = [build(store, data.tokeniser, data.tokens) for store in data.stores]
    for path, each in zip(data.stores, tokens, strict=True):
        refuse_held_out((e.task for e in each.episodes), f"{path} has episodes of it, so is not trained on")
        seen = {rows.codes.shape[1] for rows in each.arms.values()}
        if cameras is not None and seen != {cameras}:
            counts = ", ".join(map(str, sorted(seen)))
            raise ValueError(f"episodes in {path} have {counts} cameras, the agent reads {cameras}")
    return [Source(each, share) for each, share in zip(tokens, data.shares, strict=True)]


def window_steps(config: AgentConfig) -> Callable[[ArmTokens], int]:
    """How many control steps an agent's windows of an arm have."""

    def steps(tokens: ArmTokens) -> int:
        return config.steps(embodiment(tokens.proprio_names, tokens.action_names), tokens.codes.shape[2])

    return steps


def identity_of(
    config: AgentConfig,
    sources: Sequence[Source],
    training: Training,
    *,
    seed: int,
    parent: Path | None,
    replicas: int,
) -> str:
    """What a training must be to go on from another's state; its schedule may differ."""
    data = [(s.tokens.tokeniser, s.tokens.store_digest, s.share) for s in sources]
    origin = None if parent is None else read_agent(parent)["weights"]
    drawn = training.hindsight, training.held_out, training.rise, training.judged, training.packed
    return config_hash(config, data, drawn, training.practised, seed, origin, replicas)


def learnt_from(source: Source, training: Training, context: Steps) -> list[tuple[TokenEpisode, int]]:
    """The episodes of a source that a training is about, none of them kept apart, and the windows of each."""
    used: list[tuple[TokenEpisode, int]] = []
    for episode in source.tokens.episodes:
        tokens = source.tokens.arms[episode.arm]
        steps = steps_of(context, tokens)
        rows = worth_learning(tokens, episode, steps, training.rise, training.practised)
        if len(rows) and not held_out(episode.id, training.held_out):
            used.append((episode, len(rows)))
    return used


def lineage(
    data: Data, sources: Sequence[Source], training: Training, context: Steps, seed: int
) -> dict[str, object]:
    """What a checkpoint was trained on, and how."""
    stores = []
    for path, share, source in zip(data.stores, data.shares, sources, strict=True):
        episodes, used = list(source.tokens.episodes), learnt_from(source, training, context)
        stores.append(
            {
                "path": str(path),
                "digest": source.tokens.store_digest,
                "episodes": len(episodes),
                "used": len(used),
                "steps": sum(windows for _, windows in used),
                "share": share,
                "arms": sorted({episode.arm for episode, _ in used}),
                "tasks": sorted({episode.task for episode, _ in used}),
            }
        )
    return {
        "stores": stores,
        "training": asdict(training),
        "seed": seed,
        "tokeniser_path": str(data.tokeniser),
        **({"parent_tokeniser": extended_from(data.tokeniser)} if data.extended else {}),
    }
