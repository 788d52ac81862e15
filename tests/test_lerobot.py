"""A store as a LeRobotDataset: laid out as the format says, exact where it can be, and resumable."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from demos.episode import Episode
from demos.lerobot import statistics, write
from demos.lerobot.layout import IMAGES
from demos.lerobot.write import export
from demos.select import ALL, Selection
from demos.store import EpisodeStore
from sim.extras import MissingExtra, extra
from tests.fakes import fake_episode

pq = pytest.importorskip("pyarrow.parquet", reason="the extra lerobot is not installed")
video = pytest.importorskip("demos.lerobot.video")


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    """Three successes, one of another length, and a failure."""
    rng = np.random.default_rng(0)
    store = EpisodeStore(tmp_path / "store")
    for seed, (steps, success) in enumerate([(7, True), (12, True), (5, False), (7, True)]):
        store.commit(fake_episode(rng, steps=steps, seed=seed, success=success, size=16))
    return store


def _rows(out: Path) -> dict[str, NDArray[Any]]:
    tables = [pq.read_table(path) for path in sorted((out / "data").glob("*/*.parquet"))]
    return {
        name: np.concatenate([np.array(table[name].to_pylist()) for table in tables])
        for name in tables[0].column_names
    }


def _chosen(store: EpisodeStore) -> list[Episode]:
    return [store.load(entry.id) for entry in store.entries() if entry.success]


@pytest.mark.parametrize("pictures", ["video", "image"])
def test_frames_are_the_episodes(store: EpisodeStore, tmp_path: Path, pictures: str) -> None:
    out = tmp_path / "set"
    export(store.path, out=out, pictures=pictures)
    episodes, rows = _chosen(store), _rows(out)
    np.testing.assert_array_equal(rows["action"], np.concatenate([e.action for e in episodes]))
    np.testing.assert_array_equal(
        rows["observation.state"], np.concatenate([e.proprio[:-1] for e in episodes])
    )
    np.testing.assert_array_equal(rows["next.success"], np.concatenate([e.success for e in episodes]))
    lengths = [e.length for e in episodes]
    np.testing.assert_array_equal(rows["index"], np.arange(sum(lengths)))
    np.testing.assert_array_equal(rows["episode_index"], np.repeat(np.arange(3), lengths))
    np.testing.assert_array_equal(rows["frame_index"], np.concatenate([np.arange(n) for n in lengths]))
    hz = episodes[0].meta.control_hz
    np.testing.assert_allclose(rows["timestamp"], rows["frame_index"] / hz, atol=1e-6)
    info = json.loads((out / "meta/info.json").read_text())
    assert (info["total_episodes"], info["total_frames"], info["fps"]) == (3, sum(lengths), hz)
    for camera in episodes[0].meta.cameras:
        seen = np.concatenate([e.images[camera][:-1] for e in episodes])
        assert info["features"][IMAGES + camera]["dtype"] == pictures
        if pictures == "image":
            blobs = [row["bytes"] for row in rows[IMAGES + camera]]
            shown = np.stack([np.asarray(Image.open(BytesIO(blob))) for blob in blobs])
            np.testing.assert_array_equal(shown, seen)
        else:
            paths = sorted((out / "videos" / (IMAGES + camera)).rglob("*.mp4"))
            assert np.concatenate([video.read(path) for path in paths]).shape == seen.shape


def test_the_table_of_episodes_leads_to_rows_and_videos(store: EpisodeStore, tmp_path: Path) -> None:
    out = tmp_path / "set"
    export(store.path, out=out)
    table = pq.read_table(out / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    info, rows = json.loads((out / "meta/info.json").read_text()), _rows(out)
    tasks = pq.read_table(out / "meta/tasks.parquet").to_pydict()
    for number, record in enumerate(table):
        assert record["episode_index"] == number
        span = slice(record["dataset_from_index"], record["dataset_to_index"])
        assert set(rows["episode_index"][span]) == {number}
        assert record["length"] == span.stop - span.start
        named = {"chunk_index": record["data/chunk_index"], "file_index": record["data/file_index"]}
        own = pq.read_table(out / info["data_path"].format(**named))
        assert own["index"].to_pylist() == [*range(span.start, span.stop)]
        (task,) = record["tasks"]
        assert tasks["__index_level_0__"][rows["task_index"][span.start]] == task
        for key in (name for name in info["features"] if name.startswith(IMAGES)):
            named = {name: record[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
            assert (
                len(video.read(out / info["video_path"].format(video_key=key, **named))) == record["length"]
            )
            length_s = record[f"videos/{key}/to_timestamp"] - record[f"videos/{key}/from_timestamp"]
            assert length_s == pytest.approx(record["length"] / info["fps"], abs=1e-6)


def test_statistics_are_those_of_all_that_was_written(store: EpisodeStore, tmp_path: Path) -> None:
    out = tmp_path / "set"
    export(store.path, out=out, pictures="image")
    stats, episodes = json.loads((out / "meta/stats.json").read_text()), _chosen(store)
    actions = np.concatenate([e.action for e in episodes]).astype(np.float64)
    for name, expected in (("mean", actions.mean(0)), ("std", actions.std(0)), ("min", actions.min(0))):
        np.testing.assert_allclose(stats["action"][name], expected)
    np.testing.assert_allclose(stats["action"]["q10"], np.quantile(actions, 0.1, axis=0))
    pixels = np.concatenate([e.images["front"][:-1] for e in episodes]).reshape(-1, 3) / 255.0
    seen = stats[IMAGES + "front"]
    assert np.shape(seen["std"]) == (3, 1, 1)
    for name, expected in (("mean", pixels.mean(0)), ("std", pixels.std(0)), ("max", pixels.max(0))):
        np.testing.assert_allclose(np.ravel(seen[name]), expected)
    found = np.quantile(pixels, 0.9, axis=0, method="inverted_cdf")
    np.testing.assert_allclose(np.ravel(seen["q90"]), found)
    assert seen["count"] == stats["action"]["count"] == [len(actions)]


def test_a_video_is_near_what_was_seen(tmp_path: Path) -> None:
    """Of a picture of the kind that is drawn here: smooth, with edges; colours are kept at half the size."""
    y, x = np.mgrid[:64, :64]
    frames = np.stack(
        [np.stack([2 * x + t, 2 * y, np.where(x + t > 40, 200, 60)], axis=-1) for t in range(12)]
    ).astype(np.uint8)
    video.write(tmp_path / "v.mp4", frames, fps=10)
    error = video.read(tmp_path / "v.mp4").astype(float) - frames
    assert 10 * np.log10(255**2 / (error**2).mean()) > 30.0  # dB


def test_what_is_interrupted_goes_on(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that is whole is written again, and the end is the same."""
    export(store.path, out=tmp_path / "whole")
    written: list[int] = []
    real = write._write_episode

    def stops(episode: Episode, place: Any, *others: Any) -> None:
        if len(written) == 2:
            written.append(-1)
            raise KeyboardInterrupt
        written.append(place.number)
        real(episode, place, *others)

    with monkeypatch.context() as patch:
        patch.setattr(write, "_write_episode", stops)
        with pytest.raises(KeyboardInterrupt):
            export(store.path, out=tmp_path / "part")
        assert not (tmp_path / "part/meta/info.json").exists()
        export(store.path, out=tmp_path / "part")
    assert written == [0, 1, -1, 2]
    for path in (path for path in (tmp_path / "whole").rglob("*") if path.is_file()):
        assert (tmp_path / "part" / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()


def test_what_cannot_be_exported_is_said(store: EpisodeStore, tmp_path: Path) -> None:
    out = tmp_path / "set"
    with pytest.raises(ValueError, match="unknown picture format 'gif'"):
        export(store.path, out=out, pictures="gif")
    store.commit(fake_episode(np.random.default_rng(0), steps=5, size=16, arm="ur5e"))
    with pytest.raises(ValueError, match="has episodes of panda, ur5e; a dataset has one arm: say --arms"):
        export(store.path, out=out)
    with pytest.raises(ValueError, match="unknown arm in .* 'sawyer'"):
        export(store.path, out=out, pick=Selection(arms=("sawyer",)))
    export(store.path, out=out, pick=Selection(arms=("panda",), outcome="success"))
    with pytest.raises(ValueError, match="holds an export of other episodes; choose another --out"):
        export(store.path, out=out, pick=Selection(arms=("ur5e",)))
    with pytest.raises(ValueError, match="is not empty, and not an export"):
        export(store.path, out=store.path, pick=Selection(arms=("ur5e",)))


def test_failures_are_taken_if_asked_for(store: EpisodeStore, tmp_path: Path) -> None:
    export(store.path, out=tmp_path / "set", pick=ALL, pictures="image")
    assert len(np.unique(_rows(tmp_path / "set")["episode_index"])) == 4


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(
        MissingExtra,
        match=r"no_such_thing is not installed; pip install '.\[x\]' in this project's folder brings",
    ):
        extra("no_such_thing.at_all", "x")


def test_levels_of_one_picture() -> None:
    picture = np.zeros((1, 2, 2, 3), np.uint8)
    picture[0, 0, 0] = 255
    stats = statistics.of_pictures(statistics.histogram(picture), 1)
    assert np.ravel(stats["mean"]).tolist() == [0.25] * 3 and np.ravel(stats["max"]).tolist() == [1.0] * 3
    assert np.ravel(stats["q50"]).tolist() == [0.0] * 3 and np.ravel(stats["q99"]).tolist() == [1.0] * 3
