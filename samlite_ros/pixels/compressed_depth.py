"""Depth as compressed_depth_image_transport packs it: a 16-bit PNG behind a header of its own."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import ImageDecodeError
from samlite_ros.foreign.words import quoted
from samlite_ros.pixels.codecs import codec_of
from samlite_ros.pixels.decode import Buffer, decode_unchanged

_HEADER = struct.Struct("<iff")  # what it is packed as, and the two numbers that undo the quantisation of metres


def decode_compressed_depth(data: Buffer, format: str) -> NDArray[np.float32] | NDArray[np.uint16]:
    """Decode a CompressedImage message of depth.

    Args:
        data: 12 bytes of header and a PNG; the header may be missing where depth is in millimetres.
        format: The message's format: '16UC1; compressedDepth', '32FC1; compressedDepth png' ...

    Returns:
        uint16 (H, W) [mm] or float32 (H, W) [m]; NaN = not measured.

    Raises:
        ImageDecodeError: Another codec (RVL, JPEG), damaged, truncated or too large data.

    Source: compressed_depth_image_transport/codec.cpp.
    """
    content = np.frombuffer(data, np.uint8).tobytes()
    packed = content if codec_of(content) == "PNG" else content[_HEADER.size :]
    what = f"compressed depth ({quoted(format)}, {len(content)} bytes)"
    if codec_of(packed) != "PNG":
        found = "RVL" if "rvl" in format.lower() else codec_of(content) or "no PNG"
        raise ImageDecodeError(f"{what} holds {found}: only PNG is read (the publisher's parameter `format: png`)")
    try:
        values = decode_unchanged(packed)
    except ImageDecodeError as error:
        raise ImageDecodeError(f"{what}: {error}") from error
    if values.dtype != np.uint16 or values.ndim != 2:
        raise ImageDecodeError(f"{what} is no grey image of 16 bits")
    if "32FC1" not in format:
        return values
    if packed is content:
        raise ImageDecodeError(f"{what} has no header, which says what its steps mean in metres")
    return _to_metres(values, *_HEADER.unpack_from(content)[1:])


def _to_metres(steps: NDArray[np.uint16], scale: float, shift: float) -> NDArray[np.float32]:
    """Undo the quantisation, whose steps are even in 1 / depth."""
    with np.errstate(divide="ignore"):
        metres = np.float32(scale) / (steps.astype(np.float32) - np.float32(shift))
    return np.where(steps > 0, metres, np.float32(np.nan)).astype(np.float32)
