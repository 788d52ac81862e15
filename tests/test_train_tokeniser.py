"""Loop one: what it learns from, and that an interrupted training comes out the same, bit for bit."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from demos.store import EpisodeStore
from robocat import train_tokeniser
from robocat.checkpoint import CheckpointError, read_config, read_json
from robocat.config import TokeniserTraining
from robocat.metrics import read_metrics
from robocat.schedule import TrainingDiverged
from robocat.train_tokeniser import camera_means, draw_images, rarity
from tests.small_store import filled, small_episode
from tests.tiny import SIZE, TOKENISER, VQ, interrupted, measured

TRAINING = replace(TOKENISER, steps=12, checkpoint_every=5, critic_from=0.4)


def _train(store: Path, out: Path, **changes: object) -> Path:
    train_tokeniser.train_tokeniser([store], out, VQ, replace(TRAINING, **changes), seed=0)
    return out


def _left(folder: Path) -> dict[str, object]:
    """What a training leaves, without the times."""
    shown = np.load(folder / "reconstructions.npz")
    pictures = {key: shown[key].tobytes() for key in shown.files}
    shown.close()
    weights = (folder / "model.safetensors").read_bytes()
    return {
        "weights": weights,
        "rows": measured(folder),
        "record": read_json(folder / "config.json"),
        **pictures,
    }


@pytest.fixture(scope="module")
def uninterrupted(demos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _train(demos, tmp_path_factory.mktemp("tokeniser") / "whole")


@pytest.mark.parametrize("stops", [(2,), (5,), (7, 6, 11)], ids=str)
def test_resumed_equals_uninterrupted(
    demos: Path, uninterrupted: Path, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    """Before the first state, right after one, and several times."""
    for stop in stops:
        with interrupted(stop):
            _train(demos, tmp_path)
        with pytest.raises(CheckpointError, match="never finished"):
            read_config(tmp_path, "tokeniser")
    _train(demos, tmp_path)
    assert _left(tmp_path) == _left(uninterrupted)
    assert not (tmp_path / "resume").exists()


def test_interrupted_at_the_very_end(
    demos: Path, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the weights are written, and after them but before the state is cleared."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("save_tokeniser", "clear_state"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(train_tokeniser, name, interrupt)
            _train(demos, tmp_path)
        assert (tmp_path / "resume").exists()
    _train(demos, tmp_path)
    assert _left(tmp_path) == _left(uninterrupted)
    assert not (tmp_path / "resume").exists()


def test_what_is_finished_is_left_alone(uninterrupted: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")}
    _train(Path("nowhere"), uninterrupted)
    assert {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")} == before


def test_other_data_may_not_go_on(demos: Path, tmp_path: Path) -> None:
    with interrupted(7):
        _train(demos, tmp_path)
    with pytest.raises(CheckpointError, match="unfinished training of another network, seed or data"):
        _train(demos, tmp_path, images=200)
    with pytest.raises(CheckpointError, match="at step 5, beyond the 4 steps asked for"):
        _train(demos, tmp_path, steps=4)


def test_numbers_that_are_not_finite_stop_it(
    demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = train_tokeniser._step  # pyright: ignore[reportPrivateUsage]

    def diverging(*args: object, **more: object) -> dict[str, float]:
        losses = step(*args, **more)  # pyright: ignore[reportCallIssue, reportArgumentType]
        return losses | ({"reconstruction": math.nan} if more["step"] == 7 else {})

    monkeypatch.setattr(train_tokeniser, "_step", diverging)
    with pytest.raises(TrainingDiverged, match="reconstruction not finite at step 7"):
        _train(demos, tmp_path)
    assert json.loads((tmp_path / "diverged.json").read_text())["losses"]["reconstruction"] == "nan"
    assert [path.name for path in (tmp_path / "resume").iterdir()] == ["step-00000005.safetensors"]
    monkeypatch.undo()
    _train(demos, tmp_path, learning_rate=1e-4)  # goes on from there, more gently
    assert read_config(tmp_path, "tokeniser")["training"]["learning_rate"] == 1e-4


def test_the_record_says_what_it_learnt_from(demos: Path, uninterrupted: Path) -> None:
    record = read_config(uninterrupted, "tokeniser", ["vqgan", "training", "seed", "card", "lineage"])
    assert record["lineage"]["stores"] == [{"path": str(demos), "digest": EpisodeStore(demos).digest()}]
    card = record["card"]
    assert card == read_json(uninterrupted / "card.json")
    assert card["images"] == record["lineage"]["images"] // 4  # kept apart
    assert card["codes"] == VQ.codes and 1 <= card["codes_used"] <= VQ.codes
    assert 5 < card["psnr_db"] < 40
    rows = read_metrics(uninterrupted)
    assert [row["step"] for row in rows] == [0, 11]
    assert {"reconstruction", "commitment", "learning_rate"} <= set(rows[0])


def test_the_critic_begins_late(demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []
    step = train_tokeniser._step  # pyright: ignore[reportPrivateUsage]

    def noted(*args: object, **more: object) -> dict[str, float]:
        losses = step(*args, **more)  # pyright: ignore[reportCallIssue, reportArgumentType]
        judged.extend([more["step"]] if "critic" in losses else [])  # pyright: ignore[reportArgumentType]
        return losses

    monkeypatch.setattr(train_tokeniser, "_step", noted)
    _train(demos, tmp_path, critic_from=0.5)
    assert judged == [6, 8, 10]


def test_likeness_to_the_critic_counts_from_when_it_judges(
    demos: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    _train(demos, tmp_path / "alike", perceptual_weight=1.0)
    assert _left(tmp_path / "alike")["weights"] != _left(uninterrupted)["weights"]
    late = {"critic_from": 1.0}
    _train(demos, tmp_path / "late", perceptual_weight=1.0, **late)
    _train(demos, tmp_path / "never", **late)
    assert _left(tmp_path / "late")["weights"] == _left(tmp_path / "never")["weights"]


def test_what_is_random_in_a_step_hangs_on_the_step(
    demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead codes are revived by torch's own generator: it is seeded anew for each step."""
    seeds: list[int] = []
    step = train_tokeniser._step  # pyright: ignore[reportPrivateUsage]

    def noted(*args: object, **more: object) -> dict[str, float]:
        seeds.append(torch.initial_seed())
        return step(*args, **more)  # pyright: ignore[reportCallIssue, reportArgumentType]

    monkeypatch.setattr(train_tokeniser, "_step", noted)
    with interrupted(7):
        _train(demos, tmp_path)
    _train(demos, tmp_path)
    assert seeds[5:8] == seeds[8:11]  # steps 5, 6 and 7 were taken again
    assert len(set(seeds)) == 12


