"""The benchmark of turns measures what it says, on small amounts of it."""

import pytest
from fake_segmenter import FakeSegmenter

from samlite_ros.bench import phrase_turns


@pytest.mark.parametrize("mix", phrase_turns.MIXES)
def test_priorities_are_drawn_among_distinct_phrases(mix):
    priorities = phrase_turns.MIXES[mix]
    first, again, other = (phrase_turns.many_phrases(priorities, seed).queries for seed in (1, 1, 2))
    assert len({query.prompt for query in first}) == len(priorities)
    assert first == again
    assert sorted(query.priority for query in other) == sorted(query.priority for query in first)
    assert [query.priority for query in other] != [query.priority for query in first]


def test_waits_are_within_what_is_stated_and_high_priorities_in_every_pass():
    figures = phrase_turns.turns(FakeSegmenter(), "16 each of 3, 2, 1, 0", 0.04, passes=14, draws=2)
    told = {figure.column: figure.value for figure in figures}
    assert told["longer than stated"] == told["passes without a phrase of priority 3"] == 0
    assert told["phrases a pass"] == pytest.approx(64, abs=20)
    assert told["least"] <= told["throughput against all in each pass"] <= told["most"]
