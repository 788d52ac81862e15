"""Whether what cameras see is what a goal image asks for: a judge that needs no simulator.

A classifier of single steps: the codes of all cameras, looked at in the light of the goal's codes as
`robocat.stem.MergedStem` does it, to one number, the log-odds that the task is done. It is trained by
`robocat.train_success` on stores whose steps are labelled, whoever labelled them, and calibrated on episodes
kept apart: `scale` and `shift` make its odds those of what it meets, not of what it was trained on.

An episode is a success if the task looks done over its last `HOLD_S` seconds, on average: the predicate too
asks for so long. What the predicate said stays in the episode's steps; whose verdict counts stands in its
outcome.

Shapes: B steps, V cameras, N codes an image, D width.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn

from demos.episode import Episode, Outcome
from robocat.agreement import MODEL
from robocat.checkpoint import CheckpointError, from_dict, load_weights, read_config, save_checkpoint
from robocat.stem import MergedStem
from robocat.threads import one_thread
from robocat.tokeniser import Tokeniser, load_tokeniser
from sim.tasks.task import HOLD_S

Codes = NDArray[np.integer[Any]]
TOKENS = 2  # an image is merged into


@dataclass(frozen=True)
class SuccessConfig:
    """Shape of a success model."""

    width: int = 64
    patch_width: int = 48
    cameras: int = 2


@dataclass(frozen=True)
class Calibration:
    """Turns a network's log-odds into those of what it meets: `scale` x log-odds + `shift` (Platt 1999)."""

    scale: float = 1.0
    shift: float = 0.0


class SuccessModel(nn.Module):
    """Codes and a goal's codes to log-odds, not calibrated."""

    def __init__(self, config: SuccessConfig, codebook_KE: Tensor, cells: int) -> None:
        super().__init__()
        self.config, self.cells, self.codebook_shape = config, cells, tuple(codebook_KE.shape)
        width, cameras = config.width, config.cameras
        self.stem = MergedStem(
            codebook_KE,
            cameras,
            cells,
            width,
            tokens=TOKENS,
            patch_width=config.patch_width,
            modulate=True,
        )
        self.read = nn.Sequential(
            nn.Linear((cameras * TOKENS + 1) * width, 2 * width), nn.GELU(), nn.Linear(2 * width, 1)
        )

    def forward(self, codes_BVN: Tensor, goal_BVN: Tensor) -> Tensor:
        """Log-odds (B,)."""
        images_B1MD, _, meant_BD = self.stem(codes_BVN[:, None], goal_BVN)
        assert meant_BD is not None
        seen = torch.cat([rearrange(images_B1MD, "b t m d -> b (t m d)"), meant_BD], dim=1)
        return self.read(seen)[:, 0]


def hold_steps(control_hz: float) -> int:
    """Steps for which the task must be done, as the environment asks it."""
    return max(1, round(HOLD_S * control_hz))


class Judge:
    """A trained success model with its tokeniser.

    Args:
        checkpoint: Its folder.
        tokeniser: The tokeniser's folder.

    Raises:
        CheckpointError: If either is absent or they do not belong together.
    """

    def __init__(self, checkpoint: Path, tokeniser: Path) -> None:
        read_config(checkpoint, "success")  # before its tokeniser: a model that is absent is told as such
        self._tokeniser: Tokeniser = load_tokeniser(tokeniser)
        self._model, self._calibration, weights = load_success(checkpoint, self._tokeniser.weights)
        self.name = f"{MODEL}{weights}"

    @torch.inference_mode()
    def log_odds(
        self, codes: NDArray[np.integer[Any]], goal: NDArray[np.integer[Any]]
    ) -> NDArray[np.float32]:
        """Calibrated log-odds (B,) that tasks are done.

        Args:
            codes: Image codes (B, V, N).
            goal: The goal's, (V, N) or (B, V, N).
        """
        seen = torch.from_numpy(codes.astype(np.int64))
        asked = torch.from_numpy(np.broadcast_to(goal, codes.shape).astype(np.int64))
        odds = torch.cat([self._model(*part) for part in zip(seen.split(256), asked.split(256), strict=True)])
        return (self._calibration.scale * odds + self._calibration.shift).numpy()

    def verdict(self, episode: Episode) -> bool:
        """Whether the task looks done over the end of an episode.

        Raises:
            ValueError: If the episode has no goal images, or other cameras than the model reads.
        """
        cameras = episode.meta.cameras
        if len(cameras) != self._model.config.cameras or set(episode.goal) != set(cameras):
            raise ValueError(
                f"{episode.id} has {len(cameras)} cameras and goal images of {len(episode.goal)}; "
                f"{self.name} reads {self._model.config.cameras} of each"
            )
        last = slice(-hold_steps(episode.meta.control_hz), None)
        with one_thread():  # as wherever it must not matter which process judges
            codes = self._tokeniser.encode(np.stack([episode.images[c][last] for c in cameras], axis=1))
            goal = self._tokeniser.encode(np.stack([episode.goal[c] for c in cameras]))
            return bool(self.log_odds(codes, goal).mean() > 0.0)

    def __call__(self, episode: Episode) -> Episode:
        """The episode with this judge's verdict as its outcome; the predicate's stays in its steps."""
        outcome = Outcome(self.verdict(episode), self.name)
        return replace(episode, meta=replace(episode.meta, outcome=outcome))


def make_judge(checkpoint: Path, tokeniser: Path) -> Callable[[Episode], Episode]:
    """For workers, who judge where they act."""
    return Judge(checkpoint, tokeniser)


def save_success(
    folder: Path, model: SuccessModel, tokeniser: str, calibration: Calibration, record: dict[str, object]
) -> None:
    """Writes a success model's checkpoint."""
    codes, numbers = model.codebook_shape
    about = {
        "kind": "success",
        "success": asdict(model.config),
        "codebook": {"codes": codes, "numbers": numbers, "cells": model.cells},
        "calibration": asdict(calibration),
        "tokeniser": tokeniser,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    save_checkpoint(folder, model, about | record)


def load_success(folder: Path, tokeniser: str) -> tuple[SuccessModel, Calibration, str]:
    """Loads a success model, its calibration and the hash of its weights.

    Args:
        folder: Its checkpoint.
        tokeniser: Weights hash of the tokeniser it will be used with.

    Raises:
        CheckpointError: If there is none, it does not fit, or it reads another tokeniser's codes.
    """
    record = read_config(folder, "success", ("success", "codebook", "calibration", "tokeniser"))
    if record["tokeniser"] != tokeniser:
        raise CheckpointError(
            f"{folder} reads the codes of tokeniser {record['tokeniser']}, not of {tokeniser}"
        )
    return _load(folder, tokeniser, record["weights"])


@lru_cache(maxsize=2)
def _load(folder: Path, tokeniser: str, weights: str) -> tuple[SuccessModel, Calibration, str]:
    del tokeniser
    record = read_config(folder, "success")
    shape = record["codebook"]
    config, codebook = (
        from_dict(SuccessConfig, record["success"]),
        torch.zeros(shape["codes"], shape["numbers"]),
    )
    model = SuccessModel(config, codebook, shape["cells"])
    load_weights(folder, model, weights)
    calibration = from_dict(Calibration, record["calibration"])
    return model.eval().requires_grad_(False), calibration, weights