def test_no_image_is_drawn_twice(demos: Path) -> None:
    """So what is kept apart is never learnt from; pictures of a robot at rest may still be equal."""
    store = EpisodeStore(demos)
    loads = [store.load(id) for id in store.ids()]
    every = sum(2 * (episode.length + 1) for episode in loads)
    images, cameras, _ = draw_images([demos], 10**6, SIZE, np.random.default_rng(0))
    assert images.shape == (every, SIZE, SIZE, 3) and cameras.shape == (every,)
    shown = np.concatenate([episode.images[camera] for episode in loads for camera in episode.images])
    assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in shown)


def test_images_are_drawn_evenly(demos: Path) -> None:
    images, cameras, _ = draw_images([demos], 128, SIZE, np.random.default_rng(0))
    assert len(images) == 128  # 16 episodes, 2 cameras, 4 frames
    assert np.bincount(cameras).tolist() == [32, 32, 32, 32]  # 2 arms with 2 cameras
    few, *_ = draw_images([demos], 6, SIZE, np.random.default_rng(0))
    assert len(few) == 6
    again, *_ = draw_images([demos], 128, SIZE, np.random.default_rng(0))
    assert np.array_equal(images, again)


def test_images_of_several_stores(demos: Path) -> None:
    images, _, sources = draw_images([demos, demos], 128, SIZE, np.random.default_rng(0))
    assert np.bincount(sources).tolist() == [64, 64]
    assert len(images) == 128


