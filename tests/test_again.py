"""Stored episodes acted again: exact in the same build, and else how far off and since when."""

from dataclasses import replace
from pathlib import Path

import pytest

from demos.again import again, deviation
from demos.collect import Collection, collect_experts
from demos.store import EpisodeStore
from robocat.cli import main


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> EpisodeStore:
    path = tmp_path_factory.mktemp("again")
    collect_experts(path, Collection(("panda",), ("reach", "lift"), 1, 0, 32), 1, "demonstrations")
    return EpisodeStore(path)


def test_the_same_build_is_exact(store: EpisodeStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "replay", str(store.path)]) == 0
    assert "2 replayed, 2 to the last bit" in capsys.readouterr().out


def test_at_most_none_is_refused(store: EpisodeStore) -> None:
    with pytest.raises(ValueError, match="at most -1 is too few; expected 1 or more"):
        again(store.path, at_most=-1)


def test_another_build_is_said_and_measured(store: EpisodeStore) -> None:
    episode = store.load(store.ids()[0], images=False)
    proprio = episode.proprio.copy()
    proprio[3, 0] += 0.5
    meta = replace(episode.meta, mujoco_version="2.0.0", model_hash="f" * 16)
    seen = deviation(replace(episode, proprio=proprio, meta=meta))
    assert not seen.exact and seen.build.startswith("MuJoCo 2.0.0 to ") and "model ffffffff to" in seen.build
    assert seen.most["rad"] == pytest.approx(0.5, abs=1e-6) and seen.most["m"] == 0.0
    assert seen.steps == (episode.length, episode.length) and seen.success == (True, True)


def test_straying_in_the_same_build_fails(
    store: EpisodeStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    episode = store.load(store.ids()[0])
    proprio = episode.proprio.copy()
    proprio[3, 0] += 0.5
    other = EpisodeStore(tmp_path)
    other.commit(replace(episode, proprio=proprio))
    with pytest.raises(SystemExit) as ended:
        main(["data", "replay", str(tmp_path), "--at-most", "1"])
    said = capsys.readouterr().out
    assert ended.value.code == 1 and "the same" in said and "1 replayed, 0 to the last bit" in said
