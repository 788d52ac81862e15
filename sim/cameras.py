"""Offscreen pictures of a scene: one renderer per compiled model and size, kept while the process lives."""

import atexit
import copy
from functools import lru_cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.scene import Scene

CAMERAS = ("front", "wrist")
Image = NDArray[np.uint8]

CARRIER_GROUP = 5  # of the geoms of links that carry a camera; no model here uses it
# Flags of a picture that cost time and are not wanted in one.
OFF = (
    mujoco.mjtRndFlag.mjRND_SHADOW,
    mujoco.mjtRndFlag.mjRND_REFLECTION,
    mujoco.mjtRndFlag.mjRND_FOG,
    mujoco.mjtRndFlag.mjRND_HAZE,
    mujoco.mjtRndFlag.mjRND_SKYBOX,
)


class Pictures:
    """Renders cameras of scenes that share one compiled model, at one size.

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
        sized.geom_group[_carriers(sized)] = CARRIER_GROUP
        try:
            self._renderer = mujoco.Renderer(sized, height=size, width=size, max_geom=200)
        except Exception as error:  # each GL backend raises its own kind
            raise OSError(
                f"offscreen rendering does not start ({error}); `robocat doctor` says what to install"
            ) from error
        # Registered after MuJoCo's own, so it runs before: a context freed after the display's end complains.
        atexit.register(self._renderer.close)
        self.gl_renderer = _gl_renderer()
        self._camera_ids = {model.camera(i).name: i for i in range(model.ncam)}
        self._options = {name: _options(sized, camera) for name, camera in self._camera_ids.items()}
        for flag in OFF:
            self._renderer.scene.flags[flag] = 0

    def take(self, scene: Scene, cameras: tuple[str, ...]) -> dict[str, Image]:
        """Camera name to uint8 (size, size, 3)."""
        images: dict[str, Image] = {}
        for name in cameras:
            self._renderer.update_scene(scene.data, self._camera_ids[name], self._options[name])
            images[name] = self._renderer.render()
        return images


@lru_cache(maxsize=32)
def pictures(model: mujoco.MjModel, size: int) -> Pictures:
    """The process's renderer for a compiled model at an image size [px]."""
    return Pictures(model, size)


def _carriers(model: mujoco.MjModel) -> NDArray[np.intp]:
    """Geoms (n,) of the links that carry a camera, other than the body it is mounted on."""
    links: set[int] = set()
    for camera in range(model.ncam):
        link = model.body_parentid[model.cam_bodyid[camera]]
        while link:
            links.add(int(link))
            link = model.body_parentid[link]
    return np.flatnonzero(np.isin(model.geom_bodyid, list(links)))


def _options(model: mujoco.MjModel, camera: int) -> mujoco.MjvOption:
    """What a camera draws: one on the hand looks away from the links behind it, half of a picture's cost."""
    options = mujoco.MjvOption()
    options.geomgroup[CARRIER_GROUP] = model.cam_bodyid[camera] == 0
    return options


def _gl_renderer() -> str:
    """What OpenGL calls itself in the context that is current."""
    from OpenGL import GL  # Only once MuJoCo has chosen the platform that PyOpenGL reads at its import.

    name: bytes = GL.glGetString(GL.GL_RENDERER) or b"unknown"
    return name.decode()
