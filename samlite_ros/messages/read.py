"""The other way round from `messages.fill`: messages to the values of `samlite_ros.types`.

Reads the classes of rclpy and those of `rosbags` alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlite_ros.errors import CalibrationError, ImageDecodeError, StampError
from samlite_ros.foreign.limits import DISTORTION_NUMBERS, FOCAL_PX, IMAGE_PIXELS, NAME_CHARACTERS
from samlite_ros.foreign.stamps import NS_PER_S, read_stamp_ns
from samlite_ros.foreign.words import quoted
from samlite_ros.pixels.codecs import check_size
from samlite_ros.pixels.compressed_depth import decode_compressed_depth
from samlite_ros.pixels.decode import DEPTH_UNITS, ENCODINGS, decode_compressed_image, decode_depth, decode_image
from samlite_ros.pixels.masks import decode_rle, mask_from_array
from samlite_ros.queries import QueryRequest, Refusal
from samlite_ros.types import (
    NO_STAMP,
    CameraCalibration,
    DepthImage,
    Frame,
    Instance,
    Mask,
    Prompt,
    Query,
    QueryKey,
    QueryMatch,
    QueryResult,
    Segmentation,
)

Convert = Callable[[Any], NDArray[np.uint8]]
"""Makes RGB, uint8 (H, W, 3), of a sensor_msgs/Image."""


def read_frame(
    message: Any, stamp_ns: int, camera: str, fallback: Convert | None = None, max_pixels: int = IMAGE_PIXELS
) -> Frame:
    """A frame of a sensor_msgs/Image or CompressedImage.

    Args:
        message: The message.
        stamp_ns: When it was taken [ns].
        camera: Name of the camera.
        fallback: Converts raw encodings that our decoder does not know; see `node.cv_bridge_fallback`.
        max_pixels: Larger images are refused.

    Raises:
        ImageDecodeError: The message is impossible, damaged, or of an unknown encoding or codec.
    """
    return Frame(_read_image(message, fallback, max_pixels), stamp_ns, _frame_id(message), camera)


def _read_image(message: Any, fallback: Convert | None, max_pixels: int) -> NDArray[np.uint8]:
    if not hasattr(message, "encoding"):
        return decode_compressed_image(message.data, message.format, max_pixels)
    if len(message.encoding) > NAME_CHARACTERS:
        raise ImageDecodeError(f"image encoding {quoted(message.encoding)}: at most {NAME_CHARACTERS} characters")
    if fallback is not None and message.encoding not in {*ENCODINGS, *DEPTH_UNITS}:
        check_size(message.width, message.height, max_pixels)
        return fallback(message)
    is_bigendian = bool(message.is_bigendian)
    size = message.height, message.width, message.step
    return decode_image(message.data, message.encoding, *size, is_bigendian, max_pixels)


def _frame_id(message: Any) -> str:
    """It goes into every answer.

    Raises:
        ImageDecodeError: It is too long.
    """
    frame_id = str(message.header.frame_id)
    if len(frame_id) > NAME_CHARACTERS:
        raise ImageDecodeError(f"frame_id {quoted(frame_id)}: at most {NAME_CHARACTERS} characters")
    return frame_id


def read_mask(message: Any) -> Mask:
    """Mask of an InstanceMask message; hard, since run lengths carry no probability.

    Raises:
        ValueError: The run lengths do not sum to height * width.
    """
    return mask_from_array(decode_rle(message.counts, message.height, message.width))


def read_instance(message: Any) -> Instance:
    """An InstanceMask message.

    Raises:
        ValueError: As `read_mask`.
    """
    box, center = message.box, message.box.center.position
    half_width, half_height = box.size_x / 2, box.size_y / 2
    return Instance(
        track_id=int(message.track_id),
        matches=tuple(_read_match(match) for match in message.matches),
        confidence=float(message.confidence),
        propagated=bool(message.propagated),
        keyframe_stamp_ns=read_stamp_ns(message.keyframe_stamp),
        box_xyxy=(center.x - half_width, center.y - half_height, center.x + half_width, center.y + half_height),
        mask=read_mask(message),
    )


def read_segmentation(message: Any) -> Segmentation:
    """A Segmentation message. The prompt of a result is that of an instance of the same class id; empty if none.

    Raises:
        ValueError: As `read_mask`; a stamp is none, or the image is too large.
    """
    if message.height * message.width > IMAGE_PIXELS:
        raise ValueError(f"an answer of {message.width} x {message.height} pixels: at most {IMAGE_PIXELS:,} are read")
    instances = tuple(read_instance(instance) for instance in message.instances)
    prompts = {match.query.class_id: match.query.prompt for instance in instances for match in instance.matches}
    return Segmentation(
        stamp_ns=read_stamp_ns(message.header.stamp),
        frame_id=message.header.frame_id,
        camera=message.camera,
        size=(int(message.height), int(message.width)),
        model_id=message.model_id,
        vocabulary_epoch=int(message.vocabulary_epoch),
        keyframe_stamp_ns=read_stamp_ns(message.keyframe_stamp),
        results=tuple(_read_result(result, prompts) for result in message.results),
        instances=instances,
    )


def read_request(message: Any) -> QueryRequest:
    """A TextQuery message: what a client asks."""
    stamp, refusal = _request_stamp(message.header.stamp)
    lifetime = message.lifetime
    if not 0 <= lifetime.nanosec < NS_PER_S:
        refusal = Refusal.BAD_LIFETIME, f"lifetime of {lifetime.sec} s and {lifetime.nanosec} ns: {_LESS}"
    return QueryRequest(
        key=QueryKey(message.client, message.id),
        text=message.text,
        action=int(message.action),
        stamp_ns=stamp,
        score_threshold=float(message.score_threshold),
        mask_threshold=float(message.mask_threshold),
        max_instances=int(message.max_instances),
        lifetime_ns=int(lifetime.sec) * NS_PER_S + int(lifetime.nanosec),
        max_rate_hz=float(message.max_rate),
        priority=int(message.priority),
        cameras=tuple(message.cameras),
        exemplars=len(message.exemplars),
        refusal=refusal,
    )


def _request_stamp(stamp: Any) -> tuple[int, tuple[Refusal, str] | None]:
    """The stamp [ns], 0 where it is none, and why not."""
    try:
        return read_stamp_ns(stamp), None
    except StampError as error:
        return NO_STAMP, (Refusal.BAD_STAMP, str(error))


_LESS = f"expected less than {NS_PER_S} ns"


def read_requests(message: Any) -> list[QueryRequest]:
    """A QuerySet message: what a client asks in all; the set's stamp stands for those that have none."""
    stamp, refusal = _request_stamp(message.header.stamp)
    requests = [read_request(query) for query in message.queries]
    return [r if r.stamp_ns or r.refusal else replace(r, stamp_ns=stamp, refusal=refusal) for r in requests]


