"""A store as a Minari dataset, read back by Minari itself."""

from pathlib import Path

import numpy as np
import pytest

from demos import minari_set
from demos.episode import Episode, EpisodeMeta
from demos.minari_set import export
from demos.select import ALL, Selection
from demos.store import EpisodeStore
from tests.fakes import fake_episode

minari = pytest.importorskip("minari", reason="the extra minari is not installed")


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    rng = np.random.default_rng(0)
    store = EpisodeStore(tmp_path / "store")
    for seed in range(5):
        store.commit(fake_episode(rng, steps=3 + seed, seed=seed, success=seed != 3))
    return store


def _load(out: Path) -> "minari.MinariDataset":
    return minari.MinariDataset(out / "robocat" / "panda-lift-v0" / "data")


def test_minari_reads_what_the_store_holds(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(store.path, out=tmp_path / "sets", pick=ALL)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    dataset = minari.load_dataset("robocat/panda-lift-v0")
    episodes = [store.load(id) for id in store.ids()]
    assert dataset.total_episodes == 5
    assert dataset.total_steps == sum(episode.length for episode in episodes)
    for theirs, episode in zip(dataset.iterate_episodes(), episodes, strict=True):
        np.testing.assert_array_equal(theirs.actions, episode.action)
        np.testing.assert_array_equal(theirs.observations["proprio"], episode.proprio)
        for camera, pictures in episode.images.items():
            np.testing.assert_array_equal(theirs.observations["images"][camera], pictures)
        last = [False] * (episode.length - 1)
        assert theirs.terminations.tolist() == [*last, episode.succeeded]
        assert theirs.truncations.tolist() == [*last, not episode.succeeded]
        assert theirs.rewards.sum() == episode.succeeded
        np.testing.assert_array_equal(theirs.infos["is_success"], episode.success)
        np.testing.assert_array_equal(theirs.infos["progress"], episode.progress[1:])
    records = dataset.storage.get_episode_metadata(range(5))
    assert [EpisodeMeta.from_json(said["robocat"]) for said in records] == [e.meta for e in episodes]
    assert dataset.action_space.shape == episodes[0].action.shape[1:]


def test_what_is_interrupted_goes_on(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is to be seen before all is there; parts that are there are not written again."""
    monkeypatch.setattr(minari_set, "PART", 2)
    real, written = minari_set.buffer, list[str]()

    def stops(episode: Episode, number: int) -> object:
        if len(written) == 3:
            written.append("stop")
            raise KeyboardInterrupt
        written.append(episode.id)
        return real(episode, number)

    with monkeypatch.context() as patch:
        patch.setattr(minari_set, "buffer", stops)
        with pytest.raises(KeyboardInterrupt):
            export(store.path, out=tmp_path / "part", pick=ALL)
        assert [each.name for each in (tmp_path / "part/robocat/panda-lift-v0").iterdir()] == [".parts"]
        export(store.path, out=tmp_path / "part", pick=ALL)
    ids = store.ids()
    assert written == [*ids[:3], "stop", *ids[2:]]
    assert [each.name for each in (tmp_path / "part/robocat/panda-lift-v0").iterdir()] == ["data"]
    for name in ("part", "whole", "part"):  # the last time nothing is left to do
        export(store.path, out=tmp_path / name, pick=ALL)
    part, whole = _load(tmp_path / "part"), _load(tmp_path / "whole")
    for one, other in zip(part.iterate_episodes(), whole.iterate_episodes(), strict=True):
        np.testing.assert_array_equal(one.actions, other.actions)
    assert part.total_steps == whole.total_steps


def test_other_episodes_are_refused(store: EpisodeStore, tmp_path: Path) -> None:
    export(store.path, out=tmp_path / "sets", pick=Selection(outcome="failure"))
    with pytest.raises(ValueError, match="holds other episodes; choose another --out"):
        export(store.path, out=tmp_path / "sets")
