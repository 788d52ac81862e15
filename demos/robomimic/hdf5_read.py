"""`robocat data import robomimic`: demonstrations of a robomimic file as a store's episodes.

robocat data import robomimic exports/lift.hdf5 --out runs/back
robocat data import robomimic low_dim.hdf5 --out runs/theirs --arm panda --task their-lift

What was exported from a store comes back as it was. Of another project's file, every picture among the
observations is a camera and all numbers together are the proprioception, under their own names. What such a
file does not say stays unsaid: progress is 0 until success, no simulator's state follows the last action but
the one before it, and after the last action nothing is seen but what `next_obs` holds, if it is there.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tyro.conf import Positional

from demos.episode import Episode, EpisodeMeta, Outcome, Provenance, episode_id
from demos.extras import extra
from demos.progress import progress
from demos.robomimic import EXTRA, IMAGE, PROPRIO
from demos.store import EpisodeStore

HZ = 20.0  # robosuite's usual rate, where a file does not say another one


def import_(file: Positional[Path], *, out: Path, arm: str | None = None, task: str | None = None) -> None:
    """Commits a robomimic file's demonstrations to a store; goes on where it was interrupted.

    Args:
        file: The file.
        out: The store that takes them; it may be there already.
        arm: Name of the arm, if the file is another project's; its robot's if not given.
        task: Name of the task, if the file is another project's; its environment's if not given.
    """
    h5py = extra("h5py", EXTRA)
    if not file.exists():
        raise FileNotFoundError(f"no file at {file}")
    store = EpisodeStore(out)
    with h5py.File(file, "r") as opened:
        if "data" not in opened:
            raise ValueError(f"{file} has no group 'data', so is no file of robomimic's")
        data = opened["data"]
        names = sorted((name for name in data if name.startswith("demo")), key=_number)
        said = _Said.of(data, arm, task)
        new = 0
        with progress(file.name, len(names)) as advance:
            for name in names:
                episode = (
                    _own(data[name]) if "robocat" in data[name].attrs else said.episode(name, data[name])
                )
                if not (store.exists and episode.id in store):
                    store.commit(episode)
                    new += 1
                advance(1)
    print(f"{out}: {new} new episodes; {len(store) if store.exists else 0} in all")


def _number(name: str) -> tuple[int, str]:
    digits = re.sub(r"\D", "", name)
    return int(digits or 0), name


def _own(group: Any) -> Episode:
    """What `write_demo` wrote, as it was."""
    meta, own = EpisodeMeta.from_json(group.attrs["robocat"]), group["robocat"]
    seen = {camera: _joined(group, f"{camera}{IMAGE}") for camera in meta.cameras}
    return Episode(
        images=seen,
        proprio=_joined(group, PROPRIO),
        action=group["actions"][:],
        label=own["label"][:],
        success=own["success"][:],
        progress=own["progress"][:],
        state=np.concatenate([group["states"][:], own["last_state"][:][None]]),
        wall_time=own["wall_time"][:],
        goal={camera: own["goal"][camera][:] for camera in own.get("goal", ())},
        meta=meta,
    )


def _joined(group: Any, key: str) -> NDArray[Any]:
    """All T + 1 observations of a key; without `next_obs` the last one stands twice."""
    seen = group["obs"][key][:]
    after = group["next_obs"][key][-1:] if "next_obs" in group and key in group["next_obs"] else seen[-1:]
    return np.concatenate([seen, after])


class _Said:
    """What another project's file says of all its demonstrations."""

    def __init__(
        self, arm: str, task: str, control_hz: float, ranges: Mapping[str, tuple[float, float]]
    ) -> None:
        self._arm, self._task, self._hz, self._ranges = arm, task, control_hz, ranges

    @staticmethod
    def of(data: Any, arm: str | None, task: str | None) -> "_Said":
        """Reads what is said of the environment, and the ranges of all numbers."""
        about: dict[str, Any] = json.loads(data.attrs.get("env_args", "{}"))
        options: dict[str, Any] = about.get("env_kwargs", {})
        robots = options.get("robots", "unknown")
        robot = robots if isinstance(robots, str) else robots[0]
        low: dict[str, float] = {}
        high: dict[str, float] = {}
        for name in data:
            for channel, values in _channels(data[name]).items():
                low[channel] = min(low.get(channel, np.inf), float(values.min()))
                high[channel] = max(high.get(channel, -np.inf), float(values.max()))
        # A channel that never moves has a range all the same.
        ranges = {name: (low[name], max(high[name], low[name] + 1e-6)) for name in low}
        named = task or _slug(str(about.get("env_name", "unknown")))
        return _Said(arm or _slug(robot), named, float(options.get("control_freq", HZ)), ranges)

    def episode(self, name: str, group: Any) -> Episode:
        """A demonstration.

        Raises:
            ValueError: If it has no actions or observations, actions beyond [-1, 1], or pictures of several
                sizes.
        """
        for key in ("actions", "obs"):
            if key not in group:
                raise ValueError(f"{name} has no {key!r}; it has {', '.join(group)}")
        action = group["actions"][:].astype(np.float32)
        channels = _channels(group)
        cameras = sorted(key for key, values in group["obs"].items() if values.ndim == 4)
        seen = {key.removesuffix(IMAGE): _joined(group, key) for key in cameras}
        sizes = {pictures.shape[1:3] for pictures in seen.values()}
        if len(sizes) > 1:
            raise ValueError(f"{name} has pictures of sizes {sorted(sizes)}; expected one size")
        steps = len(action)
        rewards = group["rewards"][:] if "rewards" in group else None
        success = np.zeros(steps, bool) if rewards is None else rewards[:] > 0
        states = group["states"][:] if "states" in group else np.zeros((steps, 0))
        return Episode(
            images=seen,
            proprio=np.stack(list(channels.values()), axis=1).astype(np.float32),
            action=action,
            label=action,
            success=success,
            progress=np.concatenate([[0.0], np.maximum.accumulate(success)]).astype(np.float32),
            state=np.concatenate([states, states[-1:]]).astype(np.float64),
            wall_time=np.zeros(steps + 1),
            meta=self._meta(name, group, tuple(seen), sizes.pop() if sizes else (1, 1), rewards is None),
        )

    def _meta(
        self, name: str, group: Any, cameras: tuple[str, ...], size: tuple[int, int], unjudged: bool
    ) -> EpisodeMeta:
        channels, seed = tuple(_channels(group)), _number(name)[0]
        success = unjudged or bool((group["rewards"][:] > 0).any())
        return EpisodeMeta(
            id=episode_id(self._arm, self._task, "", "teleop", None, None, seed),
            arm=self._arm,
            task=self._task,
            variation="",
            control_hz=self._hz,
            cameras=cameras,
            image_size=size,
            proprio_names=channels,
            proprio_units=("unknown",) * len(channels),
            proprio_ranges=tuple(self._ranges[channel] for channel in channels),
            action_names=tuple(f"action_{i}" for i in range(group["actions"].shape[1])),
            outcome=Outcome(success, judged_by="whoever made the file" if unjudged else "reward"),
            provenance=Provenance("teleop", seed=seed),
            mujoco_version="unknown",
            model_hash=hashlib.sha256(str(group.attrs.get("model_file", "")).encode()).hexdigest()[:16],
            gl_renderer="unknown",
            created=datetime.now(UTC).isoformat(),
        )


def _channels(group: Any) -> dict[str, NDArray[Any]]:
    """Every number among the observations (T + 1,), by a name of its own."""
    found: dict[str, NDArray[Any]] = {}
    for key in sorted(group["obs"]) if "obs" in group else ():
        if group["obs"][key].ndim <= 2:
            values = _joined(group, key)
            table = values.reshape(len(values), -1)
            found |= {f"{key}_{i}": table[:, i] for i in range(table.shape[1])}
    return found


def _slug(text: str) -> str:
    """A name that may be part of an id."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.").lower() or "unknown"
