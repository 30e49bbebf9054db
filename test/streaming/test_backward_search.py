"""How many looks it takes until it is known when something was seen last."""

import random

import pytest

from samlite_ros.streaming.backward_search import BackwardSearch

KEPT = list(range(64, 0, -1))


def looks(visible):
    """Stamps in the order in which they are looked at; kept are 64 to 1."""
    search, looked = BackwardSearch(65), []
    while (stamp := search.next_ns([65, *KEPT])) is not None:
        looked.append(stamp)
        search.note(stamp, stamp in visible)
    return looked


@pytest.mark.parametrize("left", range(1, 64))
def test_a_thing_that_left_once_is_known_soon_and_to_the_keyframe_not_much_later(left):
    looked = looks(range(1, left + 1))
    first = next(n for n, stamp in enumerate(looked, 1) if stamp <= left)
    assert first <= (7 if left >= 14 else 1 + 2 * 64 / left)
    assert looked.index(left) + 1 <= first + 6
    assert len(looked) == len(set(looked)) and {*range(left, 65)} <= {*looked}


def test_whatever_was_visible_the_newest_is_found_with_one_look_a_keyframe_at_most():
    for seed in range(200):
        dice = random.Random(seed)
        visible = {stamp for stamp in KEPT if dice.random() < dice.choice((0.02, 0.2, 0.9))}
        looked = looks(visible)
        assert len(looked) == len(set(looked)) <= 64
        assert not visible or max(visible) in looked


def test_keyframes_that_are_let_go_meanwhile_are_not_asked_for():
    search = BackwardSearch(65)
    kept = list(KEPT)
    while (stamp := search.next_ns(kept)) is not None:
        assert stamp in kept
        search.note(stamp, stamp < 9)
        kept = kept[:-3]
