"""The topics on which one camera's answers go out; each is made only while somebody subscribes to it."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray, LabelInfo

from samlite_ros.messages.fill import (
    detections_message,
    image_message,
    label_info_message,
    segmentation_message,
)
from samlite_ros.msg import Segmentation as SegmentationMessage
from samlite_ros.node.messages import RCLPY, compressed_message
from samlite_ros.node.qos import LATCHED, PICTURE, RESULT, QosWatch
from samlite_ros.pixels.masks import label_images
from samlite_ros.pixels.overlay import draw_legend, draw_overlay
from samlite_ros.types import Frame, Segmentation, Vocabulary


class CameraOutputs:
    """One camera's publishers; used from its stream's thread.

    Args:
        qos: Makes publishers.
        camera: Name of the camera; it becomes part of the topics where it is not empty.
        jpeg_quality: Of the compressed overlay, 1 to 100.
    """

    def __init__(self, qos: QosWatch, camera: str, jpeg_quality: int) -> None:
        prefix = f"~/{camera}/" if camera else "~/"
        self.camera, self.jpeg_quality = camera, jpeg_quality
        self._segmentation = qos.publisher(SegmentationMessage, f"{prefix}segmentation", RESULT)
        self._detections = qos.publisher(Detection2DArray, f"{prefix}detections", RESULT)
        self._label_info = qos.publisher(LabelInfo, f"{prefix}label_info", LATCHED)
        self._label_image = qos.publisher(Image, f"{prefix}label_image", PICTURE, overridable=True)
        self._confidence = qos.publisher(Image, f"{prefix}confidence", PICTURE, overridable=True)
        self._instance_image = qos.publisher(Image, f"{prefix}instance_image", PICTURE, overridable=True)
        self._overlay = qos.publisher(Image, f"{prefix}overlay", PICTURE, overridable=True)
        self._overlay_jpeg = qos.publisher(CompressedImage, f"{prefix}overlay/compressed", PICTURE, overridable=True)
        self._on_demand = (
            self._segmentation,
            self._detections,
            self._label_image,
            self._confidence,
            self._instance_image,
            self._overlay,
            self._overlay_jpeg,
        )
        self._told_epoch: int | None = None

    def wanted(self) -> bool:
        """Somebody subscribes to something that needs the network."""
        return any(publisher.get_subscription_count() for publisher in self._on_demand)

    def publish(self, answer: Segmentation, frame: Frame) -> None:
        """Send an answer in every form that is asked for.

        Args:
            answer: The answer.
            frame: The frame that it answers.
        """
        self._tell_labels(answer)
        if self._segmentation.get_subscription_count():
            self._segmentation.publish(segmentation_message(RCLPY, answer))
        if self._detections.get_subscription_count():
            self._detections.publish(detections_message(RCLPY, answer))
        self._publish_label_images(answer)
        self._publish_overlay(answer, frame)

    def forget(self) -> None:
        """Time begins anew: the labels are told again with the next answer."""
        self._told_epoch = None

    def _tell_labels(self, answer: Segmentation) -> None:
        """Before the first pixel of an epoch: what its class ids mean."""
        if answer.vocabulary_epoch == self._told_epoch:
            return
        vocabulary = Vocabulary(answer.vocabulary_epoch, tuple(result.query for result in answer.results))
        self._label_info.publish(label_info_message(RCLPY, vocabulary, answer.stamp_ns, answer.frame_id))
        self._told_epoch = answer.vocabulary_epoch

    def _publish_label_images(self, answer: Segmentation) -> None:
        wanted = [p.get_subscription_count() > 0 for p in (self._label_image, self._confidence, self._instance_image)]
        if not any(wanted):
            return
        rasters = label_images(answer.instances, answer.size)
        outputs: tuple[tuple[Any, NDArray[Any], str], ...] = (
            (self._label_image, rasters.label, "mono8"),
            (self._confidence, rasters.confidence, "mono8"),
            (self._instance_image, rasters.instance, "mono16"),
        )
        for is_wanted, (publisher, raster, encoding) in zip(wanted, outputs, strict=True):
            if is_wanted:
                publisher.publish(image_message(RCLPY, raster, encoding, answer.stamp_ns, answer.frame_id))

    def _publish_overlay(self, answer: Segmentation, frame: Frame) -> None:
        raw, jpeg = self._overlay.get_subscription_count() > 0, self._overlay_jpeg.get_subscription_count() > 0
        if not raw and not jpeg:
            return
        picture = draw_overlay(frame.image, answer)
        draw_legend(picture, answer.results)
        if raw:
            self._overlay.publish(image_message(RCLPY, picture, "rgb8", answer.stamp_ns, answer.frame_id))
        if jpeg:
            self._overlay_jpeg.publish(compressed_message(picture, self.jpeg_quality, answer.stamp_ns, answer.frame_id))
