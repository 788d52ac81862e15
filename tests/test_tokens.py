"""Token sets: what each episode's tokens are, and that an interrupted build comes out the same."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from demos.store import EpisodeStore
from robocat import tokens
from robocat.checkpoint import CheckpointError
from robocat.data import Data
from robocat.tokeniser import load_tokeniser
from robocat.tokens import WHOLE, TokenSet, build, tokens_of
from robocat.vocabulary import decode, decode_action
from tests.small_store import filled
from tests.tiny import EPISODES, demonstrate, learn_images


def _files(folder: Path) -> dict[str, bytes]:
    """Every file of the only token set in a folder."""
    (only,) = folder.iterdir()
    return {path.name: path.read_bytes() for path in only.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built(demos: Path, tokeniser: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the token set of the demonstrations, from one uninterrupted build."""
    folder = tmp_path_factory.mktemp("tokens")
    build(demos, tokeniser, folder, workers=1)
    return folder


def test_rows_are_those_of_each_episode(demos: Path, tokeniser: Path, built: Path) -> None:
    store, loaded = EpisodeStore(demos), load_tokeniser(tokeniser)
    found = build(demos, tokeniser, built)
    assert sorted(found.arms) == ["panda", "ur5e"]
    assert sorted(episode.id for episode in found.episodes) == store.ids()
    for arm, rows in found.arms.items():
        end = 0
        for episode in rows.episodes:
            original = store.load(episode.id)
            here = slice(episode.start, episode.start + episode.rows)
            for mine, direct in zip(
                (rows.proprio[here], rows.codes[here], rows.action[here], rows.progress[here]),
                tokens_of(original, loaded),
                strict=True,
            ):
                assert mine.dtype == np.uint16 and np.array_equal(mine, direct)
            assert rows.proprio_names == original.meta.proprio_names
            assert rows.action_names == original.meta.action_names
            assert (episode.arm, episode.rows) == (arm, original.length + 1)
            assert (episode.task, episode.variation) == (original.meta.task, original.meta.variation)
            assert (episode.success, episode.controller) == (original.succeeded, "expert")
            assert here.start == end  # no gap, no overlap
            end = here.stop
        assert [episode.id for episode in rows.episodes] == sorted(episode.id for episode in rows.episodes)
        assert end == len(rows.proprio) == len(rows.codes) == len(rows.action)


def test_tokens_mean_what_was_recorded(demos: Path, tokeniser: Path) -> None:
    store = EpisodeStore(demos)
    episode = store.load(store.ids()[0])
    proprio, codes, action, progress = tokens_of(episode, load_tokeniser(tokeniser))
    low, high = np.array(episode.meta.proprio_ranges).T
    # Exact to half a bin, within the declared range.
    half = (high - low) / 2048 + 1e-5
    inside = np.clip(episode.proprio, low, high)
    assert (np.abs(decode(proprio, low, high) - inside) <= half).all()
    assert (np.abs(decode_action(action[:-1]) - episode.label) <= 1 / 1024 + 1e-6).all()
    assert not action[-1].any()
    assert episode.told
    assert (np.abs(progress / WHOLE - episode.progress) <= 1e-5).all() and progress[-1] == WHOLE
    for index, camera in enumerate(episode.meta.cameras):
        assert np.array_equal(codes[:, index], load_tokeniser(tokeniser).encode(episode.images[camera]))


def test_what_is_built_is_not_built_again(
    demos: Path, tokeniser: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "_write_part", None)
    again = build(demos, tokeniser, built)
    assert again.store_digest == EpisodeStore(demos).digest()
    assert again.tokeniser == load_tokeniser(tokeniser).weights
    assert isinstance(again.arms["panda"].codes, np.memmap)  # pyright: ignore
    assert len(list(built.iterdir())) == 1
    assert not list(built.glob("*/parts"))


@pytest.mark.parametrize("at", [0, 2, 5])
def test_an_interrupted_build_goes_on_with_the_next_part(
    data: Data, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    demos, tokeniser = data.stores[0], data.tokeniser
    monkeypatch.setattr(tokens, "PART", 3)  # 16 episodes: 6 parts
    write, done = tokens._write_part, list[Path]()  # pyright: ignore[reportPrivateUsage]

    def interrupted(store: Path, tokeniser: Path, part: tuple[list[str], Path]) -> int:
        if len(done) == at:
            raise KeyboardInterrupt
        done.append(part[1])
        return write(store, tokeniser, part)

    monkeypatch.setattr(tokens, "_write_part", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(demos, tokeniser, tmp_path, workers=1)
    with pytest.raises(CheckpointError, match="no index.json"):
        TokenSet(next(tmp_path.iterdir()))
    before = len(done)
    at = -1
    build(demos, tokeniser, tmp_path, workers=1)
    assert before + len({path.name for path in done[before:]}) == 6
    assert _files(tmp_path) == _files(built)


def test_a_build_interrupted_while_joining_comes_out_the_same(
    demos: Path, tokeniser: Path, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for name in ("write_json", "shutil.rmtree"):  # before the index, and right after it
        with monkeypatch.context() as patch:
            patch.setattr(f"robocat.tokens.{name}", interrupted)
            with pytest.raises(KeyboardInterrupt):
                build(demos, tokeniser, tmp_path, workers=1)
    build(demos, tokeniser, tmp_path, workers=1)
    assert _files(tmp_path) == _files(built)


def test_a_lost_part_is_made_again(
    demos: Path, tokeniser: Path, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tokens, "PART", 5)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(tokens, "_join", interrupted)
        build(demos, tokeniser, tmp_path, workers=1)
    (final,) = tmp_path.iterdir()
    (final / "parts" / "00001.npz").unlink()
    build(demos, tokeniser, tmp_path, workers=1)
    assert _files(tmp_path) == _files(built)


def test_rebuilt_when_store_or_tokeniser_change(demos: Path, tokeniser: Path, tmp_path: Path) -> None:
    store = tmp_path / "demos"
    shutil.copytree(demos, store)
    first = build(store, tokeniser, tmp_path / "tokens", workers=1)
    demonstrate(store, ("panda",), ("reach",), episodes=1, first_seed=900)
    grown = build(store, tokeniser, tmp_path / "tokens", workers=1)
    assert len(list(grown.episodes)) == len(list(first.episodes)) + 1 == 4 * EPISODES + 1
    other = build(store, learn_images(demos, tmp_path / "other", steps=2), tmp_path / "tokens", workers=1)
    assert len({each.folder for each in (first, grown, other)}) == 3
    assert other.tokeniser != grown.tokeniser


@pytest.mark.slow
def test_workers_build_the_same(
    demos: Path, tokeniser: Path, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "PART", 4)
    build(demos, tokeniser, tmp_path, workers=2)
    assert _files(tmp_path) == _files(built)


def test_an_empty_store_is_refused(tokeniser: Path, tmp_path: Path) -> None:
    EpisodeStore(tmp_path / "store").commit_many([])
    with pytest.raises(OSError, match="has no episodes; `robocat collect` makes some"):
        build(tmp_path / "store", tokeniser, tmp_path / "tokens")
    with pytest.raises(OSError, match="no store at"):
        build(tmp_path / "nowhere", tokeniser, tmp_path / "tokens")


def test_images_of_another_size_are_refused(tokeniser: Path, tmp_path: Path) -> None:
    filled(tmp_path / "store")
    with pytest.raises(ValueError, match=r"images are \(4, 4, 3\), this tokeniser reads \(32, 32, 3\)"):
        build(tmp_path / "store", tokeniser, tmp_path / "tokens", workers=1)
