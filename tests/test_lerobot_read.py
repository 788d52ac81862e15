"""LeRobotDatasets as a store's episodes: ours come back as they were, others' as far as they go."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demos import foreign
from demos.episode import Episode
from demos.foreign import Terms, name_of
from demos.lerobot.read import import_
from demos.lerobot.write import export
from demos.select import ALL
from demos.store import EpisodeStore
from robocat.cli import main
from tests.fakes import fake_episode, same_episode
from tests.killing import killed
from tests.lerobot_sets import FPS, Told, tell, write

pq = pytest.importorskip("pyarrow.parquet", reason="the extra lerobot is not installed")
pytest.importorskip("av", reason="the extra lerobot is not installed")

SAMPLE = (
    Path(__file__).parents[2] / "shared" / "lerobot_v30_sample"
)  # written by lerobot 0.4.4, where it is at hand


@st.composite
def stored(draw: st.DrawFn) -> list[Episode]:
    """One to four episodes of one arm: any actors, outcomes, tasks, lengths and goals."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    shapes: dict[str, Any] = {
        "size": draw(st.sampled_from([8, 15])),
        "proprio": draw(st.integers(1, 3)),
        "actions": draw(st.integers(1, 2)),
        "cameras": draw(st.sampled_from([("front",), ("front", "wrist")])),
    }
    episodes: list[Episode] = []
    for seed in range(draw(st.integers(1, 4))):
        who = draw(
            st.sampled_from(
                [{}, {"controller": "teleop"}, {"controller": "policy", "policy": "c", "generation": 2}]
            )
        )
        what = {
            "task": draw(st.sampled_from(["lift", "mine"])),
            "variation": draw(st.sampled_from(["", "red"])),
        }
        ended = {
            "success": draw(st.booleans()),
            "judged_by": draw(st.sampled_from(["predicate", "teleoperator"])),
        }
        steps = draw(st.integers(1, 6))
        episodes.append(fake_episode(rng, steps, seed=seed, **who, **what, **ended, **shapes))
    return episodes


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(episodes=stored(), pictures=st.sampled_from(["lossless", "image"]))
def test_ours_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, episodes: list[Episode], pictures: str
) -> None:
    path = tmp_path_factory.mktemp("trip")
    store = EpisodeStore(path / "store")
    store.commit_many(episodes)
    export(store.path, out=path / "set", pick=ALL, pictures=pictures)
    import_(path / "set", out=path / "back")
    back = EpisodeStore(path / "back")
    assert back.digest() == store.digest()
    assert all(same_episode(back.load(each.id), each) for each in episodes)


def test_of_a_video_all_but_the_pictures_come_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = EpisodeStore(tmp_path / "store")
    episode = fake_episode(np.random.default_rng(0), steps=4, size=16, controller="teleop", success=False)
    store.commit(episode)
    export(store.path, out=tmp_path / "set", pick=ALL)
    import_(tmp_path / "set", out=tmp_path / "back")
    back = EpisodeStore(tmp_path / "back").load(episode.id)
    assert same_episode(replace(back, images={}), replace(episode, images={}))
    np.testing.assert_array_equal(back.images["front"][-1], episode.images["front"][-1])
    assert "pictures of front are those of the video, near the recorded ones" in capsys.readouterr().out


def _imported(path: Path, told: list[Told], **options: Any) -> list[Episode]:
    import_(path / "set", out=path / "store", terms=Terms(**options))
    store = EpisodeStore(path / "store")
    entries = sorted(store.entries(), key=lambda entry: entry.seed)
    assert len(entries) == len(told)
    return [store.load(entry.id) for entry in entries]


@pytest.mark.parametrize(("version", "rows"), [("v3.0", 1000), ("v3.0", 5), ("v2.1", 1000)])
def test_another_projects_set_is_read(tmp_path: Path, version: str, rows: int) -> None:
    """Whatever the version, and wherever the edges of row groups are."""
    told = tell()
    write(tmp_path / "set", told, version, rows)
    for number, (episode, said) in enumerate(zip(_imported(tmp_path, told), told, strict=True)):
        assert episode.meta.provenance.seed == number and episode.meta.provenance.controller == "teleop"
        assert (episode.meta.arm, episode.meta.task) == ("so-100", name_of(said.task))
        assert episode.meta.control_hz == FPS and episode.meta.cameras == ("top", "wrist")
        assert episode.meta.proprio_names == ("a", "b", "c")
        assert episode.meta.action_names == ("action_0", "action_1")
        np.testing.assert_array_equal(episode.action, said.action)
        np.testing.assert_array_equal(episode.proprio, np.concatenate([said.state, said.state[-1:]]))
        np.testing.assert_array_equal(episode.success, said.success)
        assert episode.succeeded == bool(said.success.any())
        for camera, pictures in (("top", said.top), ("wrist", said.wrist)):
            np.testing.assert_array_equal(episode.images[camera], np.concatenate([pictures, pictures[-1:]]))
        for channel, (low, high) in zip(episode.proprio.T, episode.meta.proprio_ranges, strict=True):
            assert low <= channel.min() and channel.max() <= high


