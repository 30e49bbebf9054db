import array
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from samlite_ros.errors import ImageDecodeError
from samlite_ros.pixels.decode import ENCODINGS, decode_compressed_image, decode_depth, decode_image

GOLDENS = np.load(Path(__file__).parents[1] / "data" / "cv_bridge_rgb8.npz")
META = json.loads(str(GOLDENS["meta"]))
ABOUT = META.pop("about")
SIZE = ABOUT["height"], ABOUT["width"]
CONVERTED = sorted(name for name, entry in META.items() if entry["ok"])

# What cv_bridge refuses to call a colour, or does not know by its newer name, and the encoding that reads the same.
SAME_AS = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8", "16UC3": "bgr16", "16UC4": "bgra16"}
SAME_AS |= {"uyvy": "yuv422", "yuyv": "yuv422_yuy2"}


def golden(encoding: str, padding: str = "pad0") -> tuple[np.ndarray, int]:
    """(data, step) of one encoding."""
    name = f"{encoding}/{padding}"
    return GOLDENS[f"{name}/data"], META[name]["step"]


@pytest.mark.parametrize("name", CONVERTED)
def test_equals_cv_bridge(name):
    encoding, padding = name.split("/")
    data, step = golden(encoding, padding)
    rgb = decode_image(data.tobytes(), encoding, *SIZE, step)
    np.testing.assert_array_equal(rgb, GOLDENS[f"{name}/rgb"])
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous and rgb.flags.owndata


def test_equals_cv_bridge_itself():
    cv_bridge = pytest.importorskip("cv_bridge")
    image_type = pytest.importorskip("sensor_msgs.msg").Image
    for name in CONVERTED:
        encoding, padding = name.split("/")
        data, step = golden(encoding, padding)
        msg = image_type(height=SIZE[0], width=SIZE[1], encoding=encoding, step=step, data=data.tobytes())
        expected = cv_bridge.CvBridge().imgmsg_to_cv2(msg, "rgb8")
        np.testing.assert_array_equal(decode_image(msg.data, encoding, *SIZE, step), expected, name)


@pytest.mark.parametrize(("encoding", "same"), SAME_AS.items())
def test_generic_and_newer_names(encoding, same):
    data, step = golden(same)
    expected = decode_image(data.tobytes(), same, *SIZE, step)
    np.testing.assert_array_equal(decode_image(data.tobytes(), encoding, *SIZE, step), expected)


@pytest.mark.parametrize("name", CONVERTED)
def test_padding_of_less_than_a_pixel(name):
    encoding, padding = name.split("/")
    data, step = golden(encoding, padding)
    padded = np.pad(data, ((0, 0), (0, 1)), constant_values=77)
    rgb = decode_image(padded.tobytes(), encoding, *SIZE, step + 1)
    np.testing.assert_array_equal(rgb, GOLDENS[f"{name}/rgb"])


@pytest.mark.parametrize("encoding", [e for e in ENCODINGS if e.endswith("16") and f"{e}/pad0" in META])
def test_big_endian(encoding):
    data, step = golden(encoding, "pad2")
    swapped = data.reshape(SIZE[0], -1).view(np.uint16).byteswap().tobytes()
    rgb = decode_image(swapped, encoding, *SIZE, step, is_bigendian=True)
    np.testing.assert_array_equal(rgb, GOLDENS[f"{encoding}/pad2/rgb"])


@pytest.mark.parametrize(
    ("encoding", "to_yuv"), [("nv12", ("y", "u", "v")), ("nv21", ("y", "v", "u"))], ids=["nv12", "nv21"]
)
def test_semi_planar(encoding, to_yuv):
    bgr = np.full((8, 12, 3), (40, 90, 200), np.uint8)
    i420 = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    planes = {"y": i420[:96], "u": i420[96:120], "v": i420[120:]}
    chroma = np.stack([planes[p] for p in to_yuv[1:]], 1).reshape(4, 12)
    data = np.pad(np.concatenate([planes["y"].reshape(8, 12), chroma]), ((0, 0), (0, 5)))
    rgb = decode_image(data.tobytes(), encoding, 8, 12, 17)
    assert np.abs(rgb.astype(int) - (200, 90, 40)).max() <= 3


