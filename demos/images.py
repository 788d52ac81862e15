"""Images kept by Zstandard, losslessly: `pack` and `unpack` are inverse.

A few frames make one block, because what compresses a rendered frame best is the frame before it, of which
most is seen again: a PNG a frame takes a third more bytes and five times as long. One frame is read by
decompressing its block. `unpack` also reads images that are kept as PNGs, as they were once (`demos.png`), or
as a video (`demos.h264`).
"""

import math
from collections.abc import Sequence

import numpy as np
import zstandard
from numpy.typing import NDArray

from demos import h264, png

_MAGIC = zstandard.MAGIC_NUMBER.to_bytes(4, "little")
# Frames a block. All in one saves 1 % of the bytes, and reading one frame takes that much longer; 4 take 7 %
# more. Figures are medians of `bench/results/packing.json`, of 128 px pictures of arms at work.
BLOCK = 16
_MOST = 256  # frames a block that are believed: a damaged head may claim any number
# Level 3 saves 3 % and takes a quarter longer; 5 saves 17 % in nearly three times the time.
LEVEL = 1

UNREADABLE = (zstandard.ZstdError, *png.UNREADABLE)  # what `unpack` raises of bytes that are no images


def pack(
    images: NDArray[np.uint8], block: int = BLOCK, level: int = LEVEL
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Compresses images.

    Args:
        images: (N, H, W, 3) RGB.
        block: How many make a block.
        level: Zstandard's.

    Returns:
        K blocks of images end to end (B,), and where each begins (K + 1,): block k is bytes offsets[k] to
        offsets[k + 1]. All have equally many images, but the last, which may have fewer.
    """
    zstd = zstandard.ZstdCompressor(level=level, write_checksum=True)
    parts = [np.ascontiguousarray(images[i : i + block]) for i in range(0, len(images), block)]
    blocks = [zstd.compress(part.data) for part in parts]
    offsets = np.cumsum([0, *map(len, blocks)], dtype=np.int64)
    return np.frombuffer(b"".join(blocks), np.uint8), offsets


def unpack(
    blobs: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    size: tuple[int, int],
    indices: Sequence[int] | None = None,
) -> NDArray[np.uint8]:
    """Decompresses images that `pack`, here or in `demos.png` or `demos.h264`, compressed.

    Args:
        blobs: (B,) blocks end to end, or PNGs, or a video.
        offsets: (K + 1,) where each begins.
        size: (H, W) [px].
        indices: Which images, in which order; all when None. Negative ones count from the end.

    Returns:
        (N or len(indices), H, W, 3) RGB.

    Raises:
        ValueError: Bytes that `pack` did not write, or an index outside the range; or one of `UNREADABLE`.
        MissingExtra: They are a video, and PyAV is not installed.
    """
    if h264.is_video(blobs):
        return h264.unpack(blobs, size, indices)
    if blobs[:4].tobytes() != _MAGIC:
        return png.unpack(blobs, offsets, size, indices)
    counts = [_count(blobs[start:stop], size) for start, stop in zip(offsets, offsets[1:], strict=False)]
    count, block = sum(counts), counts[0]
    if any(each != block for each in counts[:-1]) or not 0 < counts[-1] <= block:
        raise ValueError(f"blocks of {counts} images, expected equally many but in the last")
    chosen = png.within(indices, count)
    images = np.empty((len(chosen), *size, 3), np.uint8)
    read: dict[int, NDArray[np.uint8]] = {}
    for place, index in enumerate(chosen):
        number, at = divmod(index, block)
        if number not in read:
            read[number] = _block(blobs[offsets[number] : offsets[number + 1]], size)
        images[place] = read[number][at]
    return images


def _count(block: NDArray[np.uint8], size: tuple[int, int]) -> int:
    """How many images are in a block, by what its head says."""
    count, rest = divmod(zstandard.frame_content_size(block.tobytes()[:18]), 3 * math.prod(size))
    if rest or not 0 < count <= _MOST:
        raise ValueError(f"a block of images that are not {size[0]} x {size[1]} px, or damaged")
    return count


def _block(block: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The images of a block."""
    data = zstandard.ZstdDecompressor().decompress(block.tobytes(), allow_extra_data=False)
    return np.frombuffer(data, np.uint8).reshape(-1, *size, 3)
