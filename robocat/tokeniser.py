"""A trained VQ-GAN, or what stands in its place, loaded to turn images into codes; frozen meanwhile."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robocat.checkpoint import CheckpointError, from_dict, load_weights, read_config, save_checkpoint
from robocat.devices import best
from robocat.patches import Pixels, PixelsConfig
from robocat.vqgan import VQGAN, VQGANConfig

# Images at a time: on a CPU larger batches leave the cores' caches, on CUDA smaller ones leave cores idle.
BATCH = {"cpu": 64, "cuda": 1024}


class Tokeniser:
    """Images to codes and back.

    In float32 on any device; but convolutions on CUDA round their products to TF32, as torch has it, so that
    a few codes near a tie differ from those of a CPU.

    Args:
        model: The network; it is moved.
        weights: Hash of the weights.
        device: Where it computes; `robocat.devices.best` if None.

    Attributes:
        weights: Hash of the weights: tokens and agents are bound to it.
        config: Its shape.
    """

    def __init__(self, model: VQGAN | Pixels, weights: str, device: torch.device | None = None) -> None:
        self._device = device or best()
        self._model = model.eval().requires_grad_(False).to(self._device)
        self.weights = weights
        self.config = model.config

    @property
    def codebook(self) -> Tensor:
        """Codebook (codes, code_dim), unit vectors, on the CPU: agents are made there."""
        return self._model.codebook.vectors.cpu()

    def copy(self) -> VQGAN:
        """Its network, to be trained on.

        Raises:
            CheckpointError: If it is none: pixels are as they are.
        """
        if not isinstance(self._model, VQGAN):
            raise CheckpointError(
                "pixels as they are cannot be extended; expected a tokeniser with a codebook"
            )
        return deepcopy(self._model).requires_grad_(True)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """uint8 (..., H, W, 3) to codes (..., cells * cells).

        Raises:
            ValueError: If the images are not of the tokeniser's size.
        """
        size = self.config.size
        if images.shape[-3:] != (size, size, 3):
            raise ValueError(f"images are {images.shape[-3:]}, this tokeniser reads ({size}, {size}, 3)")
        flat = torch.from_numpy(np.array(images.reshape(-1, size, size, 3)))  # stored ones are read-only
        codes = torch.cat([self._model.encode(batch) for batch in self._batches(flat)])
        return codes.cpu().numpy().reshape(*images.shape[:-3], -1)

    def decode(self, codes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Codes (..., cells * cells) to uint8 images (..., H, W, 3)."""
        flat = torch.from_numpy(np.ascontiguousarray(codes.reshape(-1, codes.shape[-1])))
        images = torch.cat([self._model.decode(batch) for batch in self._batches(flat)])
        return images.cpu().numpy().reshape(*codes.shape[:-1], *images.shape[1:])

    def _batches(self, flat: Tensor) -> Iterator[Tensor]:
        for batch in flat.split(BATCH.get(self._device.type, BATCH["cuda"])):
            yield batch.to(self._device)


def save_tokeniser(folder: Path, model: VQGAN | Pixels, record: dict[str, object]) -> None:
    """Writes a tokeniser's checkpoint with what the record says of its training."""
    parameters = sum(p.numel() for p in model.parameters())
    kind = "vqgan" if isinstance(model, VQGAN) else "pixels"
    about = {"kind": "tokeniser", kind: asdict(model.config), "parameters": parameters}
    save_checkpoint(folder, model, about | record)


def load_tokeniser(folder: Path, device: torch.device | None = None) -> Tokeniser:
    """Loads a tokeniser; one per weights, device and process.

    Args:
        folder: Its checkpoint.
        device: As `Tokeniser` has it; pixels that are left as they are stay on the CPU.

    Raises:
        CheckpointError: If there is none or it does not fit.
    """
    record = read_config(folder, "tokeniser")
    if "pixels" in record:  # nothing is computed, so nothing is moved
        here = torch.device("cpu")
        return _load(folder, from_dict(PixelsConfig, record["pixels"]), record["weights"], here)
    record = read_config(folder, "tokeniser", ["vqgan"])
    return _load(folder, from_dict(VQGANConfig, record["vqgan"]), record["weights"], device or best())


def extended_from(folder: Path) -> str:
    """Weights hash of the tokeniser that this one was extended from.

    Raises:
        CheckpointError: If there is none at `folder`, or it was trained from nothing.
    """
    lineage = read_config(folder, "tokeniser").get("lineage", {})
    if "parent" not in lineage:
        raise CheckpointError(f"{folder} was extended from no tokeniser; expected one made with --parent")
    return lineage["parent"]["weights"]


@lru_cache(maxsize=4)
def _load(folder: Path, config: VQGANConfig | PixelsConfig, weights: str, device: torch.device) -> Tokeniser:
    model = VQGAN(config) if isinstance(config, VQGANConfig) else Pixels(config)
    load_weights(folder, model, weights)
    return Tokeniser(model, weights, device)
