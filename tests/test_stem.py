"""Image codes to image tokens: shapes, who sees whom, and the goal's modulation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from robocat.stem import CodeStem, CodeVectors, MergedStem, code_embedding, patches

CODES, NUMBERS, CAMERAS, WIDTH, TOKENS = 12, 4, 2, 16, 3
BATCH, STEPS = 2, 3


def _merged(cells: int = 8, modulate: bool = True) -> MergedStem:
    book = torch.nn.functional.normalize(torch.randn(CODES, NUMBERS), dim=1)
    return MergedStem(
        book, CAMERAS, cells, WIDTH, tokens=TOKENS, patch_width=8, modulate=modulate, vectors="started"
    )


def _faithful(cells: int = 8) -> CodeStem:
    return CodeStem(torch.zeros(CODES, NUMBERS), CAMERAS, cells, WIDTH, "random")


def _codes(cells: int = 8) -> tuple[Tensor, Tensor]:
    """Images (B, T, V, N) and goals (B, V, N)."""
    count = cells * cells
    images = torch.randint(CODES, (BATCH, STEPS, CAMERAS, count))
    return images, torch.randint(CODES, (BATCH, CAMERAS, count))


def _other(codes: Tensor) -> Tensor:
    """Other codes everywhere."""
    return (codes + 1) % CODES


@pytest.mark.parametrize("cells", [2, 4, 8, 16, 32])
def test_shapes(cells: int) -> None:
    images, goal = _codes(cells)
    for stem, per_image, per_goal in ((_merged(cells), TOKENS, 1), (_faithful(cells), cells**2, cells**2)):
        tokens = stem(images, goal)
        assert tokens.images.shape == (BATCH, STEPS, CAMERAS * per_image, WIDTH)
        assert tokens.goal.shape == (BATCH, CAMERAS * per_goal, WIDTH)


def test_cells_that_do_not_merge_are_refused() -> None:
    with pytest.raises(ValueError, match="17 x 17 codes do not merge into patches of 2 x 2"):
        _merged(17)


@pytest.mark.parametrize("make", [_merged, _faithful])
@torch.inference_mode()
def test_each_step_and_window_is_its_own(make: Callable[[], MergedStem | CodeStem]) -> None:
    """A step's tokens depend on its own images and, where it modulates, the goal of its own window."""
    stem, (images, goal) = make(), _codes()
    before = stem(images, goal)
    changed = images.clone()
    changed[1, 2] = _other(changed[1, 2])
    after = stem(changed, goal)
    moved = (before.images - after.images).abs().amax(dim=(2, 3)) > 1e-6
    assert moved.tolist() == [[False] * 3, [False, False, True]]
    torch.testing.assert_close(before.goal, after.goal)


@pytest.mark.parametrize("make", [_merged, _faithful])
@torch.inference_mode()
def test_each_camera_has_tokens_of_its_own(make: Callable[[], MergedStem | CodeStem]) -> None:
    stem, (images, goal) = make(), _codes()
    changed = images.clone()
    changed[:, :, 1] = _other(changed[:, :, 1])
    moved = (stem(images, goal).images - stem(changed, goal).images).abs().amax(dim=(0, 1, 3)) > 1e-6
    half = len(moved) // 2
    assert moved.tolist() == [False] * half + [True] * half


@pytest.mark.parametrize("make", [_merged, _faithful])
@torch.inference_mode()
def test_where_a_code_stands_matters(make: Callable[[], MergedStem | CodeStem]) -> None:
    stem, (images, goal) = make(), _codes()
    moved = stem(images.roll(1, dims=-1), goal).images - stem(images, goal).images
    assert moved.abs().max() > 1e-3


@pytest.mark.parametrize("cells", [8, 16])
@torch.inference_mode()
def test_neighbouring_codes_make_a_patch(cells: int) -> None:
    """With 16 x 16 codes a patch is 2 x 2 of them: (row 2i + p, column 2j + q); with 8 x 8 it is one."""
    code, side = torch.nn.Embedding(CODES, 5), cells // 8
    first = torch.nn.Linear(5 * side**2, 3)
    codes = torch.randint(CODES, (2, cells**2))
    vectors = code(codes).view(2, cells, cells, -1)
    rows = [slice(side * i, side * (i + 1)) for i in range(8)]
    by_hand = torch.stack([vectors[:, i, j].flatten(1) for i in rows for j in rows], dim=1)
    torch.testing.assert_close(patches(codes, code, first, 8), first(by_hand))


@torch.inference_mode()
def test_the_goal_modulates_every_patch_or_none() -> None:
    images, goal = _codes()
    for modulate in (True, False):
        stem = _merged(modulate=modulate)
        moved = stem(images, goal).images - stem(images, _other(goal)).images
        assert (moved.abs().amax(dim=-1) > 1e-6).all() if modulate else not moved.any()


def test_like_codes_look_alike_from_the_start() -> None:
    """Codes begin as a view of the tokeniser's own vectors: what is near there is near here."""
    near, far = torch.tensor([1.0, 0.0, 0.0, 0.05]), torch.tensor([-1.0, 0.0, 0.0, 0.0])
    book = torch.nn.functional.normalize(torch.stack([torch.tensor([1.0, 0.0, 0.0, 0.0]), near, far]), dim=1)
    stem = MergedStem(book, 1, 8, WIDTH, tokens=1, patch_width=8, modulate=True, vectors="started")
    start = stem.code.weight.detach()
    assert (start[0] - start[1]).norm() < 0.2 * (start[0] - start[2]).norm()
    assert 0.2 < float(start.std()) < 5


@pytest.mark.parametrize("vectors", ["started", "fixed", "random"])
def test_what_codes_look_like(vectors: CodeVectors) -> None:
    """A view of the codebook keeps what is near near; one that is fixed does not learn."""
    torch.manual_seed(0)
    book = torch.nn.functional.normalize(torch.randn(CODES, NUMBERS), dim=1)
    book[1] = torch.nn.functional.normalize(book[0] + 0.02, dim=0)
    code = code_embedding(book, 64, vectors)
    start = code.weight.detach().clone()
    near, far = (start[0] - start[1]).norm(), (start[0] - start[2:]).norm(dim=1).min()
    assert (near < 0.2 * far) == (vectors != "random")
    optimiser = torch.optim.AdamW(code.parameters(), 0.1)
    (code(torch.tensor([0])).square().sum() + torch.zeros((), requires_grad=True)).backward()
    optimiser.step()
    assert torch.equal(code.weight, start) == (vectors == "fixed")


def test_a_place_counts_as_much_as_a_code() -> None:
    """Before anything is learnt: else attention is blind to where things are."""
    stem = _faithful()
    place, code = stem.place.detach().std(), stem.code.weight.detach().std()
    assert 0.5 < float(place / code) < 2
