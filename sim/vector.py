"""Many worlds of one arm and task as one `gymnasium.vector.VectorEnv`, each with the bits that it has alone.

Half of a step's time is physics, which `mujoco.batch` spreads over threads. The other half, inverse
kinematics, predicates and pictures, holds Python's lock or a GL context, so only further processes share it:
each worker has some of the worlds, a batch for their physics and a renderer. What they see goes through
shared memory.

Workers are spawned, so a script that starts them does so under `if __name__ == "__main__":`.
"""

import os
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from typing import Any, cast

import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import (
    batch_space,
    create_empty_array,
    create_shared_memory,
    read_from_shared_memory,
)
from numpy.typing import NDArray

from sim.arms.arm import Arm
from sim.cameras import Image
from sim.env import RESET_OPTIONS, ManipulationEnv, Observation
from sim.link import Here, Link, Share, Worker, check_sendable
from sim.names import pick
from sim.tasks.task import Task
from sim.worlds import Tree, Worlds, board_space, copy

Infos = dict[str, Any]
Bools = NDArray[np.bool_]
OPTIONS = tuple(name for name in RESET_OPTIONS if name != "drawn")  # of worlds that are not randomised
WORLDS_PER_THREAD = 4  # with fewer, waking a thread costs the time that it saves
MASK = "reset_mask"  # Gymnasium's name for the option that says which worlds are reset


