"""Offscreen pictures of a scene: a renderer for each thread, compiled model and size; the last are kept."""

import atexit
import copy
import threading
from collections import OrderedDict
from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim import gl
from sim.arms.arm import Arm
from sim.scene import TABLE_CENTRE_M, Scene

CAMERAS = ("front", "wrist")
Image = NDArray[np.uint8]


def cameras_of(arm: Arm) -> tuple[str, ...]:
    """Every camera of an arm's scene: the fixed one, and one at each wrist."""
    return (CAMERAS[0], *(prefix + CAMERAS[1] for prefix, _ in arm.limbs))


PATH_RGB, PATH_WIDTH_M = (0.95, 0.45, 0.1), 0.0015  # own choice: seen on every table, narrower than a finger
MOST_GEOMS = 400  # of a scene, and lines drawn into it
MOST_KEPT = 32  # renderers a thread: with software GL some megabytes each
HIDDEN = 5  # a group of geoms that MuJoCo does not draw unless asked
# Flags of a picture that cost time and are not wanted in one.
OFF = (
    mujoco.mjtRndFlag.mjRND_SHADOW,
    mujoco.mjtRndFlag.mjRND_REFLECTION,
    mujoco.mjtRndFlag.mjRND_FOG,
    mujoco.mjtRndFlag.mjRND_HAZE,
    mujoco.mjtRndFlag.mjRND_SKYBOX,
)


