"""What is odd with depth is told in words, and no more when it is well again."""

from dataclasses import replace

import numpy as np
import pytest
from locating_rig import Rig, depth
from painted_depth import CALIBRATION, SIZE

from samlite_ros.errors import CalibrationError, ImageDecodeError
from samlite_ros.live.depth_health import DepthHealth


class Judged(Rig):
    """Images at 30 Hz of which each third is judged."""

    def __init__(self, monkeypatch):
        super().__init__(monkeypatch)
        self.companions.read, self.index = self.read, 0
        self.health = DepthHealth(self.locating)

    @staticmethod
    def read(message):
        if isinstance(message, Exception):
            raise message
        return message

    def see(self, make, images=9, info=CALIBRATION):
        """`make(index)` gives the message of depth of an image; returns what is told at the end."""
        for _ in range(images):
            stamp_ns = depth(self.index).stamp_ns
            self.companions.put(info if isinstance(info, Exception) else replace(info, stamp_ns=stamp_ns))
            self.companions.put(make(self.index))
            self.now_s += 0.2
            self.answer(self.index)
            self.index += 1
            told = self.health.judge() if self.index % 3 == 0 else ("", "")
        return told


@pytest.fixture
def judged(monkeypatch):
    return Judged(monkeypatch)


def stamped(apart_ns):
    return lambda index: replace(depth(index), stamp_ns=depth(index).stamp_ns + apart_ns)


def filled(value, dtype=np.float32):
    return lambda index: replace(depth(index), depth=np.full(SIZE, value, dtype))


@pytest.mark.parametrize(
    ("make", "word", "words"),
    [
        (stamped(10**10), "unmatched", "3 of 3 images without depth: stamps 10.0 s apart"),
        (stamped(-(10**10)), "unmatched", "3 of 3 images without depth: stamps 10.0 s apart"),
        (lambda index: replace(depth(index), stamp_ns=0), "unmatched", "3 of 3 images without depth: stamps"),
        (stamped(10**9 + 7), "unmatched", "1.0 s apart"),
        (lambda _: ImageDecodeError("mono8 is no depth"), "rejected", "3 of 3 depth images are rejected: mono8"),
        (filled(np.nan), "blind", "measures nothing"),
        (filled(0), "blind", "measures nothing"),
        (filled(np.inf), "blind", "measures nothing"),
        (filled(65535, np.uint16), "blind", "measures nothing"),
        (lambda index: depth(index, frame_id="infra"), "refused", "must be registered"),
    ],
    ids=["ahead", "behind", "zero stamp", "beyond", "rejected", "nan", "zeros", "inf", "saturated", "unregistered"],
)
def test_depth_that_is_of_no_use_is_told_and_forgotten_when_well(judged, make, word, words) -> None:
    assert judged.see(depth) == ("", "")
    assert judged.health.stamps_apart_ns == 0
    odd, line = judged.see(make, images=24)
    assert odd == word and words in line
    assert (judged.health.stamps_apart_ns > 0) == (word == "unmatched")
    assert judged.see(depth, images=24)[0] == ""


@pytest.mark.parametrize("broken", ["K 0, 0, 0", "K nan"])
def test_a_calibration_that_turns_bad_is_told_and_the_good_one_stays(judged, broken) -> None:
    assert judged.see(depth) == ("", "")
    sent = len(judged.sent)
    odd, line = judged.see(depth, info=CalibrationError(broken))
    assert odd == "calibration" and broken in line and "stays in use" in line
    assert len(judged.sent) > sent
    assert judged.see(depth) == ("", "")


def test_a_calibration_of_another_frame_is_used_and_said(judged) -> None:
    odd, line = judged.see(depth, info=replace(CALIBRATION, frame_id="left_ir"))
    assert odd == "other camera" and "left_ir" in line and judged.sent[-1].places[0] is not None
    assert judged.see(depth, info=replace(CALIBRATION, frame_id="")) == ("", "")


def test_depth_at_a_third_of_the_rate_of_images_is_no_fault(judged) -> None:
    for index in range(60):
        if index % 3 == 0:
            judged.companions.put(depth(index))
        judged.answer(index)
        judged.now_s += 0.2
        assert index < 10 or judged.health.judge()[0] == ""