class VectorManipulationEnv(VectorEnv[Observation, NDArray[np.float32], NDArray[Any]]):
    """Worlds as `ManipulationEnv` has them: given its seeds and actions, each gives the bits that one gives.

    Spaces are batched, infos arrays, as Gymnasium's `SyncVectorEnv` of single environments has them. A world
    whose episode has ended is reset by the next step, which ignores its action and rewards nothing
    (`AutoresetMode.NEXT_STEP`): so each final observation stands where any other would, and images need no
    second place. As without vectors, that reset draws from the generator that the world's last seed started.

    Nothing depends on the number of workers or threads.

    Attributes:
        single: A world that is never stepped, to ask about arm, task, channels, cameras and horizon.
        workers: How many processes step the worlds; 1 is this process alone.
    """

    def __init__(
        self, num_envs: int, arm: Arm | str, task: Task | str, *, workers: int | None = None, **options: Any
    ) -> None:
        """Builds the worlds and starts the workers.

        Args:
            num_envs: How many worlds.
            arm: An arm or its name.
            task: A task or its name.
            workers: How many processes, at most one for each world; 1 starts none. By default one for each
                processor that this process may use.
            options: Of `ManipulationEnv`: cameras, size, control_hz, render_mode.

        Raises:
            ValueError: For a name or number that is not offered, as `ManipulationEnv` has it, and for an arm
                or a task that cannot be sent to another process.
            ChildProcessError: If a worker does not start.
        """
        self.closed = True  # until there is something to close
        for name, count in (("num_envs", num_envs), ("workers", workers)):
            if count is not None and count < 1:
                raise ValueError(f"{name} is {count}, expected 1 or more")
        if options.get("randomise") is not None:
            raise ValueError(
                f"randomise is {options['randomise']!r}, expected None: worlds of a batch share one model; "
                "gymnasium.vector.SyncVectorEnv of single environments randomises"
            )
        self.single = ManipulationEnv(arm, task, **options)
        self.num_envs = num_envs
        self.render_mode = self.single.render_mode
        self.metadata = {**ManipulationEnv.metadata, "autoreset_mode": AutoresetMode.NEXT_STEP}
        self.single_observation_space = self.single.observation_space
        self.single_action_space = self.single.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.workers = min(num_envs, _processors() if workers is None else workers)
        shares = np.array_split(np.arange(num_envs), self.workers)
        self._shares = [(int(rows[0]), len(rows)) for rows in shares]
        self._ready = False
        self._board, self._links = self._start({**options, "arm": arm, "task": task})
        self.closed = False
        self._ask("wait", [None] * self.workers)

    def _start(self, recipe: dict[str, Any]) -> tuple[Tree, list[Link]]:
        """The board (see `sim.worlds`), and the workers that read and write it."""
        space, total = board_space(self.single), self.num_envs
        most = max(count for _, count in self._shares) // WORLDS_PER_THREAD
        threads = max(1, min(_processors() // self.workers, most))
        if self.workers == 1:
            board = cast("Tree", create_empty_array(space, total, np.zeros))
            return board, [Here(Worlds(recipe, total, threads, board))]
        check_sendable(recipe)
        memory = create_shared_memory(space, total, get_context("spawn"))  # type: ignore[arg-type]
        board = cast("Tree", read_from_shared_memory(space, memory, total))  # type: ignore[arg-type]
        shares = [Share(recipe, memory, total, start, count, threads) for start, count in self._shares]
        return board, [Worker(share) for share in shares]

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,  # type: ignore[override]
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, Infos]:
        """Starts an episode in each world.

        Args:
            seed: Of the first world, each other's being one more than the last's; or one for each.
            options: `variation`, `goal` and `state` as `ManipulationEnv.reset` takes them, for all worlds, or
                with one more axis in front (`variation`: a sequence) for each its own. `reset_mask`, bool
                (num_envs,), leaves the other worlds as they are.

        Raises:
            ValueError: For what a single environment refuses too, and for a wrong count. Some worlds may have
                been reset by then, so all must be again.
        """
        seeds = self._seeds(seed)
        options = dict(options or {})
        mask = self._mask(options.pop(MASK, None))
        each = self._options(options)
        if not mask.all() and not self._ready:
            raise ResetNeeded("some worlds have not been reset yet; expected a reset of all first")
        self._ready = False
        self._ask(
            "reset",
            [
                [(i, seeds[start + i], each[start + i]) for i in range(count) if mask[start + i]]
                for start, count in self._shares
            ],
        )
        self._ready = True
        return self._observation(), self._infos(mask)

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[Observation, NDArray[np.float64], Bools, Bools, Infos]:
        """Steps each world under its row of the actions (num_envs, A), or resets it if its episode has ended.

        Raises:
            ValueError: If the actions have the wrong shape, or a number that is not finite in the row of a
                world that is to act; nothing is changed.
        """
        if not self._ready:
            raise ResetNeeded("step before reset; expected a reset of all worlds first")
        self._board["action"][:] = self._checked(actions)
        self._ready = False  # should it fail half way, some worlds have stepped and others have not
        self._ask("step", [None] * self.workers)
        self._ready = True
        ends = self._board["terminated"].astype(bool), self._board["truncated"].astype(bool)
        return (
            self._observation(),
            self._board["reward"].copy(),
            *ends,
            self._infos(np.full(self.num_envs, True)),
        )

    def states(self) -> NDArray[np.float64]:
        """Each world's `scene.state()`, (num_envs, S): where `reset` can go on from."""
        return self._board["state"].copy()

    def render(self) -> tuple[Image, ...] | None:  # type: ignore[override]
        """Each world's picture by the first camera, uint8 (size, size, 3), in render mode "rgb_array"."""
        if self.render_mode is None:
            return None
        return tuple(image for images in self._ask("render", [None] * self.workers) for image in images)

    def close_extras(self, **kwargs: Any) -> None:
        """Ends the workers."""
        del kwargs  # Gymnasium passes what `close` was given.
        for link in self._links:
            link.leave()
        for link in self._links:
            link.end()

    def _ask(self, command: str, arguments: Sequence[Any]) -> list[Any]:
        """Each worker's answer to a command.

        Raises:
            Exception: The first of those that workers answered with.
        """
        if self.closed:
            raise ClosedEnvironmentError(f"{command} after close; expected an environment that is open")
        try:
            for link, argument in zip(self._links, arguments, strict=True):
                link.send(command, argument)
            answers = [link.receive() for link in self._links]
        except BaseException:
            # Interrupted, or with a worker gone: what is not yet received would be taken for a later answer.
            self.close()
            raise
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, int | np.integer):
            return [int(seed) + i for i in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds for {self.num_envs} worlds, expected as many or one")
        return [None if each is None else int(each) for each in seed]

    def _mask(self, mask: Bools | None) -> Bools:
        if mask is None:
            return np.full(self.num_envs, True)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise ValueError(f"{MASK} is {mask.dtype} {mask.shape}, expected bool ({self.num_envs},)")
        if not mask.any():
            raise ValueError(f"{MASK} has no world, expected at least one")
        return mask

    def _options(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """Each world's options."""
        each: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for name, value in options.items():
            pick(dict.fromkeys((*OPTIONS, MASK), True), name, "reset option")
            for its, own in zip(each, _one_each(name, value, self.num_envs), strict=True):
                its[name] = own
        return each

    def _checked(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        expected = self.action_space.shape
        if np.shape(actions) != expected:
            raise ValueError(f"actions have shape {np.shape(actions)}, expected {expected}")
        over = (self._board["terminated"] | self._board["truncated"]).astype(bool)
        wrong = np.flatnonzero(~np.isfinite(actions).all(axis=1) & ~over)
        if len(wrong):
            raise ValueError(
                f"action of world {wrong[0]} has numbers that are not finite: {actions[wrong[0]]}"
            )
        return actions

    def _observation(self) -> Observation:
        # The board is written over by the next step; whoever is given an observation may keep it.
        return copy(self._board["observation"])

    def _infos(self, mask: Bools) -> Infos:
        names = np.array(self.single.task.variations, dtype=object)
        columns = {
            "is_success": self._board["is_success"].astype(bool),
            "progress": self._board["progress"].copy(),
            "variation": names[self._board["variation"]],
        }
        infos: Infos = {}
        for name, column in columns.items():
            column[~mask] = None if column.dtype == object else 0
            infos |= {name: column, f"_{name}": mask.copy()}
        return infos


def _one_each(name: str, value: Any, count: int) -> list[Any]:
    """A reset option's value for each of the worlds, which it may be already."""
    if isinstance(value, Mapping):
        images = cast("Mapping[str, Any]", value)
        rows = {camera: _rows(f"{name} {camera!r}", image, 3, count) for camera, image in images.items()}
        return [{camera: images[i] for camera, images in rows.items()} for i in range(count)]
    return _rows(name, value, 1 if name == "state" else 0, count)


def _rows(name: str, value: Any, axes: int, count: int) -> list[Any]:
    """Rows of an array or sequence, or a value of so many axes again and again."""
    if np.ndim(value) <= axes:
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"reset option {name} has {len(value)} rows, expected one for each of {count} worlds"
        )
    return list(value)


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