class Pictures:
    """Renders cameras of scenes whose models are one compiled model or copies of it, at one size.

    A `mujoco.Renderer` owns a GL context and makes it current before each picture, so several of them in one
    process never draw into each other.

    Attributes:
        gl_renderer: The name that OpenGL gives to what draws.
    """

    def __init__(self, model: mujoco.MjModel, size: int) -> None:
        """Starts a renderer.

        Args:
            model: Whose cameras are drawn.
            size: Height and width of the pictures [px].

        Raises:
            OSError: If this machine cannot draw offscreen.
        """
        # MuJoCo draws into a buffer whose size the model sets; a copy lets it be the picture's own.
        sized = copy.copy(model)
        sized.vis.global_.offwidth = sized.vis.global_.offheight = size
        try:
            self._renderer = mujoco.Renderer(sized, height=size, width=size, max_geom=MOST_GEOMS)
        except Exception as error:  # each GL backend raises its own kind
            raise OSError(
                f"offscreen rendering does not start ({error}); `robocat doctor` says what to install"
            ) from error
        # Registered after MuJoCo's own, so it runs before: a context freed after the display's end complains.
        atexit.register(self._renderer.close)
        self.gl_renderer = _gl_renderer()
        gl.say(self.gl_renderer)
        self._camera_ids = {model.camera(i).name: i for i in range(model.ncam)}
        self._model, self._groups = sized, model.geom_group.copy()
        half_rad = np.radians(model.cam_fovy) / 2
        self._edges = np.stack([np.cos(half_rad), np.sin(half_rad)], axis=1)
        for flag in OFF:
            self._renderer.scene.flags[flag] = 0

    def take(
        self, scene: Scene, cameras: tuple[str, ...], paths_m: Sequence[NDArray[np.float64]] = ()
    ) -> dict[str, Image]:
        """Camera name to uint8 (size, size, 3).

        Args:
            scene: What is drawn.
            cameras: From where.
            paths_m: Lines to draw besides, for a person: each (n, 3) points in the world [m], newest last.
        """
        images: dict[str, Image] = {}
        self._dress(scene.model)
        for name in cameras:
            camera = self._camera_ids[name]
            self._model.geom_group[:] = np.where(self._seen(scene.data, camera), self._groups, HIDDEN)
            self._renderer.update_scene(scene.data, camera)
            self._draw(paths_m)
            images[name] = self._renderer.render()
        return images

    def around(
        self,
        scene: Scene,
        azimuth_deg: float,
        elevation_deg: float,
        distance_m: float,
        paths_m: Sequence[NDArray[np.float64]] = (),
    ) -> Image:
        """A picture (size, size, 3) from anywhere about the table: for a person, no camera of the arm's.

        Args:
            scene: What is drawn.
            azimuth_deg: Where the view goes, from the world's x towards its y [degrees].
            elevation_deg: How far it goes up; seen from above, less than 0 [degrees].
            distance_m: From the table's middle, 0.1 m above it [m].
            paths_m: See `take`.
        """
        camera = mujoco.MjvCamera()
        camera.lookat[:] = (*TABLE_CENTRE_M, 0.1)
        camera.azimuth, camera.elevation, camera.distance = azimuth_deg, elevation_deg, distance_m
        self._dress(scene.model)
        self._model.geom_group[:] = self._groups
        self._renderer.update_scene(scene.data, camera)
        self._draw(paths_m)
        return self._renderer.render()

    def close(self) -> None:
        """Frees what it holds, in the thread that draws with it."""
        self._renderer.render()  # makes its context current: names freed in another's would be that one's
        atexit.unregister(self._renderer.close)
        self._renderer.close()

    def _draw(self, paths_m: Sequence[NDArray[np.float64]]) -> None:
        """Adds lines to the picture that is about to be rendered, fainter the older they are."""
        drawn = self._renderer.scene
        for path in paths_m:
            for number, (start, end) in enumerate(zip(path, path[1:], strict=False)):
                if drawn.ngeom == drawn.maxgeom:
                    return
                fresh = (number + 1) / (len(path) - 1)
                colour = np.array([*PATH_RGB, 0.15 + 0.85 * fresh], np.float32)
                line = drawn.geoms[drawn.ngeom]
                kind = mujoco.mjtGeom.mjGEOM_CAPSULE
                mujoco.mjv_initGeom(line, kind, np.zeros(3), np.zeros(3), np.zeros(9), colour)
                mujoco.mjv_connector(line, kind, PATH_WIDTH_M, start, end)
                drawn.ngeom += 1

    def _dress(self, model: mujoco.MjModel) -> None:
        """Takes on the colours and lights of a scene, which may have a model of its own. Where cameras and
        lamps are is in its data.
        """
        own = self._model
        own.geom_rgba[:] = model.geom_rgba
        own.light_diffuse[:] = model.light_diffuse
        own.vis.headlight.ambient = model.vis.headlight.ambient
        own.vis.headlight.diffuse = model.vis.headlight.diffuse

    def _seen(self, data: mujoco.MjData, camera: int) -> NDArray[np.bool_]:
        """Which geoms (n,) may be in a camera's picture, by their bounding spheres.

        MuJoCo draws what lies outside it too, and most of an arm does: half of a small picture's cost.
        """
        radius = self._model.geom_rbound
        # In the camera's frame: right, up and back.
        place = (data.geom_xpos - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
        cos, sin = self._edges[camera]
        beyond = np.abs(place[:, :2]).max(axis=1) * cos + place[:, 2] * sin  # the nearest edge's plane [m]
        return (beyond <= radius) | (radius == 0.0)  # 0: an endless plane


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[mujoco.MjModel, int], Pictures] = OrderedDict()


_of_thread = _OfThread()


def pictures(model: mujoco.MjModel, size: int) -> Pictures:
    """The thread's renderer for a compiled model at an image size [px]: a context of OpenGL is a thread's.

    To be asked for at each picture: the one that was not used for longest is closed where another is needed.
    """
    kept, key = _of_thread.kept, (model, size)
    if key not in kept:
        while len(kept) >= MOST_KEPT:
            kept.popitem(last=False)[1].close()
        kept[key] = Pictures(model, size)
    kept.move_to_end(key)
    return kept[key]


def _gl_renderer() -> str:
    """What OpenGL calls itself in the context that is current."""
    from OpenGL import GL  # Only once MuJoCo has chosen the platform that PyOpenGL reads at its import.

    name: bytes = GL.glGetString(GL.GL_RENDERER) or b"unknown"
    return name.decode()
