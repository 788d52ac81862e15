"""The smallest real things: expert episodes at 32 px, a tokeniser and an agent that have learnt from them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from demos.collect import Collection, collect_experts
from robocat import loop
from robocat.agent_checkpoint import AgentCard
from robocat.agent_config import AgentConfig
from robocat.config import TokeniserTraining, Training
from robocat.data import Data
from robocat.metrics import read_metrics
from robocat.presets import NANO
from robocat.train import train
from robocat.train_tokeniser import train_tokeniser
from robocat.vqgan import VQGANConfig

SIZE = 32  # image size [px]
ARMS = ("panda", "ur5e")  # with 5 and 7 action numbers
TASKS = ("reach", "lift")
EPISODES = 4  # for each arm and task

VQ = VQGANConfig(size=SIZE, cells=8, codes=32, code_dim=8, width=16)
TOKENISER = TokeniserTraining(steps=60, batch=16, warm_up=4, images=400, checkpoint_every=20)
AGENT = replace(NANO.agent, width=32, blocks=2, heads=2, patch_width=8, drop=0.1)
TRAINING = Training(steps=6, batch=16, warm_up=2, held_out=0.2, evaluate_every=4, checkpoint_every=2)


def demonstrate(
    store: Path,
    arms: tuple[str, ...] = ARMS,
    tasks: tuple[str, ...] = TASKS,
    *,
    episodes: int = EPISODES,
    first_seed: int = 0,
    workers: int = 1,
) -> Path:
    """Records expert episodes in a store."""
    collect_experts(store, Collection(arms, tasks, episodes, first_seed, SIZE), workers, "demos")
    return store


def learn_images(store: Path, out: Path, steps: int = TOKENISER.steps, seed: int = 0) -> Path:
    """Trains a tokeniser."""
    train_tokeniser([store], out, VQ, replace(TOKENISER, steps=steps), seed)
    return out


def learn(data: Data, out: Path, config: AgentConfig = AGENT, training: Training = TRAINING) -> Path:
    """Trains an agent."""
    train(data, out, config, training, AgentCard(out.name, 0, None), seed=0)
    return out


@contextmanager
def interrupted(at: int) -> Iterator[None]:
    """Ctrl-C in the step of this number of a training, which must be met meanwhile."""
    check: Callable[[dict[str, float], Path, int], None] = loop.check_finite

    def interrupt(losses: dict[str, float], folder: Path, step: int) -> None:
        if step == at:
            raise KeyboardInterrupt
        check(losses, folder, step)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "check_finite", interrupt)
        yield


def measured(folder: Path) -> list[dict[str, float]]:
    """What a training logged, without the times."""
    return [{k: v for k, v in row.items() if k != "wall_time"} for row in read_metrics(folder)]
