"""One attempt at a task: THE DATA CONTRACT between whatever records episodes and whatever learns from them.

An episode of T steps has T + 1 observations. Observation t is what the controller saw when it chose
action t; observation T is the scene after the last action. P, A and S count proprioception channels,
action channels and simulator-state numbers; H and W are `meta.image_size`.

    key              dtype    shape           unit             meaning
    images/<camera>  uint8    (T+1, H, W, 3)  RGB, 0 to 255    what each camera of `meta.cameras` saw
    proprio          float32  (T+1, P)        `proprio_units`  the arm's own sensing, not clipped
    action           float32  (T, A)          in [-1, 1]       what was executed
    label            float32  (T, A)          in [-1, 1]       what was meant, before exploration noise
    success          bool     (T,)            true or false    the task's predicate after each step
    progress         float32  (T+1,)          in [0, 1]        how far the task says it is at each observation
    state            float64  (T+1, S)        MuJoCo's         mjSTATE_INTEGRATION of `meta.model_hash`
    wall_time        float64  (T+1,)          unix time [s]    when each observation was taken
    goal/<camera>    uint8    (H, W, 3)       RGB, 0 to 255    what the agent was shown; none if scripted
    commanded        float32  (T, A)          in [-1, 1]       what the device asked, before limits of motion
    actor            uint8    (T,)            a CONTROLLERS    who held the controls at each step
    held             bool     (T+1,)          true or false    a real arm did not answer: the one before again

Nor have real arms a goal unless they are given one: what an episode came to is its goal then.
`commanded` and `actor` are of teleoperation alone. Where the person acts, `label` is what two limits left of
`commanded`: no jump from one step to the next, and no motion after a silence. The arm's own limits, which are
workspace, joint ranges and speeds, take nothing from `label`; they show in `action`, and that only of real
arms, for in simulation `action` is what was asked. `held` is of real arms alone. Of these `action` is the
motion that the arm said it took, `state` is that of the arm's own simulated model, with the joints that it
reported as positions and the joint targets that it was sent as controls, and `success` and `progress` are
never true and 0, which says nothing (`Episode.told`): an outcome judged by `NOBODY` is none.
A multiplied episode was acted by what does other episodes again in a new scene (`demos.multiplied`).
All numbers are finite. `wall_time` and `meta.created` say when, not what: recordings that differ only
there are the same episode. What an episode is besides its arrays stands in `EpisodeMeta`.

Format history: 1, the first, before any release; 2 adds `progress`, and to the record `randomisation`
and `drawn`, which are left out of an episode whose world was not randomised, what is teleoperation's, what is
of real arms, and the `sources` of a multiplied episode, left out of all others.
"""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim.randomisation import Drawn, Randomisation

FORMAT_VERSION = 2
T = TypeVar("T")

# The table above, as data: key -> dtype and dimensions. `images` and `goal` hold one such array per camera.
ARRAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "images": ("uint8", ("T+1", "H", "W", "3")),
    "proprio": ("float32", ("T+1", "P")),
    "action": ("float32", ("T", "A")),
    "label": ("float32", ("T", "A")),
    "success": ("bool", ("T",)),
    "progress": ("float32", ("T+1",)),
    "state": ("float64", ("T+1", "S")),
    "wall_time": ("float64", ("T+1",)),
    "goal": ("uint8", ("H", "W", "3")),
    "commanded": ("float32", ("T", "A")),
    "actor": ("uint8", ("T",)),
    "held": ("bool", ("T+1",)),
}
OPTIONAL = ("commanded", "actor", "held")  # None where there is nothing to say
PER_CAMERA = ("images", "goal")
PEOPLE = ("operator", "hand")  # what an outcome's `judged_by` begins with where a person did
UNKNOWN = "unknown"  # what a set of others does not say of itself
NOBODY = "nobody"  # has judged an episode, of which nothing is known but that it took place
OUTCOMES = ("success", "failure", "unjudged")
CONTROLLERS = ("expert", "policy", "teleop", "replay", "multiplied")  # `actor` has their numbers
SCRIPTED = ("expert", "multiplied")  # those that read the simulator and are shown no goal

# Names become parts of ids, and ids become file names: nothing here may mean something to a file system.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,159}")


def outcome_word(success: bool, judged: bool) -> str:
    """Which of `OUTCOMES` an attempt came to: what nobody has judged is neither success nor failure."""
    if not judged:
        return "unjudged"
    return "success" if success else "failure"


