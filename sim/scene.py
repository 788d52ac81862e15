"""One arm or two at a table with things on it: the compiled model, its data, and every name resolved once."""

import copy
import math
from functools import lru_cache

import mujoco
import numpy as np

from sim.arms.arm import Arm, load
from sim.light import DAY, Light
from sim.limb import COMMAND_SIZE, Limb
from sim.poses import Array, quaternion_z
from sim.randomisation import NOTHING, Drawn, Randomisation, apply
from sim.things.thing import Fixture, Solid, Thing

TIMESTEP_S = 0.002
# Where things are put: a patch in front of the arm the size of RGB-stacking's basket (0.25 m square there).
TABLE_CENTRE_M = (0.5, 0.0)
STATE = mujoco.mjtState.mjSTATE_INTEGRATION


@lru_cache(maxsize=64)
def compile_model(
    arm: Arm, things: tuple[Thing, ...], light: Light = DAY, delay_steps: int = 0
) -> mujoco.MjModel:
    """Compiles a cell; cached, so shared.

    Args:
        arm: See `cell`.
        things: See `cell`.
        light: See `cell`.
        delay_steps: For how many steps at most the actuators may act late; what they were told in the
            meantime is then part of the state.
    """
    spec = cell(arm, things, light)
    for actuator in spec.actuators if delay_steps else ():
        actuator.nsample = delay_steps + 1
        actuator.delay = delay_steps * TIMESTEP_S
    return spec.compile()


def cell(arm: Arm, things: tuple[Thing, ...], light: Light = DAY) -> mujoco.MjSpec:
    """The arm with its gripper, and its partner if it has one, the table, the fixed camera and the things."""
    spec = load(arm)
    for prefix, partner in arm.limbs[1:]:
        spec.attach(load(partner), prefix=prefix, frame=spec.worldbody.add_frame())
    spec.modelname = f"{arm.name}-cell"
    spec.option.timestep = TIMESTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # An elliptic cone lets a held cube creep out of the jaws; the pyramid holds it and is cheaper.
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    spec.option.iterations = 20
    spec.option.ls_iterations = 10
    # Blocks at rest sleep until something moves them: half of the physics is theirs. See `Scene.forward`.
    spec.option.enableflags |= mujoco.mjtEnableBit.mjENBL_SLEEP
    spec.nuserdata = COMMAND_SIZE * len(arm.limbs)
    _add_table(spec, light)
    for thing in things:
        thing.add_to(spec)
    return spec


def _add_table(spec: mujoco.MjSpec, light: Light) -> None:
    """Table top at z = 0, one light, the fixed camera, and picture settings that render fast."""
    world = spec.worldbody
    world.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(0.45, 0.0, -0.02),
        size=(0.6, 0.6, 0.02),
        rgba=(0.50, 0.49, 0.47, 1.0),
        friction=(1.0, 0.0, 0.0),
    )
    world.add_light(pos=light.at_m, dir=light.towards, diffuse=light.lamp, castshadow=False)
    # Faces the arm from 45 degrees above: things in front of the gripper stay in view. 5 mm a pixel at 64 px.
    world.add_camera(name="front", pos=(0.96, 0.0, 0.52), xyaxes=(0, 1, 0, -0.7071, 0, 0.7071), fovy=31.0)
    spec.visual.headlight.ambient = light.ambient
    spec.visual.headlight.diffuse = light.camera
    spec.visual.headlight.specular = (0.0, 0.0, 0.0)
    # Shadows cost ten times the rest of a 64 px picture, multisampling twice.
    spec.visual.quality.shadowsize = 0
    spec.visual.quality.offsamples = 0
    # Facets of round shapes: half as many as MuJoCo's 28 and 16 draw twice as fast and look alike at 64 px.
    spec.visual.quality.numslices = 16
    spec.visual.quality.numstacks = 8


