"""What is fuzzed: each target takes bytes that somebody else wrote, and either reads them or refuses them in words.

A target is a function of bytes that raises nothing but what is raised on purpose; its seeds are whole inputs.
"""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from samlite_ros.errors import BagError, ImageDecodeError, SamliteError
from samlite_ros.evaluation.truth.coco import decode_segmentation, decompress_counts
from samlite_ros.foreign.yaml_file import parse_yaml
from samlite_ros.pixels.codecs import other_size
from samlite_ros.pixels.compressed_depth import decode_compressed_depth
from samlite_ros.pixels.decode import ENCODINGS, decode_compressed_image, decode_depth, decode_image
from samlite_ros.pixels.masks import decode_rle, encode_rle, mask_from_array

MAX_PIXELS = 4_000_000
PICTURE = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (37, 52, 3), np.uint8), (0, 0), 3)
MASK = cv2.circle(np.zeros((37, 52), np.uint8), (20, 18), 12, 1, -1).astype(bool)


@dataclass(frozen=True)
class Target:
    """Args:
    run: Takes an input; raises where it found something.
    seeds: Makes whole inputs.
    """

    run: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]


def _encoded(suffix: str, *settings: int) -> bytes:
    return bytes(cv2.imencode(suffix, PICTURE, settings)[1])


def image_seeds() -> list[bytes]:
    return [
        *(_encoded(suffix) for suffix in (".jpg", ".png", ".tiff", ".webp", ".bmp", ".jp2", ".ppm")),
        _encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
        bytes(cv2.imencode(".png", (PICTURE[..., 0].astype(np.uint16) * 200))[1]),
        bytes(cv2.imencode(".tiff", PICTURE.astype(np.float32))[1]),
    ]


def run_image(data: bytes) -> None:
    with suppress(ImageDecodeError):
        image = decode_compressed_image(data, "bgr8; jpeg compressed bgr8", MAX_PIXELS)
        assert image.dtype == np.uint8 and image.ndim == 3 and image.size <= 3 * MAX_PIXELS
    with suppress(ImageDecodeError):
        decode_compressed_depth(struct.pack("<iff", 0, 1.0, 2.0) + data, "32FC1; compressedDepth png")
    other_size(data)


def run_raw_image(data: bytes) -> None:
    """Encoding, height, width, step, and pixels."""
    if len(data) < 17:
        return
    name, bigendian, height, width, step = struct.unpack_from("<BBIIi", data)
    encoding = ENCODINGS[name % len(ENCODINGS)]
    for decode in (decode_image, decode_depth):
        with suppress(ImageDecodeError):
            decode(data[14:], encoding if decode is decode_image else "32FC1", height, width, step, bool(bigendian))


def raw_seeds() -> list[bytes]:
    return [struct.pack("<BBIIi", name, name % 2, 4, 6, 48) + bytes(range(200)) * 2 for name in range(len(ENCODINGS))]


