"""How a scene is lit."""

from dataclasses import dataclass

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """One lamp, and light from all around. No shadows: they cost ten times the rest of a 64 px picture.

    Attributes:
        at_m: Where the lamp is, in the world [m].
        towards: Direction in which it shines.
        lamp: Its colour and strength, 0 to 1.
        ambient: Light from all around.
        camera: Light from the camera's side.
    """

    at_m: tuple[float, float, float] = (0.8, -0.5, 2.0)
    towards: tuple[float, float, float] = (-0.25, 0.3, -1.0)
    lamp: Rgb = (0.5, 0.5, 0.5)
    ambient: Rgb = (0.4, 0.4, 0.4)
    camera: Rgb = (0.25, 0.25, 0.25)


DAY = Light()
# For held-out tasks: nothing is trained in this light.
EVENING = Light(
    at_m=(0.2, 1.2, 0.8),
    towards=(0.3, -1.2, -0.8),
    lamp=(0.65, 0.45, 0.25),
    ambient=(0.22, 0.20, 0.24),
    camera=(0.12, 0.12, 0.12),
)
