"""Camera messages to RGB: sensor_msgs/Image and CompressedImage, without ROS and without cv_bridge.

Grey images become three equal channels; 16-bit images are scaled by 255/65535, as cv_bridge does. The generic types
8UC3 and 8UC4 are read as OpenCV writes them: blue first.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import ImageDecodeError
from samlite_ros.foreign.limits import IMAGE_PIXELS, NAME_CHARACTERS, SHOWN_CHARACTERS
from samlite_ros.foreign.words import one_line, quoted
from samlite_ros.pixels.codecs import READ_CODECS, check_size, codec_of, read_header

Buffer: TypeAlias = "bytes | bytearray | memoryview | array[int] | NDArray[np.uint8]"
"""What a message's data may come as."""


class _Layout(NamedTuple):
    """How the pixels of an encoding lie in memory.

    Args:
        channels: Values per pixel.
        value_bytes: 1 or 2; 4 of depth in metres.
        to_rgb: Colour conversion of OpenCV; None = RGB already.
        pixel_pair: Two neighbours share their chroma: the width is even.
        planes_height: Rows of the buffer in halves of the image's height; 3, 4, 6 = a plane of chroma follows, at half
            height, at half width, or at full size in rows twice as long.
    """

    channels: int
    value_bytes: int
    to_rgb: int | None
    pixel_pair: bool = False
    planes_height: int = 2


_UYVY = _Layout(2, 1, cv2.COLOR_YUV2RGB_UYVY, pixel_pair=True)
_YUYV = _Layout(2, 1, cv2.COLOR_YUV2RGB_YUYV, pixel_pair=True)
_NV16, _NV61 = (
    _Layout(1, 1, c, pixel_pair=True, planes_height=4) for c in (cv2.COLOR_YUV2RGB_YUYV, cv2.COLOR_YUV2RGB_YVYU)
)
_COLOUR_CODES = {"rgb": None, "bgr": cv2.COLOR_BGR2RGB, "rgba": cv2.COLOR_RGBA2RGB, "bgra": cv2.COLOR_BGRA2RGB}
# OpenCV names a Bayer pattern by its second row's second and third pixel, ROS by the first row and the second.
_BAYER_CODES = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}

_LAYOUTS = {
    **{f"{name}{8 * n}": _Layout(len(name), n, code) for name, code in _COLOUR_CODES.items() for n in (1, 2)},
    **{f"bayer_{name}{8 * n}": _Layout(1, n, code) for name, code in _BAYER_CODES.items() for n in (1, 2)},
    "mono8": _Layout(1, 1, cv2.COLOR_GRAY2RGB),
    "8UC1": _Layout(1, 1, cv2.COLOR_GRAY2RGB),
    "8UC3": _Layout(3, 1, cv2.COLOR_BGR2RGB),
    "8UC4": _Layout(4, 1, cv2.COLOR_BGRA2RGB),
    "mono16": _Layout(1, 2, cv2.COLOR_GRAY2RGB),
    "16UC3": _Layout(3, 2, cv2.COLOR_BGR2RGB),
    "16UC4": _Layout(4, 2, cv2.COLOR_BGRA2RGB),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": _Layout(1, 1, cv2.COLOR_YUV2RGB_NV12, pixel_pair=True, planes_height=3),
    "nv21": _Layout(1, 1, cv2.COLOR_YUV2RGB_NV21, pixel_pair=True, planes_height=3),
    "nv16": _NV16,
    "nv61": _NV61,
    "nv24": _NV16._replace(pixel_pair=False, planes_height=6),
    "nv42": _NV61._replace(pixel_pair=False, planes_height=6),
}

_READS_RGB = hasattr(cv2, "IMREAD_COLOR_RGB")  # from OpenCV 4.10 on; saves a pass over the image
_IMREAD_RGB = cv2.IMREAD_COLOR_RGB if _READS_RGB else cv2.IMREAD_COLOR

