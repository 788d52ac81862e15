"""Which parts an agent is made of, by its configuration: the paper's, and each option beside it."""

from functools import partial

from torch import Tensor

from robocat.agent_config import AgentConfig
from robocat.future import CodeFuture, MergedFuture
from robocat.moe import MixtureOfExperts
from robocat.patches import LEVELS, PatchStem
from robocat.stem import CodeStem, MergedStem
from robocat.transformer import Feed, feed_forward

Stem = CodeStem | MergedStem | PatchStem
Future = CodeFuture | MergedFuture


def stem(config: AgentConfig, codebook_KE: Tensor, cells: int) -> Stem:
    """What makes tokens of images.

    Raises:
        ValueError: If patches are asked for where the tokeniser gives codes, or none where it gives pixels.
    """
    if bool(config.patch) != (tuple(codebook_KE.shape) == (LEVELS, 1)):
        given = "codes" if config.patch else "pixels"
        raise ValueError(f"agent: patch: got {config.patch} with a tokeniser that gives {given}")
    if config.patch:
        return PatchStem(config.cameras, cells, config.patch, config.width)
    if not config.image_tokens:
        return CodeStem(codebook_KE, config.cameras, cells, config.width, config.code_vectors)
    return MergedStem(
        codebook_KE,
        config.cameras,
        cells,
        config.width,
        tokens=config.image_tokens,
        patch_width=config.patch_width,
        modulate=config.modulate,
        vectors=config.code_vectors,
    )


def feed(config: AgentConfig) -> Feed:
    """What makes the second half of a block."""
    if not config.experts:
        return feed_forward
    return partial(MixtureOfExperts, experts=config.experts, used=config.experts_used, make=feed_forward)


def bank(config: AgentConfig, codebook_KE: Tensor, cells: int) -> CodeStem | None:
    """What makes entries of codes for a tape that reads from what is seen, where there is one."""
    if not config.tape or config.tape_bank != "input":
        return None
    return CodeStem(codebook_KE, config.cameras, cells, config.width, config.code_vectors)


def future(config: AgentConfig, codebook_KE: Tensor, cells: int) -> Future | None:
    """What predicts future images; pixels are no codes that could be predicted."""
    if config.patch:
        return None
    if not config.image_tokens:
        return CodeFuture(len(codebook_KE), config.width, config.future_cells)
    return MergedFuture(
        codebook_KE, cells**2, config.width, tokens=config.image_tokens, scored=config.future_cells
    )
