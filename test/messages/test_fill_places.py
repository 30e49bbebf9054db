"""Messages of places, field by field."""

import numpy as np
import pytest
from painted_depth import SIZE, rectangle

from samlite_ros.bags.message_types import BAG_MESSAGES, deserialize, serialize
from samlite_ros.messages.fill_places import POINT, detections_3d_message, places_message, points_message
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.space.locator import Located
from samlite_ros.types import Instance, Place, Prompt, Query, QueryKey, QueryMatch, Segmentation

STAMP_NS = 5_000_000_007


def instance(track_id: int, class_id: int) -> Instance:
    query = Query(QueryKey("me", f"q{class_id}"), Prompt(f"thing {class_id}"), class_id, text=f"Thing {class_id}")
    mask = mask_from_array(rectangle(10, 10, 20, 20))
    return Instance(track_id, (QueryMatch(query, 0.75),), 0.9, True, 1, (10, 10, 20, 20), mask)


def place(x: float) -> Place:
    return Place(
        stamp_ns=STAMP_NS,
        frame_id="map",
        position_m=np.array([x, 2.0, 3.0]),
        covariance_m2=np.diag([1e-4, 2e-4, 3e-4]),
        measured_m=np.array([x, 2.0, 3.0]),
        measured_covariance_m2=np.eye(3),
        spread_m=0.01,
        support=100,
        share=0.9,
        box_center_m=np.array([x, 2.5, 3.5]),
        box_size_m=np.array([0.1, 0.2, 0.3]),
        points_m=np.full((4, 3), x, np.float32),
    )


def located() -> Located:
    things = (instance(7, 1), instance(0, 2), instance(9, 3))
    answer = Segmentation(STAMP_NS, "optical", "", SIZE, "m", 1, 1, (), things)
    return Located(answer, "map", (place(1.0), None, place(5.0)))


def through_a_bag(message):
    return deserialize(serialize(message), message.__msgtype__)


def test_detections_are_of_the_things_whose_place_is_known() -> None:
    message = through_a_bag(detections_3d_message(BAG_MESSAGES, located()))
    assert (message.header.frame_id, message.header.stamp.sec, message.header.stamp.nanosec) == ("map", 5, 7)
    first, second = message.detections
    assert (first.id, second.id) == ("7", "9")
    (result,) = first.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("thing 1", 0.75)
    position = result.pose.pose.position
    assert (position.x, position.y, position.z, result.pose.pose.orientation.w) == (1.0, 2.0, 3.0, 1.0)
    covariance = result.pose.covariance.reshape(6, 6)
    assert np.diag(covariance)[:3] == pytest.approx([1e-4, 2e-4, 3e-4])
    assert (np.diag(covariance)[3:] > 3).all()
    assert (first.bbox.center.position.y, first.bbox.size.x, first.bbox.size.z) == (2.5, 0.1, 0.3)


def test_places_tell_what_was_measured_and_what_was_made_of_it() -> None:
    message = through_a_bag(places_message(BAG_MESSAGES, located()))
    assert (message.header.frame_id, message.camera, len(message.places)) == ("map", "", 2)
    first, second = message.places
    assert (first.instance, second.instance, first.track_id) == (1, 3, 7)
    assert (first.matches[0].text, first.matches[0].class_id) == ("Thing 1", 1)
    assert (first.position.x, second.position.x, first.measured.z) == (1.0, 5.0, 3.0)
    assert first.covariance.reshape(3, 3) == pytest.approx(np.diag([1e-4, 2e-4, 3e-4]))
    assert first.measured_covariance.reshape(3, 3) == pytest.approx(np.eye(3))
    assert (first.support, first.share, first.spread) == (100, pytest.approx(0.9), pytest.approx(0.01))
    assert (first.box_center.y, first.box_size.z) == (2.5, 0.3)


def test_points_carry_class_and_instance() -> None:
    message = through_a_bag(points_message(BAG_MESSAGES, located()))
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields] == [
        ("x", 0, 7, 1),
        ("y", 4, 7, 1),
        ("z", 8, 7, 1),
        ("class_id", 12, 4, 1),
        ("instance", 14, 4, 1),
    ]
    assert (message.height, message.width, message.point_step, message.row_step) == (1, 8, 16, 128)
    points = np.frombuffer(message.data, POINT)
    assert points["x"].tolist() == [1.0] * 4 + [5.0] * 4
    assert points["class_id"].tolist() == [1] * 4 + [3] * 4
    assert points["instance"].tolist() == [1] * 4 + [3] * 4


def test_nothing_is_known_nothing_is_told() -> None:
    nothing = Located(located().answer, "map", (None, None, None))
    assert detections_3d_message(BAG_MESSAGES, nothing).detections == []
    assert points_message(BAG_MESSAGES, nothing).width == 0
    assert places_message(BAG_MESSAGES, nothing).places == []
