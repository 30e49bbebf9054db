"""Truth that is none: run lengths that wrap, polygons that leave the world, JSON without an end."""

import json
import math
import re
import sys

import pytest
from bounds import refusal

from samlite_ros.errors import BagError
from samlite_ros.evaluation.report import read_baseline
from samlite_ros.evaluation.truth.coco import decode_segmentation
from samlite_ros.evaluation.truth.truth import read_truth

H, W = 40, 60
SQUARE = [1, 1, 20, 1, 20, 20, 1, 20]
REGIONS = {
    "run lengths whose sum wraps": ({"counts": [2**62] * 4 + [H * W]}, "a run of 4611686018427387904"),
    "run lengths whose sum wraps to it": ({"counts": [2**63 - 1, 2**63 - 1, 2 + H * W]}, "a run of"),
    "run lengths beyond 64 bits": ({"counts": [2**70, H * W]}, "a run of an? int"),
    "negative run lengths": ({"counts": [-5, H * W + 5]}, "a run of -5"),
    "run lengths that are texts": ({"counts": ["1", H * W - 1]}, "a run of '1'"),
    "run lengths that are lists": ({"counts": [[1], H * W - 1]}, "a run of"),
    "run lengths that are half": ({"counts": [0.5, H * W - 0.5]}, "a run of 0.5"),
    "run lengths that are booleans": ({"counts": [True, H * W - 1]}, "a run of True"),
    "too few": ({"counts": [1, 2]}, "sum to 3"),
    "none": ({"counts": []}, "sum to 0"),
    "too many": ({"counts": [0] * (2 * H * W + 3)}, "run lengths for"),
    "a mapping for counts": ({"counts": {"a": 1}}, "a list or a compressed text"),
    "another size": ({"counts": [H * W], "size": [W, H]}, "of size"),
    "a size that is a number": ({"counts": [H * W], "size": 5}, "of size 5"),
    "a compressed text that never ends": ({"counts": "o" * 1000}, "cannot be read"),
    "a compressed text that ends early": ({"counts": "0o"}, "middle of a number"),
    "a compressed text of other letters": ({"counts": "\x00\x7f\xff"}, "cannot be read"),
    "a compressed text that goes back below 0": ({"counts": "00O"}, "a run of|sum to"),
    "a compressed text of a gigabyte of zeros": ({"counts": "0" * 100_000}, "run lengths for"),
    "a corner at 1e9": ([[1, 1, 1e9, 1, 20, 20]], "1000000000.0, the image is"),
    "a corner at -1e308": ([[1, 1, -1e308, 1, 20, 20]], "a corner of a polygon"),
    "a corner that is not finite": ([[1, 1, math.inf, 1, 20, 20]], "a corner of a polygon at inf"),
    "a corner that is NaN": ([[1, 1, math.nan, 1, 20, 20]], "a corner of a polygon at nan"),
    "a corner that is a whole number of 100 digits": ([[1, 1, 10**100, 1, 20, 20]], "a corner|an int"),
    "two points": ([[1, 1, 5, 5]], "at least three points"),
    "an odd number of numbers": ([[*SQUARE, 3]], "at least three points"),
    "a polygon of texts": ([["a"] * 6], "at least three points"),
    "a polygon that never stops": ([[0, 0, W, H] * 50_000], "outlines of"),
    "a hundred thousand polygons": ([[0, 0, W, 0, W, H]] * 20_000, "outlines of"),
    "no polygon": ([], "an empty list"),
    "a text for a region": ("mask", "run lengths or polygons"),
    "no region": (None, "run lengths or polygons"),
    "a number for a region": (5, "run lengths or polygons"),
}


@pytest.mark.parametrize("name", REGIONS)
def test_a_region_that_is_none_is_refused(name):
    region, words = REGIONS[name]
    assert re.search(words, refusal(lambda: decode_segmentation(region, (H, W)), ValueError))


@pytest.mark.parametrize("size", [(2**31, 2**31), (10**6, 10**6), (0, 5), (-4, -4)])
def test_a_region_of_an_image_that_is_none_is_refused(size):
    for region in ({"counts": [size[0] * size[1]]}, [SQUARE]):
        assert refusal(lambda region=region: decode_segmentation(region, size), ValueError, memory_mib=64)


def truth_of(**image: object) -> dict:
    return {
        "images": [{"id": 1, "stamp_ns": 1_700_000_000_000_000_000, "height": H, "width": W, **image}],
        "categories": [{"id": 1, "name": "red"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [SQUARE]}],
    }


def text_of(**image: object) -> str:
    return json.dumps(truth_of(**image))


deep = "[" * 100_000
FILES = {
    "lists in lists": (deep + "]" * 100_000, "nested too deeply"),
    "mappings in mappings": ('{"a":' * 100_000, "nested too deeply"),
    "NaN": (text_of(height=math.nan), "NaN is no number"),
    "Infinity": (text_of(width=math.inf), "Infinity is no number"),
    "a number beyond all": (text_of().replace(str(H), "1e999", 1), "not COCO"),
    "a number of 10,000 digits": (text_of().replace(str(H), "9" * 10_000, 1), "not COCO"),
    "an image of 10^12 pixels": (text_of(height=10**6, width=10**6), "1000000 x 1000000 pixels"),
    "an image of negative size": (text_of(height=-5), "60 x -5 pixels"),
    "an image of no size": (text_of(height=0), "60 x 0 pixels"),
    "a height in words": (text_of(height="forty"), "not COCO"),
    "a stamp before 0": (text_of(stamp_ns=-1), "stamp of image 1 of -1e-09 s"),
    "a stamp beyond 2038": (text_of(stamp_ns=2**31 * 10**9), "2.14748365e"),
    "a stamp beyond 64 bits": (text_of(stamp_ns=2**80), "stamp of image 1"),
    "a second and more of nanoseconds": (
        json.dumps(
            {**truth_of(), "images": [{"id": 1, "stamp": {"sec": 5, "nanosec": 10**9}, "height": 4, "width": 4}]}
        ),
        "expected less than",
    ),
    "a name of a megabyte": (text_of().replace("red", "x" * 1_000_000), "1,000,000 characters"),
    "a name that is a number": (text_of().replace('"red"', "5"), "name of a category is 5"),
    "an id that is a list": (text_of(id=[1]), "not COCO"),
    "cut in half": (text_of()[: len(text_of()) // 2], "not COCO"),
    "no text": ("\x00\x01\x02", "not COCO"),
    "a list": ("[1, 2, 3]", "not COCO"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_truth_file_that_is_none_is_refused_in_words(tmp_path, name):
    text, words = FILES[name]
    path = tmp_path / "truth.json"
    path.write_text(text)
    assert re.search(words, refusal(lambda: read_truth(path), BagError))
    if sys.version_info >= (3, 11):
        assert "baseline" in refusal(lambda: read_baseline(path), BagError)