def test_every_thing_filled_in_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = tell()
    write(tmp_path / "set", told)
    _imported(tmp_path, told, cameras=("wrist",), size=40)
    said = capsys.readouterr().out.splitlines()
    assert said[0].endswith("3 new episodes of 3 in " + str(tmp_path / "set"))
    assert said[1:] == [
        "- left out: note, observation.images.top",
        "- task 'Put it in the bin!' is put-it-in-the-bin",
        "- task 'stack' is stack",
        "- pictures of wrist are scaled from 16 x 16 to 40 px",
        "- the actions meant are those executed, and progress is not told",
        "- nothing was recorded after the last action: the last observation stands twice",
        "- no simulator's states: what is imported cannot be replayed",
    ]


def test_actions_are_scaled_if_asked_for(tmp_path: Path) -> None:
    told = tell(reach=90.0)
    write(tmp_path / "set", told)
    with pytest.raises(ValueError, match=r"actions are action_0 -\d.* --scale-actions scales them"):
        import_(tmp_path / "set", out=tmp_path / "store")
    episodes = _imported(tmp_path, told, scale_actions=True)
    assert not any(episode.told for episode in episodes)
    theirs, ours = (
        np.concatenate([each.action for each in told]),
        np.concatenate([e.action for e in episodes]),
    )
    low, high = theirs.min(axis=0), theirs.max(axis=0)
    np.testing.assert_allclose((ours + 1) / 2 * (high - low) + low, theirs, atol=1e-4)
    assert (ours.min(axis=0) == -1).all() and (ours.max(axis=0) == 1).all()


def test_pixels_are_repeated_where_that_fits() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 8, 3), np.uint8)
    grown, how = foreign.resized(pictures, 16)
    assert grown.shape == (2, 16, 16, 3) and how == "enlarged by repeating pixels"
    np.testing.assert_array_equal(grown[:, ::4, ::2], pictures)


def test_names_of_texts_differ_where_texts_do() -> None:
    assert name_of("Lift the cube!") == "lift-the-cube" and name_of("?!") == "unknown"
    one, other = name_of("a" * 70 + " b"), name_of("a" * 70 + " c")
    assert one != other and len(one) < 80


def _without(name: str) -> Any:
    def change(info: dict[str, Any]) -> None:
        (info if name in info else info["features"]).pop(name)

    return change


def _other_version(info: dict[str, Any]) -> None:
    info["codebase_version"] = "v1.6"


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (_without("robot_type"), {}, "does not say what robot it is of: say --arm"),
        (_without("next.success"), {}, "nothing says whether recording 0 succeeded: say --outcome"),
        (_without("next.success"), {"outcome": "perhaps"}, "outcome 'perhaps': expected success or failure"),
        (_without("action"), {}, "has no 'action'; it has observation.state"),
        (_other_version, {}, r"is of version v1.6; expected v3.0 or v2.1"),
        (None, {"cameras": ("front",)}, "unknown camera 'front'; cameras: top, wrist"),
        (None, {"controller": "cat"}, "controller 'cat': expected teleop or expert"),
    ],
)
def test_what_cannot_be_imported_is_said(
    tmp_path: Path, change: Any, options: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "set", tell()) / "meta/info.json"
    info = json.loads(path.read_text())
    if change:
        change(info)
    path.write_text(json.dumps(info))
    with pytest.raises(ValueError, match=said):
        import_(tmp_path / "set", out=tmp_path / "store", terms=Terms(**options))
    assert not (tmp_path / "store/episodes").exists()


def test_what_is_not_as_listed_is_said(tmp_path: Path) -> None:
    told = tell()
    write(tmp_path / "set", told)
    table = pq.read_table(tmp_path / "set/data/chunk-000/file-000.parquet")
    pq.write_table(table.slice(0, 9), tmp_path / "set/data/chunk-000/file-000.parquet")
    with pytest.raises(ValueError, match="episode 1 has 2 rows, expected 4, as listed"):
        import_(tmp_path / "set", out=tmp_path / "store")
    pq.write_table(table, tmp_path / "set/data/chunk-000/file-000.parquet")
    films = tmp_path / "set/videos/observation.images.top/chunk-000/file-000.mp4"
    write(tmp_path / "short", told[:1])
    shutil.copy(tmp_path / "short" / films.relative_to(tmp_path / "set"), films)
    with pytest.raises(ValueError, match=r"file-000.mp4 has no frame at 1.4000 s"):
        import_(tmp_path / "set", out=tmp_path / "store")
    films.unlink()
    with pytest.raises(ValueError, match="there is no video at"):
        import_(tmp_path / "set", out=tmp_path / "other")
    assert main(["data", "import", "lerobot", str(tmp_path), "--out", str(tmp_path / "x")]) == 1


