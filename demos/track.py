"""What moved in a recorded episode, read from its simulator states: tool, things, and what touched what."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demos.episode import Episode
from demos.replay import environment
from demos.rollout import model_hash
from sim.poses import Array
from sim.scene import Scene
from sim.things.thing import Fixture, Solid

Flags = NDArray[np.bool_]
SHUT_M = 0.004  # wider open than shut jaws, both of which may touch what they push


@dataclass(frozen=True)
class Track:
    """The motion in an episode of T steps, at each of its T + 1 observations, in the world.

    Attributes:
        id: The episode's.
        task: Its task; `variation` is what was meant.
        period_s: Between two observations [s].
        grip_m: Middle between the pads (T+1, 3) [m].
        tilt_rad: Rotation vectors of the tool from "straight down, unturned" (T+1, 3) [rad].
        opened: Meant numbers of the gripper (T, G), in [-1, 1].
        at_m: Position of each thing (T+1, 3) [m].
        yaw_rad: Yaw of each thing (T+1,) [rad].
        slide_m: How far the part that moves is along its way (T+1,) [m], of each fixture that has one.
        touched: Whether any pad touches a thing (T+1,), of each that is free to move.
        grasped: Whether it is between the jaws (T+1,): pads on both sides touch it and they are not shut.
    """

    id: str
    task: str
    variation: str
    period_s: float
    grip_m: Array
    tilt_rad: Array
    opened: Array
    at_m: Mapping[str, Array]
    yaw_rad: Mapping[str, Array]
    slide_m: Mapping[str, Array]
    touched: Mapping[str, Flags]
    grasped: Mapping[str, Flags]

    @property
    def length(self) -> int:
        """T, the number of steps."""
        return len(self.opened)


def read_track(episode: Episode) -> Track:
    """Reads an episode's motion; its images are not needed.

    Raises:
        ValueError: Its arm or task is not known here, two arms act in it, or its states are of another model.
    """
    env = environment(episode.meta)
    if env.task.arms > 1:
        raise ValueError(f"episode {episode.id}: {env.arm.name} is two arms; expected what one arm did")
    scene = env.scene
    if episode.meta.drawn is not None:
        scene.randomise(episode.meta.drawn)
    if episode.meta.model_hash != (here := model_hash(scene.model)):
        raise ValueError(
            f"episode {episode.id}: its states are of model {episode.meta.model_hash[:8]}, expected "
            f"{here[:8]}, as {env.arm.name} and {env.task.name} are here"
        )
    solids = [name for name, thing in scene.things.items() if isinstance(thing, Solid)]
    slides = [name for name, thing in scene.things.items() if isinstance(thing, Fixture) and thing.slide]
    seen = [_look(scene, state, solids, slides) for state in episode.state]
    grip, tilt, at, yaw, slide, touched, grasped = (np.array(each) for each in zip(*seen, strict=True))
    return Track(
        id=episode.id,
        task=episode.meta.task,
        variation=episode.meta.variation,
        period_s=1.0 / episode.meta.control_hz,
        grip_m=grip,
        tilt_rad=tilt,
        opened=episode.label[:, env.arm.cartesian_dof :].astype(np.float64),
        at_m=dict(zip(scene.things, at.swapaxes(0, 1), strict=True)),
        yaw_rad=dict(zip(scene.things, yaw.T, strict=True)),
        slide_m=dict(zip(slides, slide.T, strict=True)),
        touched=dict(zip(solids, touched.T, strict=True)),
        grasped=dict(zip(solids, grasped.T, strict=True)),
    )


def _look(scene: Scene, state: Array, solids: list[str], slides: list[str]) -> tuple[object, ...]:
    """One observation, in the order of `Track`."""
    scene.restore(state)
    around = scene.width_m > scene.arm.gripper.width_m[0] + SHUT_M
    return (
        scene.grip_m,
        scene.tool_tilt_rad,
        [scene.position_m(name) for name in scene.things],
        [scene.yaw_rad(name) for name in scene.things],
        [scene.slide_m(name) for name in slides],
        [scene.touched(name) for name in solids],
        [around and scene.grasped(name) for name in solids],
    )