@pytest.mark.parametrize(
    ("encoding", "code", "rows"),
    [
        ("nv12", cv2.COLOR_YUV2BGR_NV12, 12),
        ("nv21", cv2.COLOR_YUV2BGR_NV21, 12),
        ("uyvy", cv2.COLOR_YUV2BGR_UYVY, 8),
        ("yuv422", cv2.COLOR_YUV2BGR_UYVY, 8),
        ("yuyv", cv2.COLOR_YUV2BGR_YUYV, 8),
        ("yuv422_yuy2", cv2.COLOR_YUV2BGR_YUYV, 8),
    ],
)
def test_subsampled_encodings_are_opencvs(encoding, code, rows):
    channels = 1 if rows == 12 else 2
    shape = (rows, 10) if channels == 1 else (rows, 10, 2)
    data = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    rgb = decode_image(data.tobytes(), encoding, 8, 10, 10 * channels)
    np.testing.assert_array_equal(rgb, cv2.cvtColor(data, code)[..., ::-1])


@pytest.mark.parametrize(("encoding", "order"), [("nv16", 1), ("nv61", -1), ("nv24", 1), ("nv42", -1)])
@pytest.mark.parametrize("padding", [0, 6])
def test_planes_of_chroma_at_full_height_are_opencvs_packed_pixels(encoding, order, padding):
    full = encoding in ("nv24", "nv42")
    random = np.random.default_rng(3)
    luma = random.integers(0, 256, (8, 10), np.uint8)
    u, v = random.integers(0, 256, (2, 8, 10 if full else 5), np.uint8)
    chroma = np.stack([u, v][::order], 2).reshape(8, -1)
    planes = [np.pad(luma, ((0, 0), (0, padding))), np.pad(chroma, ((0, 0), (0, padding * (2 if full else 1))))]
    rgb = decode_image(b"".join(p.tobytes() for p in planes), encoding, 8, 10, 10 + padding)
    for column in range(10):
        at = column if full else column // 2
        packed = np.stack([luma[:, [column, column]], np.stack([u[:, at], v[:, at]], 1)], 2)
        np.testing.assert_array_equal(rgb[:, column], cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_YUYV)[:, 0])


@pytest.mark.parametrize("container", [bytes, bytearray, memoryview, lambda b: array.array("B", b)])
def test_buffers_and_ownership(container):
    data = container(bytearray(range(2 * 3 * 3)))
    rgb = decode_image(data, "rgb8", 2, 3, 9)
    assert rgb.tobytes() == bytes(range(18))
    if not memoryview(data).readonly:
        memoryview(data)[0] = 200
        assert rgb[0, 0, 0] == 0


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_smallest_image(encoding):
    assert decode_image(bytes(96), encoding, 2, 2, 16).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"encoding": "64FC1"}, ["'64FC1'", "rgb8"]),
        ({"encoding": "32FC1"}, ["'32FC1' is depth in metres", "colour"]),
        ({"encoding": "16UC1"}, ["'16UC1' is depth in millimetres", "mono16"]),
        ({"height": 20_000, "width": 20_000}, ["20000 x 20000", "100,000,000"]),
        ({"encoding": "RGB8"}, ["'RGB8'"]),
        ({"encoding": ""}, ["''"]),
        ({"height": 0}, ["8 x 0"]),
        ({"width": 0}, ["0 x 4"]),
        ({"step": 23}, ["step is 23", "24"]),
        ({"step": 0}, ["step is 0"]),
        ({"step": 2**32 - 1}, [str(4 * (2**32 - 1))]),
        ({"height": 5}, ["96 bytes", "120"]),
        ({"data": b""}, ["0 bytes", "96"]),
        ({"encoding": "yuv422", "width": 7}, ["7 x 4", "even"]),
        ({"encoding": "nv12", "height": 3}, ["8 x 3", "even"]),
        ({"encoding": "nv16", "width": 7}, ["7 x 4", "even"]),
        ({"encoding": "nv24", "step": 9}, ["96 bytes", "108"]),
    ],
)
def test_impossible_messages_are_refused_by_name(change, names):
    message = {"data": bytes(96), "encoding": "rgb8", "height": 4, "width": 8, "step": 24} | change
    with pytest.raises(ImageDecodeError) as error:
        decode_image(**message)
    for name in names:
        assert name in str(error.value)


def smooth_rgb() -> np.ndarray:
    rows, columns = np.mgrid[0:48, 0:64]
    return np.stack([rows * 5, columns * 4 - 30 * (columns > 40), 255 - rows - columns], -1).astype(np.uint8)


