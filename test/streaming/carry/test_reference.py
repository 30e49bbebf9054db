"""What is kept of a shape in one frame."""

import numpy as np

from samlite_ros.streaming.carry.reference import Moment, error_of, reference_from_mask
from samlite_ros.streaming.image.frame_images import FrameImages, Window
from samlite_ros.streaming.tuning import Tuning

SHAPES = Tuning().shapes
IMAGE = np.zeros((120, 160, 3), np.uint8)


def test_errors_are_what_was_missing_and_what_was_too_much():
    mask = np.zeros((120, 160), bool)
    mask[40:80, 40:100] = True
    key = reference_from_mask(Moment(0, 0, FrameImages(IMAGE), None), mask, SHAPES)
    window = Window(20, 20, 100, 80)
    said = np.full((80, 100), -9, np.float32)
    said[20:60, 40:100] = 9  # in the image x 60 to 120, y 40 to 80
    error = error_of(key, window, said)
    x, y = key.window.centers(error.shape[0])
    at = lambda px, py: error[np.argmin(abs(y - py)), np.argmin(abs(x - px))]  # noqa: E731
    assert at(50, 60) > 0.95 and at(110, 60) < -0.95
    assert abs(at(80, 60)) < 0.05 and abs(at(50, 30)) < 0.05
    assert error.shape == key.distance.shape and error.dtype == np.float32
