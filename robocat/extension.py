"""What extending a tokeniser on new images does to those it knew: error, and codes that mean the same."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from demos.fidelity import errors, psnr_db


class Coder(Protocol):
    """Images to codes and back, as `robocat.tokeniser.Tokeniser` does it; reports are read without torch."""

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.int64]: ...

    def decode(self, codes: NDArray[np.int64]) -> NDArray[np.uint8]: ...


@dataclass(frozen=True)
class Effect:
    """On the images of one store, none of which the extension was trained on; the parent may have seen some.

    Attributes:
        images: How many.
        before_db: Peak signal-to-noise ratio of what the parent makes of them, mean over images [dB].
        after_db: The same of the extended one [dB].
        gain_db: Mean of the differences, image by image [dB].
        gain_half_db: Half of that mean's 95 % interval, by the normal approximation [dB].
        codes_kept: Share of the cells whose code is the one before. What has learnt from the parent's codes
            cannot read the others.
    """

    images: int
    before_db: float
    after_db: float
    gain_db: float
    gain_half_db: float
    codes_kept: float


def effects(
    parent: Coder, extended: Coder, images: Mapping[str, NDArray[np.uint8]]
) -> dict[str, dict[str, float]]:
    """Measures both on images (N, H, W, 3), N at least 2, by what they are of."""
    return {name: asdict(effect(parent, extended, some)) for name, some in images.items()}


def effect(parent: Coder, extended: Coder, images: NDArray[np.uint8]) -> Effect:
    """Measures both on images (N, H, W, 3), N at least 2."""
    old, new = parent.encode(images), extended.encode(images)
    before, after = (psnr_db(errors(images, again)) for again in (parent.decode(old), extended.decode(new)))
    gain = after - before
    half = 1.96 * float(gain.std(ddof=1)) / len(images) ** 0.5
    kept = float((old == new).mean())
    return Effect(len(images), float(before.mean()), float(after.mean()), float(gain.mean()), half, kept)
