"""Goal images: the last frames of successes, by arm, task and variation."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from demos.episode import Episode
from demos.goals import GoalBank
from demos.manifest import StoreError
from demos.store import EpisodeStore
from tests.small_store import small_episode


@pytest.fixture
def bank(tmp_path: Path) -> tuple[GoalBank, list[Episode]]:
    """Red: three successes and a failure; green: a failure only."""
    made = [small_episode(seed, arm="panda", steps=2 + seed, success=seed != 2) for seed in range(4)]
    made.append(small_episode(4, arm="panda", variation="green", success=False))
    EpisodeStore(tmp_path).commit_many(made)
    return GoalBank(tmp_path), made


def test_last_frames_of_successes_in_turn(bank: tuple[GoalBank, list[Episode]]) -> None:
    goals, made = bank
    assert goals.count("panda", "lift", "red") == 3
    for index in range(7):
        episode = sorted((made[i] for i in (0, 1, 3)), key=lambda each: each.id)[index % 3]
        goal = goals.nth("panda", "lift", "red", index)
        assert goal.episode == episode.id
        assert list(goal.images) == list(episode.meta.cameras)
        for camera, image in goal.images.items():
            assert np.array_equal(image, episode.images[camera][-1])


def test_more_episodes_of_later_seeds_change_nothing(
    bank: tuple[GoalBank, list[Episode]], tmp_path: Path
) -> None:
    """So that a measurement with more episodes shows the earlier ones the same goals."""
    goals, _ = bank
    EpisodeStore(tmp_path).commit(small_episode(7, arm="panda"))
    grown = GoalBank(tmp_path)
    for index in range(3):
        same = [each.nth("panda", "lift", "red", index).episode for each in (goals, grown)]
        assert same[0] == same[1]


def test_random_goals_are_even_and_the_generators(bank: tuple[GoalBank, list[Episode]]) -> None:
    goals, _ = bank
    drawn = [
        [goals.random("panda", "lift", "red", rng).episode for _ in range(90)]
        for rng in (np.random.default_rng(1), np.random.default_rng(1))
    ]
    assert drawn[0] == drawn[1]
    counts = Counter(drawn[0])
    assert len(counts) == 3 and min(counts.values()) > 15


@pytest.mark.parametrize("variation", ["green", "blue"])
def test_no_such_success(bank: tuple[GoalBank, list[Episode]], tmp_path: Path, variation: str) -> None:
    goals, _ = bank
    assert goals.count("panda", "lift", variation) == 0
    rng = np.random.default_rng(0)
    for ask in (
        lambda: goals.nth("panda", "lift", variation, 0),
        lambda: goals.random("panda", "lift", variation, rng),
    ):
        with pytest.raises(StoreError, match=f"no goal images for panda lift {variation} in ") as refused:
            ask()
        assert f"`robocat collect --arms panda --tasks lift --out {tmp_path}`" in str(refused.value)


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store at .*nowhere; `robocat collect` makes one"):
        GoalBank(tmp_path / "nowhere")