ENCODINGS = tuple(sorted(_LAYOUTS))
"""The encodings that `decode_image` reads."""
DEPTH_UNITS = {"16UC1": "millimetres", "32FC1": "metres"}
"""Encodings of depth images (REP 118), which hold no picture."""
_NO_DEPTH = "remap a colour or grey camera's topic instead (16-bit grey is mono16)"


def unknown_encoding(encoding: str) -> str:
    """The sentence for an encoding that `decode_image` does not read: the nearest that it does, and all of them."""
    alike = get_close_matches(encoding[:SHOWN_CHARACTERS].lower(), ENCODINGS, 1)
    meant = f" (did you mean {alike[0]}?)" if alike else ""
    return f"image encoding {quoted(encoding)}{meant} is not one of ours: {', '.join(ENCODINGS)}"


def decode_image(
    data: Buffer,
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool = False,
    max_pixels: int = IMAGE_PIXELS,
) -> NDArray[np.uint8]:
    """Decode a raw image message to contiguous RGB.

    Args:
        data: At least step * height bytes; with a plane of chroma half as much again (nv12, nv21), twice (nv16, nv61)
            or three times as much (nv24, nv42); more are ignored.
        encoding: Name in sensor_msgs, e.g. 'bgr8'; see `ENCODINGS`.
        height, width: Size [px].
        step: Row stride [bytes]; may include padding, also of less than a pixel.
        is_bigendian: Byte order of 16-bit values.
        max_pixels: Larger images are refused.

    Returns:
        uint8 (height, width, 3), RGB; owns its memory.

    Raises:
        ImageDecodeError: Unknown encoding, depth, no pixels or too many, odd size of a subsampled encoding, impossible
            step, short buffer.

    Source: sensor_msgs/Image.msg, image_encodings.hpp.
    """
    _refuse_depth(encoding)
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise ImageDecodeError(unknown_encoding(encoding))
    check_size(width, height, max_pixels)
    if layout.planes_height > 3:
        return _of_planes(_padded_rows(data, encoding, layout, height, width, step), layout, height, width)
    rows = _pixel_rows(data, encoding, layout, height, width, step)
    if layout.value_bytes == 1:
        return _to_rgb(rows, layout.to_rgb)
    order = ">u2" if is_bigendian else "<u2"
    values = np.ascontiguousarray(rows).reshape(height, -1).view(order).reshape(height, width, layout.channels)
    native = values.astype(np.uint16, copy=False)
    return np.asarray(cv2.convertScaleAbs(_to_rgb(native, layout.to_rgb), alpha=255 / 65535))


_DEPTH_LAYOUTS = {"16UC1": _Layout(1, 2, None), "mono16": _Layout(1, 2, None), "32FC1": _Layout(1, 4, None)}


def decode_depth(
    data: Buffer,
    encoding: str,
    height: int,
    width: int,
    step: int,
    is_bigendian: bool = False,
    max_pixels: int = IMAGE_PIXELS,
) -> NDArray[np.float32] | NDArray[np.uint16]:
    """Decode a raw depth image message.

    Args:
        data, height, width, step, is_bigendian, max_pixels: As `decode_image`.
        encoding: '16UC1' or 'mono16' in millimetres, '32FC1' in metres (REP 118).

    Returns:
        uint16 (height, width) [mm] or float32 (height, width) [m]; owns its memory.

    Raises:
        ImageDecodeError: As `decode_image`.
    """
    layout = _DEPTH_LAYOUTS.get(encoding)
    if layout is None:
        raise ImageDecodeError(f"depth encoding {quoted(encoding)} is not one of {', '.join(_DEPTH_LAYOUTS)}")
    check_size(width, height, max_pixels)
    rows = np.array(_pixel_rows(data, encoding, layout, height, width, step), order="C")
    kind = np.dtype(np.float32 if layout.value_bytes == 4 else np.uint16)
    values = rows.reshape(height, -1).view(kind.newbyteorder(">" if is_bigendian else "<"))
    return values.astype(kind, copy=False)


