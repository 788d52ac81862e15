"""The page of an episode holds all of it, and needs nothing from outside."""

import base64
import json
import re
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from demos.page import page
from tests.fakes import fake_episode


def _said(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="episode">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def _picture(source: str) -> np.ndarray:
    kind, _, data = source.partition(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(BytesIO(base64.b64decode(data))))


@pytest.mark.parametrize("with_goal", [True, False])
def test_every_moment_and_number_is_there(with_goal: bool) -> None:
    episode = fake_episode(np.random.default_rng(1), steps=7, cameras=("front", "wrist"), size=16)
    goal = {camera: np.full((16, 16, 3), (200, 0, 200), np.uint8) for camera in ("front", "wrist")}
    said = _said(page(episode, goal if with_goal else {}))
    assert said["moments"] == 8
    assert {camera: len(frames) for camera, frames in said["images"].items()} == {"front": 8, "wrist": 8}
    assert set(said["goal"]) == ({"front", "wrist"} if with_goal else set())
    for source in said["goal"].values():
        assert np.abs(_picture(source).astype(int) - (200, 0, 200)).max() < 8
    curves = {curve["name"]: curve for curve in said["curves"]}
    meta = episode.meta
    assert len(curves) == 2 + len(meta.action_names) + len(meta.proprio_names)
    np.testing.assert_allclose(curves["progress"]["values"], episode.progress, atol=1e-4)
    for i, name in enumerate(meta.action_names):
        np.testing.assert_allclose(curves[f"action {name}"]["values"], episode.action[:, i], atol=1e-4)
    for i, (name, unit) in enumerate(zip(meta.proprio_names, meta.proprio_units, strict=True)):
        curve = curves[f"{name} [{unit}]"]
        np.testing.assert_allclose(curve["values"], episode.proprio[:, i], atol=1e-4)
        assert (curve["low"], curve["high"]) == meta.proprio_ranges[i]


def test_nothing_comes_from_outside_and_no_name_ends_the_script() -> None:
    episode = fake_episode(np.random.default_rng(0), controller="policy", policy="</script><b>", generation=1)
    html = page(episode, {})
    assert "</script><b>" not in html
    assert "</script><b>" in _said(html)["about"]
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!data:)", html)
    assert "http" not in html.replace("http://www.w3.org/", "")
