"""Several worlds of one process: their environments, with `mujoco.batch` for the physics."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import mujoco
import numpy as np
from gymnasium import Space, spaces
from mujoco.batch import Batch
from numpy.typing import NDArray

from sim.cameras import Image
from sim.env import ManipulationEnv, Observation

Tree = dict[str, Any]  # arrays by name, some of them by two


class Worlds:
    """The worlds of one process, and the batch that does their physics.

    What goes in and out stands on a board: arrays by name, a row for each world (see `board_space`).
    """

    def __init__(self, recipe: dict[str, Any], count: int, threads: int, board: dict[str, Any]) -> None:
        """Builds as many worlds with the keyword arguments of a recipe."""
        self._envs = [ManipulationEnv(**recipe) for _ in range(count)]
        self._board = board
        # One `MjData` a world, or none could sleep.
        self._batch = Batch(self._envs[0].scene.model, count, threads, persistent=True)
        self._ctrl = self._batch.bind("ctrl")

    def wait(self, _: None) -> None:
        """Does nothing: that it is answered tells that the worlds are built."""

    def reset(self, jobs: Sequence[tuple[int, int | None, dict[str, Any]]]) -> None:
        """Resets some of the worlds: (world, seed, options) of each."""
        for i, seed, options in jobs:
            self._restart(i, seed, options)

    def step(self, _: None) -> None:
        """Steps every world whose episode goes on, and resets the others."""
        board = self._board
        over = (board["terminated"] | board["truncated"]).astype(bool)
        for i in np.flatnonzero(over).tolist():
            self._restart(i, None, {})
        acting = np.flatnonzero(~over)
        if not len(acting):
            return
        plans = np.stack([self._envs[i].plan(board["action"][i]) for i in acting])
        self._simulate(acting, plans)
        for i in acting.tolist():
            self._envs[i].scene.take_over(self._batch.state[i])
            observation, reward, terminated, truncated, info = self._envs[i].conclude()
            ends = {"reward": reward, "terminated": terminated, "truncated": truncated}
            self._write(i, observation, info, ends)

    def render(self, _: None) -> list[Image | None]:
        """Every world's picture."""
        return [env.render() for env in self._envs]

    def _simulate(self, acting: NDArray[np.intp], plans: NDArray[np.float64]) -> None:
        """A control period's physics of some worlds, under their plans (n, pieces, nu)."""
        # Awake, as `Scene.forward` leaves a world: who sleeps is not part of the state.
        self._batch.reset(acting, stage=mujoco.mjtStage.mjSTAGE_NONE.value)
        self._batch.state[acting] = [self._envs[i].scene.state() for i in acting]
        for piece in range(plans.shape[1]):
            self._ctrl[acting] = plans[:, piece]
            self._batch.step(acting, nstep=self._envs[0].piece_steps)

    def _restart(self, i: int, seed: int | None, options: dict[str, Any]) -> None:
        observation, info = self._envs[i].reset(seed=seed, options=options)
        self._write(i, observation, info, {"reward": 0.0, "terminated": False, "truncated": False})

    def _write(self, i: int, observation: Observation, info: dict[str, Any], ends: dict[str, float]) -> None:
        env = self._envs[i]
        said = {**info, "variation": env.task.variations.index(info["variation"])}
        _put(self._board, i, {"observation": observation, "state": env.scene.state(), **said, **ends})


def board_space(env: ManipulationEnv) -> spaces.Dict:
    """What stands on the board for each world, as a space.

    Actions are float64 there, the type that control reckons with, and flags int8.
    """
    flag = spaces.Box(0, 1, (), np.int8)
    number = spaces.Box(-np.inf, np.inf, (), np.float64)
    columns: dict[str, Space[Any]] = {
        "action": spaces.Box(-np.inf, np.inf, (env.arm.action_size,), np.float64),
        "observation": env.observation_space,
        "state": spaces.Box(-np.inf, np.inf, env.scene.state().shape, np.float64),
        "reward": number,
        "terminated": flag,
        "truncated": flag,
        "is_success": flag,
        "progress": number,
        "variation": spaces.Box(0, len(env.task.variations), (), np.int64),
    }
    return spaces.Dict(columns)


def _put(board: Any, i: int, values: Mapping[str, Any]) -> None:
    """Writes values into a row of the arrays of the same names."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            _put(board[name], i, cast("Mapping[str, Any]", value))
        else:
            board[name][i] = value


def rows_of(board: Any, start: int, stop: int) -> Any:
    """The same arrays' rows from `start` to `stop`."""
    if isinstance(board, Mapping):
        items = cast("Mapping[str, Any]", board).items()
        return {name: rows_of(each, start, stop) for name, each in items}
    return board[start:stop]


def copy(board: Any) -> Any:
    if isinstance(board, Mapping):
        return {name: copy(each) for name, each in cast("Mapping[str, Any]", board).items()}
    return board.copy()
