"""Images kept as video: how much is left of them, the bytes they take, and that all else is as it was."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from demos import h264, numbers
from demos.compact import compact
from demos.episode import Episode
from demos.relabel import relabel
from demos.stock import filter_
from demos.store import EpisodeStore, StoreError
from tests.fakes import fake_episode, flat_shaded
from tests.small_store import assert_clean, flip

pytest.importorskip("av", reason="PyAV of the extra video is not installed")

SIZE, STEPS = 64, 30


def _psnr_db(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> float:
    """Of all of them together [dB], written out: not by the code that is tested."""
    error = float(((images.astype(float) - others) ** 2).mean())
    return 10.0 * math.log10(255.0**2 / max(error, 1e-9))


def _rendered(seed: int) -> Episode:
    """An episode of three cameras: one moves along a smooth ground, one sees noise, one only grey."""
    rng = np.random.default_rng(seed)
    cameras = ("moving", "noise", "blank")
    episode = fake_episode(rng, steps=STEPS, size=SIZE, cameras=cameras, seed=seed, controller="teleop")
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
    ground = np.asarray(coarse.resize((3 * SIZE, 3 * SIZE), Image.Resampling.BICUBIC))
    moving = np.stack([ground[i : i + SIZE, 2 * i : 2 * i + SIZE] for i in range(STEPS + 1)])
    seen = {"moving": moving, "blank": np.full_like(moving, 90)}
    return replace(episode, images=episode.images | seen)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, and the "small" one that was made of it; not to be changed."""
    folder = tmp_path_factory.mktemp("compact")
    EpisodeStore(folder / "store").commit_many(map(_rendered, range(2)))
    compact(folder / "store", out=folder / "small")
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> EpisodeStore:
    return EpisodeStore(shutil.copytree(made / "store", tmp_path / "store"))


@pytest.fixture
def small(made: Path, tmp_path: Path) -> EpisodeStore:
    """Made of the store."""
    return EpisodeStore(shutil.copytree(made / "small", tmp_path / "small"))


@pytest.mark.parametrize("least_db", [38.0, 44.0])
def test_what_is_left(made: Path, tmp_path: Path, least_db: float) -> None:
    store, small = EpisodeStore(made / "store"), EpisodeStore(made / "small")
    if least_db != 38.0:  # which is what it is made with unless said
        small = EpisodeStore(tmp_path / "small")
        compact(store.path, out=small.path, least_db=least_db)
    assert_clean(small)
    assert small.ids() == store.ids() and small.digest() != store.digest()
    for id in store.ids():
        before, after = store.load(id), small.load(id)
        for key, array in before.arrays().items():
            if not key.startswith("images/"):
                assert np.array_equal(array, after.arrays()[key]), key
        assert before.meta == after.meta
        assert least_db <= _psnr_db(before.images["moving"], after.images["moving"]) < 99.0
        for camera, images in before.images.items():
            assert _psnr_db(images, after.images[camera]) >= least_db
        packed = {one: blobs for one, (blobs, _) in small.load_packed(id).images.items()}
        exact = {one: blobs for one, (blobs, _) in store.load_packed(id).images.items()}
        assert len(packed["moving"]) < len(exact["moving"]) * (0.4 if least_db == 38.0 else 0.6)
        # Of noise video leaves too little, where much is asked, and of nothing it saves nothing.
        assert h264.is_video(packed["moving"]) and not h264.is_video(packed["blank"])
        assert h264.is_video(packed["noise"]) == (least_db == 38.0)
        some = [STEPS, 3, -1, 12, 3, 25]
        assert np.array_equal(small.frames(id, "moving", some), after.images["moving"][some])


def test_a_second_loss_never_happens(store: EpisodeStore, small: EpisodeStore, tmp_path: Path) -> None:
    """Whatever copies episodes keeps their images as they are: bits and bytes."""
    again, some, named = (EpisodeStore(tmp_path / name) for name in ("b", "c", "d"))
    compact(small.path, out=again.path)
    filter_(small.path, out=some.path)
    relabel(small.path, ids=(small.ids()[0],), outcome="failure", out=named.path)
    assert again.digest() == some.digest() == small.digest() != named.digest()
    for other in (again, some, named):
        for id in small.ids():
            mine, theirs = small.load_packed(id).images, other.load_packed(id).images
            assert all(np.array_equal(mine[each][0], theirs[each][0]) for each in mine)
    with pytest.raises(StoreError, match="with other content"):
        store.commit(small.load(small.ids()[0]))


def test_it_goes_on_where_it_was_interrupted(made: Path, store: EpisodeStore, small: EpisodeStore) -> None:
    whole, halved = EpisodeStore(made / "small"), small
    lines = (halved.path / "manifest.jsonl").read_text().splitlines(keepends=True)
    (halved.path / "manifest.jsonl").write_text("".join(lines[:-1]))  # a kill before the last was entered
    (before,) = EpisodeStore(halved.path).entries()
    compact(store.path, out=halved.path)
    assert halved.digest() == whole.digest() and before in halved.entries()


