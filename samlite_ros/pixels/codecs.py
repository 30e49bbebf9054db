"""Which codec do bytes hold, how large is the image, and is it all there? Answered from headers, before it is decoded.

What a message or a file's name says of its codec is a claim; the first bytes know.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from samlite_ros.errors import ImageDecodeError
from samlite_ros.foreign.limits import IMAGE_PIXELS, JPEG_SCANS, PIXEL_BYTES

# Source: the specifications of each; of ISO files (ftyp) the brand follows.
_SIGNATURES = (
    (rb"\xff\xd8", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"II\*\0|MM\0\*", "TIFF"),
    (rb"II\+\0|MM\0\+", "BigTIFF"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"GIF8", "GIF"),
    (rb"BM....\0\0\0\0", "BMP"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "JPEG XL"),
    (rb"....ftypavi[fs]", "AVIF"),
    (rb"....ftyp(hei[xs]|hev[xc])", "HEIC with 10 bits a colour"),
    (rb"....ftyp(hei|hev|mif1|msf1)", "HEIC"),
    (rb"....ftyp", "MP4 video"),
    (rb"\x1a\x45\xdf\xa3", "Matroska video"),
    (rb"\0\0\0?\x01[\x40\x42\x44\x46\x02\x26\x28\x2a]\x01", "H.265 video"),
    (rb"\0\0\0?\x01[\x01-\x7f]", "H.264 video"),
)
_MARKER = re.compile(rb"\xff([\x01-\xfe])", re.DOTALL)
_MARKER_IN_SCAN = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])", re.DOTALL)  # neither a stuffed 0xff nor a restart
_SOI, _EOI, _SOS, _DNL = 0xD8, 0xD9, 0xDA, 0xDC
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({_EOI, 0x01, *range(0xD0, 0xD8)})
_MAY_FOLLOW_SCAN = frozenset({_EOI, _SOS, _DNL, 0xC4, 0xCC, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)})
_TIFF_SIZES = {1: "B", 3: "H", 4: "I", 16: "Q"}
_WIDTH, _HEIGHT, _BITS, _SAMPLES = 256, 257, 258, 277
_STRIP_OFFSETS, _STRIP_SIZES, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_SIZES = 273, 279, 322, 323, 324, 325
_MOST_PARTS = 1 << 17
"""Segments, chunks, strips or tiles of one file."""


class ImageHeader(NamedTuple):
    """What the headers say.

    Args:
        codec: 'JPEG', 'PNG' or 'TIFF'.
        width, height: [px].
        length: Bytes that belong to the image; a camera's buffer may go on behind it.
        pixel_bytes: Of a pixel, or a tile's share of it, in the codec's own memory.
    """

    codec: str
    width: int
    height: int
    length: int
    pixel_bytes: float = PIXEL_BYTES


def codec_of(data: bytes) -> str:
    """Name of what the bytes hold, for people; '' = not known."""
    return next((name for start, name in _SIGNATURES if re.match(start, data[:32], re.DOTALL)), "")


def read_header(data: bytes, max_pixels: int = IMAGE_PIXELS) -> ImageHeader | None:
    """Read the headers of a JPEG, PNG or TIFF.

    Args:
        data: A file, or a buffer that begins with one.
        max_pixels: Images that claim more are refused, before memory is taken for them.

    Returns:
        None = the bytes are of another codec.

    Raises:
        ImageDecodeError: The image is cut off, damaged, or too large.
    """
    codec = codec_of(data)
    if codec not in _READERS:
        return None
    try:
        header = ImageHeader(codec, *_READERS[codec](data))
    except (struct.error, IndexError):
        raise ImageDecodeError(f"the {codec} is cut off in its headers, after {len(data)} bytes") from None
    check_size(header.width, header.height, max_pixels)
    taken = header.width * header.height * header.pixel_bytes
    if taken > PIXEL_BYTES * max_pixels:
        raise ImageDecodeError(f"the {codec} needs {taken:.3g} bytes: more than the {PIXEL_BYTES * max_pixels:.3g}")
    return header


def check_size(width: int, height: int, max_pixels: int = IMAGE_PIXELS) -> None:
    """Raise `ImageDecodeError` where an image has no pixels, or more than `max_pixels`."""
    if height <= 0 or width <= 0:
        raise ImageDecodeError(f"image of {width} x {height} pixels: both must be at least 1")
    if width * height > max_pixels:
        raise ImageDecodeError(
            f"image of {width} x {height} pixels: more than the {max_pixels:,} that are read at most"
        )


def _check_parts(codec: str, count: int) -> None:
    if count > _MOST_PARTS:
        raise ImageDecodeError(f"the {codec} has more than {_MOST_PARTS:,} parts")


def _read_jpeg(data: bytes) -> tuple[int, int, int]:
    """Width, height, and where the end marker ends: segments say how long they are, a scan ends at a marker.

    Source: ITU-T T.81, annex B. Thumbnails lie inside segments, with end markers of their own.
    """
    width = height = scans = parts = 0
    at, marker = 2, _SOI
    while marker != _EOI:
        parts += 1
        _check_parts("JPEG", parts)
        found = (_MARKER_IN_SCAN if marker == _SOS else _MARKER).search(data, at)
        if found is None:
            raise ImageDecodeError(f"the JPEG is cut off: no end marker in {len(data)} bytes")
        after_scan = marker == _SOS
        marker, at = found[1][0], found.end()
        if marker == _SOI:
            raise ImageDecodeError(f"the JPEG is cut off: another image begins at byte {at - 2}, before its end")
        if after_scan and marker not in _MAY_FOLLOW_SCAN:
            raise ImageDecodeError(f"the JPEG is damaged at byte {at - 2}: marker 0xff{marker:02x} in a scan")
        if marker in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _FRAMES:  # of several the largest: decoders differ in which they believe
            size = struct.unpack_from(">HH", data, at + 3)
            height, width = max(height, size[0]), max(width, size[1])
        elif marker == _DNL:  # the number of lines, known only after the first scan
            height = max(height, *struct.unpack_from(">H", data, at + 2))
        scans += marker == _SOS
        if scans > JPEG_SCANS:
            raise ImageDecodeError(f"the JPEG has more than {JPEG_SCANS} scans, each of which is work for all pixels")
        at += length
    if not scans:
        raise ImageDecodeError("the JPEG is damaged: there is no picture in it")
    return width, height, at


def _read_png(data: bytes) -> tuple[int, int, int]:
    """Source: W3C PNG, 5: chunks of length, type, data, checksum; IHDR first, IEND last."""
    if data[12:16] != b"IHDR":
        raise ImageDecodeError("the PNG is damaged: it does not begin with its header")
    width, height = struct.unpack_from(">II", data, 16)
    at, kind, parts = 8, b"", 0
    while kind != b"IEND":
        parts += 1
        _check_parts("PNG", parts)
        if at + 12 > len(data):
            raise ImageDecodeError(f"the PNG is cut off: no end chunk in {len(data)} bytes")
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        at += 12 + length
    return width, height, at


def _read_tiff(data: bytes) -> tuple[int, int, int, float]:
    """Source: TIFF 6.0, section 2. The file's first image; its parts may lie anywhere, so all bytes belong to it."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    pairs = [_tiff_tag(data, order, at + 2 + 12 * number) for number in range(count)]
    tags = {tag: values for tag, values in pairs if values}
    if len(tags) != sum(bool(values) for _, values in pairs):
        raise ImageDecodeError("the TIFF is damaged: it says the same of its image twice")
    offsets = tags.get(_STRIP_OFFSETS) or tags.get(_TILE_OFFSETS) or ()
    sizes = tags.get(_STRIP_SIZES) or tags.get(_TILE_SIZES) or ()
    if not tags.get(_WIDTH) or not tags.get(_HEIGHT) or not offsets:
        raise ImageDecodeError("the TIFF is damaged: it does not say how large its image is, or where")
    if max(map(sum, zip(offsets, sizes, strict=False)), default=0) > len(data):
        raise ImageDecodeError(f"the TIFF is cut off: parts of its image lie behind its {len(data)} bytes")
    width, height = tags[_WIDTH][0], tags[_HEIGHT][0]
    sample_bytes = max(tags.get(_BITS, (1,))) / 8 * tags.get(_SAMPLES, (1,))[0]
    tile = tags.get(_TILE_WIDTH, (0,))[0] * tags.get(_TILE_HEIGHT, (0,))[0]
    return width, height, len(data), sample_bytes * max(1.0, tile / max(width * height, 1))


