"""Both sides of the message benchmark say the same of the same masks."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from messages import (
    INSTANCES,
    answers,
    conversions,
    cv_bridge_message,
    fillings,
    mask_logits,
    our_messages,
    peer_messages,
)
from std_msgs.msg import Header

from samlite_ros.pixels.masks import decode_rle
from samlite_ros.types import Frame

SIZE = (96, 64)


def test_both_ways_fill_the_same_masks():
    logits, frame = mask_logits(32), Frame(np.zeros((64, 96, 3), np.uint8), 1)
    segmentation, detections, *rasters = our_messages(logits, frame)
    theirs, *images = peer_messages(logits, frame, cv_bridge_message)
    assert len(segmentation.instances) == len(detections.detections) == len(theirs.detections) == INSTANCES
    assert [r.encoding for r in rasters] == ["mono8", "mono8", "mono16"]
    by_class = {i.matches[0].class_id: i for i in segmentation.instances}
    for class_id, image in enumerate(images):
        peer = np.frombuffer(image.data, np.uint8).reshape(64, 96) > 0
        ours = decode_rle(np.array(by_class[class_id].counts), 64, 96)
        assert (ours != peer).mean() < 0.02
        assert peer.any()


@pytest.mark.parametrize("make", [conversions, fillings])
def test_both_ways_give_the_same_pixels(make):
    for sides in make(SIZE).values():
        wanted = pixels(sides["peers"]())
        assert all((pixels(call()) == wanted).all() for call in sides.values())


def pixels(value):
    return value if isinstance(value, np.ndarray) else np.frombuffer(value.data, np.uint8)


def test_every_way_of_answering_runs():
    assert all(len(call()) > 1 for call in answers(SIZE).values())


def test_cv_bridges_way_keeps_size_and_step():
    message = cv_bridge_message(np.zeros((3, 5, 3), np.uint8), "rgb8", Header(frame_id="x"))
    assert (message.height, message.width, message.step, len(message.data)) == (3, 5, 15, 45)
