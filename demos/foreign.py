"""Recordings of other projects as episodes: what they do not say is filled in by one rule, and that is said.

A recording of T rows is an observation and what was done then, T times over; often nothing says what came of
the last action. What an episode needs and a recording lacks is filled in as written below for all formats,
and whatever was filled in, changed or left out becomes a remark: a line that the user reads at the end.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from tyro.conf import arg

from demos.episode import UNKNOWN, Episode, EpisodeMeta, Outcome, Provenance, episode_id
from demos.store import EpisodeStore

Ranges = dict[str, tuple[float, float]]
LONGEST = 60  # letters of a name made of a text: an id of several names has at most 160
JUDGES = ("success", "failure")
LAST_TWICE = "nothing was recorded after the last action: the last observation stands twice"


class Remarks:
    """What an exchange could not carry over as it was: each line once, in the order of their coming."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def say(self, line: str) -> None:
        """Adds a line."""
        self._lines[line] = None

    @property
    def lines(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(self._lines)

    def show(self) -> None:
        """Prints them."""
        for line in self._lines:
            print(f"- {line}")


@dataclass(frozen=True)
class Recording:
    """One demonstration, as far as its file tells.

    Attributes:
        number: Its number there, which becomes its seed.
        task: Name of its task, see `name_of`.
        images: Camera name to RGB (T, H, W, 3), or (T + 1, H, W, 3) where the file has the last one too.
        proprio: (T, P) or (T + 1, P), all numbers sensed.
        action: (T, A).
        success: (T,) whether it was done after each action; None where the file does not say.
        seconds: (T,) when each row was taken; None where the file does not say.
        states: (T, S) or (T + 1, S), of the other project's simulator; None where there are none.
        model: Hash of the model that they belong to.
    """

    number: int
    task: str
    images: Mapping[str, NDArray[np.uint8]]
    proprio: NDArray[np.float32]
    action: NDArray[np.float32]
    success: NDArray[np.bool_] | None = None
    seconds: NDArray[np.float64] | None = None
    states: NDArray[np.float64] | None = None
    model: str = UNKNOWN


@dataclass(frozen=True)
class Terms:
    """What the user says of a set of another project, and what they want of it.

    Attributes:
        cameras: Only these, by their names without what the format puts around them; all if not given.
        size: Height and width that all pictures get [px]; needed where cameras differ.
        scale_actions: Scale each action number from its range in the set to [-1, 1].
        outcome: "success" or "failure", where no recording says so.
        arm: Name of the arm; the set's own if not given.
        task: Name of the task; the set's own, made a name, if not given.
        controller: Who acted: "teleop" or "expert".
        first_seed: Seed of recording 0; another one keeps apart what would have equal names.

    Raises:
        ValueError: For an outcome or a controller that there is not.
    """

    cameras: tuple[str, ...] = ()
    size: int | None = None
    scale_actions: bool = False
    outcome: str | None = None
    arm: str | None = None
    task: str | None = None
    controller: str = "teleop"
    first_seed: int = 0

    def __post_init__(self) -> None:
        if self.outcome not in (None, *JUDGES):
            raise ValueError(f"outcome {self.outcome!r}: expected {' or '.join(JUDGES)}")
        if self.controller not in ("teleop", "expert"):
            raise ValueError(f"controller {self.controller!r}: expected teleop or expert")


AS_IT_IS = Terms()
OnTerms = Annotated[Terms, arg(name="")]  # on a command line, its fields are flags among the verb's own


@dataclass(frozen=True)
class Source:
    """What holds for all recordings of one set.

    Attributes:
        arm: Name of the robot.
        control_hz: Rows a second [Hz].
        proprio: Channel name to the range of its values in the whole set, which becomes its declared range.
        action: The same for actions.
        judged_by: What says whether a demonstration succeeded.
        terms: What the user says.
        remarks: Takes what is filled in.
    """

    arm: str
    control_hz: float
    proprio: Ranges
    action: Ranges
    judged_by: str
    terms: Terms = AS_IT_IS
    remarks: Remarks = field(default_factory=Remarks)

    def __post_init__(self) -> None:
        wide = [f"{name} {low:.4g} to {high:.4g}" for name, (low, high) in self.action.items()]
        if self.terms.scale_actions:
            self.remarks.say(f"actions are scaled to -1 to 1 from {', '.join(wide)}")
        elif any(max(-low, high) > 1 for low, high in self.action.values()):
            raise ValueError(
                f"actions are {', '.join(wide)}, and an episode's are in [-1, 1]; --scale-actions scales them"
            )

    def id_of(self, number: int, task: str) -> str:
        """The id of a recording's episode."""
        return episode_id(
            self.arm, task, "", self.terms.controller, None, None, self.terms.first_seed + number
        )

    def actions(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """Actions (T, A) as an episode has them, scaled where that was asked for."""
        if not self.terms.scale_actions:
            return action
        low, high = np.array(list(self.action.values())).T
        return np.clip((2.0 * action - low - high) / (high - low), -1.0, 1.0).astype(np.float32)

    def episode(self, recording: Recording) -> Episode:
        """A recording as an episode.

        Raises:
            ValueError: If it has no rows, pictures of several sizes, numbers out of range, or nothing says
                whether it succeeded.
        """
        steps = len(recording.action)
        if not steps:
            raise ValueError(f"recording {recording.number} has no rows")
        success = self._success(recording)
        seconds = np.arange(steps) / self.control_hz if recording.seconds is None else recording.seconds
        images = self._pictures(recording)
        label = self.actions(recording.action)
        self.remarks.say("the actions meant are those executed, and progress is not told")
        return Episode(
            images=images,
            proprio=self._ended(recording.proprio, steps),
            action=label,
            label=label,
            success=success,
            progress=np.concatenate([[0.0], np.maximum.accumulate(success)]).astype(np.float32),
            state=self._states(recording),
            wall_time=np.append(seconds, seconds[-1] + 1 / self.control_hz).astype(np.float64),
            meta=self._meta(recording, images, bool(success.any())),
        )

    def _success(self, recording: Recording) -> NDArray[np.bool_]:
        if recording.success is not None:
            return recording.success
        if self.terms.outcome is None:
            raise ValueError(
                f"nothing says whether recording {recording.number} succeeded: say --outcome success or "
                "failure"
            )
        self.remarks.say(f"nothing says what the demonstrations came to: {self.terms.outcome}, as was said")
        return (np.arange(len(recording.action)) == len(recording.action) - 1) & (
            self.terms.outcome == "success"
        )

    def _states(self, recording: Recording) -> NDArray[np.float64]:
        steps, states = len(recording.action), recording.states
        if states is None:
            self.remarks.say("no simulator's states: what is imported cannot be replayed")
            return np.zeros((steps + 1, 0))
        self.remarks.say("states are kept, but are of another simulation: here they cannot be replayed")
        return states if len(states) == steps + 1 else np.concatenate([states, states[-1:]])

    def _ended(self, rows: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
        if len(rows) == steps + 1:
            return rows
        self.remarks.say(LAST_TWICE)
        return np.concatenate([rows, rows[-1:]])

    def _pictures(self, recording: Recording) -> dict[str, NDArray[np.uint8]]:
        steps, sizes = len(recording.action), {n: p.shape[1:3] for n, p in recording.images.items()}
        if self.terms.size is None and len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} {h} x {w}" for name, (h, w) in sizes.items())
            raise ValueError(
                f"pictures are {listed} px, and an episode's are of one size: say --size or --cameras"
            )
        images: dict[str, NDArray[np.uint8]] = {}
        for name, pictures in recording.images.items():
            fitting = pictures
            if self.terms.size is not None and sizes[name] != (self.terms.size, self.terms.size):
                fitting, how = resized(pictures, self.terms.size)
                self.remarks.say(f"pictures of {name} are {how} to {self.terms.size} px")
            # The last one twice, as in `_ended`, which says so.
            images[name] = fitting if len(fitting) == steps + 1 else np.concatenate([fitting, fitting[-1:]])
        return images

    def _meta(
        self, recording: Recording, images: Mapping[str, NDArray[np.uint8]], success: bool
    ) -> EpisodeMeta:
        size = next((pictures.shape[1:3] for pictures in images.values()), (1, 1))
        seed = self.terms.first_seed + recording.number
        return EpisodeMeta(
            id=self.id_of(recording.number, recording.task),
            arm=self.arm,
            task=recording.task,
            variation="",
            control_hz=self.control_hz,
            cameras=tuple(images),
            image_size=(size[0], size[1]),
            proprio_names=tuple(self.proprio),
            proprio_units=(UNKNOWN,) * len(self.proprio),
            proprio_ranges=tuple(self.proprio.values()),
            action_names=tuple(self.action),
            outcome=Outcome(success, self.judged_by if recording.success is not None else "importer"),
            provenance=Provenance(self.terms.controller, seed=seed),
            mujoco_version=UNKNOWN,
            model_hash=recording.model,
            gl_renderer=UNKNOWN,
            created=datetime.now(UTC).isoformat(),
        )


def is_there(store: EpisodeStore, id: str, action: NDArray[np.float32]) -> bool:
    """Whether a store has an episode already, by name and by what was done.

    Raises:
        ValueError: If it has another one of that name.
    """
    if not (store.exists and id in store):
        return False
    if not np.array_equal(store.load(id, images=False).action, action):
        raise ValueError(
            f"{store.path} has another episode {id}, an import of another set perhaps: "
            "say another --first-seed, --arm or --task, or another --out"
        )
    return True


def name_of(text: str) -> str:
    """A text as a name that may be part of an id: "Lift the cube!" is "lift-the-cube".

    Names of long texts end in a hash of all of it, so that they differ where the texts do.
    """
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-._").lower()
    if len(name) > LONGEST:
        name = f"{name[:LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return name or "unknown"


def ranges(names: Iterable[str], tables: Iterable[NDArray[np.float32]]) -> Ranges:
    """The range of each column of tables (N, D), D names; one that never changes has a little width."""
    low, high = np.inf, -np.inf
    for table in tables:
        if len(table):
            low, high = np.minimum(low, table.min(axis=0)), np.maximum(high, table.max(axis=0))
    low = np.asarray(low, np.float64)
    high = np.maximum(np.asarray(high, np.float64), low + 1e-6 * np.maximum(1.0, np.abs(low)))
    return {name: (float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}


def resized(pictures: NDArray[np.uint8], size: int) -> tuple[NDArray[np.uint8], str]:
    """Pictures (N, H, W, 3) as (N, size, size, 3), and in a word what was done.

    Where the new size is a multiple of both old ones every pixel is repeated, which loses nothing.
    """
    _, height, width, _ = pictures.shape
    if size % height == 0 and size % width == 0:
        repeated = pictures.repeat(size // height, axis=1).repeat(size // width, axis=2)
        return repeated, "enlarged by repeating pixels"
    scaled = [
        Pillow.fromarray(picture).resize((size, size), Pillow.Resampling.BICUBIC) for picture in pictures
    ]
    return np.stack([np.asarray(picture) for picture in scaled]), f"scaled from {height} x {width}"