def _tiff_tag(data: bytes, order: str, at: int) -> tuple[int, tuple[int, ...]]:
    """Number and values of a tag; no values where they are no counts."""
    tag, kind, count = struct.unpack_from(f"{order}HHI", data, at)
    if kind not in _TIFF_SIZES or tag not in _TIFF_TAGS:
        return tag, ()
    _check_parts("TIFF", count)
    values = struct.Struct(f"{order}{count}{_TIFF_SIZES[kind]}")
    if values.size > 4:
        (at,) = struct.unpack_from(f"{order}I", data, at + 8)
        return tag, values.unpack_from(data, at)
    return tag, values.unpack_from(data, at + 8)


_TIFF_TAGS = frozenset(
    {_WIDTH, _HEIGHT, _BITS, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT}
    | {_STRIP_OFFSETS, _STRIP_SIZES, _TILE_OFFSETS, _TILE_SIZES}
)
_READERS: dict[str, Callable[[bytes], tuple[int, int, int] | tuple[int, int, int, float]]] = {
    "JPEG": _read_jpeg,
    "PNG": _read_png,
    "TIFF": _read_tiff,
}
READ_CODECS = tuple(_READERS)
"""What CompressedImage messages may hold; see its definition."""


def other_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) [px] that the headers of a WebP, BMP, GIF, JPEG 2000 or PNM claim.

    Returns:
        None = of another codec, or cut off.

    Source: RFC 9649; the headers of Windows' BITMAPINFO; GIF89a; ISO 15444-1, A.5.1; netpbm.
    """
    for start, read in _OTHER_SIZES:
        if found := re.match(start, data[:4096], re.DOTALL):
            try:
                return read(data, found)
            except (struct.error, ValueError):
                return None
    return None


def _three_bytes(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")


def _bits_of_webp(data: bytes, _: re.Match[bytes]) -> tuple[int, int]:
    """The lossless kind: twice 14 bits, less one."""
    (bits,) = struct.unpack_from("<I", data, 21)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _lossy_webp(data: bytes, _: re.Match[bytes]) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _bmp(data: bytes, _: re.Match[bytes]) -> tuple[int, int]:
    """A negative height counts rows from the top."""
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def _jpeg_2000(data: bytes, found: re.Match[bytes]) -> tuple[int, int]:
    """The image ends there on the reference grid."""
    width, height = struct.unpack_from(">II", data, found.end() + 4)
    return width, height


_OTHER_SIZES: tuple[tuple[bytes, Callable[[bytes, re.Match[bytes]], tuple[int, int]]], ...] = (
    (rb"RIFF....WEBPVP8X", lambda data, _: (_three_bytes(data, 24) + 1, _three_bytes(data, 27) + 1)),
    (rb"RIFF....WEBPVP8L", _bits_of_webp),
    (rb"RIFF....WEBPVP8 ", _lossy_webp),
    (rb"BM....\0\0\0\0", _bmp),
    (rb"GIF8", lambda data, _: struct.unpack_from("<HH", data, 6)),
    (rb"(?:\0\0\0\x0cjP  .*?)?\xff\x4f\xff\x51", _jpeg_2000),
    (rb"P[1-6]\s(?:\s|#[^\n]*\n)*(\d{1,9})\s(?:\s|#[^\n]*\n)*(\d{1,9})\s", lambda _, m: (int(m[1]), int(m[2]))),
)
