"""Draws the phrases that a scene is asked in training."""

from __future__ import annotations

import numpy as np

from samlite_ros.scenes.vocabulary import (
    ANY_WORDS,
    COLOUR_WORDS,
    COLOURS,
    HELD_OUT_PAIRS,
    SHAPE_WORDS,
    SHAPES,
    Meaning,
    Named,
)

_ARTICLES = ("", "", "", "", "a ", "the ", "all ", "any ", "the ", "every ", "some ")
_UNKNOWN = ("zebra", "red zebra", "green dog", "person", "car on the road")
_ATTEMPTS = 30


def word_for(rng: np.random.Generator, words: tuple[str, ...]) -> str:
    """One of the words; the first, the usual one, half of the time."""
    return words[0] if rng.random() < 0.5 else words[rng.integers(len(words))]


def spell(rng: np.random.Generator, meaning: Meaning) -> str:
    """A phrase with this meaning, in words that people use."""
    noun = word_for(rng, SHAPE_WORDS[meaning.shape] if meaning.shape else ANY_WORDS)
    colour = word_for(rng, COLOUR_WORDS[meaning.colour]) + " " if meaning.colour else ""
    return f"{_ARTICLES[rng.integers(len(_ARTICLES))]}{colour}{noun}"


def draw_phrase(rng: np.random.Generator, things: list[Named], positive: float) -> str:
    """A phrase to ask a scene.

    Args:
        rng: Random numbers.
        things: What is in the scene.
        positive: Chance that it names something there, if there is anything.
    """
    if rng.random() < 0.02:
        return _UNKNOWN[rng.integers(len(_UNKNOWN))]
    if things and rng.random() < positive:
        return spell(rng, _meaning_of_one(rng, things[rng.integers(len(things))]))
    absent = draw_absent(rng, things)
    return spell(rng, absent) if absent else _UNKNOWN[0]


def draw_shape_phrase(rng: np.random.Generator, things: list[Named], positive: float) -> str:
    """As `draw_phrase`, without a word about colour."""
    shapes = {thing.shape for thing in things}
    absent = [shape for shape in SHAPES if shape not in shapes]
    if things and (not absent or rng.random() < positive):
        shape = things[rng.integers(len(things))].shape
        return spell(rng, Meaning(None, shape if rng.random() < 0.85 else None))
    return spell(rng, Meaning(None, absent[rng.integers(len(absent))]))


def _meaning_of_one(rng: np.random.Generator, thing: Named) -> Meaning:
    draw = rng.random()
    if draw < 0.5:
        return Meaning(thing.colour, thing.shape)
    if draw < 0.78:
        return Meaning(None, thing.shape)
    return Meaning(thing.colour, None) if draw < 0.92 else Meaning()


def draw_absent(rng: np.random.Generator, things: list[Named]) -> Meaning | None:
    """Something that is not in the scene, mostly much like something that is; None where nothing was found."""
    for _ in range(_ATTEMPTS):
        meaning = _near_miss(rng, things) if things and rng.random() < 0.6 else _anything(rng)
        held_out = (meaning.colour, meaning.shape) in HELD_OUT_PAIRS
        if not held_out and not any(meaning.fits(thing) for thing in things):
            return meaning
    return None


def _near_miss(rng: np.random.Generator, things: list[Named]) -> Meaning:
    """The colour of one thing with another shape, or its shape in another colour."""
    thing = things[rng.integers(len(things))]
    if rng.random() < 0.6:
        return Meaning(thing.colour, SHAPES[rng.integers(len(SHAPES))])
    return Meaning(COLOURS[rng.integers(len(COLOURS))], thing.shape)


def _anything(rng: np.random.Generator) -> Meaning:
    draw = rng.random()
    colour, shape = COLOURS[rng.integers(len(COLOURS))], SHAPES[rng.integers(len(SHAPES))]
    if draw < 0.35:
        return Meaning(colour, shape)
    return Meaning(None, shape) if draw < 0.75 else Meaning(colour, None) if draw < 0.96 else Meaning()
