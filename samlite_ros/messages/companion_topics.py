"""Where a camera's depth images and calibration are usually found: names beside that of its image topic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from samlite_ros.messages.topics import CAMERA_INFO, COMPRESSED_DEPTH, DEPTH

COMPRESSED_END, COMPRESSED_IMAGE_END = "/compressedDepth", "/compressed"
_BESIDE = (  # in the image topic's own namespace
    "depth",
    "depth/image_raw",
    "depth/image",
    "depth/image_rect",
    "depth/depth_registered",
    "depth_image",
    "depth_registered/image_raw",
    "depth_registered/image_rect",
    "aligned_depth_to_color/image_raw",
    "depth_to_rgb/image_raw",
)
_ABOVE = (  # in the one above it, where images are in `color/` or `rgb/`
    "aligned_depth_to_color/image_raw",  # RealSense with align_depth
    "depth_registered/image_raw",  # OpenNI, Orbbec
    "depth_registered/image_rect",
    "depth/depth_registered",  # ZED
    "depth_to_rgb/image_raw",  # Azure Kinect
    "stereo/image_raw",  # OAK, where stereo is aligned to rgb
    "depth/image_rect",
    "depth/image_raw",
    "depth/image",
    "depth",
)


@dataclass(frozen=True)
class CompanionTopics:
    """Names of the topics that belong to a camera; empty = none was found."""

    depth: str = ""
    camera_info: str = ""

    @property
    def compressed(self) -> bool:
        """Depth comes as compressedDepth."""
        return self.depth.endswith(COMPRESSED_END)


NONE = CompanionTopics()


def depth_candidates(image_topic: str) -> list[str]:
    """Names under which registered depth is usually published, the surest first; without transport."""
    image_topic = image_topic.removesuffix(COMPRESSED_IMAGE_END)
    beside = _namespace(image_topic)
    above = beside.rpartition("/")[0]
    names = [f"{beside}/{name}" for name in _BESIDE] + ([f"{above}/{name}" for name in _ABOVE] if beside else [])
    return [name for name in dict.fromkeys(names) if name != image_topic]


def is_rectified(image_topic: str) -> bool:
    """Its images have no distortion, by their name (image_rect, image_rect_color ...)."""
    return "rect" in image_topic.removesuffix(COMPRESSED_IMAGE_END).rpartition("/")[2]


def find_companions(
    image_topic: str, types: Mapping[str, str], names: CompanionTopics = NONE, *, prefer_compressed: bool = False
) -> CompanionTopics:
    """Which topics belong to a camera.

    Args:
        image_topic: Of its images, raw or compressed.
        types: Type by name, of the topics that are there.
        names: Those that are given; where one is empty the usual names are looked for.
        prefer_compressed: Take compressedDepth where both are there.
    """
    image_topic = image_topic.removesuffix(COMPRESSED_IMAGE_END)
    candidates = [names.depth] if names.depth else depth_candidates(image_topic)
    depth = next((n for name in candidates if (n := _transport_of(name, types, prefer_compressed))), "")
    beside = [_namespace(image_topic), *([_namespace(depth.removesuffix(COMPRESSED_END))] if depth else [])]
    infos = [names.camera_info] if names.camera_info else [f"{namespace}/camera_info" for namespace in beside]
    return CompanionTopics(depth, next((name for name in infos if types.get(name) == CAMERA_INFO.type_name), ""))


def _transport_of(name: str, types: Mapping[str, str], prefer_compressed: bool) -> str:
    plain = name.removesuffix(COMPRESSED_END)
    raw = plain if types.get(plain) == DEPTH.type_name and name == plain else ""
    packed = plain + COMPRESSED_END
    packed = packed if types.get(packed) == COMPRESSED_DEPTH.type_name else ""
    return (packed or raw) if prefer_compressed else (raw or packed)


def _namespace(topic: str) -> str:
    return topic.rpartition("/")[0]
