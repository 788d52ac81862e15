"""One sitting of teleoperation: episodes one after another in the only environment loop, kept in a store."""

import dataclasses
import io
import math
import shutil
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demos.cadence import Cadence
from demos.controller import Controller
from demos.environment import Environment
from demos.episode import NOBODY, Episode, Outcome
from demos.locks import alone_with
from demos.rollout import Attempt, rollout
from demos.store import EpisodeStore
from demos.teleop.console import AROUND, Console
from demos.teleop.teleoperator import Abandoned, Phase, Teleoperator
from sim.arms.arm import Gripper
from sim.cameras import cameras_of, pictures
from sim.env import Observation
from sim.touch import Touch

# Own choices.
OPERATOR_PX = 640  # of the picture that the person steers by
TRAIL_S = 3.0  # of the tool's path is drawn into it
QUALITY = 80  # of JPEG on its way to the page; what is stored is lossless


class Frame(NamedTuple):
    """What the page shows at one moment.

    Attributes:
        state: Figures and words, for JSON.
        pictures: Name to JPEG: "operator", each camera of the policy, and "goal <camera>".
    """

    state: dict[str, Any]
    pictures: dict[str, bytes]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is to be recorded.

    Attributes:
        episodes: How many.
        first_seed: Seeds of scenes count up from here; those that the store has are left out.
        limit_s: An episode ends after so long [s].

    Raises:
        ValueError: For numbers that cannot be.
    """

    episodes: int
    first_seed: int
    limit_s: float

    def __post_init__(self) -> None:
        for name, least in (("episodes", 1), ("first_seed", 0), ("limit_s", 1)):
            value: float = getattr(self, name)
            if not least <= value < math.inf:
                raise ValueError(f"{name} {value} is out of range; expected {least} or more")


class Session:
    """Runs the loop in a thread of its own; the page speaks to its `console` and gets its frames."""

    def __init__(
        self,
        env: Environment,
        store: EpisodeStore,
        plan: Plan,
        show: Callable[[Frame], None],
        helper: Controller[Environment] | None = None,
    ) -> None:
        """For an environment and a store; what a sitting that was killed left over is stored first.

        Raises:
            Busy: If another sitting records into the store.
            ValueError: If the helper cannot act in the environment, as a policy where no goal is shown.
        """
        if helper is not None:
            helper.begin(0, env, plan.first_seed)
        self.console = Console(env.arm, cameras=env.views)
        self._env, self._store, self._plan, self._show = env, store, plan, show
        env.max_steps = round(plan.limit_s * env.control_hz)
        self._last = LastKept(store)
        self._operator = Teleoperator(self.console, env.control_hz, self._tick, self._undo, helper)
        self._seed = plan.first_seed
        self._kept = 0
        entries = store.entries() if store.exists else []
        self._before = sum((e.arm, e.task) == (env.arm.name, env.task.name) for e in entries)
        self._note = ""
        self._ticks = 0  # of this episode
        self._frame = Frame({}, {})
        self._goal: dict[str, bytes] = {}
        long = round(TRAIL_S * env.control_hz)
        self._trails = [deque[NDArray[np.float64]](maxlen=long) for _ in env.scene.limbs]
        self._hands = [_hand(limb.gripper) for _, limb in env.arm.limbs]
        self._stop = threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="teleoperation", daemon=True)

    @property
    def cadence(self) -> Cadence:
        """The loop's beat."""
        return self._operator.cadence

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def close(self) -> None:
        """Ends, and stores what was kept last.

        Raises:
            OSError: If an episode could not be saved.
        """
        self._stop.set()
        self._thread.join()
        self._last.close()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._attempt()
        except Stopped:
            pass
        except BaseException as error:  # the page and the command line tell of it
            self.error = error
            self._show(Frame({"phase": "broken", "note": f"{type(error).__name__}: {error}"}, {}))

    def _attempt(self) -> None:
        """One episode, kept or not."""
        entries = self._store.entries() if self._store.exists else []
        taken = {entry.seed for entry in entries if entry.controller == "teleop"}
        if (last := self._last.episode) is not None:
            taken.add(last.meta.provenance.seed)
        while self._seed in taken:
            self._seed += 1
        self._goal = {}
        self._ticks = 0
        for trail in self._trails:
            trail.clear()
        try:
            (episode,) = rollout([self._env], self._operator, [Attempt(self._seed)])
        except Abandoned as order:
            self._note = "discarded" if str(order) == "discard" else ""
            self._seed += str(order) == "next"
            return
        self._keep(self._judged(episode))
        self._seed += 1

    def _judged(self, episode: Episode) -> Episode:
        """With the person's word as its outcome, if they said one."""
        if (marked := self._operator.marked) is not None:
            outcome = Outcome(marked, "operator")
            return dataclasses.replace(episode, meta=dataclasses.replace(episode.meta, outcome=outcome))
        return episode

    def _keep(self, episode: Episode) -> None:
        """Keeps an episode; while that fails, as on a full disk, the person may try again or give it up."""
        while True:
            try:
                self._last.keep(episode)
                break
            except OSError as error:
                if self._stop.is_set():
                    raise
                self._note = f"{type(error).__name__}: {error}"
            self._show(
                Frame(self._frame.state | {"phase": "unsaved", "note": self._note}, self._frame.pictures)
            )
            while not (orders := self.console.orders()) and not self._stop.is_set():
                self._stop.wait(0.05)
            if "discard" in orders:
                self._note = "given up"
                return
        self._kept += 1
        self._note = f"kept {episode.length} steps: {said(episode.meta.outcome)}"

    def _undo(self) -> None:
        undone = self._last.undo()
        self._kept -= undone
        self._note = "the last one is undone" if undone else "there is nothing to undo"

    def _tick(self, phase: Phase, actor: str, observation: Observation) -> None:
        if self._stop.is_set():
            raise Stopped
        self._ticks += phase == "recording"
        for trail, limb in zip(self._trails, self._env.scene.limbs, strict=True):
            trail.append(limb.tool_m)
        shown = {"operator": jpeg(self._view())}
        shown |= {name: jpeg(picture) for name, picture in observation["images"].items()}
        if not self._goal:
            self._goal = {f"goal {name}": jpeg(picture) for name, picture in observation["goal"].items()}
        self._frame = Frame(self._state(phase, actor), shown | self._goal)
        self._show(self._frame)

    def _view(self) -> NDArray[np.uint8]:
        """The large picture, from where the person looks."""
        look, scene = self.console.look, self._env.scene
        if look.camera == AROUND:
            return pictures(scene.base, OPERATOR_PX).around(scene, *look[1:], paths_m=self._paths())
        return self._env.picture(look.camera, OPERATOR_PX, self._paths())

    def _facing_rad(self) -> float:
        """How far from the world's x "forward" in the large picture is turned: where its upper edge is.

        Where the model knows no such camera, as a real arm's own, it is taken for one that looks back at it.
        """
        look, scene = self.console.look, self._env.scene
        if look.camera == AROUND:
            return math.radians(look.azimuth_deg)
        if look.camera not in cameras_of(self._env.arm):
            return math.pi
        right = scene.data.cam(look.camera).xmat.reshape(3, 3)[:, 0]
        return math.atan2(right[0], -right[1])  # a quarter of a turn to the left of the picture's right

    def _paths(self) -> list[NDArray[np.float64]]:
        """Where each tool has lately been (n, 3) [m]."""
        return [np.array(path) for path in self._trails]

    def _state(self, phase: Phase, actor: str) -> dict[str, Any]:
        scene, env = self._env.scene, self._env
        status = env.status
        return {
            "phase": phase,
            "actor": actor,
            "variation": env.variation,
            "recorded_s": self._ticks / env.control_hz,
            "limit_s": self._plan.limit_s,
            "facing_rad": self._facing_rad(),
            "arm": env.arm.title,
            "task": f"{env.task.name}: {env.task.summary}",
            "limbs": len(scene.limbs),
            "cameras": [*env.views, AROUND],
            "tools_m": [limb.tool_m.round(4).tolist() for limb in scene.limbs],
            "yaws_rad": [round(float(limb.tool_tilt_rad[2]), 4) for limb in scene.limbs],
            "widths_m": [round(limb.width_m, 4) for limb in scene.limbs],
            "touch": [_forces(each) for each in status.touch],
            "closed": list(self.console.closed),
            "fingers": self.console.fingers,
            "hands": self._hands,
            "progress": round(status.progress, 3),
            "success": status.success,
            "judged": env.judged_by != NOBODY,
            "helper": self._operator.helper,
            "trouble": status.note,
            "marked": self._operator.marked,
            "kept": self._kept,
            "stored": self._before + self._kept,
            "undoable": self._last.episode is not None,
            "wanted": self._plan.episodes,
            "seed": self._seed,
            "note": self._operator.trouble or self._note,
            "cadence": dataclasses.asdict(self.cadence.figures),
        }


