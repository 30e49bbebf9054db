"""Which phrase names which object."""

from dataclasses import dataclass

import pytest

from samlite_ros.scenes.vocabulary import COLOURS, HELD_OUT_PAIRS, SHAPES, Meaning, matches, meaning_of, words


@dataclass(frozen=True)
class Thing:
    colour: str
    shape: str


RED_BALL, BLUE_BOX, PURPLE_CYLINDER = Thing("red", "ball"), Thing("blue", "box"), Thing("purple", "cylinder")


@pytest.mark.parametrize(
    ("phrase", "named"),
    [
        ("red ball", [RED_BALL]),
        ("the red ball", [RED_BALL]),
        ("The RED Ball", [RED_BALL]),
        ("balls", [RED_BALL]),
        ("all the spheres", [RED_BALL]),
        ("a blue thing", [BLUE_BOX]),
        ("red object", [RED_BALL]),
        ("crate", [BLUE_BOX]),
        ("blue cubes", [BLUE_BOX]),
        ("can", [PURPLE_CYLINDER]),
        ("violet tin", [PURPLE_CYLINDER]),
        ("object", [RED_BALL, BLUE_BOX, PURPLE_CYLINDER]),
        ("every toy", [RED_BALL, BLUE_BOX, PURPLE_CYLINDER]),
        ("green ball", []),
        ("red box", []),
        ("zebra", []),
        ("red zebra", []),
        ("red", []),
        ("red blue ball", []),
        ("ball box", []),
        ("", []),
    ],
)
def test_phrase_names(phrase: str, named: list[Thing]) -> None:
    assert [thing for thing in (RED_BALL, BLUE_BOX, PURPLE_CYLINDER) if matches(phrase, thing)] == named


@pytest.mark.parametrize("meaning", [Meaning(c, s) for c in (None, *COLOURS) for s in (None, *SHAPES)])
def test_plain_phrase_means_itself(meaning: Meaning) -> None:
    assert meaning_of(meaning.plain_phrase) == meaning


def test_words_are_distinct_and_lower_case() -> None:
    assert len(set(words())) == len(words())
    assert all(word == word.lower() for word in words())


def test_each_shape_is_held_out_in_one_colour() -> None:
    assert sorted(shape for _, shape in HELD_OUT_PAIRS) == sorted(SHAPES)
    assert len({colour for colour, _ in HELD_OUT_PAIRS}) == len(SHAPES)
