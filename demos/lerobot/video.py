"""A camera's pictures as an mp4 that LeRobot reads, and back."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demos.extras import extra

CODEC = "libx264"  # every player and browser has it; LeRobot reads h264 as well as its own default, AV1
QUALITY = 18  # constant rate factor; below 20 nothing is to be seen of it at a policy's size
KEY_EVERY = 2  # frames, as LeRobot has it: any frame is at most one step from a whole one


def write(path: Path, pictures: NDArray[np.uint8], fps: int) -> None:
    """Writes pictures (N, H, W, 3) RGB, frame i at i / fps seconds.

    Raises:
        ValueError: If height or width is odd: colours are kept for every second pixel.
        MissingExtra: If PyAV is not installed.
    """
    _, height, width, _ = pictures.shape
    if height % 2 or width % 2:
        raise ValueError(f"pictures of {width} x {height} px cannot be a video; expected even numbers")
    av = extra("av", "lerobot")
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        options = {"crf": str(QUALITY), "g": str(KEY_EVERY), "preset": "fast"}
        stream = container.add_stream(CODEC, rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
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


def about(fps: int, size: tuple[int, int]) -> dict[str, Any]:
    """What info.json says of such a video."""
    return {
        "video.height": size[0],
        "video.width": size[1],
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p",
        "video.is_depth_map": False,
        "video.fps": fps,
        "video.channels": 3,
        "has_audio": False,
    }