class Scene:
    """One world: a shared compiled model, or one of its own where worlds are randomised, and its own data.

    Frames: world x forward, z up, table top at z = 0, each arm's base at its `base_m`.

    Attributes:
        limbs: The arm, and after it its partner if it has one.
    """

    def __init__(
        self,
        arm: Arm,
        things: tuple[Thing, ...],
        light: Light = DAY,
        randomisation: Randomisation = NOTHING,
    ) -> None:
        self.arm = arm
        self.things = {thing.name: thing for thing in things}
        # `base` is shared with other scenes: nothing may be written into it.
        self.base = compile_model(arm, things, light, math.ceil(randomisation.latency_s[1] / TIMESTEP_S))
        self.model = self.base if randomisation == NOTHING else copy.copy(self.base)
        self.data = mujoco.MjData(self.model)
        model = self.model
        self.limbs = tuple(
            Limb(each, prefix, number, model, self.data) for number, (prefix, each) in enumerate(arm.limbs)
        )
        solids = [thing for thing in things if isinstance(thing, Solid)]
        fixtures = [thing for thing in things if isinstance(thing, Fixture)]
        self._body = {name: model.body(name).id for name in self.things}
        self._geoms = {s.name: frozenset(model.geom(name).id for name in s.geoms) for s in solids}
        free = {solid.name: model.joint(solid.name) for solid in solids}
        self._free = {name: (joint.qposadr[0], joint.dofadr[0]) for name, joint in free.items()}
        self._mocap = {fixture.name: model.body(fixture.name).mocapid[0] for fixture in fixtures}
        self._slide = {f.name: model.joint(f"{f.name}.slide").qposadr[0] for f in fixtures if f.slide}
        self._state_size = mujoco.mj_stateSize(model, STATE)

    # What is written.

    def reset(self) -> None:
        """Arms at home with open grippers, everything at rest; things lie where the model put them."""
        mujoco.mj_resetData(self.model, self.data)
        for limb in self.limbs:
            limb.set_joints(np.asarray(limb.arm.home_rad))
            limb.set_gripper(limb.arm.gripper.width_m[-1])
        mujoco.mj_kinematics(self.model, self.data)
        for limb in self.limbs:
            limb.command_tool(limb.tool_m, limb.tool_tilt_rad)
        for i in range(self.model.nu if self.model.nhistory else 0):
            told = np.full((self.model.actuator_history[i, 0], 1), self.data.ctrl[i])
            mujoco.mj_initCtrlHistory(self.model, self.data, i, None, told)

    def randomise(self, drawn: Drawn) -> None:
        """Makes the scene's own model what was drawn; `reset` comes next.

        Raises:
            ValueError: If the scene has none of its own.
        """
        if self.model is self.base:
            raise ValueError("this world has no randomisation: it shares its model with others")
        apply(drawn, self.base, self.model, self.arm, [*self.things.values()])
        mujoco.mj_setConst(self.model, self.data)

    def command(self, targets: Array) -> None:
        """Sets the actuators' targets (nu,), one row of `targets`."""
        self.data.ctrl[:] = targets

    def place(self, name: str, position_m: Array, yaw_rad: float = 0.0) -> None:
        """Puts a thing at a world position (3,) [m] with a yaw [rad], at rest."""
        if name in self._mocap:
            self.data.mocap_pos[self._mocap[name]] = position_m
            self.data.mocap_quat[self._mocap[name]] = quaternion_z(yaw_rad)
            return
        qpos, dof = self._free[name]
        self.data.qpos[qpos : qpos + 3] = position_m
        self.data.qpos[qpos + 3 : qpos + 7] = quaternion_z(yaw_rad)
        self.data.qvel[dof : dof + 6] = 0.0

    def set_slide(self, name: str, position_m: float) -> None:
        """Moves the part of a fixture that moves to a position along its way [m]."""
        self.data.qpos[self._slide[name]] = position_m

    def forward(self) -> None:
        """Recomputes every derived quantity after writes, and wakes what sleeps.

        Who sleeps is no part of MuJoCo's state. Awake after each control period, everything that follows is a
        function of the state alone, and an episode goes on from a stored state bit for bit.
        """
        self._awake(self.state())
        mujoco.mj_forward(self.model, self.data)

    def take_over(self, state: Array) -> None:
        """Becomes what a control period's physics, done elsewhere, has led to: a state (S,).

        As `forward` after that physics here. Nothing needs to be woken: only physics puts to sleep.
        """
        mujoco.mj_setState(self.model, self.data, state, STATE)
        mujoco.mj_forward(self.model, self.data)

    # What is read: of the first arm: the only one, but in tasks for two.

    @property
    def width_m(self) -> float:
        """See `Limb`."""
        return self.limbs[0].width_m

    @property
    def tool_m(self) -> Array:
        """See `Limb`."""
        return self.limbs[0].tool_m

    @property
    def grip_m(self) -> Array:
        """See `Limb`."""
        return self.limbs[0].grip_m

    @property
    def tool_rotation(self) -> Array:
        """See `Limb`."""
        return self.limbs[0].tool_rotation

    @property
    def tool_tilt_rad(self) -> Array:
        """See `Limb`."""
        return self.limbs[0].tool_tilt_rad

    # Of things.

    def position_m(self, name: str) -> Array:
        """World position (3,) of a thing [m]."""
        if name in self._mocap:
            return self.data.mocap_pos[self._mocap[name]].copy()
        return self.data.xpos[self._body[name]].copy()

    def yaw_rad(self, name: str) -> float:
        """Yaw of a thing about world z [rad]."""
        matrix = self.data.xmat[self._body[name]]
        return float(np.arctan2(matrix[3], matrix[0]))

    def solid(self, name: str) -> Solid:
        """A thing that is free to move.

        Raises:
            ValueError: If it is none.
        """
        thing = self.things[name]
        if not isinstance(thing, Solid):
            raise ValueError(f"{name!r} is not free to move; things that are: {', '.join(self._free)}")
        return thing

    def slide_m(self, name: str) -> float:
        """How far the part of a fixture that moves is along its way [m]."""
        return float(self.data.qpos[self._slide[name]])

    def grasped(self, name: str, limb: int = 0) -> bool:
        """Whether an arm's pads on both sides touch a solid."""
        return all(self._sides_on(name, limb))

    def touched(self, name: str, limb: int = 0) -> bool:
        """Whether any finger pad of an arm touches a solid."""
        return any(self._sides_on(name, limb))

    def in_contact(self, name: str, other: str) -> bool:
        """Whether two solids touch each other."""
        one, two = self._geoms[name], self._geoms[other]
        return any(
            (a in one and b in two) or (b in one and a in two) for a, b in self.data.contact.geom.tolist()
        )

    def only_touches(self, name: str, other: str) -> bool:
        """Whether a solid touches nothing but another one."""
        one, two = self._geoms[name], self._geoms[other]
        met = [(a if b in one else b) for a, b in self.data.contact.geom.tolist() if (a in one) != (b in one)]
        return all(geom in two for geom in met)

    def _sides_on(self, name: str, limb: int) -> list[bool]:
        """Whether a pad of each side of an arm's gripper is in contact with a solid."""
        geoms = self._geoms[name]
        # A dozen contacts: faster one by one than as an array.
        pairs: list[list[int]] = self.data.contact.geom.tolist()
        met = {one if other in geoms else other for one, other in pairs if one in geoms or other in geoms}
        return [not met.isdisjoint(side) for side in self.limbs[limb].pads]

    # The whole state, for exact replay.

    def state(self) -> Array:
        """`mjSTATE_INTEGRATION` as a vector (S,)."""
        state = np.empty(self._state_size)
        mujoco.mj_getState(self.model, self.data, state, STATE)
        return state

    def restore(self, state: Array) -> None:
        """Sets the world to a vector from `state()` of the same model: all that follows is then the same.

        Raises:
            ValueError: If the vector has another size than this scene's, so belongs to another model.
        """
        if np.shape(state) != (self._state_size,):
            raise ValueError(
                f"state has shape {np.shape(state)}, expected ({self._state_size},), that of {self.arm.name} "
                f"with {', '.join(self.things) or 'nothing'}"
            )
        self._awake(state)
        mujoco.mj_forward(self.model, self.data)
        # The solver's warm start is part of the state and mj_forward has just replaced it.
        mujoco.mj_setState(self.model, self.data, state, STATE)

    def _awake(self, state: Array) -> None:
        """Sets the world to a state with nothing asleep; derived quantities are not yet its own."""
        mujoco.mj_resetData(self.model, self.data)
        mujoco.mj_setState(self.model, self.data, state, STATE)
