"""Images as cameras and tools write them: whole ones are read whatever lies around them, others are named."""

import struct
from contextlib import suppress

import cv2
import numpy as np
import pytest

from samlite_ros.errors import ImageDecodeError
from samlite_ros.foreign.limits import IMAGE_PIXELS
from samlite_ros.pixels.codecs import codec_of, read_header
from samlite_ros.pixels.decode import decode_compressed_image

PICTURE = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (90, 120, 3), np.uint8), (0, 0), 3)
EOI = b"\xff\xd9"


def encode(suffix: str, *settings: int) -> bytes:
    return cv2.imencode(suffix, PICTURE[..., ::-1], settings)[1].tobytes()


JPEG, PNG, TIFF, WEBP = (encode(suffix) for suffix in (".jpg", ".png", ".tiff", ".webp"))
THUMBNAIL = cv2.imencode(".jpg", PICTURE[::3, ::3])[1].tobytes()


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def with_thumbnail(jpeg: bytes) -> bytes:
    return jpeg[:2] + segment(0xE1, b"Exif\0\0" + THUMBNAIL) + jpeg[2:]


WHOLE = {
    "plain": JPEG,
    "progressive: several scans": encode(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restart markers": encode(".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "thumbnail": with_thumbnail(JPEG),
    "comment with an end marker": JPEG[:2] + segment(0xFE, EOI + b"\xff\xd8\xff") + JPEG[2:],
    "fill bytes before markers": JPEG[:2] + b"\xff\xff" + JPEG[2:],
    "a whole buffer of zeros behind": JPEG + bytes(200_000),
    "a whole buffer of the last frame behind": JPEG + JPEG[-300:] * 400,
    "a second picture behind": JPEG + THUMBNAIL,
    "png": PNG,
    "png with bytes behind": PNG + bytes(70_000),
    "tiff": TIFF,
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("format", ["", "jpeg", "png", "tiff", "rgb8; tiff compressed bgr8", "h264", "anything"])
def test_the_bytes_decide_not_the_format(data, format):
    header = read_header(data)
    assert (header.width, header.height) == (120, 90)
    decoded = decode_compressed_image(data, format)
    assert np.abs(decoded.astype(int) - PICTURE).max() <= 25


@pytest.mark.parametrize("name", WHOLE)
def test_every_cut_is_refused(name):
    data = WHOLE[name]
    length = len(data) if "tiff" in name else read_header(data).length
    for share in (0.1, 0.5, 0.9, 0.999):
        with pytest.raises(ImageDecodeError, match="cut off"):
            decode_compressed_image(data[: int(length * share)], "jpeg")


def test_a_cut_jpeg_with_a_thumbnail_is_refused_though_an_end_marker_is_near():
    data = with_thumbnail(JPEG)[: -len(JPEG) // 2]
    assert EOI in data[-65536:]
    with pytest.raises(ImageDecodeError, match="cut off: no end marker"):
        decode_compressed_image(data, "jpeg")


@pytest.mark.parametrize("settings", [(), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2), (cv2.IMWRITE_JPEG_QUALITY, 60)])
@pytest.mark.parametrize("percent", [1, 2, 3, 5, 10, 50, 90])
def test_a_jpeg_that_lacks_its_last_percent_is_refused_though_it_has_an_end_marker(settings, percent):
    picture = cv2.resize(PICTURE, (640, 480))
    whole = cv2.imencode(".jpg", picture, settings)[1].tobytes()
    decode_compressed_image(whole, "jpeg")
    for length in range(len(whole) * (100 - percent) // 100, len(whole) * (100 - percent) // 100 + 5):
        with pytest.raises(ImageDecodeError, match="cut off"):
            decode_compressed_image(whole[:length] + EOI, "jpeg")


def test_a_picture_that_is_grey_at_its_end_is_none_that_was_cut():
    picture = PICTURE.copy()
    picture[-16:, -16:] = 128
    whole = cv2.imencode(".jpg", picture)[1].tobytes()
    assert decode_compressed_image(whole, "jpeg").shape == picture.shape


def test_a_cut_jpeg_in_a_fixed_buffer_is_refused():
    half = JPEG[: len(JPEG) // 2]
    for behind, words in ((bytes(100_000), "no end marker"), (JPEG, "another image begins")):
        with pytest.raises(ImageDecodeError, match=words):
            decode_compressed_image(half + behind, "jpeg")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (WEBP, "holds WebP, which is not read: JPEG, PNG, TIFF are"),
        (b"GIF89a" + bytes(50), "holds GIF"),
        (b"\0\0\0\x1cftypheic" + bytes(50), "holds HEIC"),
        (b"\0\0\0\x1cftypavif" + bytes(50), "holds AVIF"),
        (b"\0\0\0\x01\x67\x42\0\x1e" + bytes(50), "holds H.264 video"),
        (b"\0\0\0\x01\x40\x01\x0c" + bytes(50), "holds H.265 video"),
        (b"\x01\x02\x03\x04" * 20, "a codec that nobody knows"),
        (JPEG[:-300] + b"\xff\x05" + JPEG[-300:], "marker 0xff05 in a scan"),
        (b"\xff\xd8" + EOI, "no picture in it"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"II*\0\x08\0\0\0\0\0", "does not say how large"),
        (b"MM\0*\0\0", "cut off in its headers"),
    ],
)
def test_other_codecs_and_damage_are_named(data, words):
    with pytest.raises(ImageDecodeError, match=words):
        decode_compressed_image(data, "jpeg")


def test_a_picture_that_claims_too_much_is_refused_before_it_is_decoded():
    at = JPEG.index(b"\xff\xc0")
    sizes = {
        "JPEG": JPEG[: at + 5] + struct.pack(">HH", 20_000, 20_000) + JPEG[at + 9 :],
        "PNG": PNG[:16] + struct.pack(">II", 2**31 - 1, 2**31 - 1) + PNG[24:],
    }
    for codec, data in sizes.items():
        assert codec_of(data) == codec
        with pytest.raises(ImageDecodeError, match=f"more than the {IMAGE_PIXELS:,}"):
            decode_compressed_image(data, "")


def test_no_bytes_are_more_than_an_image_decode_error():
    rng = np.random.default_rng(0)
    for data in WHOLE.values():
        for _ in range(60):
            bent = bytearray(data[: rng.integers(1, len(data) + 1)])
            for _ in range(rng.integers(0, 20)):
                bent[rng.integers(min(len(bent), 700))] = rng.integers(256)
            with suppress(ImageDecodeError):
                assert decode_compressed_image(bytes(bent), "").dtype == np.uint8
