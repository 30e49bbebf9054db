import pytest

from samlite_ros.streaming.stamps import Stamp, StampOrder
from samlite_ros.types import NO_STAMP


def test_the_drivers_stamp_counts_and_the_arrival_where_there_is_none():
    assert Stamp.of(5, 9) == Stamp(5)
    assert Stamp.of(0, 9) == Stamp(9, is_arrival=True)


@pytest.mark.parametrize(
    ("stamp", "last_ns", "verdict"),
    [
        (Stamp.of(5, 9), NO_STAMP, StampOrder.NEWER),
        (Stamp.of(5, 9), 4, StampOrder.NEWER),
        (Stamp.of(5, 9), 5, StampOrder.REPEATED),
        (Stamp.of(5, 9), 6, StampOrder.OLDER),
        (Stamp.of(0, 9), 8, StampOrder.NEWER),
        (Stamp.of(0, 0), 8, StampOrder.NO_TIME),
        (Stamp.of(0, -1), NO_STAMP, StampOrder.NO_TIME),
        (Stamp.of(-1, 9), NO_STAMP, StampOrder.IMPOSSIBLE),
    ],
)
def test_what_an_image_is_after_another(stamp, last_ns, verdict):
    assert stamp.after(last_ns) is verdict
