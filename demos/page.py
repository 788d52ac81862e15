"""An episode as one self-contained page for the browser: cameras with a slider, a curve for each number."""

import base64
import dataclasses
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demos.episode import Episode

TEMPLATE = Path(__file__).parent / "templates" / "episode.html"
SHARED = Path(__file__).parent / "web" / "page"  # what the page of a store shows an episode with, too
QUALITY = 92  # of JPEG: nothing to be seen at the size of a policy's pictures


def page(episode: Episode, goal: Mapping[str, NDArray[np.uint8]]) -> str:
    """HTML that needs nothing from outside.

    Args:
        episode: With its images.
        goal: Picture per camera, uint8 (H, W, 3), or none.
    """
    meta, who = episode.meta, episode.meta.provenance
    policy = f" {who.policy}, generation {who.generation}" if who.policy else ""
    said = {
        "title": f"{meta.arm}, {meta.task}, {meta.variation}",
        "outcome": meta.outcome.word,
        "said": meta.outcome.said,
        "about": f"by {who.controller}{policy}, seed {who.seed}, {meta.created[:16]}, {meta.id}",
        "control_hz": meta.control_hz,
        "moments": episode.length + 1,
        "images": {camera: [_source(frame) for frame in episode.images[camera]] for camera in meta.cameras},
        "goal": {camera: _source(goal[camera]) for camera in meta.cameras if camera in goal},
        "curves": curves(episode),
    }
    # No "</script>" may stand in a script, whatever a name holds.
    text = json.dumps(said, allow_nan=False).replace("<", "\\u003c")
    parts = {"STYLE": ("curves.css",), "SCRIPT": ("curves.js", "player.js")}
    html = TEMPLATE.read_text(encoding="utf-8")
    for name, files in parts.items():
        html = html.replace(f"@{name}@", "\n".join((SHARED / file).read_text("utf-8") for file in files))
    return html.replace("@EPISODE@", text)


def facts(episode: Episode) -> list[tuple[str, str]]:
    """Names and values of what is told in words."""
    meta, who = episode.meta, episode.meta.provenance
    first, seconds = episode.first_success, episode.length / meta.control_hz
    said = {
        "episode": meta.id,
        "created": meta.created,
        "acted by": who.controller,
        "policy": who.policy,
        "generation": who.generation,
        "seed": who.seed,
        "outcome": meta.outcome.said,
        "predicate held": "never" if first is None else f"first after step {first + 1}",
        "length": f"{episode.length} steps, {seconds:.1f} s at {meta.control_hz:g} Hz",
        "cameras": f"{', '.join(meta.cameras)}, {meta.image_size[1]} x {meta.image_size[0]} px",
        "drawn by": meta.gl_renderer,
        "MuJoCo": meta.mujoco_version,
        "model": meta.model_hash,
        "format": meta.format_version,
    }
    told = [(name, str(value)) for name, value in said.items() if value is not None]
    for name, record in (("randomisation", meta.randomisation), ("drawn", meta.drawn)):
        if record is not None:
            told.append((name, json.dumps(dataclasses.asdict(record))))
    return told


def curves(episode: Episode) -> list[dict[str, Any]]:
    """Progress and success, what was done, and what was felt: names, ranges and values over time.

    Returns:
        Of each curve its `group`, `name`, declared range `low` to `high`, and `values`: at each observation,
        or, where there is one less, of each step from one to the next. `after` says that they hold at the end
        of the step. Of an action that was teleoperated also what was `asked`, before limits of motion.
    """
    meta, asked = episode.meta, episode.commanded
    felt = zip(meta.proprio_names, meta.proprio_units, meta.proprio_ranges, strict=True)
    return [
        _curve("outcome", "progress", (0.0, 1.0), episode.progress),
        _curve("outcome", "success", (0.0, 1.0), episode.success) | {"after": True},
        *(
            _curve("action", f"action {name}", (-1.0, 1.0), episode.action[:, i])
            | ({} if asked is None else {"asked": _numbers(asked[:, i])})
            for i, name in enumerate(meta.action_names)
        ),
        *(
            _curve("proprioception", f"{name} [{unit}]", span, episode.proprio[:, i])
            for i, (name, unit, span) in enumerate(felt)
        ),
    ]


def _curve(group: str, name: str, span: tuple[float, float], values: NDArray[Any]) -> dict[str, Any]:
    return {"group": group, "name": name, "low": span[0], "high": span[1], "values": _numbers(values)}


def _numbers(values: NDArray[Any]) -> list[float]:
    return np.asarray(values, dtype=np.float64).round(4).tolist()


def _source(picture: NDArray[np.uint8]) -> str:
    """A picture as the address of itself."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
