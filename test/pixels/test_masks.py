import numpy as np
import pytest

from samlite_ros.pixels.masks import decode_rle, encode_rle, label_images, mask_bounds_xyxy, mask_from_array, mask_iou
from samlite_ros.types import Instance, Mask, Prompt, Query, QueryKey, QueryMatch

SHAPES = {
    "empty": np.zeros((7, 5), bool),
    "full": np.ones((7, 5), bool),
    "full columns that touch": np.pad(np.ones((7, 2), bool), ((0, 0), (1, 2))),
    "one pixel, first": np.eye(1, 35, 0, dtype=bool).reshape(7, 5),
    "one pixel, last": np.eye(1, 35, 34, dtype=bool).reshape(7, 5),
    "noise": np.random.default_rng(3).random((31, 47)) < 0.5,
    "blob": np.hypot(*(np.mgrid[:60, :80] - np.array([[[30]], [[40]]]))) < 17,
}


@pytest.mark.parametrize("name", SHAPES)
def test_run_lengths_equal_those_of_pycocotools(name):
    coco = pytest.importorskip("pycocotools.mask")
    inside = SHAPES[name]
    counts = encode_rle(mask_from_array(inside))
    height, width = inside.shape
    rle = coco.frPyObjects({"counts": counts.tolist(), "size": [height, width]}, height, width)
    assert rle == coco.encode(np.asfortranarray(inside.astype(np.uint8)))
    assert (coco.decode(rle).astype(bool) == inside).all()


@pytest.mark.parametrize("name", SHAPES)
def test_run_lengths_decode_to_the_mask(name):
    inside = SHAPES[name]
    assert (decode_rle(encode_rle(mask_from_array(inside)), *inside.shape) == inside).all()


def test_run_lengths_of_the_wrong_sum_are_refused():
    with pytest.raises(ValueError, match="sum to 9, an image of 2 x 4 has 8"):
        decode_rle([4, 5], 2, 4)


def test_bounds_are_exclusive_at_the_right_and_below():
    inside = np.zeros((10, 12), bool)
    inside[2:5, 3:9] = True
    assert mask_bounds_xyxy(mask_from_array(inside)) == (3.0, 2.0, 9.0, 5.0)
    assert mask_bounds_xyxy(mask_from_array(np.zeros((4, 4), bool))) is None


def test_overlap_of_windows_equals_overlap_of_whole_images():
    rng = np.random.default_rng(5)
    for _ in range(20):
        a, b = np.zeros((2, 40, 50), bool)
        for mask in (a, b):
            y, x = rng.integers(0, 30, 2)
            mask[y : y + 10, x : x + 12] = rng.random((10, 12)) < 0.8
        expected = (a & b).sum() / (a | b).sum()
        assert mask_iou(mask_from_array(a), mask_from_array(b)) == pytest.approx(expected)


def _instance(class_id, confidence, window, probability=255):
    y0, y1, x0, x1 = window
    mask = Mask(x0, y0, np.full((y1 - y0, x1 - x0), probability, np.uint8), (6, 8))
    match = QueryMatch(Query(QueryKey("c", str(class_id)), Prompt("x"), class_id), confidence)
    return Instance(0, (match,), confidence, False, 0, (x0, y0, x1, y1), mask)


def test_the_surest_instance_wins_where_masks_overlap():
    images = label_images([_instance(7, 0.9, (0, 3, 0, 4)), _instance(2, 0.5, (2, 5, 2, 8))], (6, 8))
    assert images.label[2, 3] == 7 and images.instance[2, 3] == 1
    assert images.label[4, 7] == 2 and images.instance[4, 7] == 2
    assert images.label[5, 0] == 255 and images.instance[5, 0] == 0 and images.confidence[5, 0] == 0
    assert images.confidence[0, 0] == int(255 * 0.9)


def test_pixel_probability_counts_in_an_overlap():
    sure_but_soft, unsure_but_hard = _instance(1, 0.9, (0, 2, 0, 2), 130), _instance(2, 0.6, (0, 2, 0, 2), 255)
    assert (label_images([sure_but_soft, unsure_but_hard], (6, 8)).label[:2, :2] == 2).all()
