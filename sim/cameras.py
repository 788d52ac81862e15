"""Offscreen pictures of a scene: one renderer per compiled model and size, reused for the life of the process."""

from functools import lru_cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.scene import Scene

CAMERAS = ("front", "wrist")
Image = NDArray[np.uint8]


class Pictures:
    """Renders cameras of scenes that share one compiled model, at one size.

    A `mujoco.Renderer` owns a GL context and makes it current before each picture, so several of them in one
    process never draw into each other.
    """

    def __init__(self, model: mujoco.MjModel, size: int) -> None:
        try:
            self._renderer = mujoco.Renderer(model, height=size, width=size, max_geom=200)
        except Exception as error:  # each GL backend raises its own kind
            raise OSError(
                f"offscreen rendering does not start ({error}); run `robocat doctor` for the package to install"
            ) from error
        self._camera_ids = {model.camera(i).name: i for i in range(model.ncam)}
        self._options = mujoco.MjvOption()
        scene = self._renderer.scene
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION, mujoco.mjtRndFlag.mjRND_FOG,
                     mujoco.mjtRndFlag.mjRND_HAZE, mujoco.mjtRndFlag.mjRND_SKYBOX):
            scene.flags[flag] = 0

    def take(self, scene: Scene, cameras: tuple[str, ...]) -> dict[str, Image]:
        """Camera name to uint8 (size, size, 3)."""
        images: dict[str, Image] = {}
        for name in cameras:
            self._renderer.update_scene(scene.data, self._camera_ids[name], self._options)
            images[name] = self._renderer.render().copy()
        return images


@lru_cache(maxsize=32)
def pictures(model: mujoco.MjModel, size: int) -> Pictures:
    """The process's renderer for a compiled model at an image size [px]."""
    return Pictures(model, size)


@lru_cache(maxsize=1)
def gl_renderer() -> str:
    """Name of the OpenGL implementation in use; needs a current context, so call it after a picture."""
    from OpenGL import GL

    name = GL.glGetString(GL.GL_RENDERER)
    return name.decode() if isinstance(name, bytes) else str(name)
