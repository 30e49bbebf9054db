"""The rival ways follow what they can follow."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from samlite_ros.bench.streaming.oracle import OracleSegmenter
from samlite_ros.bench.streaming.rivals import RIVALS, run_rival
from samlite_ros.evaluation.measures.streaming_accuracy import score_run
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.types import Frame
from samlite_ros.virtual.network import KeyframePass

PERIOD_NS = 41_666_667
LEAST_IOU = {"flow": 0.8, "points": 0.97}  # dense flow smears at edges


def textured_square(count):
    """It moves by 3 px a frame over a textured ground."""
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((240, 320), (100, 100))]
    smooth = [cv2.GaussianBlur(n, (0, 0), 3) for n in noise]
    ground, square = (cv2.normalize(s, None, 0, 255, cv2.NORM_MINMAX) for s in smooth)
    out = []
    for index in range(count):
        image, ids = ground.copy(), np.zeros(ground.shape[:2], np.uint8)
        rows, columns = slice(60, 160), slice(30 + 3 * index, 130 + 3 * index)
        image[rows, columns], ids[rows, columns] = square, 5
        out.append(TruthFrame(Frame(image, 1_000_000_000 + index * PERIOD_NS), ids, frozenset({5})))
    return out


@pytest.mark.parametrize("name", RIVALS)
def test_a_moving_square_is_followed_from_a_late_keyframe(name):
    truth = textured_square(16)
    stamps = [t.frame.stamp_ns for t in truth]
    passes = [
        KeyframePass("", stamps[0], stamps[0], stamps[4] + 5, 1, False),
        KeyframePass("", stamps[4], stamps[4] + 5, stamps[9], 1, False),
    ]
    published = list(run_rival(RIVALS[name](), truth, passes, OracleSegmenter(truth).masks_in))
    assert [p.at_ns for p in published] == stamps
    keys = [p.answer.keyframe_stamp_ns for p in published]
    assert keys == [0] * 5 + [stamps[0]] * 4 + [stamps[4]] * 7
    iou = score_run(truth, published).iou()
    still = [replace(p, answer=replace(p.answer, instances=published[5].answer.instances)) for p in published[5:]]
    assert iou > LEAST_IOU[name] and iou > score_run(truth, still).iou() + 0.04
