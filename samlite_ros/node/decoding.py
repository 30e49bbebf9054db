"""A camera's messages to frames, as its stream's thread does it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from samlite_ros.messages.read import read_frame
from samlite_ros.node.codec_noise import CODEC_NOISE
from samlite_ros.node.cv_bridge_fallback import CvBridgeFallback
from samlite_ros.types import Frame


def frame_decoder(camera: str, transport: str, max_pixels: Callable[[], int]) -> Callable[[Any, int], Frame]:
    """Makes a frame of a message and its stamp [ns]; for one camera.

    Args:
        camera: Its name.
        transport: 'raw' or 'compressed'.
        max_pixels: The parameter's value at the moment.
    """
    fallback = CvBridgeFallback()

    def decode(message: Any, at_ns: int) -> Frame:
        with CODEC_NOISE.silenced() if transport == "compressed" else nullcontext():
            return read_frame(message, at_ns, camera, fallback, max_pixels())

    return decode