def _of_planes(rows: NDArray[np.uint8], layout: _Layout, height: int, width: int) -> NDArray[np.uint8]:
    """RGB (height, width, 3) of luma and a plane of chroma in as many rows: packed as OpenCV reads pairs of pixels.

    Where each pixel has its own chroma, it becomes a pair, of which one is kept.
    """
    repeats = (layout.planes_height - 2) // 2
    luma, chroma = rows[:height, :width], rows[height:].reshape(height, -1)[:, : width * repeats]
    packed = np.stack([luma.repeat(repeats, 1), chroma], 2)
    return np.ascontiguousarray(_to_rgb(packed, layout.to_rgb)[:, ::repeats])


def _pixel_rows(data: Buffer, encoding: str, layout: _Layout, height: int, width: int, step: int) -> NDArray[np.uint8]:
    """uint8 (rows, width, bytes of a pixel): a view of the message without its padding."""
    padded = _padded_rows(data, encoding, layout, height, width, step)
    pixel_bytes = layout.channels * layout.value_bytes
    shape = (len(padded), width, pixel_bytes)
    return np.lib.stride_tricks.as_strided(padded, shape, (step, pixel_bytes, 1), writeable=False)


def _padded_rows(data: Buffer, encoding: str, layout: _Layout, height: int, width: int, step: int) -> NDArray[np.uint8]:
    """uint8 (rows, step): a view of the message, checked."""
    pixel_bytes = layout.channels * layout.value_bytes
    if (layout.pixel_pair and width % 2) or (layout.planes_height == 3 and height % 2):
        raise ImageDecodeError(f"image of {width} x {height} pixels: {encoding} subsamples colour and needs even sizes")
    if step < width * pixel_bytes:
        raise ImageDecodeError(
            f"image step is {step} bytes, a row of {width} pixels of {encoding} takes {width * pixel_bytes}"
        )
    rows = height * layout.planes_height // 2
    raw = np.frombuffer(data, np.uint8)
    if len(raw) < rows * step:
        raise ImageDecodeError(
            f"image data has {len(raw)} bytes, {rows} rows of {step} bytes ({width} x {height} {encoding}) "
            f"take {rows * step}"
        )
    return raw[: rows * step].reshape(rows, step)


def _to_rgb(pixels: NDArray[Any], code: int | None) -> NDArray[Any]:
    """(H, W, 3) of the same type, contiguous, in memory of its own."""
    if code is None:
        return np.array(pixels, order="C", copy=True)
    return np.asarray(cv2.cvtColor(pixels, code))


def decode_labels(data: Buffer, height: int, width: int, step: int) -> NDArray[np.uint8]:
    """A raw image of one byte a pixel as it is.

    Returns:
        uint8 (height, width), a view.

    Raises:
        ImageDecodeError: As `decode_image`.
    """
    check_size(width, height)
    return _pixel_rows(data, "mono8", _LAYOUTS["mono8"], height, width, step)[..., 0]


def is_depth(encoding: str) -> bool:
    """An Image's encoding, or a CompressedImage's format, is that of depth, which holds no picture (REP 118)."""
    return "compresseddepth" in encoding.lower() or encoding.partition(";")[0].strip() in DEPTH_UNITS


