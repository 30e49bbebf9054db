"""Kept keyframes: within their memory, spread over their time, begun anew where time or size change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samlite_ros.segmenter.contract import ImageEmbedding
from samlite_ros.streaming.ring import MOST_KEPT, EmbeddingRing

S = 1_000_000_000


def image(at_s, size=(48, 64), bytes_=10):
    return ImageEmbedding(round(at_s * S), "", size, "m", None, bytes=bytes_)


def test_keyframes_of_so_long_are_kept_newest_first():
    ring = EmbeddingRing(2.0, 1000)
    for n in range(1, 11):
        ring.add(image(n * 0.5))
    assert ring.stamps_ns == [round(s * S) for s in (5.0, 4.5, 4.0, 3.5, 3.0)]
    assert ring.get(4 * S).stamp_ns == 4 * S and ring.get(S) is None


def test_where_memory_is_short_they_are_spread_over_the_time():
    ring = EmbeddingRing(8.0, 45)
    for n in range(1, 301):
        ring.add(image(n / 30))
    stamps_s = [stamp_ns / S for stamp_ns in ring.stamps_ns]
    assert len(stamps_s) == 4 and ring.bytes <= 45
    assert stamps_s[0] - stamps_s[-1] == pytest.approx(6.0, abs=0.2)


@pytest.mark.parametrize("other", [image(1.5), image(4, size=(50, 64))])
def test_another_time_or_size_begins_anew(other):
    ring = EmbeddingRing(10.0, 1000)
    for n in (1, 2, 3):
        ring.add(image(n))
    ring.add(other)
    assert ring.stamps_ns == [other.stamp_ns]


def test_one_that_is_larger_than_the_memory_is_not_kept():
    ring = EmbeddingRing(10.0, 100)
    ring.add(image(1))
    ring.add(image(5, bytes_=101))
    assert len(ring) == 0


@given(
    st.lists(st.tuples(st.floats(0.001, 3), st.integers(0, 60)), max_size=100), st.integers(0, 200), st.floats(0.1, 20)
)
def test_memory_number_and_age_hold_whatever_comes(steps, most_bytes, remember_s):
    ring, at_s = EmbeddingRing(remember_s, most_bytes), 0.0
    for step_s, bytes_ in steps:
        at_s += step_s
        ring.add(image(at_s, bytes_=bytes_))
        assert ring.bytes <= most_bytes and len(ring) <= MOST_KEPT
        assert all(at_s * S - stamp_ns <= remember_s * S + 1 for stamp_ns in ring.stamps_ns)
