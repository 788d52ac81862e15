"""`robocat data import robomimic`: demonstrations of a robomimic file as a store's episodes.

robocat data import robomimic exports/lift.hdf5 --out runs/back
robocat data import robomimic low_dim.hdf5 --out runs/theirs --arm panda --task their-lift --outcome success

What was exported from a store comes back as it was. A file that names one of our environments and has states
and actions alone, as robosuite's do before observations are drawn, is replayed in it: see `simulated`. Of
another project's file every picture among the observations is a camera, and all numbers together are the
proprioception, under their own names; what it does not say is filled in as `demos.foreign` has it, and at the
end a line tells of each thing filled in or left out.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tyro.conf import Positional

from demos.episode import OPTIONAL, Episode, EpisodeMeta
from demos.foreign import (
    AS_IT_IS,
    LAST_TWICE,
    OnTerms,
    Ranges,
    Recording,
    Remarks,
    Source,
    Terms,
    is_there,
    name_of,
    ranges,
)
from demos.progress import progress
from demos.robomimic import EXTRA, IMAGE, PROPRIO
from demos.robomimic.simulated import Simulated, is_ours
from demos.store import EpisodeStore
from sim.extras import extra
from sim.names import pick

HZ = 20.0  # robosuite's usual rate, where a file does not say another one
UNDERSTOOD = {"actions", "states", "rewards", "dones", "obs", "next_obs"}


def import_(
    file: Positional[Path], *, out: Path, variation: str | None = None, terms: OnTerms = AS_IT_IS
) -> None:
    """Commits a robomimic file's demonstrations to a store; goes on where it was interrupted.

    Args:
        file: The file.
        out: The store that takes them; it may be there already.
        variation: Which one, where demonstrations are replayed and the file does not say.
        terms: For files of other projects; what was exported from a store says it all itself.
    """
    h5py = extra("h5py", EXTRA)
    if not file.exists():
        raise FileNotFoundError(f"no file at {file}")
    remarks = Remarks()
    if not h5py.is_hdf5(file):
        raise ValueError(f"{file} is no HDF5 file")
    with h5py.File(file, "r") as opened:
        if "data" not in opened:
            raise ValueError(f"{file} has no group 'data', so is no file of robomimic's")
        data = opened["data"]
        demos = [data[name] for name in sorted((n for n in data if n.startswith("demo")), key=_number)]
        about: dict[str, Any] = json.loads(data.attrs.get("env_args", "{}"))
        if all("robocat" in demo.attrs for demo in demos):
            read: _Own | _Theirs | Simulated = _Own()
        elif is_ours(about) and not any("obs" in demo for demo in demos):
            read = Simulated(about, variation, terms, remarks)
        else:
            read = _Theirs(demos, about, terms, remarks)
        new = _commit(demos, read, EpisodeStore(out), file.name)
    print(f"{out}: {new} new episodes of {len(demos)} in {file}")
    remarks.show()


def _commit(demos: Sequence[Any], read: "_Own | _Theirs | Simulated", store: EpisodeStore, name: str) -> int:
    """Commits the demonstrations that the store lacks, one at a time; returns how many."""
    new = 0
    with progress(name, len(demos)) as advance:
        for demo in demos:
            number = _number(demo.name)[0]
            if not is_there(store, read.id_of(number, demo), read.actions(demo)):
                store.commit(read.episode(number, demo))
                new += 1
            advance(1)
    return new


def _number(name: str) -> tuple[int, str]:
    digits = re.sub(r"\D", "", name.rpartition("/")[2])
    return int(digits or 0), name


class _Own:
    """What `write_demo` wrote, as it was."""

    def id_of(self, number: int, demo: Any) -> str:
        """Of the episode that was exported."""
        del number
        return EpisodeMeta.from_json(demo.attrs["robocat"]).id

    def actions(self, demo: Any) -> NDArray[np.float32]:
        """As they were executed (T, A)."""
        return demo["actions"][:]

    def episode(self, number: int, demo: Any) -> Episode:
        """The episode that was exported."""
        del number
        meta, own = EpisodeMeta.from_json(demo.attrs["robocat"]), demo["robocat"]
        return Episode(
            images={camera: _joined(demo, f"{camera}{IMAGE}") for camera in meta.cameras},
            proprio=_joined(demo, PROPRIO),
            action=demo["actions"][:],
            label=own["label"][:],
            success=own["success"][:],
            progress=own["progress"][:],
            state=np.concatenate([demo["states"][:], own["last_state"][:][None]]),
            wall_time=own["wall_time"][:],
            goal={camera: own["goal"][camera][:] for camera in own.get("goal", ())},
            meta=meta,
            **{name: own[name][:] for name in OPTIONAL if name in own},
        )


class _Theirs:
    """Demonstrations of another project's file."""

    def __init__(self, demos: Sequence[Any], about: dict[str, Any], terms: Terms, remarks: Remarks) -> None:
        made: dict[str, Any] = about.get("env_kwargs", {})
        robots = made.get("robots", "unknown")
        arm = terms.arm or name_of(robots if isinstance(robots, str) else robots[0])
        rate = float(made.get("control_freq", HZ))
        self._source = Source(arm, rate, *_checked(demos), "reward", terms, remarks)
        self._task = terms.task or name_of(str(about.get("env_name", "unknown")))
        cameras = terms.cameras
        seen = {key for demo in demos for key in demo["obs"]}
        there = {key.removesuffix(IMAGE): key for key in sorted(seen) if _is_picture(demos[0], key)}
        for camera in cameras:
            pick(there, camera, "camera")
        self._cameras = {name: key for name, key in there.items() if not cameras or name in cameras}
        others = {key for demo in demos for key in demo} - UNDERSTOOD
        if left := sorted(others | set(there.values()) - set(self._cameras.values())):
            remarks.say(f"left out: {', '.join(left)}")
        if any(seen - set(demo.get("next_obs", ())) for demo in demos):
            remarks.say(LAST_TWICE)

    def id_of(self, number: int, demo: Any) -> str:
        del demo
        return self._source.id_of(number, self._task)

    def actions(self, demo: Any) -> NDArray[np.float32]:
        return self._source.actions(_actions(demo))

    def episode(self, number: int, demo: Any) -> Episode:
        rewards = demo["rewards"][:] if "rewards" in demo else None
        return self._source.episode(
            Recording(
                number=number,
                task=self._task,
                images={name: _joined(demo, key) for name, key in self._cameras.items()},
                proprio=np.stack(list(_channels(demo).values()), axis=1),
                action=_actions(demo),
                success=None if rewards is None else rewards > 0,
                states=demo["states"][:].astype(np.float64) if "states" in demo else None,
                model=hashlib.sha256(str(demo.attrs.get("model_file", "")).encode()).hexdigest()[:16],
            )
        )


