"""Companions find their frames by stamp, whenever they come; what does not fit is counted, nothing waits."""

import threading

import numpy as np
import pytest

from samlite_ros.errors import CalibrationError
from samlite_ros.streaming.companions import DEPTH_TOLERANCE_NS, KEPT, Companions, StampBuffer
from samlite_ros.types import CameraCalibration, DepthImage, Frame

MS = 1_000_000
PERIOD_NS = 33 * MS


def frame(stamp_ns):
    return Frame(np.zeros((4, 6, 3), np.uint8), stamp_ns, "optical", "front")


def depth(stamp_ns):
    return DepthImage(np.ones((4, 6), np.float32), stamp_ns, "optical")


def calibration(stamp_ns):
    return CameraCalibration(np.eye(3), np.zeros(5), "plumb_bob", (4, 6), stamp_ns, "optical")


def as_it_is(message):
    return message


@pytest.fixture
def companions():
    return Companions(as_it_is)


def test_a_frame_takes_what_has_its_stamp(companions):
    own, info = depth(2 * PERIOD_NS), calibration(2 * PERIOD_NS)
    for companion in (depth(PERIOD_NS), own, depth(3 * PERIOD_NS), info):
        companions.put(companion)
    sent = frame(2 * PERIOD_NS)
    found = companions.attach(sent)
    assert found.depth is own and found.calibration is info
    assert (found.image is sent.image, found.stamp_ns, found.frame_id, found.camera) == (
        True,
        2 * PERIOD_NS,
        "optical",
        "front",
    )
    assert companions.depth.counters.matched == companions.calibration.counters.matched == 1
    assert companions.depth.counters.apart_ns == 0


@pytest.mark.parametrize(("apart_ns", "fits"), [(0, True), (DEPTH_TOLERANCE_NS, True), (DEPTH_TOLERANCE_NS + 1, False)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_stamps_may_differ_by_the_tolerance(companions, apart_ns, fits, sign):
    companions.put(depth(PERIOD_NS + sign * apart_ns))
    assert (companions.attach(frame(PERIOD_NS)).depth is not None) == fits
    counters = companions.depth.counters
    assert (counters.matched, counters.missed) == ((1, 0) if fits else (0, 1))
    assert counters.apart_max_ns == (apart_ns if fits else 0)


def test_the_nearest_is_taken_in_whichever_order_they_came():
    buffer = StampBuffer(50 * MS)
    for stamp_ns in (140, 90, 104, 60):
        buffer.put(depth(stamp_ns * MS))
    assert buffer.match(100 * MS).stamp_ns == 104 * MS
    assert buffer.match(110 * MS).stamp_ns == 104 * MS, "a slow depth camera serves several frames"
    assert buffer.counters.apart_ns == 6 * MS and buffer.counters.apart_max_ns == 6 * MS


def test_a_calibration_counts_until_another_comes(companions):
    companions.put(calibration(1))
    assert companions.attach(frame(10**12)).calibration.stamp_ns == 1
    companions.put(calibration(10**12 + 5))
    assert companions.attach(frame(10**12 + PERIOD_NS)).calibration.stamp_ns == 10**12 + 5


def test_what_comes_too_late_is_counted_once_and_not_waited_for(companions):
    assert companions.attach(frame(PERIOD_NS)).depth is None
    companions.put(depth(PERIOD_NS + 1))
    companions.put(depth(PERIOD_NS + 2))
    companions.attach(frame(9 * PERIOD_NS))
    counters = companions.depth.counters
    assert (counters.received, counters.missed, counters.late, counters.matched) == (2, 2, 1, 0)


def test_memory_is_bounded_where_nobody_looks_at_frames(companions):
    for index in range(10 * KEPT):
        companions.put(depth(index * PERIOD_NS))
    assert companions.attach(frame(0)).depth is None
    assert companions.attach(frame((10 * KEPT - 1) * PERIOD_NS)).depth is not None
    assert companions.depth.counters.received <= 2 * KEPT


def test_damage_is_counted_with_its_reason_and_costs_no_frame():
    def read(message):
        if isinstance(message, str):
            raise CalibrationError(message)
        return message

    companions = Companions(read)
    companions.put("not calibrated")
    companions.put(depth(PERIOD_NS))
    assert companions.attach(frame(PERIOD_NS)).depth is not None
    assert (companions.rejected, companions.last_rejection) == (1, "not calibrated")


def test_what_is_not_expected_is_left_out():
    companions = Companions(as_it_is, depth=None)
    companions.put(depth(PERIOD_NS))
    companions.put(calibration(PERIOD_NS))
    found = companions.attach(frame(PERIOD_NS))
    assert found.depth is None and found.calibration is not None
    assert set(companions.figures()) == {"calibration", "rejected", "last_rejection"}


def test_after_a_jump_of_time_nothing_from_before_is_used(companions):
    companions.put(depth(PERIOD_NS))
    companions.put(calibration(PERIOD_NS))
    companions.attach(frame(PERIOD_NS))
    companions.put(depth(PERIOD_NS))
    companions.clear()
    found = companions.attach(frame(PERIOD_NS))
    assert found.depth is None and found.calibration is None


def test_messages_may_come_from_another_thread(companions):
    stop = threading.Event()

    def publish():
        for index in range(1_000_000):
            companions.put(depth(index * PERIOD_NS))
            if stop.is_set():
                return

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        for index in range(2000):
            companions.attach(frame(index * PERIOD_NS))
    finally:
        stop.set()
        thread.join()
    counters = companions.depth.counters
    assert counters.matched + counters.missed == 2000


@pytest.mark.parametrize("values", [np.ones((4, 6), np.float64), np.ones((4, 6, 1), np.float32), np.ones((0, 6), "u2")])
def test_a_depth_image_is_metres_or_millimetres_of_each_pixel(values):
    with pytest.raises(ValueError, match="depth must be"):
        DepthImage(values, 1)


def test_how_far_apart_depth_is_that_never_fits(companions):
    for index in range(3 * KEPT):
        companions.put(depth(10**12 + index * PERIOD_NS))
        companions.attach(frame(2 * 10**12 + index * PERIOD_NS))
    assert companions.depth.counters.missed_apart_ns == 10**12