def test_an_edited_set_of_ours_is_refused(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path / "store")
    store.commit_many(fake_episode(np.random.default_rng(i), steps=3, seed=i) for i in range(2))
    export(store.path, out=tmp_path / "set", pictures="image")
    own = [tmp_path / f"set/robocat/chunk-000/file-00{i}.safetensors" for i in range(2)]
    shutil.copy(own[1], own[0])
    with pytest.raises(ValueError, match="is not of the rows of episode 0: the set was edited since"):
        import_(tmp_path / "set", out=tmp_path / "back")
    shutil.rmtree(tmp_path / "set/robocat")
    import_(tmp_path / "set", out=tmp_path / "back")
    assert len(EpisodeStore(tmp_path / "back")) == 2


def test_two_sets_are_not_taken_for_one(tmp_path: Path) -> None:
    write(tmp_path / "set", tell())
    write(tmp_path / "other", tell(lengths=(7, 5)))
    import_(tmp_path / "set", out=tmp_path / "store")
    import_(tmp_path / "set", out=tmp_path / "store")  # again: nothing is new
    with pytest.raises(ValueError, match="has another episode so-100-stack-teleop-000001.*--first-seed"):
        import_(tmp_path / "other", out=tmp_path / "store")
    import_(tmp_path / "other", out=tmp_path / "store", terms=Terms(first_seed=100))
    assert len(EpisodeStore(tmp_path / "store")) == 5


def test_killed_and_started_again_both_come_to_the_same(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path / "store")
    store.commit_many(fake_episode(np.random.default_rng(i), steps=4, seed=i, size=16) for i in range(4))
    export(store.path, out=tmp_path / "whole", pictures="lossless")
    out, whole, back = tmp_path / "set", tmp_path / "whole", tmp_path / "back"
    imports = "from demos.lerobot import read, write\nfrom demos.store import EpisodeStore"
    call = f"write.export(Path({str(store.path)!r}), out=Path({str(out)!r}), pictures='lossless')"
    killed(imports, "(write.tables, 'write_rows')", 2, call)
    call = f"read.import_(Path({str(whole)!r}), out=Path({str(back)!r}))"
    killed(imports, "(EpisodeStore, 'commit')", 2, call)
    assert not (out / "meta/info.json").exists() and len(EpisodeStore(back)) == 2
    export(store.path, out=out, pictures="lossless")
    files = {path.relative_to(whole) for path in whole.rglob("*") if path.is_file()}
    left = {path.relative_to(out) for path in out.rglob("*") if path.is_file()}
    assert files == left
    assert all((out / path).read_bytes() == (whole / path).read_bytes() for path in files)
    import_(whole, out=back)
    assert EpisodeStore(back).digest() == store.digest()


@pytest.mark.skipif(not SAMPLE.is_dir(), reason=f"no set that lerobot itself wrote at {SAMPLE}")
def test_what_lerobot_wrote_is_read_exactly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_(SAMPLE, out=tmp_path / "store", terms=Terms(size=64, scale_actions=True))
    assert "left out: next.reward, note" in capsys.readouterr().out
    store = EpisodeStore(tmp_path / "store")
    episodes = [store.load(entry.id) for entry in sorted(store.entries(), key=lambda entry: entry.seed)]
    table = pq.read_table(SAMPLE / "data/chunk-000/file-000.parquet").to_pydict()
    numbers = np.array(table["episode_index"])
    assert [e.length for e in episodes] == np.bincount(numbers).tolist() == [12, 12, 12]
    action = np.array(table["action"], np.float32)
    low, high = action.min(axis=0), action.max(axis=0)
    for number, episode in enumerate(episodes):
        mine = numbers == number
        np.testing.assert_array_equal(
            episode.proprio[:-1], np.array(table["observation.state"], np.float32)[mine]
        )
        np.testing.assert_allclose((episode.action + 1) / 2 * (high - low) + low, action[mine], atol=1e-6)
        np.testing.assert_array_equal(episode.success, np.array(table["next.success"])[mine])
        assert episode.meta.cameras == ("top", "wrist") and episode.meta.arm == "panda"
    assert [e.meta.task for e in episodes] == ["lift-cube", "lift-cube", "stack"]
