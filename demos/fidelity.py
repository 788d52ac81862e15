"""How much is left of images beside what they were made of."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PEAK = 255.0
MOST_DB = 99.0  # said of images that are equal


def errors(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean square error of each of images (N, H, W, 3) beside others (N,)."""
    return np.square(images.astype(np.float64) - others).mean(axis=(1, 2, 3))


def psnr_db(error: Any) -> NDArray[np.float64]:
    """Peak signal-to-noise ratio of mean square errors, of any shape [dB]."""
    return 10.0 * np.log10(PEAK**2 / np.maximum(error, PEAK**2 / 10 ** (MOST_DB / 10)))