@dataclass(frozen=True)
class Outcome:
    """How the attempt ended, and who says so.

    "predicate" is the task's own; `NOBODY`: at a real table, where neither a person nor a model has said a
    word yet; `success` is then false, and means nothing.
    """

    success: bool
    judged_by: str = "predicate"

    @property
    def judged(self) -> bool:
        """Whether anybody has said how it ended."""
        return self.judged_by != NOBODY

    @property
    def word(self) -> str:
        """One of `OUTCOMES`."""
        return outcome_word(self.success, self.judged)

    @property
    def said(self) -> str:
        """In words, with who says so."""
        return f"{self.word}, said the {self.judged_by}" if self.judged else self.word


@dataclass(frozen=True)
class Provenance:
    """Who acted (one of CONTROLLERS; for a policy its checkpoint and generation) and the scene's seed.

    Attributes:
        sources: Ids of the episodes that a multiplied one was made of.
    """

    controller: str
    policy: str | None = None
    generation: int | None = None
    seed: int = 0
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class EpisodeMeta:
    """What an episode is, besides its arrays.

    Attributes:
        id: Name of the attempt, unique in a store; see `episode_id`.
        variation: Which instance of the task ("red"), or "" where a task has one only.
        control_hz: Observations and actions per second [Hz].
        cameras: Camera names, in the order in which the agent sees them.
        image_size: (H, W) [px].
        proprio_names: P channel names; `proprio_units` and `proprio_ranges` run alongside.
        proprio_ranges: Declared (low, high) per channel, in its unit; values may pass them, bins may not.
        model_hash: Hash of the compiled MuJoCo model that `state` belongs to.
        gl_renderer: The OpenGL renderer that drew the images; pixels are comparable within one renderer.
        created: When the recording ended, ISO 8601 in UTC.
        randomisation: The ranges that its world was drawn from; None where it was not randomised.
        drawn: The numbers that were drawn, with them or not at all.
    """

    id: str
    arm: str
    task: str
    variation: str
    control_hz: float
    cameras: tuple[str, ...]
    image_size: tuple[int, int]
    proprio_names: tuple[str, ...]
    proprio_units: tuple[str, ...]
    proprio_ranges: tuple[tuple[float, float], ...]
    action_names: tuple[str, ...]
    outcome: Outcome
    provenance: Provenance
    mujoco_version: str
    model_hash: str
    gl_renderer: str
    created: str
    format_version: int = FORMAT_VERSION
    randomisation: Randomisation | None = None
    drawn: Drawn | None = None

    def __post_init__(self) -> None:
        """Turns lists and numpy scalars into plain values, then checks them."""
        names = ("cameras", "proprio_names", "proprio_units", "action_names")
        plain: dict[str, Any] = {name: tuple(getattr(self, name)) for name in names}
        plain["control_hz"] = float(self.control_hz)
        plain["image_size"] = tuple(int(size) for size in self.image_size)
        plain["proprio_ranges"] = tuple((float(low), float(high)) for low, high in self.proprio_ranges)
        plain["outcome"] = dataclasses.replace(self.outcome, success=bool(self.outcome.success))
        who = self.provenance
        plain["provenance"] = dataclasses.replace(who, seed=int(who.seed), sources=tuple(who.sources))
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        _check_version(self.format_version, self.id)
        if (self.randomisation is None) != (self.drawn is None):
            _fail(self.id, "randomisation, drawn", "one of them", "both or neither")
        _check_names(self)
        _check_numbers(self)

    def to_json(self) -> str:
        """One line of JSON with sorted keys; `from_json` reads it back to an equal value."""
        record = dataclasses.asdict(self)
        if self.drawn is None:
            del record["randomisation"], record["drawn"]
        if not self.provenance.sources:
            del record["provenance"]["sources"]
        return json.dumps(record, sort_keys=True, allow_nan=False)

    @staticmethod
    def from_json(text: str) -> "EpisodeMeta":
        """Reads what `to_json` wrote.

        Raises:
            ValueError: A newer format, or keys that are missing or unknown.
        """
        record = json.loads(text)
        _check_version(record.get("format_version"), str(record.get("id")))
        record["outcome"] = _build(Outcome, record["outcome"])
        record["provenance"] = _build(Provenance, {"sources": (), **record["provenance"]})
        for key, kind in (("randomisation", Randomisation), ("drawn", Drawn)):
            record[key] = _build(kind, record[key]) if key in record else None
        return _build(EpisodeMeta, record)


