from types import SimpleNamespace

import numpy as np
import pytest

from samlite_ros.errors import CalibrationError, ImageDecodeError
from samlite_ros.messages.fill import segmentation_message
from samlite_ros.messages.read import read_companion, read_segmentation
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.types import Instance, Prompt, Query, QueryKey, QueryMatch, QueryResult, Segmentation


class PlainMessages:
    """Messages as plain objects: only names and nesting count here."""

    def new(self, type_name, **fields):
        return SimpleNamespace(**fields)

    def array(self, values):
        return values


def make_answer():
    inside = np.zeros((20, 30), bool)
    inside[3:9, 5:14] = True
    query = Query(QueryKey("planner", "q1"), Prompt("red ball"), 3, text="red ball")
    other = Query(QueryKey("planner", "q2"), Prompt("dragon"), 4, text="dragon")
    instance = Instance(
        7, (QueryMatch(query, 0.8),), 0.7, True, 1_500_000_001, (5.0, 3.0, 14.0, 9.0), mask_from_array(inside)
    )
    return Segmentation(
        stamp_ns=2_000_000_003,
        frame_id="optical",
        camera="front",
        size=(20, 30),
        model_id="demo",
        vocabulary_epoch=5,
        keyframe_stamp_ns=1_500_000_001,
        results=(QueryResult(query, 1_500_000_001, 0.9, 1), QueryResult(other, 1_500_000_001, 0.1, 0)),
        instances=(instance,),
    )


def test_an_answer_survives_the_way_through_a_message():
    answer = make_answer()
    again = read_segmentation(segmentation_message(PlainMessages(), answer))
    for name in ("stamp_ns", "frame_id", "camera", "size", "model_id", "vocabulary_epoch", "keyframe_stamp_ns"):
        assert getattr(again, name) == getattr(answer, name), name
    (instance,), (expected,) = again.instances, answer.instances
    assert (instance.mask.full() == expected.mask.full()).all()
    assert instance.box_xyxy == expected.box_xyxy
    assert (instance.track_id, instance.confidence, instance.propagated) == (7, 0.7, True)
    assert instance.matches[0].query.prompt.display == "red ball" and instance.matches[0].score == 0.8
    assert [(r.query.key, r.presence, r.count) for r in again.results] == [
        (r.query.key, r.presence, r.count) for r in answer.results
    ]


def test_damaged_run_lengths_are_refused():
    message = segmentation_message(PlainMessages(), make_answer())
    message.instances[0].counts = message.instances[0].counts[:-1]
    with pytest.raises(ValueError, match="20 x 30 has 600 pixels"):
        read_segmentation(message)


def depth_message(values, encoding, **fields):
    values = np.asarray(values)
    header = SimpleNamespace(stamp=SimpleNamespace(sec=3, nanosec=7), frame_id="depth_optical")
    return SimpleNamespace(
        **{
            "header": header,
            "height": values.shape[0],
            "width": values.shape[1],
            "encoding": encoding,
            "is_bigendian": 0,
            "step": values.shape[1] * values.itemsize,
            "data": values.tobytes(),
            **fields,
        }
    )


@pytest.mark.parametrize(("encoding", "kind"), [("16UC1", np.uint16), ("mono16", np.uint16), ("32FC1", np.float32)])
def test_a_depth_image_keeps_its_unit_stamp_and_frame(encoding, kind):
    values = np.arange(12).reshape(3, 4).astype(kind)
    depth = read_companion(depth_message(values, encoding))
    assert depth.depth.dtype == kind
    np.testing.assert_array_equal(depth.depth, values)
    assert (depth.stamp_ns, depth.frame_id, depth.size) == (3_000_000_007, "depth_optical", (3, 4))


def test_a_depth_image_of_another_encoding_is_refused():
    with pytest.raises(ImageDecodeError, match="'8UC1'"):
        read_companion(depth_message(np.zeros((3, 4), np.uint8), "8UC1"))


def calibration_message(k=(500.0, 0, 320, 0, 510, 240, 0, 0, 1), d=(0.1, -0.2, 0, 0, 0), p=(0.0,) * 12, **sent):
    header = SimpleNamespace(stamp=SimpleNamespace(sec=3, nanosec=7), frame_id="optical")
    whole = {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0}
    return SimpleNamespace(
        header=header,
        height=480,
        width=640,
        distortion_model="plumb_bob",
        k=np.array(k, float),
        d=np.array(d, float),
        p=np.array(p, float),
        binning_x=sent.pop("bins", 0),
        binning_y=sent.pop("bins_y", 0),
        roi=SimpleNamespace(**whole | sent),
    )


def test_a_calibration_is_read_whole():
    calibration = read_companion(calibration_message())
    np.testing.assert_array_equal(calibration.camera_matrix, [[500, 0, 320], [0, 510, 240], [0, 0, 1]])
    np.testing.assert_array_equal(calibration.distortion, [0.1, -0.2, 0, 0, 0])
    assert (calibration.distortion_model, calibration.size) == ("plumb_bob", (480, 640))
    assert (calibration.stamp_ns, calibration.frame_id) == (3_000_000_007, "optical")
    assert calibration.rectified_matrix is None


def test_part_of_the_sensor_and_pixels_in_one_are_counted_in():
    part = read_companion(calibration_message(x_offset=100, y_offset=40, width=400, height=300))
    assert part.size == (300, 400)
    assert part.camera_matrix[:2, 2] == pytest.approx([220, 200]) and part.camera_matrix[0, 0] == 500
    binned = read_companion(calibration_message(bins=2, bins_y=2))
    assert binned.size == (240, 320)
    assert binned.camera_matrix[0, 0] == 250 and binned.camera_matrix[0, 2] == pytest.approx((320 + 0.5) / 2 - 0.5)


def test_the_matrix_of_the_rectified_image_is_kept():
    calibration = read_companion(calibration_message(p=(450, 0, 310, 0, 0, 450, 230, 0, 0, 0, 1, 0)))
    np.testing.assert_array_equal(calibration.rectified_matrix, [[450, 0, 310], [0, 450, 230], [0, 0, 1]])
    assert not calibration.rectified().distortion.any()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"k": (1e-300, 0, 320, 0, 1e-300, 240, 0, 0, 1)}, "no camera has such a focal length"),
        ({"k": np.zeros(9)}, "not calibrated"),
        ({"k": np.full(9, np.nan)}, "not finite"),
        ({"d": [np.inf]}, "not finite"),
    ],
)
def test_a_camera_that_is_not_calibrated_is_refused(fields, words):
    with pytest.raises(CalibrationError, match=words):
        read_companion(calibration_message(**fields))
