"""What draws: whether OpenGL's renderer is a GPU, and a word about it, once, where it is none."""

import logging
from functools import lru_cache
from multiprocessing import parent_process

# Parts of the names that renderers without a GPU give themselves (GL_RENDERER).
SOFTWARE = ("llvmpipe", "softpipe", "swrast", "swiftshader")

logger = logging.getLogger("robocat")


def is_software(renderer: str) -> bool:
    """Whether a CPU draws, by OpenGL's GL_RENDERER."""
    return any(name in renderer.lower() for name in SOFTWARE)


@lru_cache(maxsize=4)
def say(renderer: str) -> None:
    """Says once which renderer without a GPU draws; of several processes the first says it."""
    if is_software(renderer) and parent_process() is None:
        logger.warning("software rendering (%s): without a GPU, images are most of the time", renderer)