def _hand(gripper: Gripper) -> dict[str, Any]:
    """What the page offers of a gripper: nothing but to shut and open it, where it has one number."""
    names = [name.replace("_", " ") for name in gripper.actuators] if len(gripper.numbers) > 1 else []
    return {"fingers": names, "shapes": dict(gripper.shapes)}


def _forces(felt: Touch) -> list[float]:
    """How hard the fingers hold, and how hard the hand is pushed [N]."""
    return [round(felt.held_n, 2), round(float(np.linalg.norm(felt.pushed_n)), 2)]


class Stopped(Exception):
    """The sitting is over."""


class LastKept:
    """The episode that was kept last: on disk at once, and in the store when the next one is kept.

    Until then it can be undone. It lies in a store of its own beside the other, where a sitting that is
    killed leaves it for the next one.
    """

    def __init__(self, store: EpisodeStore) -> None:
        """Beside a store, into which goes what a sitting that was killed left over.

        Raises:
            Busy: If another sitting has its last one there.
        """
        self._store = store
        self._mine = ExitStack()
        self._path = self._mine.enter_context(alone_with(store.path, "teleop")) / "last"
        self.episode: Episode | None = None
        self.settle()

    def close(self) -> None:
        """Puts what is here into the store, and lets other sittings have it."""
        with self._mine:
            self.settle()

    def keep(self, episode: Episode) -> None:
        """Puts an episode here, and the one before it into the store."""
        self.settle()
        EpisodeStore(self._path).commit(episode)
        self.episode = episode

    def settle(self) -> None:
        """Puts what is here into the store."""
        if self._path.exists():
            waiting = EpisodeStore(self._path)
            for id in waiting.ids() if waiting.exists else ():
                self._store.commit(waiting.load(id))
            shutil.rmtree(self._path)
        self.episode = None

    def undo(self) -> bool:
        """Throws away what is here; whether there was something."""
        there = self.episode is not None
        if there:
            shutil.rmtree(self._path)
        self.episode = None
        return there


def said(outcome: Outcome) -> str:
    """An outcome in words."""
    if outcome.judged_by == NOBODY:
        return "nobody has judged them"
    return f"{'success' if outcome.success else 'no success'}, said the {outcome.judged_by}"


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """A picture (H, W, 3) as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
