"""Which phrases the demo asks for: names of the most visible things of its scene, and one of nothing in it."""

from __future__ import annotations

from collections import Counter

from samlite_ros.errors import SamliteError
from samlite_ros.scenes import COLOURS, SHAPES, Sequence
from samlite_ros.scenes.vocabulary import Meaning

_SAMPLES = 12


def choose_phrases(sequence: Sequence) -> tuple[str, str]:
    """A phrase that is there and one that is not.

    Returns:
        The colour and shape that cover most pixels over the sequence, and the same shape in a colour that no object
        of the sequence has (or, where all are there, a pair that none has).

    Raises:
        SamliteError: The sequence shows no object, or all pairs of colour and shape.
    """
    area = _area_by_meaning(sequence)
    target = area.most_common(1)[0][0]
    return target.plain_phrase, _absent(target, set(area)).plain_phrase


def visible_phrases(sequence: Sequence, count: int) -> tuple[str, ...]:
    """Colour and shape of so many things of the sequence at most, those that cover most pixels first.

    Raises:
        SamliteError: The sequence shows no object.
    """
    return tuple(meaning.plain_phrase for meaning, _ in _area_by_meaning(sequence).most_common(count))


def _area_by_meaning(sequence: Sequence) -> Counter[Meaning]:
    area: Counter[Meaning] = Counter()
    for scene in (sequence[i] for i in range(0, len(sequence), max(len(sequence) // _SAMPLES, 1))):
        for thing in scene.objects:
            area[Meaning(thing.colour, thing.shape)] += thing.area_px
    if not area:
        raise SamliteError("the sequence shows no object: choose another seed")
    return area


def _absent(target: Meaning, there: set[Meaning]) -> Meaning:
    colours_there = {meaning.colour for meaning in there}
    same_shape = [Meaning(colour, target.shape) for colour in COLOURS]
    others = [Meaning(colour, shape) for shape in SHAPES for colour in COLOURS]
    candidates = [m for m in same_shape if m.colour not in colours_there] + [m for m in others if m not in there]
    if not candidates:
        raise SamliteError("every colour and shape is in the sequence: choose another seed")
    return candidates[0]
