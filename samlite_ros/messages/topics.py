"""What a topic is, without ROS: name, type, quality of service, meaning; and those on which the node listens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Qos:
    """Quality of service.

    Args:
        depth: So many messages wait for whoever is slow, or comes later where it is latched.
        reliable: What is lost on the way is sent again.
        latched: Whoever comes later gets what was published before (transient local).
        overridable: Parameters `qos_overrides.<topic>.publisher.*` or `.subscription.*` may set it otherwise.
    """

    depth: int
    reliable: bool = True
    latched: bool = False
    overridable: bool = False


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One topic of the node.

    Args:
        name: '~/...' below the node's name, '/...' in the graph's root, else in the node's namespace.
        type_name: E.g. 'sensor_msgs/msg/Image'.
        qos: As the node offers or asks for it.
        meaning: For people.
    """

    name: str
    type_name: str
    qos: Qos
    meaning: str

    def of(self, camera: str = "", node: str = "~") -> str:
        """Its name for one camera; '' = that without a name. `node` stands for the node's own name."""
        stem = f"{camera}/" if camera else ""
        if self.name.startswith("/"):
            return self.name
        return f"{node}/{stem}{self.name[2:]}" if self.name.startswith("~/") else stem + self.name


_CAMERA = Qos(1, reliable=False, overridable=True)  # best effort reads every camera; depth 1 keeps no stale frame
_DEPTH = Qos(4, reliable=False)  # it comes between images: none may be lost while the executor is busy
_QUERIES = Qos(1000)  # a burst must survive a busy executor

IMAGE = Topic(
    name="image",
    type_name="sensor_msgs/msg/Image",
    qos=_CAMERA,
    meaning="remap `image`; both transports follow",
)
COMPRESSED_IMAGE = Topic(
    name="image/compressed",
    type_name="sensor_msgs/msg/CompressedImage",
    qos=_CAMERA,
    meaning="instead of `image`, with `image_transport: compressed`",
)
DEPTH = Topic(
    name="depth",
    type_name="sensor_msgs/msg/Image",
    qos=_DEPTH,
    meaning="16UC1 or 32FC1, registered to `image`; parameter `depth_topics`, else found beside `image`",
)
COMPRESSED_DEPTH = Topic(
    name="depth/compressedDepth",
    type_name="sensor_msgs/msg/CompressedImage",
    qos=_DEPTH,
    meaning="instead of `depth`: a PNG, where only that is published or the parameter says so",
)
CAMERA_INFO = Topic(
    name="camera_info",
    type_name="sensor_msgs/msg/CameraInfo",
    qos=_DEPTH,
    meaning="calibration; parameter `camera_info_topics`, else found beside `image`",
)
QUERY = Topic(
    name="~/query",
    type_name="samlite_ros/msg/TextQuery",
    qos=_QUERIES,
    meaning="add, replace, remove one query; named by client and id",
)
QUERY_SET = Topic(
    name="~/query_set",
    type_name="samlite_ros/msg/QuerySet",
    qos=Qos(100, latched=True),
    meaning="all queries of one client; latched by the client, so that a restarted node finds it",
)
QUERY_TEXT = Topic(
    name="~/query_text", type_name="std_msgs/msg/String", qos=_QUERIES, meaning="comma-separated phrases"
)
BOND = Topic(
    name="bond",
    type_name="bond/msg/Status",
    qos=Qos(10),
    meaning="heartbeats for Nav2's lifecycle manager, and its own, with `autostart: false` and the package bond",
)
INPUTS = (IMAGE, COMPRESSED_IMAGE, DEPTH, COMPRESSED_DEPTH, CAMERA_INFO, QUERY, QUERY_SET, QUERY_TEXT)


def render_rows(direction: str, topics: Sequence[Topic]) -> str:
    """Rows of the table of topics: direction, topic, type, meaning."""
    return "".join(f"| {direction} | `{t.name}` | {_shown(t.type_name)} | {t.meaning} |\n" for t in topics)


def _shown(type_name: str) -> str:
    package, _, name = type_name.split("/")
    return f"[{name}](../msg/{name}.msg)" if package == "samlite_ros" else f"{package}/{name}"