def _actions(demo: Any) -> NDArray[np.float32]:
    return demo["actions"][:].astype(np.float32)


def _joined(demo: Any, key: str) -> NDArray[Any]:
    """All T + 1 observations of a key; without `next_obs` the last one stands twice."""
    seen = demo["obs"][key][:]
    after = demo["next_obs"][key][-1:] if key in demo.get("next_obs", ()) else seen[-1:]
    return np.concatenate([seen, after])


def _is_picture(demo: Any, key: str) -> bool:
    return key in demo["obs"] and demo["obs"][key].ndim == 4


def _channels(demo: Any) -> dict[str, NDArray[np.float32]]:
    """Every number among the observations (T + 1,), by a name of its own."""
    found: dict[str, NDArray[np.float32]] = {}
    for key in sorted(demo["obs"]):
        if demo["obs"][key].ndim <= 2:
            values = _joined(demo, key)
            table = values.reshape(len(values), -1).astype(np.float32)
            found |= {f"{key}_{i}": table[:, i] for i in range(table.shape[1])}
    return found


def _checked(demos: Sequence[Any]) -> tuple[Ranges, Ranges]:
    """The ranges of all numbers observed, and of actions.

    Raises:
        ValueError: If a demonstration has no actions or observations, or others than the first.
    """
    for demo in demos:
        for key in ("actions", "obs"):
            if key not in demo:
                raise ValueError(f"{demo.name} has no {key!r}; it has {', '.join(demo)}")
        if (mine := sorted(demo["obs"])) != (first := sorted(demos[0]["obs"])):
            raise ValueError(f"{demo.name} observes {mine}, and {demos[0].name} {first}")
    if not demos:
        raise ValueError("there are no demonstrations in it")
    names = [f"action_{i}" for i in range(demos[0]["actions"].shape[1])]
    observed = ranges(
        _channels(demos[0]), (np.stack(list(_channels(demo).values()), axis=1) for demo in demos)
    )
    return observed, ranges(names, map(_actions, demos))
