"""A trained VQ-GAN, or what stands in its place, loaded to turn images into codes; frozen meanwhile."""

from copy import deepcopy
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from robocat.checkpoint import CheckpointError, from_dict, load_weights, read_config, save_checkpoint
from robocat.patches import Pixels, PixelsConfig
from robocat.vqgan import VQGAN, VQGANConfig

BATCH = 64  # images at a time: larger ones leave the cores' caches


class Tokeniser:
    """Images to codes and back.

    Attributes:
        weights: Hash of the weights: tokens and agents are bound to it.
        config: Its shape.
    """

    def __init__(self, model: VQGAN | Pixels, weights: str) -> None:
        self._model = model.eval().requires_grad_(False)
        self.weights = weights
        self.config = model.config

    @property
    def codebook(self) -> Tensor:
        """Codebook (codes, code_dim), unit vectors."""
        return self._model.codebook.vectors

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
        codes = torch.cat([self._model.encode(batch) for batch in flat.split(BATCH)])
        return codes.numpy().reshape(*images.shape[:-3], -1)

    def decode(self, codes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Codes (..., cells * cells) to uint8 images (..., H, W, 3)."""
        flat = torch.from_numpy(np.ascontiguousarray(codes.reshape(-1, codes.shape[-1])))
        images = torch.cat([self._model.decode(batch) for batch in flat.split(BATCH)])
        return images.numpy().reshape(*codes.shape[:-1], *images.shape[1:])


def save_tokeniser(folder: Path, model: VQGAN | Pixels, record: dict[str, object]) -> None:
    """Writes a tokeniser's checkpoint with what the record says of its training."""
    parameters = sum(p.numel() for p in model.parameters())
    kind = "vqgan" if isinstance(model, VQGAN) else "pixels"
    about = {"kind": "tokeniser", kind: asdict(model.config), "parameters": parameters}
    save_checkpoint(folder, model, about | record)


def load_tokeniser(folder: Path) -> Tokeniser:
    """Loads a tokeniser; one per weights and process.

    Raises:
        CheckpointError: If there is none or it does not fit.
    """
    record = read_config(folder, "tokeniser")
    if "pixels" in record:
        return _load(folder, from_dict(PixelsConfig, record["pixels"]), record["weights"])
    record = read_config(folder, "tokeniser", ["vqgan"])
    return _load(folder, from_dict(VQGANConfig, record["vqgan"]), record["weights"])


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
def _load(folder: Path, config: VQGANConfig | PixelsConfig, weights: str) -> Tokeniser:
    model = VQGAN(config) if isinstance(config, VQGANConfig) else Pixels(config)
    load_weights(folder, model, weights)
    return Tokeniser(model, weights)
