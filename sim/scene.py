"""An arm at a table with things on it: the compiled model, its data, and every name resolved once."""

import copy
import math
from functools import lru_cache

import mujoco
import numpy as np

from sim.arms.arm import Arm, load
from sim.light import DAY, Light
from sim.poses import DOWN, Array, quaternion_z, rotation_log
from sim.randomisation import NOTHING, Drawn, Randomisation, apply
from sim.things.thing import Fixture, Solid, Thing

TIMESTEP_S = 0.002
# Where things are put: a patch in front of the arm the size of RGB-stacking's basket (0.25 m square there).
TABLE_CENTRE_M = (0.5, 0.0)
STATE = mujoco.mjtState.mjSTATE_INTEGRATION
# The commanded tool pose, position (3,) and tilt (3,), lives in MuJoCo's user data and so in the state.
COMMAND_SIZE = 6


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
    """The arm with its gripper, the table, the fixed camera and the things."""
    spec = load(arm)
    spec.modelname = f"{arm.name}-cell"
    spec.option.timestep = TIMESTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    # An elliptic cone lets a held cube creep out of the jaws; the pyramid holds it and is cheaper.
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    spec.option.iterations = 20
    spec.option.ls_iterations = 10
    # Blocks at rest sleep until something moves them: half of the physics is theirs. See `Scene.forward`.
    spec.option.enableflags |= mujoco.mjtEnableBit.mjENBL_SLEEP
    spec.nuserdata = COMMAND_SIZE
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

    Frames: world x forward, z up, table top at z = 0, the arm's base at its `base_m`. The tool frame sits
    between the fingertips with z pointing out of the gripper.
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
        joints = [model.joint(name) for name in arm.joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._ctrl = np.array([model.actuator(name).id for name in arm.joints])
        self._gripper_ctrl = np.array([model.actuator(name).id for name in arm.gripper.actuators])
        self._fingers = np.array([model.joint(name).qposadr[0] for name in arm.gripper.joints])
        self._tool = model.site("tool").id
        self._pads = tuple([model.geom(name).id for name in side] for side in arm.gripper.pads)
        # Pads are boxes whose first half size is across: two of them take that off their middles' distance.
        for pad in (pad for side in self._pads for pad in side):
            if model.geom_type[pad] != mujoco.mjtGeom.mjGEOM_BOX:
                kind = mujoco.mjtGeom(model.geom_type[pad]).name
                raise ValueError(
                    f"pad {model.geom(pad).name!r} of {arm.gripper.name} is {kind}, expected a box"
                )
        self._pads_thick_m = sum(float(model.geom_size[side[0], 0]) for side in self._pads)
        one, other = self._pads
        self._both_pads = np.array([*one, *other])
        # By these the pads' places add up to what lies between the middles of the two sides.
        self._between = np.array([*[1 / len(one)] * len(one), *[-1 / len(other)] * len(other)])
        self._hand = model.body("hand").id
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
        """Arm at home with an open gripper, everything at rest; things lie where the model put them."""
        mujoco.mj_resetData(self.model, self.data)
        self.set_joints(np.asarray(self.arm.home_rad))
        self.set_gripper(self.arm.gripper.width_m[-1])
        mujoco.mj_kinematics(self.model, self.data)
        self.command_tool(self.tool_m, self.tool_tilt_rad)
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

    def set_joints(self, joints_rad: Array) -> None:
        """Places the arm's joints [rad] and commands them to stay."""
        self.data.qpos[self._qpos] = joints_rad
        self.data.ctrl[self._ctrl] = joints_rad

    def set_gripper(self, width_m: float) -> None:
        """Places the fingers at an opening [m] and commands it."""
        gripper = self.arm.gripper
        self.data.qpos[self._fingers] = _between(width_m, gripper.width_m, gripper.joints_at)
        self.data.ctrl[self._gripper_ctrl] = _between(width_m, gripper.width_m, gripper.controls_at)

    def command(self, targets: Array) -> None:
        """Sets the actuators' targets (nu,), one row of `targets`."""
        self.data.ctrl[:] = targets

    def command_tool(self, position_m: Array, tilt_rad: Array) -> None:
        """Records the commanded tool pose: position (3,) [m] and tilt (3,) [rad], in the world."""
        self.data.userdata[:3] = position_m
        self.data.userdata[3:] = tilt_rad

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

    # What is read.

    def targets(self, joints_rad: Array, gripper: Array) -> Array:
        """Targets of all actuators (k, nu), from those of the joints (k, n) [rad] and the gripper (m,)."""
        targets = np.zeros((len(joints_rad), self.model.nu))
        targets[:, self._ctrl] = joints_rad
        targets[:, self._gripper_ctrl] = gripper
        return targets

    @property
    def joints_rad(self) -> Array:
        """Joint positions (n,) [rad]."""
        return self.data.qpos[self._qpos].copy()

    @property
    def joint_command_rad(self) -> Array:
        """Joint targets (n,) [rad]."""
        return self.data.ctrl[self._ctrl].copy()

    @property
    def tool_command(self) -> tuple[Array, Array]:
        """The commanded tool pose: position (3,) [m] and tilt (3,) [rad], in the world."""
        return self.data.userdata[:3].copy(), self.data.userdata[3:].copy()

    @property
    def width_m(self) -> float:
        """Opening between the middles of opposing pads [m]."""
        across = self.data.xmat[self._hand].reshape(3, 3)[:, 0]
        between = self._between @ self.data.geom_xpos[self._both_pads]
        return abs(float(between @ across)) - self._pads_thick_m

    @property
    def fingers(self) -> Array:
        """Positions of the gripper's joints (m,), slides [m] or hinges [rad]."""
        return self.data.qpos[self._fingers].copy()

    @property
    def tool_m(self) -> Array:
        """World position (3,) of the tool frame [m]."""
        return self.data.site_xpos[self._tool].copy()

    @property
    def grip_m(self) -> Array:
        """World position (3,) of the middle between the pads [m]: the tool's, unless one jaw stands still."""
        gripper = self.arm.gripper
        if not gripper.middle_m:
            return self.tool_m
        return self.tool_m + self.tool_rotation[:, 0] * np.interp(
            self.width_m, gripper.width_m, gripper.middle_m
        )

    @property
    def tool_rotation(self) -> Array:
        """Rotation matrix (3, 3) of the tool frame in the world."""
        return self.data.site_xmat[self._tool].reshape(3, 3).copy()

    @property
    def tool_tilt_rad(self) -> Array:
        """Rotation vector (3,) from "straight down, unturned" to the tool frame, in the world [rad]."""
        return rotation_log(self.tool_rotation @ DOWN.T)

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

    def grasped(self, name: str) -> bool:
        """Whether pads on both sides touch a solid."""
        return all(self._sides_on(name))

    def touched(self, name: str) -> bool:
        """Whether any finger pad touches a solid."""
        return any(self._sides_on(name))

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

    def _sides_on(self, name: str) -> list[bool]:
        """Whether a pad of each side is in contact with a solid."""
        geoms = self._geoms[name]
        # A dozen contacts: faster one by one than as an array.
        pairs: list[list[int]] = self.data.contact.geom.tolist()
        met = {one if other in geoms else other for one, other in pairs if one in geoms or other in geoms}
        return [not met.isdisjoint(side) for side in self._pads]

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


def _between(width_m: float, widths_m: tuple[float, ...], poses: tuple[tuple[float, ...], ...]) -> Array:
    """The pose (n,) at an opening [m], between those declared."""
    return np.array([np.interp(width_m, widths_m, numbers) for numbers in zip(*poses, strict=True)])
