"""Which value goes into which field of the messages about places: places, detections in space, markers, points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlite_ros.messages.fill import MessageFactory, header_message, hypothesis_message, match_message
from samlite_ros.pixels.overlay import class_color
from samlite_ros.space.locator import Located
from samlite_ros.types import Instance, Place

UNKNOWN_TURN_RAD2 = (2 * np.pi) ** 2 / 12
"""Variance of an angle of which nothing is known [rad^2]."""
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("class_id", "<u2"), ("instance", "<u2")])
"""One point of ~/points: position [m], class id, and 1-based index into `instances` of the Segmentation."""
_FLOAT32, _UINT16 = 7, 4  # sensor_msgs/PointField
_CUBE, _TEXT, _ADD, _DELETE_ALL = 1, 9, 0, 3  # visualization_msgs/Marker
_TEXT_M, _BOX_ALPHA, _TEXT_ALPHA = 0.05, 0.35, 1.0


def detections_3d_message(make: MessageFactory, located: Located) -> Any:
    """vision_msgs/Detection3DArray: one detection per thing whose place is known."""
    header = header_message(make, located.answer.stamp_ns, located.frame_id)
    detections = [_detection(make, header, instance, place) for _, instance, place in _placed(located)]
    return make.new("vision_msgs/msg/Detection3DArray", header=header, detections=detections)


def places_message(make: MessageFactory, located: Located) -> Any:
    """samlite_ros/PlaceArray."""
    return make.new(
        "samlite_ros/msg/PlaceArray",
        header=header_message(make, located.answer.stamp_ns, located.frame_id),
        camera=located.answer.camera,
        places=[_place_message(make, *placed) for placed in _placed(located)],
    )


def _place_message(make: MessageFactory, index: int, instance: Instance, place: Place) -> Any:
    return make.new(
        "samlite_ros/msg/Place",
        instance=index,
        track_id=int(instance.track_id),
        matches=[match_message(make, match) for match in instance.matches],
        confidence=float(instance.confidence),
        position=point_message(make, place.position_m),
        covariance=place.covariance_m2.ravel(),
        measured=point_message(make, place.measured_m),
        measured_covariance=place.measured_covariance_m2.ravel(),
        spread=float(place.spread_m),
        support=int(place.support),
        share=float(place.share),
        box_center=point_message(make, place.box_center_m),
        box_size=_vector(make, place.box_size_m),
    )


def _placed(located: Located) -> Iterator[tuple[int, Instance, Place]]:
    """Those whose place is known, with their 1-based index into the answer's instances."""
    for index, (instance, place) in enumerate(zip(located.answer.instances, located.places, strict=True), 1):
        if place is not None:
            yield index, instance, place


def _detection(make: MessageFactory, header: Any, instance: Instance, place: Place) -> Any:
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = place.covariance_m2
    covariance[(3, 4, 5), (3, 4, 5)] = UNKNOWN_TURN_RAD2
    with_covariance = make.new(
        "geometry_msgs/msg/PoseWithCovariance",
        pose=_pose(make, place.position_m),
        covariance=covariance.ravel(),
    )
    box = make.new(
        "vision_msgs/msg/BoundingBox3D",
        center=_pose(make, place.box_center_m),
        size=_vector(make, place.box_size_m),
    )
    return make.new(
        "vision_msgs/msg/Detection3D",
        header=header,
        results=[hypothesis_message(make, match, with_covariance) for match in instance.matches],
        bbox=box,
        id=str(instance.track_id) if instance.track_id else "",
    )


def point_message(make: MessageFactory, position_m: NDArray[np.float64]) -> Any:
    """geometry_msgs/Point."""
    x, y, z = position_m.tolist()
    return make.new("geometry_msgs/msg/Point", x=x, y=y, z=z)


def _pose(make: MessageFactory, position_m: NDArray[np.float64]) -> Any:
    """geometry_msgs/Pose along the axes of its frame."""
    turn = make.new("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
    return make.new("geometry_msgs/msg/Pose", position=point_message(make, position_m), orientation=turn)


def _vector(make: MessageFactory, values: NDArray[np.float64]) -> Any:
    x, y, z = values.tolist()
    return make.new("geometry_msgs/msg/Vector3", x=x, y=y, z=z)


def markers_message(make: MessageFactory, located: Located) -> Any:
    """visualization_msgs/MarkerArray: a box and a name for each thing; those of the message before are deleted."""
    numbers = count(1)
    is_optical = located.frame_id == located.answer.frame_id
    up = np.array([0.0, -1.0, 0.0]) if is_optical else np.array([0.0, 0.0, 1.0])
    markers = [_marker(make, located, 0, _DELETE_ALL, np.zeros(3), np.zeros(3), (0.0, 0.0, 0.0, 0.0), "")]
    for _, instance, place in _placed(located):
        query = instance.matches[0].query
        red, green, blue = (value / 255 for value in class_color(query.class_id))
        text = f"{query.text or query.prompt.display} {np.linalg.norm(place.position_m):.2f} m"
        above = place.box_center_m + up * place.box_size_m / 2
        boxes = (
            (_CUBE, place.box_center_m, place.box_size_m, _BOX_ALPHA, ""),
            (_TEXT, above, np.full(3, _TEXT_M), _TEXT_ALPHA, text),
        )
        for kind, center, size, alpha, words in boxes:
            color = (red, green, blue, alpha)
            markers.append(_marker(make, located, next(numbers), _ADD, center, size, color, words, kind))
    return make.new("visualization_msgs/msg/MarkerArray", markers=markers)


def _marker(
    make: MessageFactory,
    located: Located,
    number: int,
    action: int,
    center_m: NDArray[np.float64],
    size_m: NDArray[np.float64],
    rgba: Sequence[float],
    text: str,
    kind: int = _CUBE,
) -> Any:
    red, green, blue, alpha = rgba
    return make.new(
        "visualization_msgs/msg/Marker",
        header=header_message(make, located.answer.stamp_ns, located.frame_id),
        ns="samlite",
        id=number,
        type=kind,
        action=action,
        pose=_pose(make, center_m),
        scale=_vector(make, np.maximum(size_m, 1e-3)),
        color=make.new("std_msgs/msg/ColorRGBA", r=red, g=green, b=blue, a=alpha),
        text=text,
    )


def points_message(make: MessageFactory, located: Located) -> Any:
    """sensor_msgs/PointCloud2 of `POINT`s: the visible surfaces of the things alone, thinned."""
    parts = [_points(index, instance, place) for index, instance, place in _placed(located)]
    points = np.concatenate(parts) if parts else np.zeros(0, POINT)
    fields = [
        make.new(
            "sensor_msgs/msg/PointField",
            name=name,
            offset=int(POINT.fields[name][1]) if POINT.fields else 0,
            datatype=_FLOAT32 if POINT[name].kind == "f" else _UINT16,
            count=1,
        )
        for name in POINT.names or ()
    ]
    return make.new(
        "sensor_msgs/msg/PointCloud2",
        header=header_message(make, located.answer.stamp_ns, located.frame_id),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=POINT.itemsize,
        row_step=POINT.itemsize * len(points),
        data=make.array(points.view(np.uint8)),
        is_dense=True,
    )


def _points(index: int, instance: Instance, place: Place) -> NDArray[Any]:
    points = np.empty(len(place.points_m), POINT)
    points["x"], points["y"], points["z"] = place.points_m.T
    points["class_id"], points["instance"] = instance.matches[0].query.class_id, index
    return points