def run_runs(data: bytes) -> None:
    """Run lengths and their compressed text, beside pycocotools where it reads them."""
    import pycocotools.mask as coco

    numbers = [int(v) for v in np.frombuffer(data[: len(data) // 8 * 8], "<i8")]
    with suppress(ValueError):
        mask = decode_rle(numbers, 37, 52)
        assert mask.sum() == sum(numbers[1::2])
    text = data.decode("latin-1")
    try:
        counts = decompress_counts(text)
        decoded = decode_segmentation({"size": [37, 52], "counts": text}, (37, 52)).full()
    except ValueError:
        return
    assert sum(counts) == 37 * 52
    assert np.array_equal(decoded, coco.decode({"size": [37, 52], "counts": data}).astype(bool))


def run_seeds() -> list[bytes]:
    import pycocotools.mask as coco

    counts = encode_rle(mask_from_array(MASK))
    text = coco.frPyObjects({"size": [37, 52], "counts": counts.tolist()}, 37, 52)["counts"]
    wraps = np.array([2**62] * 4 + [37 * 52], "<i8")
    return [
        text,
        counts.astype("<i8").tobytes(),
        wraps.tobytes(),
        coco.encode(np.asfortranarray(~MASK, np.uint8))["counts"],
    ]


def run_polygon(data: bytes) -> None:
    values = np.frombuffer(data[: len(data) // 4 * 4], "<f4").astype(float).tolist()
    with suppress(ValueError, BagError):
        decode_segmentation([values[:8], values[8:]] if len(values) > 14 else [values], (37, 52))


def polygon_seeds() -> list[bytes]:
    return [
        np.array(corners, "<f4").tobytes()
        for corners in (
            [1, 1, 20, 2, 20, 30],
            [0, 0, 52, 0, 52, 37, 0, 37, 5, 5, 9, 9, 5, 20, 3, 3],
            [1, 1, 1e9, 1, 1, 30],
        )
    ]


def run_yaml(data: bytes) -> None:
    with suppress(ValueError):
        parse_yaml(data)


def run_parameters(data: bytes) -> None:
    from samlite_ros.parameters.file import check_parameter_file, read_parameter_file

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "p.yaml")
        path.write_bytes(data)
        with suppress(SamliteError):
            read_parameter_file(path)
        with suppress(SamliteError):
            check_parameter_file(path, "samlite")


def parameter_seeds() -> list[bytes]:
    from samlite_ros.parameters.render import render_yaml

    return [
        render_yaml().encode(),
        b"/ns/samlite:\n  ros__parameters: {model: demo, queries: [red, blue], max_mask_age: 3, propagate: false}\n",
        b"a: &a [x, x]\nb: &b [*a, *a]\n/**: {ros__parameters: {queries: *b}}\n",
    ]


def run_script(data: bytes) -> None:
    from samlite_ros.replay.script import read_script

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.yaml")
        path.write_bytes(data)
        with suppress(SamliteError):
            for asked in read_script(path, 1_700_000_000_000_000_000):
                _register([asked])


def _register(asked: Sequence[Any]) -> None:
    """In a registry, whose statuses can be written down."""
    from samlite_ros.bags.message_types import BAG_MESSAGES, serialize
    from samlite_ros.messages.fill import query_status_array_message
    from samlite_ros.queries import QueryOptions, QueryRegistry, embed_pending

    registry = QueryRegistry(QueryOptions(cameras=("left", "right"), max_queries=20, max_client_queries=9))
    for one in asked:
        one.apply(registry, one.at_ns)
    embed_pending(registry, lambda prompts: None, 1_700_000_000_000_000_001)
    assert len(registry.vocabulary.asked) <= 20
    ids = [q.class_id for q in registry.vocabulary.asked]
    assert all(0 <= i < 255 for i in ids)
    statuses = registry.statuses()
    assert all(len(s.text) <= 1000 and len(s.message) <= 3000 for s in statuses)
    serialize(query_status_array_message(BAG_MESSAGES, statuses, 1, 1_700_000_000_000_000_000))


def script_seeds() -> list[bytes]:
    return [
        b"- {at: 0, text: red cup, id: cup, lifetime: 10, max_rate: 5, priority: 3, cameras: [left]}\n"
        b"- {at: 2.5, action: remove, client: planner, id: cup}\n- {at: 3, action: clear, client: script}\n",
        b'queries:\n- {at: 1, text: "caf\\u00e9 \\ud800", score_threshold: .5, max_instances: 7}\n',
    ]


def run_queries(data: bytes) -> None:
    """TextQuery, QuerySet and String as they come over the wire: heads, and what rosbags reads of them."""
    from samlite_ros.bags.message_types import QUERY_SET, STRING, TEXT_QUERY, deserialize
    from samlite_ros.messages.cdr_head import CdrHead
    from samlite_ros.messages.read import read_request, read_requests
    from samlite_ros.queries import Asked, text_requests

    with suppress(ValueError):
        head = CdrHead(data)
        head.skip_header()
        head.text(), head.number()
    now_ns = 1_700_000_000_000_000_000
    with suppress(BagError):
        _register([Asked(now_ns, (read_request(deserialize(data, TEXT_QUERY)),))])
    with suppress(BagError):
        message = deserialize(data, QUERY_SET)
        _register([Asked(now_ns, tuple(read_requests(message)), message.client)])
    with suppress(BagError):
        texts = deserialize(data, STRING).data.split(",")
        _register([Asked(now_ns, tuple(text_requests("text", texts)), "text")])


def query_message(**fields: Any) -> Any:
    from samlite_ros.bags.message_types import BAG_MESSAGES, TEXT_QUERY
    from samlite_ros.messages.fill import header_message

    zero = {"sec": 3, "nanosec": 5}
    values: dict[str, Any] = {
        "header": header_message(BAG_MESSAGES, 1_700_000_000_000_000_000, ""),
        **{
            "client": "planner",
            "id": "cup",
            "action": 0,
            "text": "red cup",
            "score_threshold": 0.5,
            "mask_threshold": 0.5,
        },
        **{
            "max_instances": 3,
            "lifetime": BAG_MESSAGES.new("builtin_interfaces/msg/Duration", **zero),
            "max_rate": 2.0,
        },
        **{"priority": 1, "cameras": ["left"], "exemplars": []},
    }
    return BAG_MESSAGES.new(TEXT_QUERY, **{**values, **fields})


def query_seeds() -> list[bytes]:
    from samlite_ros.bags.message_types import BAG_MESSAGES, QUERY_SET, STRING, serialize
    from samlite_ros.messages.fill import header_message

    header = header_message(BAG_MESSAGES, 1_700_000_000_000_000_000, "")
    queries = [query_message(id=f"{n}", text=f"thing {n}") for n in range(12)]
    return [
        serialize(query_message()),
        serialize(BAG_MESSAGES.new(QUERY_SET, header=header, client="planner", queries=queries)),
        serialize(BAG_MESSAGES.new(STRING, data="red cup, blue ball,,  red  CUP, x")),
    ]


def run_truth(data: bytes) -> None:
    from samlite_ros.evaluation.truth.truth import read_truth

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.json")
        path.write_bytes(data)
        with suppress(SamliteError):
            truth = read_truth(path)
            for frame in list(truth.frames.values())[:4]:
                for phrase in sorted(truth.phrases)[:4]:
                    with suppress(SamliteError):
                        frame.instances(phrase)


def truth_seeds() -> list[bytes]:
    counts = encode_rle(mask_from_array(MASK)).tolist()
    image = {
        "id": 1,
        "stamp_ns": 1_700_000_000_000_000_000,
        "height": 37,
        "width": 52,
        "file_name": "1700000000123456789.png",
    }
    categories = [{"id": 1, "name": "red cup"}]
    regions = (
        {"size": [37, 52], "counts": counts},
        {"size": [37, 52], "counts": "PPP21O2N1O1O1O"},
        [[1, 1, 20, 2, 20, 30]],
        {"counts": [2**62] * 4 + [37 * 52]},
    )
    return [
        json.dumps(
            {
                "images": [image],
                "categories": categories,
                "annotations": [
                    {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "track_id": 3, "segmentation": r}
                ],
            }
        ).encode()
        for r in regions
    ]


TARGETS: dict[str, Target] = {
    "image": Target(run_image, image_seeds),
    "raw_image": Target(run_raw_image, raw_seeds),
    "run_lengths": Target(run_runs, run_seeds),
    "polygons": Target(run_polygon, polygon_seeds),
    "yaml": Target(run_yaml, lambda: [*parameter_seeds(), *script_seeds()]),
    "parameters": Target(run_parameters, parameter_seeds),
    "script": Target(run_script, script_seeds),
    "queries": Target(run_queries, query_seeds),
    "truth": Target(run_truth, truth_seeds),
}
