"""The map between tokens and values: image codes, proprioception bins and action bins. No networks.

    token                meaning
    0 ... codes - 1      image code, an entry of the tokeniser's codebook
    0 ... 1023           bin of a proprioception or action number over its declared range

The two have embeddings and heads of their own, so their numbers may coincide. Bins are even over [low, high]
and decoded at their centres, so a round trip errs by at most half a bin; both ends of the range are valid
values (the top one belongs to the last bin).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.arms.arm import MOST_FINGERS, MOST_JOINTS, PARTNER

BINS = 1024  # Gato and RoboCat: 1,024 uniform bins for continuous values

# What a number of proprioception or action can be. A position in these tables tells the network what a token
# is; arms use the slots they have, so nothing is padded and a new arm needs no new weights.
_PROPRIO = (
    *(f"joint_{i}" for i in range(1, MOST_JOINTS + 1)),
    *(f"tool_{name}" for name in ("x", "y", "z", "roll", "pitch", "yaw")),
    "width",
    *(f"finger_{i}" for i in range(1, MOST_FINGERS + 1)),
)
_ACTION = (
    *("x", "y", "z", "roll", "pitch", "yaw"),
    "gripper",
    *(f"finger_{i}" for i in range(1, MOST_FINGERS + 1)),
)
# A second arm's numbers have slots of their own, after all others.
PROPRIO_SLOTS: tuple[str, ...] = (*_PROPRIO, *(PARTNER + name for name in _PROPRIO))
ACTION_SLOTS: tuple[str, ...] = (*_ACTION, *(PARTNER + name for name in _ACTION))


def encode(values: ArrayLike, low: ArrayLike, high: ArrayLike) -> NDArray[np.uint16]:
    """Values to bins in [0, BINS); values beyond the range fall into the end bins.

    Args:
        values: (..., N) numbers.
        low: (N,) least values, same units.
        high: (N,) greatest values.

    Raises:
        ValueError: If a value is not finite.
    """
    array, start, end = (np.asarray(each, dtype=np.float64) for each in (values, low, high))
    if not np.isfinite(array).all():
        raise ValueError(f"cannot tokenise values that are not finite: {array[~np.isfinite(array)][:3]}")
    share = (array - start) / (end - start)
    return np.clip(np.floor(share * BINS), 0, BINS - 1).astype(np.uint16)


def decode(bins: ArrayLike, low: ArrayLike, high: ArrayLike) -> NDArray[np.float32]:
    """Bins to the values at their centres, float32 of the same shape. Inverse of `encode` to half a bin."""
    array, start, end = (np.asarray(each, dtype=np.float64) for each in (bins, low, high))
    return (start + (array + 0.5) / BINS * (end - start)).astype(np.float32)


def encode_action(action: ArrayLike) -> NDArray[np.uint16]:
    """Actions in [-1, 1] to bins."""
    return encode(action, -1.0, 1.0)


def decode_action(bins: ArrayLike) -> NDArray[np.float32]:
    """Bins to actions in (-1, 1)."""
    return decode(bins, -1.0, 1.0)


@dataclass(frozen=True)
class Embodiment:
    """What the network must know of an arm: which slots its numbers are.

    Attributes:
        proprio: Slot of each proprioception number (P,).
        action: Slot of each action number (A,).
    """

    proprio: tuple[int, ...]
    action: tuple[int, ...]


def slots(names: Sequence[str], table: tuple[str, ...], noun: str) -> tuple[int, ...]:
    """Positions of names in a slot table.

    Raises:
        ValueError: For a name that has no slot; the message lists the slots.
    """
    missing = [name for name in names if name not in table]
    if missing:
        raise ValueError(f"no {noun} slot for {', '.join(missing)}; slots: {', '.join(table)}")
    return tuple(table.index(name) for name in names)


def embodiment(proprio_names: Sequence[str], action_names: Sequence[str]) -> Embodiment:
    """The slots of an arm's proprioception channels and action numbers."""
    return Embodiment(
        proprio=slots(proprio_names, PROPRIO_SLOTS, "proprioception"),
        action=slots(action_names, ACTION_SLOTS, "action"),
    )
