"""`robocat data replay`: a store's episodes acted again, and how far that strays from what was recorded.

In the build that recorded them they come out bit for bit. In another one (MuJoCo or a model changed) that is
said, and the deviation measured.
"""

from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from demos.episode import Episode, EpisodeMeta
from demos.progress import progress
from demos.replay import environment, refuse_real, replay
from demos.rollout import model_hash
from demos.select import ALL, Choice
from demos.store import EpisodeStore
from sim.env import ManipulationEnv
from sim.own import declare


@dataclass(frozen=True)
class Deviation:
    """How a replay differs from its episode, over the steps that both have.

    Attributes:
        exact: Whether states, proprioception and success are equal, bit by bit, over all steps.
        build: What changed since the recording, such as "MuJoCo 3.2.0 to 3.3.0"; "" for the same build.
        most: The greatest difference of proprioception by unit [rad], [m].
        steps: Steps of the episode and of the replay.
        success: Outcome of the predicate at the end of the episode and of the replay.
    """

    exact: bool
    build: str
    most: dict[str, float]
    steps: tuple[int, int]
    success: tuple[bool, bool]


def again(
    store: Positional[Path],
    *,
    pick: Choice = ALL,
    ids: tuple[str, ...] = (),
    at_most: int | None = None,
    own: tuple[Path, ...] = (),
) -> None:
    """Acts episodes again from their first states; exit code 1 if one of the same build comes out otherwise.

    Args:
        store: The store.
        pick: Only such episodes.
        ids: Only these.
        at_most: No more than so many, the first by id.
        own: Files that declare arms and tasks of yours which act in the episodes.
    """
    if at_most is not None and at_most < 1:
        raise ValueError(f"at most {at_most} is too few; expected 1 or more")
    for file in own:
        declare(file)
    source = EpisodeStore(store)
    chosen = list(ids) or [entry.id for entry in pick.of(source)]
    chosen = chosen[:at_most]
    found: dict[str, Deviation] = {}
    with progress("replaying", len(chosen)) as advance:
        for id in chosen:
            found[id] = deviation(source.load(id, images=False))
            advance(1)
    strayed = {id: each for id, each in found.items() if not each.exact}
    _show(strayed)
    print(f"{store}: {len(found)} replayed, {len(found) - len(strayed)} to the last bit")
    if any(not each.build for each in strayed.values()):
        raise SystemExit(1)


def deviation(episode: Episode, env: ManipulationEnv | None = None) -> Deviation:
    """Replays an episode here and compares.

    Args:
        episode: Its images are not needed.
        env: Where; None makes the environment that it was recorded in.

    Raises:
        ValueError: It is of a real arm, there is no such environment, or its state has another size than the
            recorded one.
    """
    refuse_real(episode)
    env = env or environment(episode.meta)
    second = replay(episode, env, any_build=True)
    common = min(len(episode.proprio), len(second.proprio))
    apart = np.abs(episode.proprio[:common] - second.proprio[:common]).max(axis=0)
    most: dict[str, float] = {}
    for unit, value in zip(episode.meta.proprio_units, apart, strict=True):
        most[unit] = max(most.get(unit, 0.0), float(value))
    exact = all(
        getattr(episode, key).tobytes() == getattr(second, key).tobytes()
        for key in ("state", "proprio", "success", "progress")
    )
    steps = (episode.length, second.length)
    ended = (bool(episode.success[-1]), bool(second.success[-1]))
    return Deviation(exact, _changed(episode.meta, env), most, steps, ended)


def _changed(meta: EpisodeMeta, env: ManipulationEnv) -> str:
    """What of the build is not as it was at the recording."""
    said: list[str] = []
    if meta.mujoco_version != mujoco.__version__:
        said.append(f"MuJoCo {meta.mujoco_version} to {mujoco.__version__}")
    if meta.model_hash != (now := model_hash(env.scene.model)):
        said.append(f"model {meta.model_hash[:8]} to {now[:8]}")
    return ", ".join(said)


def _show(strayed: dict[str, Deviation]) -> None:
    if not strayed:
        return
    table = Table("episode", "build", "most", "steps", "success", title="not to the last bit")
    for id, each in strayed.items():
        most = ", ".join(f"{value:.2g} {unit}" for unit, value in each.most.items())
        steps, success = (" to ".join(map(str, pair)) for pair in (each.steps, each.success))
        table.add_row(id, each.build or "the same", most, steps, success)
    Console().print(table)