@dataclass(frozen=True, eq=False)
class Episode:
    """One attempt, checked against the contract when made; its arrays are read-only views.

    `images` and `goal` map camera names to arrays. An episode loaded without its images has both empty.

    Raises:
        ValueError: One line with the episode, the key, what it got and what was expected.
    """

    images: Mapping[str, NDArray[np.uint8]]
    proprio: NDArray[np.float32]
    action: NDArray[np.float32]
    label: NDArray[np.float32]
    success: NDArray[np.bool_]
    progress: NDArray[np.float32]
    state: NDArray[np.float64]
    wall_time: NDArray[np.float64]
    meta: EpisodeMeta
    goal: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict[str, NDArray[np.uint8]])
    commanded: NDArray[np.float32] | None = None
    actor: NDArray[np.uint8] | None = None
    held: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        arrays = self.arrays()
        _check_arrays(self.meta, arrays)
        # Contiguous views that cannot be written through; the caller's own arrays stay writable.
        frozen = {key: np.ascontiguousarray(array).view() for key, array in arrays.items()}
        for array in frozen.values():
            array.flags.writeable = False
        for key in ARRAYS:
            per_camera = {k.partition("/")[2]: v for k, v in frozen.items() if k.startswith(key + "/")}
            object.__setattr__(self, key, per_camera if key in PER_CAMERA else frozen.get(key))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every array under its key in the contract, such as "images/front" or "action"."""
        arrays: dict[str, NDArray[Any]] = {}
        for key in ARRAYS:
            value: Any = getattr(self, key)
            if key in PER_CAMERA:
                arrays.update({f"{key}/{camera}": image for camera, image in value.items()})
            elif key not in OPTIONAL or value is not None:
                arrays[key] = value
        return arrays

    @property
    def optional(self) -> dict[str, NDArray[Any]]:
        """Those of the `OPTIONAL` arrays that it has."""
        return {key: array for key, array in self.arrays().items() if key in OPTIONAL}

    @property
    def id(self) -> str:
        return self.meta.id

    @property
    def length(self) -> int:
        """T, the number of steps."""
        return self.action.shape[0]

    @property
    def told(self) -> bool:
        """Whether `progress` says anything: not at a real table, nor where the MuJoCo is `UNKNOWN`."""
        return self.held is None and self.meta.mujoco_version != UNKNOWN

    @property
    def succeeded(self) -> bool:
        """The outcome, as judged; `success` is the predicate step by step."""
        return self.meta.outcome.success

    @property
    def first_success(self) -> int | None:
        """First step after which the predicate held, or None."""
        return int(self.success.argmax()) if self.success.any() else None


def episode_id(  # noqa: PLR0917 all that names an attempt, in the order of the name
    arm: str,
    task: str,
    variation: str,
    controller: str,
    policy: str | None,
    generation: int | None,
    seed: int,
    randomisation: Randomisation | None = None,
    sources: Sequence[str] = (),
) -> str:
    """Names an attempt by what determines it, so that repeating the attempt repeats the name.

    Returns:
        Such as "panda-lift-red-expert-000042-4f252be9", ending in a hash of all arguments; sorts by seed.
    """
    named: list[object] = [arm, task, variation, controller, policy, generation, int(seed)]
    if randomisation is not None:
        named.append(dataclasses.asdict(randomisation))
    if sources:
        named.append([*sources])
    digest = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:8]
    return "-".join(part for part in (arm, task, variation, controller, f"{seed:06d}", digest) if part)


def _fail(episode: str, key: str, got: object, expected: object) -> NoReturn:
    raise ValueError(f"episode {episode}: {key}: got {got}, expected {expected}")


def _check_version(version: object, episode: str) -> None:
    if version != FORMAT_VERSION:
        _fail(episode, "format_version", version, f"{FORMAT_VERSION}, the one this robocat reads and writes")


def _build(kind: type[T], record: Mapping[str, Any]) -> T:
    names = {each.name for each in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    if wrong := sorted(set(record) ^ names):
        raise ValueError(f"{kind.__name__}: missing or unknown keys: {', '.join(wrong)}")
    return kind(**record)


def _check_names(meta: EpisodeMeta) -> None:
    named = [("id", meta.id), ("arm", meta.arm), ("task", meta.task), ("variation", meta.variation or "0")]
    for key, name in [*named, *(("cameras", camera) for camera in meta.cameras)]:
        if not _NAME.fullmatch(name):
            _fail(meta.id, key, repr(name), "1 to 160 letters, digits, '_', '.' or '-', the first no sign")
    for key in ("cameras", "proprio_names", "action_names"):
        names = getattr(meta, key)
        if len(set(names)) != len(names):
            _fail(meta.id, key, names, "different names")
    who = meta.provenance
    if who.controller not in CONTROLLERS:
        _fail(meta.id, "controller", repr(who.controller), "one of " + ", ".join(CONTROLLERS))
    if who.controller == "policy" and not who.policy:
        _fail(meta.id, "policy", who.policy, "the checkpoint that acted")
    if (who.controller == "multiplied") != bool(who.sources):
        expected = "the ids of what it was made of" if not who.sources else f"none of a {who.controller}'s"
        _fail(meta.id, "sources", who.sources, expected)


def _check_numbers(meta: EpisodeMeta) -> None:
    if not (math.isfinite(meta.control_hz) and meta.control_hz > 0):
        _fail(meta.id, "control_hz", meta.control_hz, "a rate above 0 Hz")
    if len(meta.image_size) != 2 or min(meta.image_size) < 1:
        _fail(meta.id, "image_size", meta.image_size, "(H, W) of 1 px or more")
    channels = len(meta.proprio_names)
    if not len(meta.proprio_units) == len(meta.proprio_ranges) == channels:
        got = f"{len(meta.proprio_units)} units and {len(meta.proprio_ranges)} ranges"
        _fail(meta.id, "proprio_units, proprio_ranges", got, f"{channels}, one per name")
    for name, (low, high) in zip(meta.proprio_names, meta.proprio_ranges, strict=True):
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            _fail(meta.id, f"proprio_ranges of {name}", (low, high), "finite low < high")
    if meta.provenance.seed < 0:
        _fail(meta.id, "seed", meta.provenance.seed, "0 or more")


def _check_arrays(meta: EpisodeMeta, arrays: Mapping[str, NDArray[Any]]) -> None:
    steps = max((1, *np.shape(arrays["action"])[:1]))
    states = max((0, *np.shape(arrays["state"])[-1:]))
    height, width = meta.image_size
    sizes = {"T": steps, "T+1": steps + 1, "S": states, "H": height, "W": width, "3": 3}
    sizes |= {"P": len(meta.proprio_names), "A": len(meta.action_names)}
    for key, array in sorted(arrays.items()):  # "action" comes first: it decides T for the others
        _check_array(meta.id, key, array, sizes)
    seen = {key.partition("/")[2] for key in arrays if key.startswith("images/")}
    if seen and seen != set(meta.cameras):
        _fail(meta.id, "images", sorted(seen), f"the cameras {sorted(meta.cameras)}")
    shown = {key.partition("/")[2] for key in arrays if key.startswith("goal/")}
    if not shown <= set(meta.cameras):
        _fail(meta.id, "goal", sorted(shown), f"some of the cameras {sorted(meta.cameras)}")
    if meta.outcome.success and meta.outcome.judged_by == "predicate" and not arrays["success"].any():
        _fail(meta.id, "outcome", "success", "no success, as the predicate never held")


def _check_array(episode: str, key: str, array: NDArray[Any], sizes: Mapping[str, int]) -> None:
    dtype, dims = ARRAYS[key.partition("/")[0]]
    shape = tuple(sizes[dim] for dim in dims)
    if not isinstance(array, np.ndarray):  # pyright: ignore[reportUnnecessaryIsInstance] callers may be untyped
        _fail(episode, key, type(array).__name__, f"a numpy array of {dtype}")
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        _fail(episode, key, f"{array.dtype} {array.shape}", f"{dtype} ({', '.join(dims)}) = {shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        _fail(episode, key, "a number that is not finite", "finite numbers")
    if key in ("action", "label", "commanded") and array.size and np.abs(array).max() > 1:
        _fail(episode, key, f"{np.abs(array).max():.6g}", "values in [-1, 1]")
    if key == "actor" and array.size and array.max() >= len(CONTROLLERS):
        _fail(episode, key, array.max(), f"0 to {len(CONTROLLERS) - 1}: {', '.join(CONTROLLERS)}")
    if key == "progress" and array.size and not 0.0 <= array.min() <= array.max() <= 1.0:
        _fail(episode, key, f"{array.min():.6g} to {array.max():.6g}", "values in [0, 1]")
