"""A camera's pictures as an mp4 that LeRobot reads, and back."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.extras import extra

KEY_EVERY = 2  # frames, as LeRobot has it: any frame is at most one step from a whole one
TOLERANCE_S = 1e-4  # how far a frame may be from where its row says, as LeRobot has it


@dataclass(frozen=True)
class Coding:
    """How pictures become a video.

    Attributes:
        encoder: Of FFmpeg's.
        pix_fmt: How pixels are kept; a 4:2:0 one keeps colours at half the size.
        crf: Constant rate factor: 0 loses nothing, below 20 nothing is to be seen of it at a policy's size.
    """

    encoder: str
    pix_fmt: str
    crf: int

    @property
    def lossless(self) -> bool:
        """Whether pictures come back bit by bit."""
        return self.crf == 0

    @property
    def halves_colours(self) -> bool:
        """Whether height and width must be even."""
        return self.pix_fmt == "yuv420p"


# Every player and browser has 4:2:0 H.264, and LeRobot reads it as well as its own default, AV1. In RGB it is
# exact, and of rendered pictures a third smaller than PNGs; FFmpeg, so LeRobot, reads it, browsers may not.
CODINGS = {"video": Coding("libx264", "yuv420p", 18), "lossless": Coding("libx264rgb", "rgb24", 0)}


def write(path: Path, pictures: NDArray[np.uint8], fps: int, coding: Coding = CODINGS["video"]) -> None:
    """Writes pictures (N, H, W, 3) RGB, frame i at i / fps seconds.

    Raises:
        ValueError: If height or width is odd: colours are kept for every second pixel.
        MissingExtra: If PyAV is not installed.
    """
    _, height, width, _ = pictures.shape
    if coding.halves_colours and (height % 2 or width % 2):
        raise ValueError(
            f"pictures of {width} x {height} px cannot be such a video; expected even numbers, or --pictures "
            "lossless"
        )
    av = extra("av", "lerobot")
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        options = {"crf": str(coding.crf), "g": str(KEY_EVERY), "preset": "fast"}
        stream = container.add_stream(coding.encoder, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, coding.pix_fmt
        stream.time_base = stream.codec_context.time_base = Fraction(1, fps)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read(path: Path) -> NDArray[np.uint8]:
    """All pictures of a video (N, H, W, 3) RGB."""
    av = extra("av", "lerobot")
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def read_at(path: Path, times_s: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The pictures at given times (N,), which rise; nothing before the first of them is decoded but a few.

    Raises:
        ValueError: If there is no frame within `TOLERANCE_S` of one of them.
    """
    av = extra("av", "lerobot")
    if not path.is_file():
        raise ValueError(f"there is no video at {path}")
    found: list[NDArray[np.uint8]] = []
    with av.open(str(path)) as container:
        for frame in _frames_from(container, float(times_s[0])):
            if abs(frame.time - times_s[len(found)]) <= TOLERANCE_S:
                found.append(frame.to_ndarray(format="rgb24"))
            if len(found) == len(times_s):
                return np.stack(found)
    raise ValueError(f"{path} has no frame at {times_s[len(found)]:.4f} s")


def _frames_from(container: Any, start_s: float) -> Iterator[Any]:
    """Frames from the last whole one before a time on."""
    stream = container.streams.video[0]
    container.seek(int(start_s / stream.time_base), stream=stream, backward=True)
    yield from container.decode(stream)


def about(fps: int, size: tuple[int, int], coding: Coding) -> dict[str, Any]:
    """What info.json says of such a video."""
    return {
        "video.height": size[0],
        "video.width": size[1],
        "video.codec": "h264",
        "video.pix_fmt": coding.pix_fmt,
        "video.is_depth_map": False,
        "video.fps": fps,
        "video.channels": 3,
        "has_audio": False,
    }
