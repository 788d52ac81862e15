"""A controller that does again, in new scenes, what demonstrations did about the things there."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from demos.controller import Act
from demos.demonstration import Demonstration
from demos.episode import Provenance
from demos.expert import SILENT, Noise, Straying, numbers_towards
from demos.roles import casts
from demos.segments import Segment, heading
from demos.transfer import Path, Roles, frame_turn_rad, moved, path
from sim.env import ManipulationEnv, Observation
from sim.poses import Array, rotation_z
from sim.scene import Scene
from sim.things.thing import Thing

# Own choices, see `demos.segments`.
TURN_M = 0.1  # what a radian of a frame's turn counts as, when scenes are compared,
SECOND_M = 0.05  # and each second that a demonstration took: in a quick one less went wrong
ON_WAY_M = 0.03  # from a point of the way, within which the tool may go on to the next
THERE_M = 0.01  # the same where the gripper then opens or shuts
MORE_M = 0.04  # at most, that a push goes on beyond where it ended in the demonstration
PATIENCE_S = 0.8  # waited for the tool to be there, or for the jaws to hold something, before going on
LOST_S = 0.3  # without what should be between the jaws, before it is fetched again


class Plan(NamedTuple):
    """A demonstration, and which things of a scene stand for its own."""

    demonstration: Demonstration
    roles: Roles


class Multiplied:
    """Does demonstrations of one task again, in any number of slots."""

    def __init__(
        self, demonstrations: Sequence[Demonstration], noise: Noise = SILENT, among: int = 1
    ) -> None:
        """Makes one.

        Args:
            demonstrations: To choose from.
            noise: How executed actions stray from what is meant.
            among: The demonstration is drawn from so many whose scenes are most like the new one.
        """
        self._demonstrations, self._noise, self._among = demonstrations, noise, among
        self._slots: dict[int, _Follower] = {}
        self._made_of: dict[int, str] = {}

    def provenance(self, seed: int) -> Provenance:
        """Made of a demonstration, which the seed draws among those that fit the scene best."""
        return Provenance("multiplied", seed=seed, sources=(self._made_of[seed],))

    def begin(self, slot: int, env: ManipulationEnv, seed: int) -> None:
        """Chooses a demonstration.

        Raises:
            ValueError: If none fits the variation.
        """
        plans = fitting(self._demonstrations, env.scene.things, env.variation)
        if not plans:
            shown = ", ".join(sorted({each.variation for each in self._demonstrations}))
            raise ValueError(
                f"no demonstration can be done as {env.task.name} {env.variation!r}; expected a variation "
                f"whose things are like those of {shown}"
            )
        nearest = sorted(plans, key=lambda plan: _distance_m(plan, env.scene))[: self._among]
        chosen = nearest[int(np.random.default_rng([seed, 2]).integers(len(nearest)))]
        self._made_of[seed] = chosen.demonstration.id
        self._slots[slot] = _Follower(env, chosen, Straying(env, self._noise, seed))

    def act(self, slots: Sequence[int], observations: Sequence[Observation]) -> list[Act]:
        """Reads the simulator, not the observations."""
        del observations  # As privileged as a scripted expert.
        return [self._slots[slot].act() for slot in slots]


def fitting(
    demonstrations: Sequence[Demonstration], things: Mapping[str, Thing], variation: str
) -> list[Plan]:
    """All ways in which demonstrations can be done as a variation of their task, of these things."""
    return [
        Plan(each, roles)
        for each in demonstrations
        for roles in casts(each.used, things, each.variation, variation)
    ]


def _distance_m(plan: Plan, scene: Scene) -> float:
    """How far a plan is from one that is sure to succeed [m]: its frames move little, and it is quick."""
    far = 0.0
    for segment in plan.demonstration.segments:
        far += float(np.linalg.norm(scene.position_m(plan.roles[segment.at]) - segment.origin_m))
        far += TURN_M * abs(frame_turn_rad(segment, plan.roles, scene))
    return far / len(plan.demonstration.segments) + SECOND_M * plan.demonstration.took_s


class _Follower:
    """One environment in which a plan is carried out, again from where it failed while there is time.

    What it is at: segment `_number` of the plan, point `_next` of the path for that.
    """

    def __init__(self, env: ManipulationEnv, plan: Plan, stray: Straying) -> None:
        self._env, self._plan, self._stray = env, plan, stray
        self._patience, self._lost_steps = round(PATIENCE_S * env.control_hz), round(LOST_S * env.control_hz)
        self._begin(0)

    def act(self) -> Act:
        env, limb = self._env, self._env.scene.limbs[0]
        self._go_on()
        way, i = self._path, self._next
        tool = self._target_m() - (limb.grip_m - limb.tool_m)
        gripper = self._gripper(way.opened[i])
        label = numbers_towards(limb, tool, way.tilt_rad[i], gripper, env.control_hz)
        return Act(self._stray.from_(label), label)

    @property
    def _segment(self) -> Segment:
        return self._plan.demonstration.segments[self._number]

    def _begin(self, number: int) -> None:
        self._number, self._next, self._waited, self._lost = number, 0, 0, 0
        scene = self._env.scene
        segment = moved(self._segment, self._plan.roles, scene)
        if segment.way is not None:
            self._way_m = [scene.position_m(self._plan.roles[name]) for name in segment.way]
        self._path: Path = path(segment, scene, self._env.control_hz)

    def _go_on(self) -> None:
        """To the next point, segment or attempt, if it is time."""
        if self._drops():
            self._begin(self._fetch())
            return
        if not self._is_there() and self._waited < self._patience:
            self._waited += 1
        elif self._next + 1 < len(self._path.grip_m):
            self._next, self._waited = self._next + 1, 0
        else:
            self._go_on_to_segment()

    def _go_on_to_segment(self) -> None:
        last = self._number + 1 == len(self._plan.demonstration.segments)
        held = None if last else self._plan.demonstration.segments[self._number + 1].held
        if (last or (held is not None and not self._holds(held))) and self._waited < self._patience:
            self._waited += 1
        elif last:
            self._begin(0)
        elif held is not None and not self._holds(held):
            self._begin(self._fetch())
        else:
            self._begin(self._number + 1)

    def _is_there(self) -> bool:
        way, i = self._path, self._next
        far = float(np.linalg.norm(self._target_m() - self._env.scene.grip_m))
        turns = i + 1 < len(way.opened) and np.any(np.sign(way.opened[i]) != np.sign(way.opened[i + 1]))
        return far < (THERE_M if turns else ON_WAY_M)

    def _target_m(self) -> Array:
        """Where the grip should be now (3,) [m]: a push goes on until what is pushed is where it was then."""
        point, segment = self._path.grip_m[self._next], self._segment
        if segment.way is None or segment.at != segment.way[1] or self._next + 1 < len(self._path.grip_m):
            return point
        thing, goal = (self._env.scene.position_m(self._plan.roles[name]) for name in segment.way)
        along = rotation_z(heading(*self._way_m)) @ np.array([1.0, 0.0, 0.0])
        return point + np.clip((goal - thing) @ along - segment.left_m, 0.0, MORE_M) * along

    def _holds(self, name: str) -> bool:
        return self._env.scene.grasped(self._plan.roles[name])

    def _drops(self) -> bool:
        """Whether what should be between the jaws has not been there for some time."""
        held = self._segment.held
        opens = self._path.opened[min(self._next + 1, len(self._path.opened) - 1)].mean() > 0.0
        self._lost = 0 if held is None or opens or self._holds(held) else self._lost + 1
        return self._lost >= self._lost_steps

    def _fetch(self) -> int:
        """The last segment so far that begins with empty jaws: the way to what is then held."""
        segments = self._plan.demonstration.segments
        return max(n for n in range(self._number + 1) if segments[n].held is None)

    def _gripper(self, numbers: Array) -> Array:
        """Meant numbers of the gripper here (G,): those of the demonstration, or all its one."""
        count = len(self._env.scene.limbs[0].arm.gripper.numbers)
        return numbers if len(numbers) == count else np.full(count, numbers.mean())
