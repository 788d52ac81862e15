"""Arrays of numbers kept by Zstandard: `pack` and `unpack` are inverse.

For simulator states, of which most numbers stay as they are from step to step: a quarter of the bytes. What
no simulator made has none.
"""

from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

_HEAD = 18  # bytes, at most, in which Zstandard says how much it holds
_MOST = 100_000  # numbers a row that are believed: a damaged head may claim any
LEVEL = 1  # 3 saves nothing to speak of in twice the time (bench/results/packing.json)


def pack(array: NDArray[Any], level: int = LEVEL) -> NDArray[np.uint8]:
    """An array's bytes, compressed (B,), at a level of Zstandard's."""
    zstd = zstandard.ZstdCompressor(level=level, write_checksum=True)
    return np.frombuffer(zstd.compress(np.ascontiguousarray(array).data), np.uint8)


def unpack(blob: NDArray[np.uint8], rows: int, kind: type[np.generic]) -> NDArray[Any]:
    """The array (rows, N) that was packed.

    Args:
        blob: (B,) what `pack` made.
        rows: How many rows it has.
        kind: Of its numbers.

    Raises:
        ValueError: Bytes that are no such array, or a `zstandard.ZstdError`.
    """
    columns, rest = divmod(
        zstandard.frame_content_size(blob[:_HEAD].tobytes()), rows * np.dtype(kind).itemsize
    )
    if rest or not 0 <= columns <= _MOST:
        raise ValueError(f"numbers that are no {rows} rows, or damaged")
    data = zstandard.ZstdDecompressor().decompress(blob.tobytes(), allow_extra_data=False)
    return np.frombuffer(data, kind).reshape(rows, columns)