def test_what_cannot_be_drawn_is_said(demos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has images \(32, 32, 3\), this tokeniser reads \(64, 64, 3\)"):
        draw_images([demos], 100, 64, np.random.default_rng(0))
    store, _ = filled(tmp_path / "mixed", 1)
    store.commit(small_episode(5, size=8))
    with pytest.raises(ValueError, match=r"has images \(8, 8, 3\), this tokeniser reads \(4, 4, 3\)"):
        draw_images([store.path], 100, 4, np.random.default_rng(0))
    EpisodeStore(tmp_path / "empty").commit_many([])
    with pytest.raises(OSError, match="no episodes in .*empty; `robocat collect` makes some"):
        draw_images([tmp_path / "empty"], 100, SIZE, np.random.default_rng(0))


def test_weights_favour_what_is_rare() -> None:
    images = np.full((6, 4, 4, 3), 100, np.uint8)
    images[0, 1, 2] = 250
    means = camera_means(images, np.zeros(6, np.int64))
    assert means.shape == (1, 3, 4, 4)
    pixels = torch.from_numpy(images.astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1)
    weight = rarity(pixels, means[np.zeros(6, np.int64)], 8.0)
    assert weight.shape == (6, 1, 4, 4)
    assert float(weight.mean()) == pytest.approx(1.0)
    assert np.unravel_index(int(weight.argmax()), weight.shape) == (0, 0, 1, 2)
    even = rarity(pixels, means[np.zeros(6, np.int64)], 0.0)
    assert torch.equal(even, torch.ones_like(even))


def test_each_camera_has_a_mean_of_its_own() -> None:
    images = np.stack([np.full((2, 2, 3), value, np.uint8) for value in (0, 255, 255, 51)])
    means = camera_means(images, np.array([0, 1, 1, 0]))
    assert means[:, 0, 0, 0].tolist() == pytest.approx([25.5 / 127.5 - 1, 1.0])


def test_a_tokeniser_is_extended_on_new_images(demos: Path, uninterrupted: Path, tmp_path: Path) -> None:
    """From its parent's weights, old images beside new ones; what that does to each store is measured."""
    store = EpisodeStore(tmp_path / "other")
    store.commit_many(small_episode(seed, size=SIZE, steps=30) for seed in range(4))
    out, none = tmp_path / "extended", replace(TRAINING, steps=1, learning_rate=0.0, warm_up=0, images=200)

    def extend(folder: Path, training: TokeniserTraining) -> dict[str, Any]:
        train_tokeniser.train_tokeniser(
            [demos, store.path], folder, VQ, training, seed=1, parent=uninterrupted
        )
        return read_json(folder / "card.json")["extended"]

    still = extend(out, none)
    assert set(still) == {str(demos), str(store.path)}
    for each in still.values():
        assert each["images"] > 1 and abs(each["gain_db"]) < 0.5 and each["codes_kept"] > 0.5
    learnt = extend(tmp_path / "learnt", replace(TRAINING, steps=40, images=200))
    assert all(each["codes_kept"] < 1.0 for each in learnt.values())
    record = read_json(out / "config.json")
    assert record["lineage"]["parent"]["weights"] == read_json(uninterrupted / "config.json")["weights"]
    with pytest.raises(CheckpointError, match="expected VQGANConfig"):
        other = replace(VQ, codes=16)
        train_tokeniser.train_tokeniser([demos], tmp_path / "x", other, none, seed=1, parent=uninterrupted)
