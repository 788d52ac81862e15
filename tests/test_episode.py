"""The data contract: what is accepted, what is refused and how it says so, and the way to bytes and back."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from demos import episode as contract
from demos import png
from demos.episode import ARRAYS, CONTROLLERS, Episode, EpisodeMeta, Outcome, Provenance, episode_id
from demos.episode_file import content_hash, decode, decode_frames, decode_sealed, encode
from demos.images import UNREADABLE, pack, unpack
from tests.fakes import fake_episode, flat_shaded, same_episode


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _fields(episode: Episode) -> dict[str, Any]:
    return {each.name: getattr(episode, each.name) for each in dataclasses.fields(Episode)}


def test_docstring_has_every_array() -> None:
    assert contract.__doc__ is not None
    rows = {line.split()[0]: line for line in contract.__doc__.splitlines() if line.startswith("    ")}
    for key, (dtype, dims) in ARRAYS.items():
        row = rows.get(key) or rows[f"{key}/<camera>"]
        assert dtype in row.split() and f"({', '.join(dims)}{',' * (len(dims) == 1)})" in row


def test_fake_episode_is_valid(rng: np.random.Generator) -> None:
    episode = fake_episode(rng, steps=4, size=6)
    assert episode.length == 4 and episode.id == episode.meta.id and episode.succeeded
    assert episode.images["wrist"].shape == (5, 6, 6, 3) and not episode.goal
    assert set(fake_episode(rng, controller="teleop").goal) == {"front", "wrist"}


def test_first_success(rng: np.random.Generator) -> None:
    episode = fake_episode(rng, steps=3, success=False)
    never, late = np.zeros(3, bool), np.array([False, True, True])
    assert dataclasses.replace(episode, success=never).first_success is None
    assert dataclasses.replace(episode, success=late).first_success == 1


def test_arrays_cannot_be_written_and_the_callers_can(rng: np.random.Generator) -> None:
    mine = np.zeros((5, 2), np.float32)
    episode = dataclasses.replace(fake_episode(rng), action=mine)
    with pytest.raises(ValueError, match="read-only"):
        episode.action[0] = 1
    mine[0] = 1  # must not raise


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("action", np.zeros((5, 2)), r"action: got float64 \(5, 2\), expected float32 \(T, A\) = \(5, 2\)"),
        ("action", np.zeros((5, 3), np.float32), r"action: got float32 \(5, 3\), expected float32"),
        ("action", np.zeros((0, 2), np.float32), r"action: got float32 \(0, 2\), .* = \(1, 2\)"),
        ("action", np.zeros(2, np.float32), r"action: got float32 \(2,\)"),
        ("action", [[0.0, 0.0]], "action: got list, expected a numpy array of float32"),
        ("label", np.full((5, 2), 1.001, np.float32), r"label: got 1.001, expected values in \[-1, 1\]"),
        ("action", np.full((5, 2), np.nan, np.float32), "action: got a number that is not finite"),
        ("state", np.full((6, 7), np.inf), "state: got a number that is not finite"),
        ("state", np.float64(1.0), "state: got float64, expected a numpy array"),
        ("proprio", np.zeros((5, 3), np.float32), r"proprio: got .* \(T\+1, P\) = \(6, 3\)"),
        ("success", np.zeros(5, np.uint8), r"success: got uint8 \(5,\), expected bool \(T\)"),
        ("images", {"front": np.zeros((6, 8, 8, 3), np.uint8)}, r"images: got \['front'\], expected"),
        ("images", {"front": np.zeros((6, 8, 8), np.uint8)}, r"images/front: got uint8 \(6, 8, 8\)"),
        ("progress", np.full(6, 1.5, np.float32), r"progress: got 1.5 to 1.5, expected values in \[0, 1\]"),
        ("goal", {"side": np.zeros((8, 8, 3), np.uint8)}, r"goal: got \['side'\], expected some of"),
        ("success", np.zeros(5, bool), "outcome: got success, expected no success"),
    ],
)
def test_wrong_array_is_refused(rng: np.random.Generator, key: str, value: object, message: str) -> None:
    fields = _fields(fake_episode(rng)) | {key: value}
    with pytest.raises(
        ValueError, match=f"^episode panda-lift-red-expert-000000-[0-9a-f]+: {message}"
    ) as error:
        Episode(**fields)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("id", "../elsewhere", "id: got '../elsewhere', expected 1 to 160 letters"),
        ("arm", "", "arm: got ''"),
        ("cameras", ("a/b",), "cameras: got 'a/b'"),
        ("cameras", ("front", "front"), "expected different names"),
        ("control_hz", 0, "control_hz: got 0.0, expected a rate above 0 Hz"),
        ("image_size", (64,), r"image_size: got \(64,\)"),
        ("proprio_units", ("rad",), "got 1 units and 3 ranges, expected 3"),
        ("proprio_ranges", ((1, 1),) * 3, r"proprio_ranges of joint0: got \(1.0, 1.0\), expected finite low"),
        ("provenance", Provenance("robot"), "controller: got 'robot', expected one of expert, policy"),
        ("provenance", Provenance("policy"), "policy: got None, expected the checkpoint that acted"),
        ("provenance", Provenance("expert", seed=-1), "seed: got -1"),
        ("format_version", 1, "format_version: got 1, expected 2"),
    ],
)
def test_wrong_meta_is_refused(rng: np.random.Generator, field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(fake_episode(rng).meta, **{field: value})


def test_meta_takes_numpy_scalars_and_lists(rng: np.random.Generator) -> None:
    meta = fake_episode(rng, seed=3).meta
    loose = dataclasses.replace(
        meta,
        control_hz=np.float32(10),
        cameras=list(meta.cameras),
        proprio_ranges=np.array(meta.proprio_ranges),
        outcome=Outcome(np.bool_(True)),
        provenance=Provenance("expert", seed=np.int64(3)),
    )
    assert loose == meta and EpisodeMeta.from_json(loose.to_json()) == meta


def test_meta_from_json_is_strict(rng: np.random.Generator) -> None:
    record = json.loads(fake_episode(rng).meta.to_json())
    for wrong in ({k: v for k, v in record.items() if k != "arm"}, record | {"arm2": 1}):
        with pytest.raises(ValueError, match="missing or unknown keys: arm"):
            EpisodeMeta.from_json(json.dumps(wrong))
    with pytest.raises(ValueError, match="format_version: got 7, expected 2"):
        EpisodeMeta.from_json(json.dumps({"format_version": 7, "id": "x", "new": 0}))


def test_episode_id_is_stable() -> None:
    # Written out: a change would rename every attempt, and repeating one would no longer be a no-op.
    assert (
        episode_id("panda", "lift", "red", "expert", None, None, 42)
        == "panda-lift-red-expert-000042-4f252be9"
    )
    assert episode_id("panda", "reach", "", "policy", "g1", 1, 7).startswith("panda-reach-policy-000007-")


def test_episode_ids_differ_and_sort_by_seed() -> None:
    ids = [episode_id("ur5e", "lift", "red", "expert", None, None, seed) for seed in range(2000)]
    assert ids == sorted(set(ids))
    policies = {
        episode_id("ur5e", "lift", "red", "policy", name, g, 0) for name in "ab" for g in (None, 0, 1)
    }
    assert len(policies) == 6


def test_content_hash_ignores_the_clock_and_nothing_else(rng: np.random.Generator) -> None:
    episode = fake_episode(rng, controller="replay")
    content = content_hash(episode)
    later = dataclasses.replace(episode.meta, created="later")
    assert content_hash(dataclasses.replace(episode, wall_time=episode.wall_time + 1, meta=later)) == content
    for key, array in episode.arrays().items():
        kind, _, camera = key.partition("/")
        changed = array.copy()
        changed.flat[0] = ~changed.flat[0] if array.dtype.kind in "bu" else changed.flat[0] / 2
        if key == "actor":
            changed = (array + np.uint8(1)) % np.uint8(len(CONTROLLERS))
        value = {**getattr(episode, kind), camera: changed} if camera else changed
        other = dataclasses.replace(episode, **{kind: value})
        assert (content_hash(other) == content) == (key == "wall_time"), key
    other_meta = dataclasses.replace(episode.meta, gl_renderer="another")
    assert content_hash(dataclasses.replace(episode, meta=other_meta)) != content


def test_file_round_trip(rng: np.random.Generator) -> None:
    episode = fake_episode(rng, controller="policy", policy="g0", generation=0)
    data = encode(episode, content_hash(episode))
    assert same_episode(decode(data), episode) and decode_sealed(data)[1] == content_hash(episode)
    bare = decode(data, images=False)
    assert not bare.images and not bare.goal and np.array_equal(bare.state, episode.state)
    with pytest.raises(ValueError, match="images: got none"):
        content_hash(bare)
    assert np.array_equal(decode_frames(data, "wrist", [-1, 0]), episode.images["wrist"][[-1, 0]])
    with pytest.raises(ValueError, match="no picture 'images/side'; pictures: goal/front, goal/wrist, "):
        decode_frames(data, "side", [0])
    with pytest.raises(ValueError, match="images/front: image 6: expected an index from -6 to 5"):
        decode_frames(data, "front", [6])


def test_seal_tells_what_changed(rng: np.random.Generator) -> None:
    """Any changed byte is refused or harmless, without any hash kept outside of the file."""
    episode = fake_episode(rng, steps=2, cameras=("front",), size=4)
    data = encode(episode, content_hash(episode))
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 1 << (at % 8)
        try:
            found, _ = decode_sealed(bytes(bad))
        except ValueError as error:
            assert "\n" not in str(error)
        else:
            assert same_episode(found, episode)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_images_round_trip(count: int, height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    some = rng.integers(-count, count, 5)
    for packing in (pack, png.pack):  # what episodes hold, and what those of earlier stores do
        blobs, offsets = packing(images)
        assert np.array_equal(unpack(blobs, offsets, (height, width)), images)
        assert np.array_equal(unpack(blobs, offsets, (height, width), some.tolist()), images[some])


def test_episodes_whose_images_are_pngs_are_read() -> None:
    """Bytes that this project wrote before images were kept by Zstandard, of the same made-up episode."""
    earlier = (Path(__file__).parent / "data" / "episode_with_pngs.safetensors").read_bytes()
    made_up = fake_episode(np.random.default_rng(0), steps=4, size=8, controller="teleop")
    expected = dataclasses.replace(made_up, held=None)  # which there was not then
    assert b"IHDR" in earlier and b"IHDR" not in encode(expected, content_hash(expected))
    found, content = decode_sealed(earlier)
    assert same_episode(found, expected) and content == content_hash(expected)
    assert np.array_equal(decode_frames(earlier, "wrist", [-1]), expected.images["wrist"][-1:])


def test_images_are_ordinary_pngs(rng: np.random.Generator) -> None:
    images = flat_shaded(rng, 5, 64)
    blobs, offsets = png.pack(images)
    for index, image in enumerate(images):
        blob = blobs[offsets[index] : offsets[index + 1]].tobytes()
        with Image.open(io.BytesIO(blob)) as opened:
            assert opened.mode == "RGB" and np.array_equal(np.asarray(opened), image)


def test_pngs_refuse_other_bytes(rng: np.random.Generator) -> None:
    blobs, offsets = png.pack(flat_shaded(rng, 1, 16))
    for wrong in (blobs[:-1], np.zeros(5, np.uint8), np.append(blobs, np.uint8(0))):
        with pytest.raises(ValueError, match="not a PNG that `pack` writes"):
            unpack(wrong, np.array([0, len(wrong)]), (16, 16))
    with pytest.raises(ValueError, match="not a PNG"):
        unpack(blobs, offsets, (16, 17))


def test_images_refuse_other_bytes(rng: np.random.Generator) -> None:
    blobs, offsets = pack(flat_shaded(rng, 20, 16))
    for wrong in (blobs[:-1], np.append(blobs, np.uint8(0)), np.append(blobs[:-1], blobs[-1] ^ 1)):
        with pytest.raises(UNREADABLE):
            unpack(wrong, np.append(offsets[:-1], len(wrong)), (16, 16))
    with pytest.raises(ValueError, match="not 16 x 17 px"):
        unpack(blobs, offsets, (16, 17))
    with pytest.raises(ValueError, match="expected an index from -20 to 19"):
        unpack(blobs, offsets, (16, 16), [20])
    small, more = pack(flat_shaded(rng, 3, 16))
    unequal = np.concatenate([more, more[-1] + offsets[1:]])
    with pytest.raises(ValueError, match=r"blocks of \[3, 16, 4\] images"):
        unpack(np.concatenate([small, blobs]), unequal, (16, 16))
