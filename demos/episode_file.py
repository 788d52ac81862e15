"""An episode as the bytes of one safetensors file: `encode` and `decode` are inverse.

Arrays stand under their keys in the contract, except that images are compressed blocks end to end, as
`demos.images` packs them: `images/<camera>` (B,) uint8 with `offsets/<camera>` (K + 1,) int64, and
`goal/<camera>` (B,) uint8, one block; and `state` (B,) uint8, as `demos.numbers` packs it. Files that were
written before either are read as they are: PNGs, and `state` as it is in the contract. The header's metadata
has one entry, "episode": JSON with the episode's `meta` and a `seal`, a hash of all it holds, so that a file
which the manifest lost can still be told whole from damaged.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from demos import numbers
from demos.episode import ARRAYS, OPTIONAL, PER_CAMERA, Episode, EpisodeMeta
from demos.images import UNREADABLE, pack, unpack

# What reading arbitrary bytes can raise; `_parse` and `decode` turn all of it into ValueError.
_UNREADABLE = (SafetensorError, *UNREADABLE, KeyError, TypeError, AttributeError, OverflowError)


class NoSuchPicture(ValueError):
    """A picture that an episode does not have."""


def content_hash(episode: Episode) -> str:
    """SHA-256 over arrays and metadata, without the wall clock: equal for a repeated deterministic recording.

    Raises:
        ValueError: The episode was loaded without its images.
    """
    if set(episode.images) != set(episode.meta.cameras):
        expected = f"those of {', '.join(episode.meta.cameras)}"
        raise ValueError(f"episode {episode.id}: images: got none (loaded without?), expected {expected}")
    digest = hashlib.sha256(dataclasses.replace(episode.meta, created="").to_json().encode())
    for key, array in sorted(episode.arrays().items()):
        if key != "wall_time":
            digest.update(f"\n{key} {array.dtype} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)  # no copy: images are most of it
    return digest.hexdigest()


class Packed(NamedTuple):
    """An episode whose images are packed already, so that copying it keeps how they are.

    Attributes:
        episode: With its images.
        images: By camera, blobs and offsets which `demos.images.unpack` makes the episode's images of.
    """

    episode: Episode
    images: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]


def encode(episode: Episode | Packed, content: str) -> bytes:
    """The bytes of the file.

    Args:
        episode: With its images.
        content: Its `content_hash`.
    """
    episode, packed = episode if isinstance(episode, Packed) else Packed(episode, {})
    lacking = [camera for camera in episode.meta.cameras if camera not in packed]
    with ThreadPoolExecutor(max(1, len(lacking))) as pool:  # a camera a core: Zstandard lets go of the GIL
        made = pool.map(lambda camera: pack(episode.images[camera]), lacking)
        packed = {**packed, **dict(zip(lacking, made, strict=True))}
    tensors: dict[str, NDArray[Any]] = {}
    for key, array in episode.arrays().items():
        kind, _, camera = key.partition("/")
        if kind == "images":
            tensors[key], tensors[f"offsets/{camera}"] = packed[camera]
        else:
            tensors[key] = pack(array[None])[0] if kind == "goal" else array
    tensors["state"] = numbers.pack(episode.state)
    record = {"meta": json.loads(episode.meta.to_json()), "seal": _seal(episode, content)}
    return save(tensors, {"episode": json.dumps(record, sort_keys=True)})


def decode(data: bytes, images: bool = True) -> Episode:
    """The episode in a file's bytes.

    Args:
        data: All of the file.
        images: False leaves `images` and `goal` empty, and is several times faster.

    Raises:
        ValueError: Anything that `encode` does not write.
    """
    tensors, meta, _ = _parse(data)
    try:
        return Episode(meta=meta, **_fields(tensors, meta, images))
    except _UNREADABLE as error:
        raise ValueError(_line(error)) from error


def decode_packed(data: bytes) -> Packed:
    """The episode in a file's bytes, and its images as they are kept there.

    Raises:
        ValueError: Anything that `encode` does not write.
    """
    episode, tensors = decode(data), _parse(data)[0]
    cameras = episode.meta.cameras
    return Packed(
        episode, {each: (tensors[f"images/{each}"], tensors[f"offsets/{each}"]) for each in cameras}
    )


def decode_sealed(data: bytes) -> tuple[Episode, str]:
    """The episode in a file's bytes and its content hash, refused unless the seal fits all of it.

    Raises:
        ValueError: Anything that `encode` does not write, or that changed since.
    """
    episode = decode(data)
    content = content_hash(episode)
    if _parse(data)[2] != _seal(episode, content):
        raise ValueError("the seal does not fit the content")
    return episode, content


def decode_frames(data: bytes, camera: str, indices: Sequence[int]) -> NDArray[np.uint8]:
    """Some images of one camera; only they are decompressed.

    Args:
        data: All of the file.
        camera: One of the episode's cameras.
        indices: Observations 0 to T, in any order; negative ones count from the end.

    Returns:
        (len(indices), H, W, 3) RGB.

    Raises:
        NoSuchPicture: A camera or an index that the episode lacks.
        ValueError: Bytes that `encode` does not write.
    """
    tensors, meta, _ = _parse(data)
    try:
        _expect_there(tensors, f"images/{camera}", indices, len(tensors["action"]))
        return unpack(tensors[f"images/{camera}"], tensors[f"offsets/{camera}"], meta.image_size, indices)
    except NoSuchPicture:
        raise
    except _UNREADABLE as error:
        raise ValueError(f"images/{camera}: {_line(error)}") from error


def read_meta(path: Path) -> EpisodeMeta:
    """What an episode is, from the head of its file alone: nothing else is read, so nothing else is verified.

    Raises:
        ValueError: A head that `encode` does not write, or a file that is shorter or longer than it says.
        OSError: The file cannot be read.
    """
    try:
        with safe_open(path, "numpy") as file:
            record = json.loads(file.metadata()["episode"])
            return EpisodeMeta.from_json(json.dumps(record["meta"]))
    except _UNREADABLE as error:
        raise ValueError(_line(error)) from error


def read_picture_keys(path: Path) -> list[str]:
    """Keys of the pictures in a file, "images/<camera>" and "goal/<camera>", by its head alone.

    Raises:
        ValueError: A head that `encode` does not write.
        OSError: The file cannot be read.
    """
    try:
        with safe_open(path, "numpy") as file:
            return _pictures(file.keys())
    except _UNREADABLE as error:
        raise ValueError(_line(error)) from error


def read_picture(path: Path, key: str, index: int = 0) -> NDArray[np.uint8]:
    """One image (H, W, 3); only those packed with it are decompressed, and verified by their checksum.

    Args:
        path: The episode's file.
        key: One of `read_picture_keys`.
        index: Observation 0 to T, 0 for a goal; negative ones count from the end.

    Raises:
        NoSuchPicture: An image that the episode lacks.
        ValueError: Bytes that `encode` does not write.
        OSError: The file cannot be read.
    """
    kind, _, camera = key.partition("/")
    try:
        with safe_open(path, "numpy") as file:
            _expect_there(file.keys(), key, [index], file.get_slice("action").get_shape()[0])
            blobs = file.get_tensor(key)
            offsets = file.get_tensor(f"offsets/{camera}") if kind == "images" else np.array([0, len(blobs)])
            height, width = json.loads(file.metadata()["episode"])["meta"]["image_size"]
            return unpack(blobs, offsets, (height, width), [index])[0]
    except NoSuchPicture:
        raise
    except _UNREADABLE as error:
        raise ValueError(_line(error)) from error


def _pictures(keys: Iterable[str]) -> list[str]:
    """Those of a file's keys that are pictures."""
    return sorted(key for key in keys if key.partition("/")[0] in PER_CAMERA)


