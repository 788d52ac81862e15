"""Which thing of a scene stands for which one of a demonstration whose variation is another.

Variations name things, such as "red-on-green": word for word they say what takes whose place.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sim.things.thing import Fixture, Shape, Thing

CLEAR = (0.0, 0.0, 0.0, 0.0)


def casts(
    used: Sequence[str], things: Mapping[str, Thing], before: str, after: str
) -> Iterator[dict[str, str]]:
    """All ways in which things of a scene can stand for those that a demonstration uses.

    What the variation names is replaced by what the other variation names in its place; what it does not
    name, by anything like it, where all names that share a word change it alike: with "blue" for "red" comes
    "blue-disc" for "red-disc".

    Args:
        used: Names of what the demonstration uses.
        things: Of the task.
        before: The demonstration's variation.
        after: The scene's.
    """
    words = _matched(before, after, {})
    if words is not None:
        spoken = [name for name in used if set(name.split("-")) & set(words)]
        yield from _cast([*spoken, *(name for name in used if name not in spoken)], things, words)


def _cast(
    used: Sequence[str], things: Mapping[str, Thing], words: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """As `casts`, with some words settled already."""
    if not used:
        yield {}
        return
    first, rest = used[0], used[1:]
    for new in things:
        known = _matched(first, new, words) if alike(things[first], things[new]) else None
        for others in _cast(rest, things, known) if known is not None else ():
            yield {first: new, **others}


def _matched(before: str, after: str, words: Mapping[str, str]) -> dict[str, str] | None:
    """Some words and those that follow if one name becomes another; None if they do not go together."""
    old, new = before.split("-"), after.split("-")
    known = dict(words)
    for one, other in zip(old, new, strict=False):
        if known.setdefault(one, other) != other:
            return None
    fits = len(old) == len(new) and len(set(known.values())) == len(known)
    return known if fits else None


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
