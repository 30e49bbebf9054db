"""The words of the rendered world: which phrase names which object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

SHAPES = ("ball", "box", "cone", "cylinder")
COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "cyan", "pink")

HELD_OUT_PAIRS = frozenset({("purple", "ball"), ("yellow", "box"), ("blue", "cone"), ("cyan", "cylinder")})
"""(colour, shape) pairs that training neither renders nor asks for."""

SHAPE_WORDS: dict[str, tuple[str, ...]] = {
    "ball": ("ball", "balls", "sphere", "spheres"),
    "box": ("box", "boxes", "cube", "cubes", "crate", "crates", "block", "blocks"),
    "cone": ("cone", "cones"),
    "cylinder": ("cylinder", "cylinders", "can", "cans", "tin", "tins"),
}
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    **{colour: (colour,) for colour in COLOURS},
    "purple": ("purple", "violet"),
    "cyan": ("cyan", "turquoise"),
}
ANY_WORDS = ("object", "objects", "thing", "things", "item", "items", "shape", "shapes", "toy", "toys")
"""Nouns that name every object."""

FILLER_WORDS = ("a", "an", "the", "all", "any", "every", "some", "and", "of")
"""Words that change nothing."""

_SHAPE_OF = {word: shape for shape, words in SHAPE_WORDS.items() for word in words}
_COLOUR_OF = {word: colour for colour, words in COLOUR_WORDS.items() for word in words}


class Named(Protocol):
    """Anything with a shape and a colour of this vocabulary."""

    @property
    def shape(self) -> str: ...

    @property
    def colour(self) -> str: ...


@dataclass(frozen=True)
class Meaning:
    """What a phrase asks for; None = any."""

    colour: str | None = None
    shape: str | None = None

    def fits(self, thing: Named) -> bool:
        """True where the thing is of the asked colour and shape."""
        return self.colour in (None, thing.colour) and self.shape in (None, thing.shape)

    @property
    def plain_phrase(self) -> str:
        """The shortest phrase that means this, e.g. 'red ball', 'ball', 'red object', 'object'."""
        noun = self.shape or "object"
        return f"{self.colour} {noun}" if self.colour else noun


def words() -> tuple[str, ...]:
    """Every word of the vocabulary, in a fixed order without repeats."""
    groups = (*SHAPE_WORDS.values(), ANY_WORDS, FILLER_WORDS, *COLOUR_WORDS.values())
    return tuple(dict.fromkeys(word for group in groups for word in group))


def meaning_of(phrase: str) -> Meaning | None:
    """Read a phrase.

    Args:
        phrase: E.g. "the red ball", "Cubes", "a blue thing"; case does not matter.

    Returns:
        None where a word is unknown, the noun is missing, or two nouns or two colours are named.
    """
    tokens = [word for word in phrase.lower().split() if word not in FILLER_WORDS]
    colours = [_COLOUR_OF[word] for word in tokens if word in _COLOUR_OF]
    nouns = [word for word in tokens if word in _SHAPE_OF or word in ANY_WORDS]
    if len(colours) > 1 or len(nouns) != 1 or len(colours) + len(nouns) != len(tokens):
        return None
    return Meaning(colours[0] if colours else None, _SHAPE_OF.get(nouns[0]))


def matches(phrase: str, thing: Named) -> bool:
    """True where the phrase names the thing; an unreadable phrase names nothing."""
    meaning = meaning_of(phrase)
    return meaning is not None and meaning.fits(thing)
