"""A loaded tokeniser: any number of images, codes as arrays, one per weights."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from demos.store import EpisodeStore
from robocat.checkpoint import CheckpointError
from robocat.tokeniser import BATCH, Tokeniser, load_tokeniser, save_tokeniser
from robocat.vqgan import VQGAN
from tests.tiny import SIZE, VQ


@pytest.fixture(scope="module")
def images(demos: Path) -> NDArray[np.uint8]:
    """One episode's images (n, cameras, 32, 32, 3), read-only as the store gives them."""
    store = EpisodeStore(demos)
    episode = store.load(store.ids()[0])
    return np.stack([episode.images[camera] for camera in episode.meta.cameras], axis=1)


def test_any_leading_shape(tokeniser: Path, images: NDArray[np.uint8]) -> None:
    loaded = load_tokeniser(tokeniser)
    codes = loaded.encode(images)
    assert codes.shape == (*images.shape[:2], VQ.cells**2) and codes.dtype == np.int64
    assert np.array_equal(codes[3, 1], loaded.encode(images[3, 1]))
    assert np.array_equal(codes[:, 0], loaded.encode(images[:, 0]))
    again = loaded.decode(codes)
    assert again.shape == images.shape and again.dtype == np.uint8
    assert np.array_equal(again[2], loaded.decode(codes[2]))


def test_more_images_than_a_batch(tokeniser: Path, images: NDArray[np.uint8]) -> None:
    loaded, many = load_tokeniser(tokeniser), np.concatenate([images[:, 0]] * 10)[: BATCH["cpu"] + 3]
    assert np.array_equal(loaded.encode(many), np.concatenate([loaded.encode(each[None]) for each in many]))


@pytest.mark.parametrize("shape", [(SIZE, 16, 3), (2, 64, 64, 3), (SIZE, SIZE)])
def test_images_of_another_size_are_refused(tokeniser: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"this tokeniser reads \(32, 32, 3\)"):
        load_tokeniser(tokeniser).encode(np.zeros(shape, np.uint8))


def test_it_computes_where_it_is_told(tokeniser: Path) -> None:
    here, elsewhere = torch.device("cpu"), torch.device("meta")
    assert load_tokeniser(tokeniser, here) is load_tokeniser(tokeniser, here)
    moved = Tokeniser(VQGAN(VQ), "", elsewhere)._model  # pyright: ignore[reportPrivateUsage]
    assert isinstance(moved, VQGAN)
    assert {each.device for each in (*moved.parameters(), *moved.buffers())} == {elsewhere}


def test_it_is_frozen(tokeniser: Path) -> None:
    model = load_tokeniser(tokeniser)._model  # pyright: ignore
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())


def test_saved_and_loaded_is_the_same(tmp_path: Path, images: NDArray[np.uint8]) -> None:
    model = VQGAN(VQ)
    save_tokeniser(tmp_path, model, {"seed": 3})
    loaded = load_tokeniser(tmp_path)
    assert loaded.config == VQ
    assert torch.equal(loaded.codebook, model.codebook.vectors)
    with torch.inference_mode():
        expected = model.eval().encode(torch.from_numpy(images[:, 0].copy())).numpy()
    assert np.array_equal(loaded.encode(images[:, 0]), expected)


def test_one_per_weights(tokeniser: Path, tmp_path: Path) -> None:
    """Loaded once; another one trained in its place is not taken for it."""
    assert load_tokeniser(tokeniser) is load_tokeniser(tokeniser)
    save_tokeniser(tmp_path / "t", VQGAN(VQ), {})
    first = load_tokeniser(tmp_path / "t")
    shutil.rmtree(tmp_path / "t")
    save_tokeniser(tmp_path / "t", VQGAN(VQ), {})
    assert load_tokeniser(tmp_path / "t").weights != first.weights


def test_absent_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no config.json in .*nowhere: absent, or never finished"):
        load_tokeniser(tmp_path / "nowhere")
