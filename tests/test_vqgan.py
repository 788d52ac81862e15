"""The VQ-GAN: shapes, gradients through the rounding, codes that stay in use, and pictures that come back."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from demos.store import EpisodeStore
from robocat.vqgan import VQGAN, Codebook, Critic, VQGANConfig, to_images, to_pixels
from tests.tiny import SIZE, VQ

BATCH = 6


@pytest.fixture(scope="module")
def by_camera(demos: Path) -> list[NDArray[np.uint8]]:
    """Real images (n, 32, 32, 3) of each camera."""
    store = EpisodeStore(demos)
    frames = [store.load(id).images for id in store.ids()]
    return [np.concatenate([images[camera][::3] for images in frames]) for camera in frames[0]]


@pytest.fixture(scope="module")
def pictures(by_camera: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Those of all cameras."""
    return np.concatenate(by_camera)


def _images(count: int = BATCH) -> torch.Tensor:
    return torch.randint(256, (count, SIZE, SIZE, 3), dtype=torch.uint8)


@pytest.mark.parametrize("cells", [2, 4, 8, 16])
def test_shapes(cells: int) -> None:
    model = VQGAN(VQGANConfig(size=SIZE, cells=cells, codes=12, code_dim=4, width=8))
    result = model(to_pixels(_images()))
    assert result.images.shape == (BATCH, 3, SIZE, SIZE)
    assert result.codes.shape == (BATCH, cells, cells)
    assert result.commitment.shape == ()
    codes = model.encode(_images())
    assert codes.shape == (BATCH, cells**2) and codes.dtype == torch.int64
    assert 0 <= int(codes.min()) and int(codes.max()) < 12
    again = model.decode(codes)
    assert again.shape == (BATCH, SIZE, SIZE, 3) and again.dtype == torch.uint8
    assert Critic(width=4)(to_pixels(_images())).shape == (BATCH, 1, SIZE // 4, SIZE // 4)


@pytest.mark.parametrize(
    ("size", "cells", "codes", "said"),
    [
        (64, 64, 8, "cells 64 does not divide size 64 into a power of two of at least 2"),
        (64, 0, 8, "cells 0 does not divide"),
        (64, 20, 8, "cells 20 does not divide"),
        (96, 32, 8, "cells 32 does not divide size 96"),
        (64, 8, 1, "codes 1 is out of range; expected 2 to 32768"),
        (64, 8, 2**15 + 1, "codes 32769 is out of range"),
    ],
)
def test_impossible_shapes_are_refused(size: int, cells: int, codes: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        VQGANConfig(size=size, cells=cells, codes=codes)


def test_gradient_passes_straight_through() -> None:
    """What the decoder wants of the codes reaches every weight of the encoder, as if nothing were rounded."""
    model = VQGAN(VQ).eval()
    model(to_pixels(_images())).images.square().sum().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.any(), name


def test_decoder_sees_the_codes_alone() -> None:
    """The forward value is the rounded one: codes are all that passes from image to image."""
    model = VQGAN(VQ).eval()
    with torch.inference_mode():
        result = model(to_pixels(_images()))
        torch.testing.assert_close(result.images, model.decoder(model.vectors_of(result.codes)))


def test_codes_are_the_nearest_entries() -> None:
    book = Codebook(10, 5)
    z = F.normalize(torch.randn(50, 5), dim=1)
    assert torch.equal(book.nearest(z), torch.cdist(z, book.vectors).argmin(dim=1))


@torch.inference_mode()
def test_encoding_is_deterministic(pictures: NDArray[np.uint8]) -> None:
    model, images = VQGAN(VQ).eval(), torch.from_numpy(pictures)
    codes = model.encode(images)
    assert torch.equal(codes, model.encode(images))
    assert torch.equal(model.decode(codes), model.decode(codes))


@torch.inference_mode()
def test_an_image_has_the_same_codes_alone_and_in_a_batch(pictures: NDArray[np.uint8]) -> None:
    model, images = VQGAN(VQ).eval(), torch.from_numpy(pictures)
    alone = torch.cat([model.encode(image[None]) for image in images])
    assert torch.equal(alone, model.encode(images))


def _used(book: Codebook, z_ND: torch.Tensor) -> int:
    return len(book.nearest(z_ND).unique())


def test_dead_codes_are_revived() -> None:
    """A codebook that has collapsed to one place comes to serve all of what it is shown."""
    book = Codebook(16, 4)
    book.vectors[:] = book.vectors[0]
    book.sums.copy_(book.vectors)
    z = F.normalize(torch.randn(512, 4), dim=1)
    assert _used(book, z) == 1
    error = (z - book.vectors[book.nearest(z)]).square().sum(dim=1).mean()
    for _ in range(60):
        book.follow(z, book.nearest(z))
    assert _used(book, z) == 16
    assert (z - book.vectors[book.nearest(z)]).square().sum(dim=1).mean() < 0.5 * error
    torch.testing.assert_close(book.vectors.norm(dim=1), torch.ones(16))


def test_entries_move_to_the_middle_of_what_they_win() -> None:
    book = Codebook(2, 3)
    corners = F.normalize(torch.tensor([[1.0, 0.1, 0.0], [1.0, -0.1, 0.0], [-1.0, 0.0, 0.1]]), dim=1)
    z = corners.repeat(20, 1)
    for _ in range(800):
        book.follow(z, book.nearest(z))
    found = {tuple(round(float(x), 2) for x in vector) for vector in book.vectors}
    assert found == {(1.0, 0.0, 0.0), (-1.0, 0.0, 0.1)}


def test_codebook_follows_in_training_only() -> None:
    model, pixels = VQGAN(VQ), to_pixels(_images())
    before = model.codebook.vectors.clone()
    model.eval()(pixels)
    assert torch.equal(before, model.codebook.vectors)
    model.train()(pixels)
    assert not torch.equal(before, model.codebook.vectors)


def test_learns_more_than_the_mean_picture(by_camera: list[NDArray[np.uint8]]) -> None:
    """A moment's training on real images beats the best single picture of each camera."""
    torch.manual_seed(0)
    views = [to_pixels(torch.from_numpy(images)) for images in by_camera]
    mean_error = np.mean([float((view - view.mean(dim=0)).square().mean()) for view in views])
    pixels, pictures = torch.cat(views), np.concatenate(by_camera)
    model = VQGAN(VQ).train()
    optimiser = torch.optim.AdamW(model.parameters(), 4e-3)
    rng = np.random.default_rng(0)
    for _ in range(150):
        batch = pixels[rng.integers(len(pixels), size=16)]
        result = model(batch)
        loss = (result.images - batch).square().mean() + 0.1 * result.commitment
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()
    again = to_pixels(model.decode(model.encode(torch.from_numpy(pictures))))
    assert float((again - pixels).square().mean()) < 0.8 * mean_error


def test_the_critic_sees_how_unlike_pictures_are(pictures: NDArray[np.uint8]) -> None:
    """Image against image, and what is unlike is told to whoever drew it."""
    torch.manual_seed(0)
    critic, pixels = Critic().requires_grad_(False), to_pixels(torch.from_numpy(pictures[:BATCH]))

    def apart(x_BCHW: torch.Tensor) -> float:
        return critic.unlikeness(x_BCHW.detach(), pixels).item()

    assert apart(pixels) == 0
    near = (pixels + 0.05 * torch.randn_like(pixels)).requires_grad_()
    assert 0 < apart(near) < apart(pixels + 0.5 * torch.randn_like(pixels))
    assert apart(pixels.roll(1, 0)) > apart(near), "of images, not of batches"
    (drawn,) = torch.autograd.grad(critic.unlikeness(near, pixels), near)
    assert apart(near - 0.02 * drawn / drawn.abs().max()) < apart(near)


def test_every_value_of_a_pixel_comes_back() -> None:
    images = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    pixels = to_pixels(images)
    assert pixels.shape == (1, 3, 16, 16)
    assert (float(pixels.min()), float(pixels.max())) == (-1.0, 1.0)
    assert torch.equal(to_images(pixels), images)
    assert torch.equal(to_images(pixels * 3), to_images((pixels * 3).clamp(-1, 1)))
