"""What a scene is asked in an evaluation, and what the right answers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from samlite_ros.scenes.render import ObjectTruth, Scene
from samlite_ros.scenes.vocabulary import COLOURS, HELD_OUT_PAIRS, SHAPES, Meaning
from samlite_ros.training.phrases import spell

Kind = Literal["colour and shape", "shape", "colour", "object", "absent", "hard absent"]
_ABSENT_PER_SCENE = 2
_STREAM = 5


@dataclass(frozen=True)
class Question:
    """One phrase put to one scene.

    Args:
        phrase: In words that people use.
        meaning: What it asks for.
        kind: 'absent': nothing in the scene fits. 'hard absent': nothing fits, but something has the colour or shape.
        targets: The objects that it names.
    """

    phrase: str
    meaning: Meaning
    kind: Kind
    targets: tuple[ObjectTruth, ...]

    @property
    def held_out(self) -> bool:
        """True for a colour-shape pair that training never saw."""
        return (self.meaning.colour, self.meaning.shape) in HELD_OUT_PAIRS


def questions(scene: Scene, seed: int) -> list[Question]:
    """Questions to a scene: every colour-shape pair in it, one of its shapes, one of its colours, 'object', two phrases
    drawn from all that name nothing in it, and two of those that share colour or shape with something in it.

    Args:
        scene: The scene.
        seed: Draws phrases and words.
    """
    rng = np.random.default_rng([_STREAM, seed])
    things = scene.objects
    asked: list[tuple[Meaning, Kind]] = []
    if things:
        pairs = sorted({(thing.colour, thing.shape) for thing in things})
        asked += [(Meaning(colour, shape), "colour and shape") for colour, shape in pairs]
        chosen = things[rng.integers(len(things))]
        asked += [
            (Meaning(None, chosen.shape), "shape"),
            (Meaning(chosen.colour, None), "colour"),
            (Meaning(), "object"),
        ]
    absent = [meaning for meaning in all_meanings() if not any(meaning.fits(thing) for thing in things)]
    hard = [meaning for meaning in absent if _is_near_miss(meaning, things)]
    asked += [(meaning, "absent") for meaning in _draw(rng, absent)]
    asked += [(meaning, "hard absent") for meaning in _draw(rng, hard)]
    return [
        Question(spell(rng, meaning), meaning, kind, tuple(thing for thing in things if meaning.fits(thing)))
        for meaning, kind in asked
    ]


def all_meanings() -> list[Meaning]:
    """Every colour with every shape, every shape and every colour."""
    pairs = [Meaning(colour, shape) for colour in COLOURS for shape in SHAPES]
    return [*pairs, *(Meaning(None, shape) for shape in SHAPES), *(Meaning(colour, None) for colour in COLOURS)]


def _is_near_miss(meaning: Meaning, things: tuple[ObjectTruth, ...]) -> bool:
    """True for a colour with a shape of which the scene has one, but not both together."""
    if meaning.colour is None or meaning.shape is None:
        return False
    return any(meaning.colour == thing.colour or meaning.shape == thing.shape for thing in things)


def _draw(rng: np.random.Generator, meanings: list[Meaning]) -> list[Meaning]:
    count = min(_ABSENT_PER_SCENE, len(meanings))
    return [meanings[index] for index in rng.choice(len(meanings), count, replace=False)] if count else []
