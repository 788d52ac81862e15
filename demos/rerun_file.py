"""An episode as a file of Rerun's (`rerun out.rrd`): pictures, curves and who acted, over steps and time.

    cameras/<camera>, goal/<camera>             PNG, lossless
    action, label, commanded / <channel>        what was done, meant and, of teleoperation, asked
    proprioception/<channel>, progress, success
    actor                                       who holds the controls, where that changes
    episode                                     what it is, in words

Each stands on three timelines: `step`, `time` since the first observation [s], and `recorded`, wall clock.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demos.episode import CONTROLLERS, Episode
from demos.page import facts
from demos.png import pack
from demos.staging import whole
from sim.extras import extra


def write_rerun(episode: Episode, goal: Mapping[str, NDArray[np.uint8]], out: Path) -> None:
    """Writes an episode for Rerun's viewer; the file appears whole or not at all.

    Args:
        episode: With its images.
        goal: Picture per camera, uint8 (H, W, 3), or none.
        out: The file, .rrd.

    Raises:
        MissingExtra: If Rerun is not installed.
        ValueError: If the file's name ends otherwise.
    """
    if out.suffix != ".rrd":
        raise ValueError(f"file {out}: expected a name that ends in .rrd")
    rr: Any = extra("rerun", "rerun")
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole(out) as aside:
        recording = rr.RecordingStream("robocat", recording_id=episode.id)
        recording.save(aside, default_blueprint=_layout(episode, goal))
        recording.send_recording_name(episode.id)
        _log_pictures(rr, recording, episode, goal)
        _log_curves(rr, recording, episode)
        words = "\n".join(f"| {name} | {value} |" for name, value in facts(episode))
        table = rr.TextDocument(f"| | |\n| --- | --- |\n{words}", media_type="text/markdown")
        recording.log("episode", table, static=True)
        recording.disconnect()


def _moments(rr: Any, episode: Episode, moments: Sequence[int] | NDArray[np.int64]) -> list[Any]:
    """Where on the timelines some observations stand."""
    at = np.asarray(moments)
    return [
        rr.TimeColumn("step", sequence=at),
        rr.TimeColumn("time", duration=at / episode.meta.control_hz),
        rr.TimeColumn("recorded", timestamp=episode.wall_time[at]),
    ]


def _log_pictures(rr: Any, recording: Any, episode: Episode, goal: Mapping[str, NDArray[np.uint8]]) -> None:
    every = range(episode.length + 1)
    for camera in episode.meta.cameras:
        name = rr.escape_entity_path_part(camera)
        columns = rr.EncodedImage.columns(
            blob=pngs(episode.images[camera]), media_type=["image/png"] * len(every)
        )
        recording.send_columns(f"cameras/{name}", _moments(rr, episode, every), columns)
        if camera in goal:
            (png,) = pngs(goal[camera][None])
            recording.log(f"goal/{name}", rr.EncodedImage(contents=png, media_type="image/png"), static=True)


def pngs(images: NDArray[np.uint8]) -> list[bytes]:
    """Images (N, H, W, 3) as N PNGs, which any viewer opens."""
    blobs, offsets = pack(images)
    data = blobs.tobytes()
    return [data[start:end] for start, end in zip(offsets[:-1], offsets[1:], strict=True)]


def _log_curves(rr: Any, recording: Any, episode: Episode) -> None:
    meta, steps = episode.meta, np.arange(episode.length)
    every = np.arange(episode.length + 1)

    def log(path: str, at: NDArray[np.int64], values: NDArray[Any]) -> None:
        columns = rr.Scalars.columns(scalars=values.astype(np.float64))
        recording.send_columns(path, _moments(rr, episode, at), columns)

    log("progress", every, episode.progress)
    log("success", steps + 1, episode.success)  # the predicate after each step
    channels = (
        ("action", steps, meta.action_names, episode.action),
        ("label", steps, meta.action_names, episode.label),
        ("commanded", steps, meta.action_names, episode.commanded),
        ("proprioception", every, meta.proprio_names, episode.proprio),
    )
    for group, at, names, values in channels:
        if values is not None:
            for name, column in zip(names, values.T, strict=True):
                log(f"{group}/{rr.escape_entity_path_part(name)}", at, column)
    if episode.actor is not None:
        changes = np.flatnonzero(np.diff(episode.actor, prepend=np.uint8(255)))
        words = [CONTROLLERS[number] for number in episode.actor[changes]]
        recording.send_columns("actor", _moments(rr, episode, changes), rr.TextLog.columns(text=words))


def _layout(episode: Episode, goal: Mapping[str, NDArray[np.uint8]]) -> Any:
    """How the viewer shows it at first: pictures on the left, curves on the right."""
    rrb: Any = extra("rerun.blueprint", "rerun")
    shown = [f"cameras/{camera}" for camera in episode.meta.cameras]
    shown += [f"goal/{camera}" for camera in episode.meta.cameras if camera in goal]
    pictures = rrb.Grid(*(rrb.Spatial2DView(origin=path, name=path) for path in shown))
    curves = (
        ("outcome", ["progress", "success"]),
        ("action", ["action/**", "commanded/**"]),
        ("proprioception", ["proprioception/**"]),
    )
    unnamed = rrb.PlotLegend(visible=False)  # dozens of names would hide the curves; the pointer tells them
    series = [
        rrb.TimeSeriesView(origin="/", contents=paths, name=name, plot_legend=unnamed)
        for name, paths in curves
    ]
    words = [rrb.TextDocumentView(origin="episode", name="episode")]
    if episode.actor is not None:
        words.append(rrb.TextLogView(origin="actor", name="actor"))
    left = rrb.Vertical(pictures, rrb.Tabs(*words), row_shares=[3, 1])
    return rrb.Blueprint(rrb.Horizontal(left, rrb.Vertical(*series)), collapse_panels=True)