def read_companion(message: Any) -> DepthImage | CameraCalibration:
    """What belongs to a frame: a sensor_msgs/Image or CompressedImage with depth, or a sensor_msgs/CameraInfo.

    Raises:
        ImageDecodeError: The depth image is impossible, damaged or of an unknown encoding.
        CalibrationError: The camera is not calibrated, or its matrix is not finite or none of a camera.
    """
    return _read_depth(message) if hasattr(message, "data") else _read_calibration(message)


def _read_depth(message: Any) -> DepthImage:
    if hasattr(message, "format"):
        depth = decode_compressed_depth(message.data, message.format)
    else:
        depth = decode_depth(
            message.data, message.encoding, message.height, message.width, message.step, bool(message.is_bigendian)
        )
    return DepthImage(depth, read_stamp_ns(message.header.stamp), _frame_id(message))


def _read_calibration(message: Any) -> CameraCalibration:
    """Of the image as it is sent: part of the sensor, or several of its pixels in one."""
    who = f"camera {quoted(message.header.frame_id)}"
    if len(message.d) > DISTORTION_NUMBERS or max(map(len, _names_of(message))) > NAME_CHARACTERS:
        raise CalibrationError(f"{who}: {len(message.d):,} numbers of distortion, or a name that is too long")
    matrix = np.array(message.k, np.float64).reshape(3, 3)
    distortion = np.array(message.d, np.float64)
    if not np.isfinite(matrix).all() or not np.isfinite(distortion).all():
        raise CalibrationError(f"{who}: its calibration is not finite: K {matrix.ravel().tolist()}")
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:  # drivers send zeros where a camera is not calibrated
        raise CalibrationError(f"{who} is not calibrated: K {matrix.ravel().tolist()}")
    if not all(FOCAL_PX[0] <= f <= FOCAL_PX[1] for f in (matrix[0, 0], matrix[1, 1])):
        raise CalibrationError(f"{who}: no camera has such a focal length: K {matrix.ravel().tolist()}")
    rectified = np.array(message.p, np.float64).reshape(3, 4)[:, :3]
    roi, bins = message.roi, (max(int(message.binning_x), 1), max(int(message.binning_y), 1))
    height, width = int(roi.height) or int(message.height), int(roi.width) or int(message.width)
    to_sent = np.array(
        [
            [1 / bins[0], 0, (0.5 - roi.x_offset) / bins[0] - 0.5],  # whole numbers are pixels' centres
            [0, 1 / bins[1], (0.5 - roi.y_offset) / bins[1] - 0.5],
            [0, 0, 1],
        ]
    )
    return CameraCalibration(
        to_sent @ matrix,
        distortion,
        message.distortion_model,
        (height // bins[1], width // bins[0]),
        read_stamp_ns(message.header.stamp),
        message.header.frame_id,
        to_sent @ rectified if np.isfinite(rectified).all() and rectified[0, 0] > 0 < rectified[1, 1] else None,
    )


def _names_of(calibration: Any) -> tuple[str, str]:
    return calibration.header.frame_id, calibration.distortion_model


def _read_match(message: Any) -> QueryMatch:
    key = QueryKey(message.client, message.query_id)
    return QueryMatch(Query(key, Prompt(message.text), int(message.class_id), text=message.text), float(message.score))


def _read_result(message: Any, prompts: dict[int, Prompt]) -> QueryResult:
    class_id = int(message.class_id)
    query = Query(QueryKey(message.client, message.query_id), prompts.get(class_id, Prompt("")), class_id)
    return QueryResult(query, read_stamp_ns(message.keyframe_stamp), float(message.presence), int(message.count))
