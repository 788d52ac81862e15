"""`robocat view`: which episode is shown, what is written where, and what the pictures hold."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demos.episode import Episode
from demos.expert import Expert
from demos.rollout import Attempt, rollout
from demos.store import EpisodeStore
from demos.view import animation, sheet, view
from sim.env import make
from tests.fakes import fake_episode


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    return list(rollout([make("panda", "reach", size=32)], Expert(), [Attempt(seed) for seed in range(3)]))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, episodes: list[Episode]) -> Path:
    path = tmp_path_factory.mktemp("episodes") / "store"
    EpisodeStore(path).commit_many(episodes)
    return path


def _written(out: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    said = capsys.readouterr().out.split()
    assert said == [str(out / Path(line).name) for line in said]
    assert sorted(path.name for path in out.iterdir()) == sorted(Path(line).name for line in said)
    return [Path(line).stem for line in said]


def test_the_first_episode_of_a_store_is_shown(
    store: Path, episodes: list[Episode], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a" / "pictures"
    view((str(store),), out=out)
    first = min(episode.id for episode in episodes)
    assert _written(out, capsys) == [first] * 3
    with Image.open(out / f"{first}.png") as still, Image.open(out / f"{first}.gif") as moving:
        assert (still.format, moving.format) == ("PNG", "GIF")
        assert getattr(moving, "n_frames", 0) > 5


def test_an_episode_is_chosen_by_its_id_or_its_beginning(
    store: Path, episodes: list[Episode], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wanted in (episodes[1].id, episodes[1].id[:-6]):
        view((str(store),), episode=wanted, out=tmp_path / "out")
        assert _written(tmp_path / "out", capsys) == [episodes[1].id] * 3
    with pytest.raises(ValueError, match="3 episodes of .* begin with 'panda-reach'; it has panda-reach-"):
        view((str(store),), episode="panda-reach")
    with pytest.raises(ValueError, match="0 episodes of .* begin with 'ur5e'; it has panda-reach-"):
        view((str(store),), episode="ur5e")


def test_an_episode_without_cameras_has_no_moving_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    episode = fake_episode(np.random.default_rng(0), cameras=())
    EpisodeStore(tmp_path / "store").commit(episode)
    view((str(tmp_path / "store"),), out=tmp_path / "out")
    assert _written(tmp_path / "out", capsys) == [episode.id] * 2


@pytest.mark.parametrize("what", [("panda-lift",), ("robocat/panda-lift-v0",), ("panda", "lift")])
def test_an_environment_is_shown_with_its_expert(
    what: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    view(what, out=tmp_path / "out", size=32, seed=4)
    stem = _written(tmp_path / "out", capsys)[0]
    assert re.fullmatch("panda-lift-(red|green|blue)-expert-000004-[0-9a-f]{8}", stem)


def test_what_is_neither_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    near = r"no store at 'panda-lft' and no such environment; did you mean 'panda-lift'\? expected the folder"
    with pytest.raises(ValueError, match=near):
        view(("panda-lft",))
    far = "no store at 'runs/nowhere/demos' and no such environment; expected the folder of a store"
    with pytest.raises(ValueError, match=far) as error:
        view(("runs/nowhere/demos",))
    assert len(str(error.value)) < 240, "a thousand environments are not listed"
    with pytest.raises(ValueError, match="no store at panda-lift; --episode is for the episodes of one"):
        view(("panda-lift",), episode="x")
    with pytest.raises(ValueError, match="seed -3 is out of range; expected 0 or more"):
        view(("panda-lift",), seed=-3)
    with pytest.raises(ValueError, match="frames 1 is too few; expected 2 or more"):
        view(("panda-lift",), frames=1)
    EpisodeStore(tmp_path / "store").commit_many([])
    with pytest.raises(ValueError, match="is empty; `robocat collect` fills one"):
        view((str(tmp_path / "store"),))
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_the_sheet_holds_the_goal_and_the_moments(episodes: list[Episode]) -> None:
    episode = episodes[0]
    goal = {camera: np.full((32, 32, 3), (200, 0, 200), np.uint8) for camera in episode.meta.cameras}
    pixels = np.asarray(sheet(episode, goal, frames=4))
    side = 5 * 32  # The least whole factor that makes 160 px of it.
    assert (pixels == (200, 0, 200)).all(axis=2).sum() == 2 * side * side
    last = np.kron(episode.images["front"][-1], np.ones((5, 5, 1), np.uint8))
    corner = np.argwhere((pixels[:, :, None] == last[0, 0]).all(axis=3))[:, :2]
    assert any(np.array_equal(pixels[y : y + side, x : x + side], last) for y, x in corner)
    assert sheet(episode, {}, frames=4).size == sheet(episode, goal, frames=4).size


def test_one_step_and_one_camera_are_enough() -> None:
    short = fake_episode(np.random.default_rng(0), steps=1, cameras=("front",), size=64)
    longer = fake_episode(np.random.default_rng(0), steps=9, cameras=("front", "wrist"), size=64)
    assert sheet(short, {}, frames=8).width < sheet(longer, {}, frames=8).width
    assert sheet(short, {}, frames=8).height < sheet(longer, {}, frames=8).height
    assert len(animation(short, {})) == 2


def test_the_caption_says_how_it_ended() -> None:
    """By its colour: green for a success, red for a failure."""
    rng = np.random.default_rng(0)
    for success, ink in ((True, (20, 130, 60)), (False, (180, 40, 30))):
        episode = fake_episode(rng, success=success, controller="policy", policy="cat", generation=1)
        pixels = np.asarray(sheet(episode, episode.goal, frames=3))[:60]
        assert ((pixels == ink).all(axis=2)).any()
