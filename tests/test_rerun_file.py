"""A file of Rerun's holds all of an episode, read back by Rerun itself."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demos.episode import CONTROLLERS
from demos.rerun_file import pngs, write_rerun
from demos.store import EpisodeStore
from demos.view import view
from sim.extras import MissingExtra
from tests.fakes import fake_episode


def _read(file: Path) -> dict[str, dict[str, list[Any]]]:
    """Columns by entity, times [ns]; several chunks one after another."""
    chunk = pytest.importorskip("rerun.chunk")
    found: dict[str, dict[str, list[Any]]] = {}
    for part in chunk.RrdReader(str(file)).stream():
        columns = found.setdefault(part.entity_path, {})
        batch = part.to_record_batch()
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            in_ns = str(values.type).startswith(("timestamp", "duration"))
            columns.setdefault(name, []).extend((values.cast("int64") if in_ns else values).to_pylist())
    for columns in found.values():
        if "step" in columns:  # a chunk may be sorted by another timeline
            order = np.argsort(columns["step"])
            columns.update({name: [values[i] for i in order] for name, values in columns.items()})
    return found


def _values(columns: dict[str, list[Any]], ending: str) -> list[Any]:
    return next(values for name, values in columns.items() if name.endswith(ending))


def test_every_array_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rerun", reason="no rerun; pip install '.[rerun]' brings it")
    episode = fake_episode(
        np.random.default_rng(0), 6, size=16, controller="policy", policy="cat", control_hz=20
    )
    store, out = EpisodeStore(tmp_path / "store"), tmp_path / "new" / "out.rrd"
    store.commit(episode)
    view((str(store.path),), rerun=out)
    assert capsys.readouterr().out.split() == [str(out)]
    assert [file.name for file in out.parent.iterdir()] == ["out.rrd"]
    read = _read(out)
    for group, names, values in (
        ("action", episode.meta.action_names, episode.action),
        ("label", episode.meta.action_names, episode.label),
        ("commanded", episode.meta.action_names, episode.commanded),
        ("proprioception", episode.meta.proprio_names, episode.proprio),
    ):
        assert values is not None
        for name, column in zip(names, values.T, strict=True):
            columns = read[f"/{group}/{name}"]
            np.testing.assert_array_equal(np.ravel(_values(columns, "Scalars:scalars")), column)
            assert columns["step"] == list(range(len(column)))
    np.testing.assert_array_equal(np.ravel(_values(read["/progress"], "Scalars:scalars")), episode.progress)
    assert read["/success"]["step"] == list(range(1, 7))
    assert read["/progress"]["time"] == [moment * 50_000_000 for moment in range(7)]
    np.testing.assert_allclose(read["/progress"]["recorded"], episode.wall_time * 1e9, atol=2e3)
    for camera in episode.meta.cameras:
        for path, pictures in (("cameras", episode.images[camera]), ("goal", episode.goal[camera][None])):
            blobs = _values(read[f"/{path}/{camera}"], "EncodedImage:blob")
            for (blob,), picture in zip(blobs, pictures, strict=True):
                with Image.open(io.BytesIO(bytes(blob))) as png:
                    np.testing.assert_array_equal(np.asarray(png), picture)
    assert episode.actor is not None
    changes = [0, *(np.flatnonzero(np.diff(episode.actor)) + 1)]
    assert read["/actor"]["step"] == changes
    said = [word for (word,) in _values(read["/actor"], "TextLog:text")]
    assert said == [CONTROLLERS[episode.actor[step]] for step in changes]
    assert episode.id in _values(read["/episode"], "TextDocument:text")[0][0]


def test_every_picture_is_a_png_of_its_own() -> None:
    images = fake_episode(np.random.default_rng(0), 6, size=16).images["front"]
    for blob, image in zip(pngs(images), images, strict=True):
        with Image.open(io.BytesIO(blob)) as png:
            assert png.format == "PNG"
            np.testing.assert_array_equal(np.asarray(png), image)


def test_what_is_missing_or_misnamed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    episode = fake_episode(np.random.default_rng(0))
    with pytest.raises(ValueError, match="out.txt: expected a name that ends in .rrd"):
        write_rerun(episode, {}, tmp_path / "out.txt")
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingExtra, match=r"rerun is not installed; pip install '.\[rerun\]'"):
        write_rerun(episode, {}, tmp_path / "out.rrd")
    assert list(tmp_path.iterdir()) == []
