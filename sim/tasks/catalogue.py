"""All tasks: what agents are trained on, and what is kept to measure them on what they never saw.

A task of this catalogue is a family (what is done) with some things; each of its variations counts as one.
"""

from dataclasses import replace

from sim.light import EVENING
from sim.tasks.bowl import INTO_BOWL, OUT_OF_BOWL, into_bowl, out_of_bowl
from sim.tasks.insert import (
    INSERT_GEAR,
    INSERT_GEAR_LOOSE,
    INSERT_PEG,
    INSERT_SHAPE,
    REMOVE_GEAR,
    REMOVE_GEAR_LOOSE,
    REMOVE_PEG,
    REMOVE_SHAPE,
)
from sim.tasks.lift import LIFT, lift
from sim.tasks.operate import OPEN_DRAWER, PRESS_BUTTON, SHUT_DRAWER
from sim.tasks.place import PLACE, place
from sim.tasks.push import PUSH, push
from sim.tasks.reach import REACH, reach
from sim.tasks.sort import SORT
from sim.tasks.stack import INVERTED_PYRAMID, PYRAMID, STACK, STACK_AND_LEAVE, TOWER, rgb_stack, stack, tower
from sim.tasks.task import Task, scatter_outside
from sim.things.blocks import BLOCKS, UNSEEN_COLOURS, block
from sim.things.boards import PEGS, SHAPES
from sim.things.fruit import FRUIT, UNSEEN_FRUIT
from sim.things.gears import GEARS
from sim.things.rgb import TEST_TRIPLETS, TRAIN_TRIPLETS, triplet

Triplet = tuple[str, str, str]
OTHER_BLOCKS = tuple(block(name, rgba) for name, rgba in UNSEEN_COLOURS.items())
LARGE_BLOCKS = tuple(block(thing.name, thing.shapes[0].rgba, 0.05) for thing in BLOCKS)


def _rgb(name: str, kinds: Triplet, held_out: bool = False) -> tuple[Task, ...]:
    """All that is done with one triplet."""
    things = triplet(kinds)
    what = f"one of {', '.join(kinds)}"
    return (
        lift(f"lift-{name}", what, things, held_out),
        place(f"place-{name}", what, things, held_out),
        rgb_stack(f"stack-{name}", what, things, held_out),
        tower(f"tower-{name}", ", ".join(kinds), things, held_out),
    )


def _held_out(task: Task, name: str, summary: str, **changes: object) -> Task:
    """A task with something changed that is never trained on."""
    return replace(task, name=name, summary=f"{task.summary}, {summary}", held_out=True, **changes)  # type: ignore[arg-type]


TRAINING: tuple[Task, ...] = (
    *(REACH, PUSH, LIFT, PLACE, STACK, STACK_AND_LEAVE, TOWER, PYRAMID, INVERTED_PYRAMID, SORT),
    *(reach("reach-fruit", "one of the fruit", FRUIT), lift("lift-fruit", "one of the fruit", FRUIT)),
    *(place("place-fruit", "one of the fruit", FRUIT[:1] + FRUIT[2:]), INTO_BOWL, OUT_OF_BOWL),
    *(reach("reach-gears", "the gear of one size", GEARS), lift("lift-gears", "the gear of one size", GEARS)),
    place("place-gears", "the gear of one size", GEARS),
    *(INSERT_GEAR, REMOVE_GEAR, INSERT_GEAR_LOOSE, REMOVE_GEAR_LOOSE),
    *(reach("reach-shapes", "one of the shapes", SHAPES), lift("lift-shapes", "one of the shapes", SHAPES)),
    *(place("place-shapes", "one of the shapes", SHAPES), INSERT_SHAPE, REMOVE_SHAPE),
    *(
        lift("lift-pegs", "one of the pegs", PEGS),
        place("place-pegs", "one of the pegs", PEGS, noise_share=0.3),
    ),
    *(INSERT_PEG, REMOVE_PEG, OPEN_DRAWER, SHUT_DRAWER, PRESS_BUTTON),
    *(task for i, kinds in enumerate(TRAIN_TRIPLETS, 1) for task in _rgb(f"rgb-{i}", kinds)),
)

HELD_OUT: tuple[Task, ...] = (
    *(task for i, kinds in enumerate(TEST_TRIPLETS, 1) for task in _rgb(f"rgb-test-{i}", kinds, True)),
    reach("reach-other-fruit", "one of the fruit", UNSEEN_FRUIT, True),
    lift("lift-other-fruit", "one of the fruit", UNSEEN_FRUIT, True),
    place("place-other-fruit", "one of the fruit", UNSEEN_FRUIT, True),
    into_bowl("other-fruit-into-bowl", "one of the fruit", UNSEEN_FRUIT, True),
    out_of_bowl("other-fruit-out-of-bowl", "one of the fruit", UNSEEN_FRUIT, True),
    reach("reach-other-colours", "the block of one colour", OTHER_BLOCKS, True),
    push("push-other-colours", "the block of one colour", OTHER_BLOCKS, True),
    lift("lift-other-colours", "the block of one colour", OTHER_BLOCKS, True),
    place("place-other-colours", "the block of one colour", OTHER_BLOCKS, True),
    stack("stack-other-colours", "the block of one colour on the block of another", OTHER_BLOCKS, True),
    lift("lift-large", "the large block of one colour", LARGE_BLOCKS, True),
    _held_out(LIFT, "lift-among-others", "among others", things=(*BLOCKS, *OTHER_BLOCKS[:2])),
    _held_out(LIFT, "lift-outside", "outside the usual patch", place=scatter_outside),
    _held_out(LIFT, "lift-evening", "in evening light", light=EVENING),
    _held_out(STACK, "stack-evening", "in evening light", light=EVENING),
)
