"""Which thing of a scene stands for which one of a demonstration whose variation is another.

Variations name things, such as "red-on-green": word for word they say what takes whose place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import permutations

from sim.things.thing import Fixture, Shape, Thing

CLEAR = (0.0, 0.0, 0.0, 0.0)


def casts(
    used: Sequence[str], things: Mapping[str, Thing], before: str, after: str
) -> Iterator[dict[str, str]]:
    """All ways in which things of a scene can stand for those that a demonstration uses.

    What the variation names is replaced by what the other variation names in its place; what it does not
    name, by anything like it.

    Args:
        used: Names of what the demonstration uses.
        things: Of the task.
        before: The demonstration's variation.
        after: The scene's.
    """
    words = _words(before, after)
    if words is None:
        return
    spoken = {name: _spelt(name, words) for name in used if set(name.split("-")) & set(words)}
    if not all(new in things and alike(things[old], things[new]) for old, new in spoken.items()):
        return
    silent = [name for name in used if name not in spoken]
    others = [name for name in things if name not in spoken.values()]
    for chosen in permutations(others, len(silent)):
        if all(alike(things[old], things[new]) for old, new in zip(silent, chosen, strict=True)):
            yield {**spoken, **dict(zip(silent, chosen, strict=True))}


def _words(before: str, after: str) -> dict[str, str] | None:
    """What each word of a variation becomes in another; None if they do not go together word for word."""
    old, new = before.split("-"), after.split("-")
    words = dict(zip(old, new, strict=False))
    if len(old) != len(new) or [words[word] for word in old] != new or len(set(words.values())) != len(words):
        return None
    return words


def _spelt(name: str, words: Mapping[str, str]) -> str:
    return "-".join(words.get(word, word) for word in name.split("-"))


def alike(one: Thing, other: Thing) -> bool:
    """Whether two things differ in name and colour at most."""
    return _bare(one) == _bare(other)


def _bare(thing: Thing) -> Thing:
    """A thing without name and colour."""
    if isinstance(thing, Fixture) and thing.slide is not None:
        thing = replace(thing, slide=replace(thing.slide, shapes=_uncoloured(thing.slide.shapes)))
    return replace(thing, name="", shapes=_uncoloured(thing.shapes))


def _uncoloured(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    return tuple(replace(shape, rgba=CLEAR) for shape in shapes)
