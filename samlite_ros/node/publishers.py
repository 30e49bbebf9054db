"""One camera's answers on their topics; each message is made only while somebody subscribes to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from samlite_ros.messages.fill import RCLPY
from samlite_ros.messages.outputs import CAMERA_OUTPUTS, AnsweredFrame, Fill
from samlite_ros.node.qos import QosWatch
from samlite_ros.space.locator import Located
from samlite_ros.types import Frame, Segmentation


class CameraPublishers:
    """A publisher for each row of `CAMERA_OUTPUTS`; used from the camera's stream's thread.

    Args:
        qos: Makes publishers.
        camera: Name of the camera; it becomes part of the topics where it is not empty.
        jpeg_quality: Of the compressed overlay, 1 to 100.
        listened: Number of those who listen to what the searches find otherwise: to the statuses of queries.
    """

    def __init__(self, qos: QosWatch, camera: str, jpeg_quality: int, listened: Callable[[], int]) -> None:
        self._listened = listened
        self.camera, self.jpeg_quality = camera, jpeg_quality
        made = [(output, qos.publisher(output, camera)) for output in CAMERA_OUTPUTS]
        self._per_epoch = [(output.fill, publisher) for output, publisher in made if output.per_epoch]
        self._on_demand = [(o.fill, publisher) for o, publisher in made if not o.per_epoch and not o.spatial]
        self._spatial = [(output.fill, publisher) for output, publisher in made if output.spatial]
        self._told_labels: tuple[int, frozenset[int]] | None = None

    def wanted(self) -> bool:
        """Somebody subscribes to something that needs the network."""
        listened = (p.get_subscription_count() for _, p in (*self._on_demand, *self._spatial))
        return self._listened() > 0 or any(listened)

    def wants_places(self) -> bool:
        """Somebody subscribes to something that tells where things are."""
        return self._listened() > 0 or self.shows_places()

    def shows_places(self) -> bool:
        """Somebody subscribes to a topic of places."""
        return any(p.get_subscription_count() for _, p in self._spatial)

    def publish(self, answer: Segmentation, frame: Frame) -> None:
        """Send an answer in every form that is asked for; before the first with other labels, what they mean.

        Args:
            answer: The answer.
            frame: The frame that it answers.
        """
        answered = AnsweredFrame(answer, frame, self.jpeg_quality)
        if answered.labels != self._told_labels:
            for fill, publisher in self._per_epoch:
                publisher.publish(fill(RCLPY, answered))
            self._told_labels = answered.labels
        _send(self._on_demand, answered)

    def publish_places(self, located: Located, frame: Frame) -> None:
        """Send where the things of an answer are, in every form that is asked for.

        Args:
            located: The answer and the places.
            frame: The frame that it answers.
        """
        _send(self._spatial, AnsweredFrame(located.answer, frame, self.jpeg_quality, located))

    def forget(self) -> None:
        """Time begins anew: the labels are told again with the next answer."""
        self._told_labels = None


def _send(outputs: Sequence[tuple[Fill, Any]], answered: AnsweredFrame) -> None:
    for fill, publisher in outputs:
        if publisher.get_subscription_count():
            publisher.publish(fill(RCLPY, answered))