@pytest.mark.parametrize(
    ("extension", "format", "tolerance"),
    [
        (".jpg", "jpeg", 25),
        (".jpg", "jpg", 25),
        (".jpg", "rgb8; jpeg compressed bgr8", 25),
        (".png", "png", 0),
        (".png", "bgr8; png compressed bgr8", 0),
    ],
)
def test_compressed(extension, format, tolerance):
    rgb = smooth_rgb()
    data = cv2.imencode(extension, rgb[..., ::-1])[1].tobytes()
    decoded = decode_compressed_image(data, format)
    assert decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - rgb).max() <= tolerance


def test_compressed_grey_and_16_bit():
    grey = (np.arange(48 * 64).reshape(48, 64) * 20).astype(np.uint16)
    decoded = decode_compressed_image(cv2.imencode(".png", grey)[1].tobytes(), "mono16; png compressed ")
    assert np.abs(decoded.astype(int) - (grey / 257)[..., None]).max() <= 1


def test_compressed_with_channels_swapped_by_the_sender():
    rgb = smooth_rgb()
    data = cv2.imencode(".png", rgb)[1].tobytes()
    np.testing.assert_array_equal(decode_compressed_image(data, "rgb8; png compressed rgb8"), rgb)


JPEG = cv2.imencode(".jpg", smooth_rgb())[1].tobytes()


@pytest.mark.parametrize(
    ("data", "format", "names"),
    [
        (JPEG, "16UC1; compressedDepth png", "compressedDepth"),
        (JPEG, "16UC1; jpeg compressed", "depth in millimetres"),
        (b"", "jpeg", "empty"),
        (JPEG[:-200], "jpeg", "cut off"),
        (b"not an image\xff\xd9", "jpeg", "damaged"),
        (JPEG[:2] + b"\0" * 500 + JPEG[-2:], "jpeg", "damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "png", "damaged"),
    ],
)
def test_bad_compressed_images_are_refused(data, format, names):
    with pytest.raises(ImageDecodeError, match=names):
        decode_compressed_image(data, format)


@pytest.mark.parametrize(("encoding", "kind"), [("16UC1", "u2"), ("mono16", "u2"), ("32FC1", "f4")])
@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize("padding", [0, 3])
def test_depth_keeps_its_values_in_either_byte_order_and_with_padding(encoding, kind, is_bigendian, padding):
    values = np.linspace(0, 60000, 15).reshape(3, 5).astype(kind)
    rows = values.astype(f"{'>' if is_bigendian else '<'}{kind}").view(np.uint8).reshape(3, -1)
    data = np.pad(rows, ((0, 0), (0, padding))).tobytes()
    depth = decode_depth(data, encoding, 3, 5, rows.shape[1] + padding, is_bigendian)
    assert depth.dtype == np.dtype(kind) and depth.dtype.isnative and depth.flags.writeable
    np.testing.assert_array_equal(depth, values)


def test_depth_that_is_not_measured_stays_so():
    values = np.array([[np.nan, 0, np.inf, 1.5]], np.float32)
    np.testing.assert_array_equal(decode_depth(values.tobytes(), "32FC1", 1, 4, 16), values)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"encoding": "rgb8"}, "'rgb8'"),
        ({"data": bytes(5)}, "5 bytes"),
        ({"height": 0}, "4 x 0"),
        ({"step": 7}, "step is 7"),
    ],
)
def test_impossible_depth_is_refused_by_name(change, names):
    message = {"data": bytes(24), "encoding": "16UC1", "height": 3, "width": 4, "step": 8, **change}
    with pytest.raises(ImageDecodeError, match=names):
        decode_depth(**message)


@pytest.mark.parametrize(
    ("encoding", "meant"), [("rgb", "rgb8"), ("BGR8", "bgr8"), ("mono_8", "mono8"), ("bayer_rggb", "bayer_rggb8")]
)
def test_an_encoding_that_is_nearly_one(encoding, meant):
    with pytest.raises(ImageDecodeError, match=rf"'{encoding}' \(did you mean {meant}\?\) is not one of ours: "):
        decode_image(bytes(12), encoding, 2, 2, 6)


@pytest.mark.parametrize("encoding", ["", "quux", "x" * 10**6])
def test_an_encoding_that_is_none(encoding):
    with pytest.raises(ImageDecodeError, match=r"is not one of ours: ") as raised:
        decode_image(bytes(12), encoding, 2, 2, 6)
    assert "did you mean" not in str(raised.value)
    assert len(str(raised.value)) < 1000
