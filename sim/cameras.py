"""Offscreen pictures of a scene: one renderer per compiled model and size, reused for the life of the process."""

import atexit
import copy
from functools import lru_cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.scene import Scene

CAMERAS = ("front", "wrist")
Image = NDArray[np.uint8]

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
        try:
            self._renderer = mujoco.Renderer(sized, height=size, width=size, max_geom=200)
        except Exception as error:  # each GL backend raises its own kind
            raise OSError(
                f"offscreen rendering does not start ({error}); run `robocat doctor` for the package to install"
            ) from error
        # Registered after MuJoCo's own, so it runs before: a context freed after the display's end complains.
        atexit.register(self._renderer.close)
        self.gl_renderer = _gl_renderer()
        self._camera_ids = {model.camera(i).name: i for i in range(model.ncam)}
        self._options = mujoco.MjvOption()
        for flag in OFF:
            self._renderer.scene.flags[flag] = 0

    def take(self, scene: Scene, cameras: tuple[str, ...]) -> dict[str, Image]:
        """Camera name to uint8 (size, size, 3)."""
        images: dict[str, Image] = {}
        for name in cameras:
            self._renderer.update_scene(scene.data, self._camera_ids[name], self._options)
            images[name] = self._renderer.render()
        return images


@lru_cache(maxsize=32)
def pictures(model: mujoco.MjModel, size: int) -> Pictures:
    """The process's renderer for a compiled model at an image size [px]."""
    return Pictures(model, size)


def _gl_renderer() -> str:
    """What OpenGL calls itself in the context that is current."""
    from OpenGL import GL  # Only once MuJoCo has chosen the platform that PyOpenGL reads at its import.

    name = GL.glGetString(GL.GL_RENDERER)
    return name.decode() if isinstance(name, bytes) else str(name)
