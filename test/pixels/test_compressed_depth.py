"""Depth in a 16-bit PNG, as compressed_depth_image_transport writes it."""

import struct

import cv2
import numpy as np
import pytest

from samlite_ros.errors import ImageDecodeError
from samlite_ros.pixels.compressed_depth import decode_compressed_depth

MILLIMETRES = np.arange(12 * 16, dtype=np.uint16).reshape(12, 16) * 50
MAX_M, QUANTUM = 10.0, 100.0


def png(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()


def header(scale: float = 0.0, shift: float = 0.0) -> bytes:
    return struct.pack("<iff", 0, scale, shift)


def packed_metres(metres: np.ndarray) -> bytes:
    """By the transport's formula: even steps of 1 / depth."""
    scale = QUANTUM * (QUANTUM + 1)
    shift = 1 - scale / MAX_M
    steps = np.where(np.isfinite(metres), scale / metres + shift, 0)
    return header(scale, shift) + png(steps.astype(np.uint16))


@pytest.mark.parametrize("format", ["16UC1; compressedDepth", "16UC1; compressedDepth png", "compressedDepth", ""])
@pytest.mark.parametrize("start", [header(), b""])
def test_millimetres(format, start) -> None:
    assert np.array_equal(decode_compressed_depth(start + png(MILLIMETRES), format), MILLIMETRES)


def test_metres_to_the_step_of_the_transport() -> None:
    metres = np.linspace(0.5, 9.0, 12 * 16, dtype=np.float32).reshape(12, 16)
    metres[3, 4] = np.nan
    decoded = decode_compressed_depth(packed_metres(metres), "32FC1; compressedDepth png")
    assert decoded.dtype == np.float32
    assert np.isnan(decoded[3, 4])
    there = np.isfinite(metres)
    step = metres**2 / (QUANTUM * (QUANTUM + 1))
    assert (np.abs(decoded - metres)[there] <= 1.01 * step[there]).all()


@pytest.mark.parametrize(
    ("data", "format", "words"),
    [
        (header() + b"\x12\x34" * 40, "16UC1; compressedDepth rvl", "RVL"),
        (header() + png(MILLIMETRES)[:60], "16UC1; compressedDepth png", "cut off"),
        (header() + png(MILLIMETRES.astype(np.uint8)), "16UC1; compressedDepth png", "16 bits"),
        (png(MILLIMETRES), "32FC1; compressedDepth png", "no header"),
        (b"", "16UC1; compressedDepth png", "no PNG"),
        (b"\0" * 5, "", "no PNG"),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(data, format, words) -> None:
    with pytest.raises(ImageDecodeError, match=words):
        decode_compressed_depth(data, format)
