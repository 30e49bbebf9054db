"""Images that claim, hide or lack something, and the words in which they are refused before memory is taken."""

import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from bounds import bounds, refusal

from samlite_ros.errors import ImageDecodeError
from samlite_ros.pixels.compressed_depth import decode_compressed_depth
from samlite_ros.pixels.decode import decode_compressed_image, decode_depth, decode_image, decode_unchanged

PICTURE = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (90, 120, 3), np.uint8), (0, 0), 3)
JPEG, PNG, TIFF = (bytes(cv2.imencode(suffix, PICTURE)[1]) for suffix in (".jpg", ".png", ".tiff"))
PROGRESSIVE = bytes(cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1])
EOI = b"\xff\xd9"


def chunk(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    head = struct.pack(">I", len(content) if length is None else length)
    return head + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, color: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return PNG[:8] + header + b"".join(chunks) + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int, data: bytes = JPEG) -> bytes:
    at = re.search(rb"\xff[\xc0-\xc2]\0", data).start()
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def tiff(*tags: tuple[int, int, int, int], order: str = "<") -> bytes:
    """A TIFF of tags: number, kind, count, value."""
    entries = b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4)


def sized_tiff(width: int, height: int, *others: tuple[int, int, int, int]) -> bytes:
    return tiff((256, 4, 1, width), (257, 4, 1, height), *others, (273, 4, 1, 8), (279, 4, 1, 8))


SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
COMPRESSED = {
    "JPEG of 30,000 x 30,000": (jpeg_of(30_000, 30_000), "30000 x 30000 pixels: more than"),
    "JPEG of 65,535 x 65,535, progressive": (jpeg_of(65_535, 65_535, PROGRESSIVE), "65535 x 65535 pixels"),
    "JPEG without height": (jpeg_of(120, 0), "120 x 0 pixels"),
    "JPEG of two sizes": (
        JPEG[:-2] + b"\xff\xc4\0\2\xff\xc0\0\x0b\x08\x75\x30\x75\x30\1\1\x11\0" + EOI,
        "30000 x 30000",
    ),
    "JPEG with its height behind the scan": (JPEG[:-2] + b"\xff\xdc\0\4\xff\xff" + EOI, "^(?!.*Traceback)"),
    "JPEG of ten thousand scans": (PROGRESSIVE[:-2] + SCAN * 10_000 + EOI, "more than 100 scans"),
    "JPEG of a million empty segments": (b"\xff\xd8" + b"\xff\xfe\0\2" * 1_100_000 + EOI, "parts"),
    "JPEG cut in half with an end marker": (JPEG[: len(JPEG) // 2].rstrip(b"\xff") + EOI, "cut off"),
    "JPEG of an end marker alone": (b"\xff\xd8\xff\xd9", "no picture"),
    "PNG whose chunk claims gigabytes": (PNG[:33] + struct.pack(">I", 0xFFFFFFF0) + b"IDAT" + bytes(21), "cut off"),
    "PNG of 2^31 x 2^31": (png(2**31 - 1, 2**31 - 1), "more than the 100,000,000"),
    "PNG of 100,000 x 100,000": (png(100_000, 100_000, chunk(b"IDAT", zlib.compress(bytes(10)))), "more than"),
    "PNG of no width": (png(0, 5), "0 x 5"),
    "PNG of a million chunks": (PNG[:33] + chunk(b"tEXt", b"") * 1_100_000 + PNG[33:], "parts"),
    "PNG whose rows are missing": (png(120, 90, chunk(b"IDAT", zlib.compress(bytes(100)))), "^(?!.*Traceback)"),
    "PNG with a spoilt checksum": (PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:], "damaged"),
    "PNG whose header comes twice": (PNG[:33] + png(60_000, 60_000)[8:], "^(?!.*Traceback)"),
    "PNG without its header": (PNG[:8] + chunk(b"IEND", b""), "does not begin with its header"),
    "TIFF of 2^32 x 2^32": (sized_tiff(2**32 - 1, 2**32 - 1), "pixels: more than"),
    "TIFF of 64 bits and 4,000 samples": (sized_tiff(5000, 5000, (258, 3, 1, 64), (277, 3, 1, 4000)), "needs"),
    "TIFF of one tile of 2^31": (
        tiff(*((n, 4, 1, v) for n, v in ((256, 9), (257, 9), (322, 2**31), (323, 2**31), (324, 8), (325, 8)))),
        "needs",
    ),
    "TIFF that counts four billion strips": (tiff((256, 4, 1, 9), (257, 4, 1, 9), (273, 4, 2**32 - 1, 8)), "parts"),
    "TIFF that says its width twice": (sized_tiff(9, 9, (256, 4, 1, 50_000)), "twice"),
    "TIFF whose strips lie behind its end": (
        tiff((256, 4, 1, 9), (257, 4, 1, 9), (273, 4, 1, 2**30), (279, 4, 1, 9)),
        "cut off",
    ),
    "TIFF without strips": (tiff((256, 4, 1, 9), (257, 4, 1, 9)), "does not say how large"),
    "WebP on an image topic": (bytes(cv2.imencode(".webp", PICTURE)[1]), "holds WebP"),
    "BMP of 2^31 rows": (b"BM" + bytes(16) + struct.pack("<ii", 2**31 - 1, -(2**31)) + bytes(40), "holds BMP"),
    "GIF": (b"GIF89a\xff\xff\xff\xff" + bytes(30), "holds GIF"),
    "a shell script": (b"#!/bin/sh\nrm -rf /\n", "damaged, or of a codec"),
    "nothing": (b"", "empty"),
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_compressed_image_that_is_none_is_refused_before_memory_is_taken(name):
    data, words = COMPRESSED[name]
    try:
        told = refusal(lambda: decode_compressed_image(data, "jpeg"), ImageDecodeError, memory_mib=200)
    except AssertionError as error:  # what a codec makes of it is small, and soon there
        assert words.startswith("^") and "not refused" in str(error)
    else:
        assert re.search(words, told)


@pytest.mark.parametrize(
    ("format", "words"),
    [
        ("x" * 1_000_000, "1,000,000 characters"),
        ("\x1b[31m\n" * 10, r"holds|\\x1b\[31m\\n"),
        ("16UC1; compressedDepth", "is depth"),
        ("32FC1", "is depth in metres"),
    ],
    ids=["a megabyte", "control characters", "depth", "depth's encoding"],
)
def test_a_format_that_is_none_is_shortened_and_escaped(format, words):
    told = refusal(lambda: decode_compressed_image(b"no image", format), ImageDecodeError)
    assert re.search(words, told) and "\x1b" not in told


RAW = {
    "an encoding of a megabyte": ({"encoding": "x" * 1_000_000}, "1,000,000 characters"),
    "an encoding with control characters": ({"encoding": "rgb8\n\x1b[2J"}, r"rgb8\\n\\x1b"),
    "2^32 x 2^32": ({"height": 2**32 - 1, "width": 2**32 - 1, "step": 2**32 - 1}, "more than"),
    "no rows": ({"height": 0}, "8 x 0"),
    "a row that is larger than the buffer": ({"step": 2**31}, "bytes"),
    "a step of less than a row": ({"step": 3}, "step is 3"),
    "too short": ({"data": bytes(95)}, "95 bytes"),
    "more pixels than the parameter allows": ({"max_pixels": 31}, "more than the 31"),
}


@pytest.mark.parametrize("name", RAW)
def test_a_raw_image_that_is_impossible_is_refused(name):
    fields, words = RAW[name]
    values = {"data": bytes(96), "encoding": "rgb8", "height": 4, "width": 8, "step": 24, **fields}
    assert re.search(words, refusal(lambda: decode_image(**values), ImageDecodeError))


def test_depth_and_labels_have_the_same_limits():
    assert "more than" in refusal(lambda: decode_depth(bytes(9), "32FC1", 50_000, 50_000, 200_000), ImageDecodeError)
    assert "more than" in refusal(lambda: decode_unchanged(png(60_000, 60_000)), ImageDecodeError)
    packed = struct.pack("<iff", 0, 1.0, 1.0) + png(60_000, 60_000, depth=16, color=0)
    assert "more than" in refusal(
        lambda: decode_compressed_depth(packed, "32FC1; compressedDepth png"), ImageDecodeError
    )


def test_a_whole_picture_that_ends_in_grey_is_read():
    grey = PICTURE.copy()
    grey[40:] = 128
    for settings in ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 1]):
        with bounds():
            decoded = decode_compressed_image(bytes(cv2.imencode(".jpg", grey, settings)[1]), "jpeg")
        assert (decoded[60:] == 128).all()
