"""A camera that renders: publishes a sequence of `samlite_ros.scenes` as a camera driver would, with its truth known.

Frame k has the stamp start + k / rate, so that whoever reads `~/scene` can look up the truth of every frame. It is
rendered and published after that time, and `~/published` says when.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String

from samlite_ros.node.ending import quiet_after_shutdown
from samlite_ros.scenes import KINDS, Scene, Sequence, SequenceOptions

QOS_SCENE = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TICK_AFTER_NS = 1_000_000
"""The timer's ticks come so long after frames are due [ns]: at the very time it would be chance which frame is."""


@dataclass(frozen=True)
class SceneDescription:
    """What `~/scene` says, as JSON: all that is needed to render the same frames again.

    Args:
        motion: One of `samlite_ros.scenes.KINDS`.
        seed: Which scene.
        rate: Frames a second [Hz].
        width, height: Size [px].
        speed: Speed of the motion in the image [px/s].
        frames: Frames until it starts over.
        start_ns: Stamp of frame 0 [ns].
    """

    motion: str
    seed: int
    rate: float
    width: int
    height: int
    speed: float
    frames: int
    start_ns: int = 0

    def sequence(self) -> Sequence:
        """The sequence that is published.

        Raises:
            ValueError: The motion is unknown.
        """
        if self.motion not in KINDS:
            raise ValueError(f"motion must be one of {', '.join(KINDS)}, got {self.motion!r}")
        options = SequenceOptions((self.height, self.width), self.rate, self.frames, self.speed)
        return Sequence(self.motion, self.seed, options)

    def index_of(self, stamp_ns: int) -> int:
        """Index of the frame with this stamp, within the sequence."""
        return round((stamp_ns - self.start_ns) * self.rate / 1e9) % self.frames

    def stamp_of(self, index: int) -> int:
        """Stamp of the frame with this running index [ns]."""
        return self.start_ns + round(index * 1e9 / self.rate)

    def due_at(self, now_ns: int) -> int:
        """Running index of the newest frame that is due: its stamp is never in the future."""
        index = int((now_ns - self.start_ns) * self.rate / 1e9)
        return index - 1 if self.stamp_of(index) > now_ns else index

    def to_json(self) -> str:
        """The message's text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SceneDescription:
        """Read the message's text."""
        return cls(**json.loads(text))


DEFAULTS = SceneDescription(motion="fly", seed=1, rate=30.0, width=640, height=480, speed=120.0, frames=300)


class SceneCamera(Node):
    """Publishes `image` at a fixed rate; where rendering is late, frames are left out, never delayed."""

    def __init__(self) -> None:
        super().__init__("scene_camera")
        given = {
            f.name: self.declare_parameter(f.name, getattr(DEFAULTS, f.name)).value
            for f in fields(DEFAULTS)
            if f.name != "start_ns"
        }
        self._sequence = SceneDescription(**given).sequence()
        self._last = -1
        self._images = self.create_publisher(Image, "image", 1)
        self._scenes = self.create_publisher(String, "~/scene", QOS_SCENE)
        self._published = self.create_publisher(String, "~/published", 100)
        self._pong = self.create_publisher(String, "~/pong", 10)
        self.create_subscription(String, "~/ping", self._pong.publish, 10)
        start_ns = self.get_clock().now().nanoseconds - TICK_AFTER_NS  # all else is made: ticks begin now
        self.scene = SceneDescription(**given, start_ns=start_ns)
        self.create_timer(1 / self.scene.rate, self._on_timer)
        self._scenes.publish(String(data=self.scene.to_json()))

    def _on_timer(self) -> None:
        due = self.scene.due_at(self.get_clock().now().nanoseconds)
        if due <= self._last:
            return
        self._last = due
        stamp_ns = self.scene.stamp_of(due)
        image = to_image(self._sequence[due % self.scene.frames], stamp_ns)
        self._published.publish(String(data=f"{stamp_ns} {self.get_clock().now().nanoseconds}"))
        self._images.publish(image)


def to_image(scene: Scene, stamp_ns: int) -> Image:
    """A rendered scene as an rgb8 message of frame 'camera'."""
    message = Image(height=scene.image.shape[0], width=scene.image.shape[1], encoding="rgb8")
    message.header.frame_id = "camera"
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    message.step = 3 * message.width
    message.data.frombytes(scene.image.data)
    return message


def main() -> None:
    """Run the camera until it is interrupted."""
    rclpy.init()
    try:
        with suppress(KeyboardInterrupt), quiet_after_shutdown():
            rclpy.spin(SceneCamera())
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
