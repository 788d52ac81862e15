"""Whether what cameras see is what a goal image asks for: a judge that needs no simulator.

A classifier of single steps: from the codes of all cameras, one encoder makes a vector of what the images
show, and another of what the goal's images show, which are the end of another success; how well they match
is the log-odds that the task is done. So every image can be held against many goals at the price of one, and
is in training. It is trained by `robocat.train_success` on stores whose steps are labelled, whoever labelled
them, and calibrated on episodes kept apart: `scale` and `shift` make its odds those of what it meets, not of
what it was trained on.

An episode is a success if the task looks done over its last `HOLD_S` seconds, on average: the predicate too
asks for so long. What the predicate said stays in the episode's steps; whose verdict counts stands in its
outcome.

Shapes: B steps, G goals, V cameras, N codes an image, on a grid of H x W, E numbers a code, C channels,
D width.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor, nn

from demos.episode import Episode, Outcome
from robocat.agreement import MODEL
from robocat.checkpoint import CheckpointError, from_dict, load_weights, read_config, save_checkpoint
from robocat.threads import one_thread
from robocat.tokeniser import Tokeniser, load_tokeniser
from sim.tasks.task import HOLD_S

Codes = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class SuccessConfig:
    """Shape of a success model.

    Attributes:
        width: Numbers that say what cameras show.
        hidden: Numbers that say what one camera shows.
        channels: Features of a neighbourhood of codes.
        code_width: Numbers of a code.
    """

    width: int = 64
    hidden: int = 128
    channels: int = 64
    code_width: int = 32
    cameras: int = 2


@dataclass(frozen=True)
class Calibration:
    """Turns a network's log-odds into those of what it meets: `scale` x log-odds + `shift` (Platt 1999)."""

    scale: float = 1.0
    shift: float = 0.0


class CameraView(nn.Module):
    """Codes of one camera to what they show: features of neighbourhoods, there and anywhere.

    A goal is of another scene: that red is on green may be seen in another place.
    """

    def __init__(self, config: SuccessConfig, cells: int) -> None:
        super().__init__()
        channels, hidden = config.channels, config.hidden
        self.place = nn.Parameter(torch.randn(config.code_width, cells, cells) * 0.02)
        self.around = nn.Conv2d(config.code_width, channels, 4, stride=2, padding=1)
        self.there = nn.Linear(channels * (cells // 2) ** 2, hidden)
        self.anywhere = nn.Linear(channels, hidden)
        self.norm = nn.LayerNorm(hidden)

    def forward(self, codes_BNE: Tensor) -> Tensor:
        """Embedded codes (B, N, E) to (B, D)."""
        grid_BEHW = rearrange(codes_BNE, "b (h w) e -> b e h w", h=self.place.shape[1]) + self.place
        around_BCHW = F.gelu(self.around(grid_BEHW))
        return self.norm(self.there(around_BCHW.flatten(1)) + self.anywhere(around_BCHW.amax((2, 3))))


class SuccessModel(nn.Module):
    """Codes and a goal's codes to log-odds, not calibrated."""

    def __init__(self, config: SuccessConfig, codebook_KE: Tensor, cells: int) -> None:
        super().__init__()
        self.config, self.cells, self.codebook_shape = config, cells, tuple(codebook_KE.shape)
        codes, numbers = codebook_KE.shape
        self.code = nn.Embedding(codes, config.code_width)
        with torch.no_grad():  # like codes look alike at the start
            self.code.weight.copy_(codebook_KE @ torch.randn(numbers, config.code_width))
        self.views = nn.ModuleList(CameraView(config, cells) for _ in range(config.cameras))
        hidden, width = config.hidden, config.width
        self.mix = nn.Sequential(
            nn.GELU(), nn.Linear(config.cameras * hidden, hidden), nn.GELU(), nn.Linear(hidden, width)
        )
        self.shown, self.asked = nn.Linear(width, width), nn.Linear(width, width)
        self.shift = nn.Parameter(torch.zeros(()))

    def see(self, codes_BVN: Tensor) -> Tensor:
        """What images (B, V, N), a goal's or others, show: (B, D)."""
        embedded = self.code(codes_BVN)
        return self.mix(torch.cat([view(embedded[:, i]) for i, view in enumerate(self.views)], dim=1))

    def match(self, seen_BD: Tensor, goals_GD: Tensor) -> Tensor:
        """Log-odds (B, G) that images show what goals ask for, each of what `see` says of it."""
        scale = self.config.width**-0.5
        return scale * self.shown(seen_BD) @ self.asked(goals_GD).T + self.shift

    def forward(self, codes_BVN: Tensor, goals_GVN: Tensor) -> Tensor:
        """Log-odds (B, G) of images against goals."""
        return self.match(self.see(codes_BVN), self.see(goals_GVN))


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
    def log_odds(self, codes: Codes, goal: Codes) -> NDArray[np.float32]:
        """Calibrated log-odds (B,) that tasks are done.

        Args:
            codes: Image codes (B, V, N).
            goal: The goal's (V, N).
        """
        seen, asked = (torch.from_numpy(each.astype(np.int64)) for each in (codes, goal[None]))
        odds = torch.cat([self._model(part, asked)[:, 0] for part in seen.split(256)])
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
