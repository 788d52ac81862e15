"""Place: put one of the things on the target disc and let go."""

import numpy as np

from sim.scene import Scene
from sim.tasks.moves import Arrangement, Move, arrangement
from sim.tasks.task import names
from sim.things.blocks import BLOCKS, TARGET
from sim.things.thing import Solid

TOLERANCE_M = 0.02  # between the thing's middle and the disc's; a push has 3 cm


def moves(scene: Scene, variation: str) -> list[Move]:
    """The thing onto the disc."""
    seat = np.array([*scene.position_m(TARGET.name)[:2], scene.solid(variation).rest_m])
    return [Move(variation, seat, across_m=TOLERANCE_M)]


def place(
    name: str, what: str, solids: tuple[Solid, ...], held_out: bool = False, noise_share: float = 1.0
) -> Arrangement:
    """Placing any of some things; `what` names one of them in words."""
    return arrangement(
        name=name,
        family="place",
        summary=f"put {what} on the yellow disc and let go",
        variations=names(solids),
        things=(*solids, TARGET),
        moves=moves,
        noise_share=noise_share,
        held_out=held_out,
    )


PLACE = place("place", "the block of one colour", BLOCKS)
