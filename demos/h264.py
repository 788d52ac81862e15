"""Images kept as H.264, with loss.

A camera's pictures are alike up to motion, which only a video codec makes use of. Its loss is in the colours'
three planes, none of them halved (4:4:4). How RGB becomes planes is done here in whole numbers, not by
FFmpeg, whose result differs from one processor to the next: what is decoded, and so an episode's content
hash, is the same everywhere.
"""

import io
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demos.fidelity import errors, psnr_db
from demos.png import within
from sim.extras import extra

# Constant rate factors to choose from: of 128 px pictures of arms at work 34 keeps 40.4 dB, 31 keeps 42.4.
# All figures here are medians of `bench/results/packing.json`.
_WEAKEST, _STRONGEST = 12, 40
PRESET = "slower"  # x264's: 2 dB more in an eighth fewer bytes than "veryfast", in 4.5 times the time
WHOLE_EVERY = 10  # frames: reading one decodes at most so many. Every 25 takes a tenth fewer bytes.
_BLOCK_PX = 16  # what H.264 divides a picture into
_CRC = 4  # bytes, behind the video


def is_video(blobs: NDArray[np.uint8]) -> bool:
    """Whether bytes are a video that `pack` made, by how an mp4 begins."""
    return blobs[4:8].tobytes() == b"ftyp"


def pack(images: NDArray[np.uint8], least_db: float) -> tuple[NDArray[np.uint8], NDArray[np.int64]] | None:
    """Compresses images as far as it goes.

    Args:
        images: (N, H, W, 3) RGB.
        least_db: Peak signal-to-noise ratio that must be left of them, by the mean square error over all
            [dB]; of single ones it may be less.

    Returns:
        One video with its checksum (B,), and where it begins and ends (2,): (0, B). None where none keeps
        that much.

    Raises:
        MissingExtra: PyAV is not installed.
    """
    kept, weak, strong = None, _WEAKEST, _STRONGEST
    while weak <= strong:  # by halves, as stronger means less is left
        strength = (weak + strong + 1) // 2
        blob = video(images, strength)
        if float(psnr_db(errors(images, unpack(blob, images.shape[1:3])).mean())) >= least_db:
            kept, weak = blob, strength + 1
        else:
            strong = strength - 1
    return None if kept is None else (kept, np.array([0, len(kept)], np.int64))


def unpack(
    blob: NDArray[np.uint8], size: tuple[int, int], indices: Sequence[int] | None = None
) -> NDArray[np.uint8]:
    """Decompresses images.

    Args:
        blob: (B,) what `pack` made.
        size: (H, W) [px].
        indices: Which images, in which order; all when None. Negative ones count from the end.

    Returns:
        (N or len(indices), H, W, 3) RGB.

    Raises:
        ValueError: Bytes that are no such video, or an index outside the range.
        MissingExtra: PyAV is not installed.
    """
    if indices is not None and not indices:
        return np.empty((0, *size, 3), np.uint8)
    _verify(blob)
    av = extra("av", "video")
    try:
        with av.open(io.BytesIO(blob[:-_CRC].tobytes())) as container:
            count = int(container.streams.video[0].frames)
            if indices is None:
                planes = [_planes_of(frame) for frame in container.decode(video=0)]
                wanted = range(count)
            else:
                wanted = within(indices, count)
                found = _some(container, set(wanted))
                planes = [found[index] for index in wanted]
    except (av.FFmpegError, IndexError, KeyError) as error:
        raise ValueError(f"a video that cannot be read: {type(error).__name__}") from error
    if len(planes) != len(wanted):
        raise ValueError(f"a video of {len(planes)} images, which says that it has {count}")
    height, width = size
    if planes[0].shape[1:] != (_up(height), _up(width)):
        raise ValueError(f"a video of images that are not {height} x {width} px")
    return rgb(np.stack(planes))[:, :height, :width]


def _sealed(video: bytes) -> NDArray[np.uint8]:
    """A video and its CRC-32: a flipped bit in it would show as a wrong picture, not as an error."""
    return np.frombuffer(video + zlib.crc32(video).to_bytes(_CRC, "little"), np.uint8)


def _verify(blob: NDArray[np.uint8]) -> None:
    if zlib.crc32(blob[:-_CRC].tobytes()) != int.from_bytes(blob[-_CRC:].tobytes(), "little"):
        raise ValueError("a video whose checksum does not fit")


def _whole_blocks(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Images with their edges repeated; to what it adds itself x264 gives whatever stood in memory."""
    height, width = images.shape[1:3]
    return np.pad(images, ((0, 0), (0, _up(height) - height), (0, _up(width) - width), (0, 0)), "edge")


def _up(pixels: int) -> int:
    return -(-pixels // _BLOCK_PX) * _BLOCK_PX


def video(
    images: NDArray[np.uint8], strength: int, preset: str = PRESET, whole_every: int = WHOLE_EVERY
) -> NDArray[np.uint8]:
    """Images (N, H, W, 3) as one video with its checksum (B,).

    Args:
        images: RGB.
        strength: x264's constant rate factor.
        preset: x264's.
        whole_every: So many frames, one does not hang on others.
    """
    coded = planes(_whole_blocks(images))
    av = extra("av", "video")
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        # One thread and no macroblock tree, so that equal images give equal bytes; no frame that waits for a
        # later one, so that one is read sooner.
        exact = {"threads": "1", "bf": "0", "x264-params": "mbtree=0"}
        options = {"crf": str(strength), "g": str(whole_every), "preset": preset, **exact}
        stream = container.add_stream("libx264", rate=1, options=options)
        stream.height, stream.width = coded.shape[2:]
        stream.pix_fmt = "yuv444p"
        for number, each in enumerate(coded):
            frame = av.VideoFrame.from_ndarray(each, format="yuv444p")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return _sealed(out.getvalue())


def _some(container: Any, wanted: set[int]) -> dict[int, NDArray[np.uint8]]:
    """The planes of some frames, by number; none is decoded after the last, and few before the first."""
    stream, found = container.streams.video[0], {}
    container.seek(int(min(wanted) / stream.time_base), stream=stream, backward=True)
    for frame in container.decode(stream):
        if (number := round(frame.time)) in wanted:
            found[number] = _planes_of(frame)
        if number >= max(wanted):
            break
    return found


def _planes_of(frame: Any) -> NDArray[np.uint8]:
    return frame.to_ndarray(format="yuv444p")


def planes(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB (N, H, W, 3) as YCoCg (N, 3, H, W): brightness, orange over blue, green over purple."""
    red, green, blue = np.moveaxis(images.astype(np.int16), -1, 0)
    light = (red + 2 * green + blue + 2) >> 2
    orange = ((red - blue) >> 1) + 128
    greenish = ((2 * green - red - blue) >> 2) + 128
    return np.stack([light, orange, greenish], axis=1).astype(np.uint8)


def rgb(coded: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The inverse of `planes`, up to rounding."""
    light, orange, greenish = np.moveaxis(coded.astype(np.int16), 1, 0)
    orange, greenish = orange - 128, greenish - 128
    rest = light - greenish
    return np.stack([rest + orange, light + greenish, rest - orange], axis=-1).clip(0, 255).astype(np.uint8)