def decode_compressed_image(data: Buffer, format: str, max_pixels: int = IMAGE_PIXELS) -> NDArray[np.uint8]:
    """Decode a CompressedImage message to RGB.

    Args:
        data: A JPEG, PNG or TIFF file, whichever the format says; bytes behind its end are ignored.
        format: The message's format, whose order of channels counts: 'jpeg', or as image_transport writes it, 'bgr8;
            jpeg compressed bgr8'. It may be empty.
        max_pixels: Larger images are refused before memory is taken for them.

    Returns:
        uint8 (H, W, 3), RGB, contiguous; a rotation noted in the file is not applied, so that pixels are the sensor's.

    Raises:
        ImageDecodeError: Another codec (video, depth), empty, damaged, truncated or too large data.

    Source: sensor_msgs/CompressedImage.msg; compressed_image_transport for the order of channels.
    """
    if len(format) > NAME_CHARACTERS:
        raise ImageDecodeError(f"compressed image format {quoted(format)}: at most {NAME_CHARACTERS} characters")
    if "compresseddepth" in format.lower():
        raise ImageDecodeError(f"compressed image format {quoted(format)} is depth, not a picture: {_NO_DEPTH}")
    _refuse_depth(format.partition(";")[0].strip())
    raw = np.frombuffer(data, np.uint8)
    what = f"compressed image ({quoted(format)}, {len(raw)} bytes)"
    if not len(raw):
        raise ImageDecodeError(f"compressed image ({quoted(format)}) is empty")
    content = raw.tobytes()
    is_swapped = "compressed rgb" in format  # the sender gave RGB to an encoder that takes BGR
    flags = (cv2.IMREAD_COLOR if is_swapped else _IMREAD_RGB) | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = _decode(content, flags, max_pixels)
    except ImageDecodeError as error:
        raise ImageDecodeError(f"{what}: {error}") from error
    if is_swapped or _READS_RGB:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def decode_unchanged(data: bytes, max_pixels: int = IMAGE_PIXELS) -> NDArray[Any]:
    """The values in a JPEG, PNG or TIFF as they are, (H, W) or (H, W, C) blue first; a palette's as its colours.

    Raises:
        ImageDecodeError: As `decode_compressed_image`.
    """
    return _decode(data, cv2.IMREAD_UNCHANGED, max_pixels)


def _decode(data: bytes, flags: int, max_pixels: int) -> NDArray[Any]:
    """What OpenCV makes of a file, once its headers have been read."""
    header = read_header(data, max_pixels)
    if header is None:
        found = codec_of(data)
        problem = f"holds {found}, which is not read" if found else "is damaged, or of a codec that nobody knows"
        raise ImageDecodeError(f"it {problem}: {', '.join(READ_CODECS)} are")
    content = data[: header.length]
    image = _decode_file(content, flags)
    if header.codec == "JPEG" and _may_end_early(image) and _lacks_pixels(content, image, flags):
        raise ImageDecodeError("the JPEG is cut off: its data end before its last row, though it has an end marker")
    return image


def _decode_file(content: bytes, flags: int) -> NDArray[Any]:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise ImageDecodeError(one_line(error.err)) from error
    if image is None:
        raise ImageDecodeError(f"it is damaged, or a {codec_of(content)} of a kind that OpenCV does not read")
    return np.asarray(image)


def _may_end_early(image: NDArray[Any]) -> bool:
    """The last block is of the grey that libjpeg fills in where data end. A picture's own seldom is."""
    return bool((image[-_JPEG_BLOCK:, -_JPEG_BLOCK:] == _FILLED_IN).all())


def _lacks_pixels(content: bytes, image: NDArray[Any], flags: int) -> bool:
    """A decoder that still waits for data takes other bytes for them; one that has all its pixels does not."""
    for longer in _continued(content):
        other = _decode_file(longer, flags)
        if other.shape != image.shape or not np.array_equal(other, image):
            return True
    return False


def _continued(content: bytes) -> Iterator[bytes]:
    """With more data before its end marker; where there are restart markers, also behind the one that were next."""
    data, end = content[:-2].rstrip(b"\xff"), content[-2:]
    yield data + _MORE_DATA + end
    if _RESTART_INTERVAL in content:
        restarts = _RESTART.findall(data)
        number = (restarts[-1][0] + 1) % 8 if restarts else 0
        yield data + bytes([0xFF, _FIRST_RESTART + number]) + _MORE_DATA + end


_JPEG_BLOCK, _FILLED_IN = 8, 128
_MORE_DATA = bytes(range(1, 255)) * 4
"""Of a scan: no byte of it begins a marker."""
_FIRST_RESTART, _RESTART_INTERVAL = 0xD0, b"\xff\xdd"
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")


def _refuse_depth(encoding: str) -> None:
    """Raise `ImageDecodeError` where the encoding is that of depth images, which hold no picture (REP 118)."""
    if encoding in DEPTH_UNITS:
        raise ImageDecodeError(f"image encoding {quoted(encoding)} is depth in {DEPTH_UNITS[encoding]}: {_NO_DEPTH}")