def test_damage_is_found(small: EpisodeStore) -> None:
    entry = small.entries()[0]
    flip(small.path / entry.file, entry.bytes // 3)
    assert [finding.kind for finding in EpisodeStore(small.path).check()] == ["damaged"]
    with pytest.raises(StoreError, match="is damaged"):
        EpisodeStore(small.path).load(entry.id)


def test_a_flipped_bit_never_shows_as_a_wrong_picture(rng: np.random.Generator) -> None:
    packed = h264.pack(flat_shaded(rng, 12, 32), 30.0)
    assert packed is not None
    for at in rng.integers(len(packed[0]) * 8, size=40).tolist():
        wrong = packed[0].copy()
        wrong[at // 8] ^= 1 << (at % 8)
        for indices in (None, [3]):
            with pytest.raises(ValueError, match="a video whose checksum does not fit"):
                h264.unpack(wrong, (32, 32), indices)


def test_what_was_made_otherwise_is_not_gone_on_with(
    store: EpisodeStore, small: EpisodeStore, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="was made with --least-db 38, expected 45"):
        compact(store.path, out=small.path, least_db=45.0)
    other = EpisodeStore(tmp_path / "other")
    other.commit(_rendered(9))
    with pytest.raises(ValueError, match="is a store that was not made by this"):
        compact(store.path, out=other.path)


def test_an_episode_with_another_outcome_is_not_passed_over(
    store: EpisodeStore, small: EpisodeStore, tmp_path: Path
) -> None:
    first = store.entries()[0]
    relabel(store.path, ids=(first.id,), outcome="failure", out=tmp_path / "better")
    with pytest.raises(ValueError, match=f"{first.id} is in .*small as success of 30 steps, here as failure"):
        compact(tmp_path / "better", out=small.path)


def test_states_take_a_fraction(rng: np.random.Generator) -> None:
    """Of which most numbers stay as they are."""
    state = np.repeat(rng.normal(size=(1, 200)), 100, axis=0)
    state[:, :20] = rng.normal(size=(100, 20))
    packed = numbers.pack(state)
    assert len(packed) < state.nbytes / 5
    np.testing.assert_array_equal(numbers.unpack(packed, 100, np.float64), state)
    for rows in (99, 1_000_000):
        with pytest.raises(ValueError, match=f"numbers that are no {rows} rows"):
            numbers.unpack(packed, rows, np.float64)


@given(st.integers(1, 30), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_numbers_come_back(rows: int, columns: int, seed: int) -> None:
    """None at all, too: what no simulator made has no state."""
    array = np.random.default_rng(seed).normal(size=(rows, columns))
    np.testing.assert_array_equal(numbers.unpack(numbers.pack(array), rows, np.float64), array)


def test_other_bytes_are_refused(rng: np.random.Generator) -> None:
    images = flat_shaded(rng, 12, 16)
    packed = h264.pack(images, 30.0)
    assert packed is not None
    blob = packed[0]
    assert h264.unpack(blob, (16, 16), []).shape == (0, 16, 16, 3)
    for wrong in (blob[: len(blob) // 2], np.append(blob[:100], np.zeros(50, np.uint8))):
        with pytest.raises(ValueError, match="a video"):
            h264.unpack(wrong, (16, 16))
    with pytest.raises(ValueError, match="not 16 x 17 px"):
        h264.unpack(blob, (16, 17))
    with pytest.raises(ValueError, match="expected an index from -12 to 11"):
        h264.unpack(blob, (16, 16), [12])


@pytest.mark.parametrize("least_db", [19.9, 48.1])
def test_what_cannot_be_kept_is_refused(store: EpisodeStore, tmp_path: Path, least_db: float) -> None:
    with pytest.raises(ValueError, match=f"least_db {least_db:g} is out of range; expected 20"):
        compact(store.path, out=tmp_path / "small", least_db=least_db)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_size_and_number(count: int, height: int, width: int, seed: int) -> None:
    """The same bytes each time, and the images that indices ask for."""
    rng = np.random.default_rng(seed)
    ground = np.linspace(0, 255, height * width * 3).reshape(1, height, width, 3)
    images = (ground * rng.uniform(0.2, 1.0, (count, 1, 1, 3))).astype(np.uint8)
    packed = h264.pack(images, 20.0)
    assert packed is not None
    again = h264.pack(images, 20.0)
    assert again is not None and np.array_equal(packed[0], again[0])
    found = h264.unpack(packed[0], (height, width))
    assert _psnr_db(images, found) >= 20.0
    indices = rng.integers(-count, count, 4).tolist()
    assert np.array_equal(h264.unpack(packed[0], (height, width), indices), found[indices])


def test_colours_come_back() -> None:
    """Planes in whole numbers lose their last bit or two, and no colour is out of reach."""
    steps = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, len(steps), -1, 3)
    there = h264.rgb(h264.planes(cube))
    assert np.abs(there.astype(int) - cube).max() <= 3
    assert _psnr_db(cube, there) > 48.0
