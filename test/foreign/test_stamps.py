"""Times: whole ones are taken, others refused with the number."""

import pytest

from samlite_ros.errors import StampError
from samlite_ros.foreign.stamps import END_NS, checked_ns, ns_of


@pytest.mark.parametrize("pair", [(0, 0), (0, 1), (2**31 - 1, 999_999_999)])
def test_times_that_are_some(pair):
    assert ns_of(*pair) == pair[0] * 10**9 + pair[1]


@pytest.mark.parametrize("pair", [(-1, 0), (-1, 999_999_999), (0, 10**9), (5, 2**32 - 1), (2**31, 0), (0, -1)])
def test_times_that_are_none(pair):
    with pytest.raises(StampError, match="expected"):
        ns_of(*pair)


def test_the_end_of_time():
    assert checked_ns(END_NS - 1) == END_NS - 1
    for beyond in (END_NS, -1, 10**100):
        with pytest.raises(StampError, match="stamp of"):
            checked_ns(beyond)