def _expect_there(keys: Iterable[str], key: str, indices: Sequence[int], steps: int) -> None:
    """Refuses what an episode of that many steps, in a file of these keys, has no picture of."""
    if key not in (pictures := _pictures(keys)):
        raise NoSuchPicture(f"no picture {key!r}; pictures: {', '.join(pictures) or 'none'}")
    count = steps + 1 if key.startswith("images/") else 1
    for index in indices:
        if not -count <= index < count:
            raise NoSuchPicture(f"{key}: image {index}: expected an index from {-count} to {count - 1}")


def _seal(episode: Episode, content: str) -> str:
    """Content hash and wall clock together: every value in the file."""
    clock = episode.wall_time.tobytes()
    return hashlib.sha256(f"{content} {episode.meta.created} ".encode() + clock).hexdigest()


def _parse(data: bytes) -> tuple[dict[str, NDArray[Any]], EpisodeMeta, str]:
    """The stored tensors, the metadata and the seal."""
    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        record = json.loads(header["__metadata__"]["episode"])
        return tensors, EpisodeMeta.from_json(json.dumps(record["meta"])), record["seal"]
    except _UNREADABLE as error:
        raise ValueError(_line(error)) from error


def _fields(tensors: dict[str, NDArray[Any]], meta: EpisodeMeta, images: bool) -> dict[str, Any]:
    """The array fields of an Episode, from the tensors that hold them."""
    arrays: dict[str, Any] = {
        key: tensors[key]
        for key in ARRAYS
        if key not in PER_CAMERA and (key in tensors or key not in OPTIONAL)
    }
    if arrays["state"].ndim == 1:
        arrays["state"] = numbers.unpack(arrays["state"], len(arrays["proprio"]), np.float64)
    arrays["images"], arrays["goal"] = {}, {}
    for camera in meta.cameras if images else ():
        blobs, offsets = tensors[f"images/{camera}"], tensors[f"offsets/{camera}"]
        arrays["images"][camera] = unpack(blobs, offsets, meta.image_size)
        if (goal := tensors.get(f"goal/{camera}")) is not None:
            arrays["goal"][camera] = unpack(goal, np.array([0, len(goal)]), meta.image_size)[0]
    return arrays


def _line(error: Exception) -> str:
    """What an error says, on one line, with its kind where it says little by itself."""
    text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
