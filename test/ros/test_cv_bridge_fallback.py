import sys
import types

import numpy as np
import pytest
from sensor_msgs.msg import Image

from samlite_ros.errors import ImageDecodeError
from samlite_ros.messages.read import read_frame
from samlite_ros.node.cv_bridge_fallback import CvBridgeFallback


def image(encoding):
    message = Image(height=2, width=2, encoding=encoding, step=6, data=bytes(12))
    message.header.stamp.sec = 1
    return message


def bridge_module(convert):
    module = types.ModuleType("cv_bridge")
    module.CvBridge = lambda: types.SimpleNamespace(imgmsg_to_cv2=convert)
    return module


def test_cv_bridge_converts_what_we_do_not_know_and_only_that(monkeypatch):
    asked = []

    def convert(message, encoding):
        asked.append((message.encoding, encoding))
        return np.full((2, 2, 3), 7, np.uint8)

    monkeypatch.setitem(sys.modules, "cv_bridge", bridge_module(convert))
    fallback = CvBridgeFallback()
    assert read_frame(image("rare"), 1, "left", fallback).image.max() == 7
    assert read_frame(image("rgb8"), 1, "left", fallback).image.max() == 0
    assert asked == [("rare", "rgb8")]


@pytest.mark.parametrize("error", [KeyError(16), RuntimeError("[rare] is not a color format")])
def test_what_cv_bridge_refuses_is_refused_by_name(monkeypatch, error):
    def convert(message, encoding):
        raise error

    monkeypatch.setitem(sys.modules, "cv_bridge", bridge_module(convert))
    with pytest.raises(ImageDecodeError, match=r"'rare' is not one of ours.*cv_bridge says"):
        read_frame(image("rare"), 1, "", CvBridgeFallback())


def test_without_cv_bridge_the_encoding_is_refused_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    with pytest.raises(ImageDecodeError, match=r"'rare' is not one of ours.*cannot be imported"):
        read_frame(image("rare"), 1, "", CvBridgeFallback())
