"""The message classes of bags: the standard ones of `rosbags`, and ours from the text of our .msg files."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from samlite_ros.bags.older_types import as_today, fields_left_out
from samlite_ros.errors import BagError
from samlite_ros.foreign.limits import DEFINITION_CHARACTERS
from samlite_ros.foreign.words import one_line

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
SEGMENTATION = "samlite_ros/msg/Segmentation"
DETECTIONS_3D = "vision_msgs/msg/Detection3DArray"
LABEL_INFO = "vision_msgs/msg/LabelInfo"
TEXT_QUERY = "samlite_ros/msg/TextQuery"
QUERY_SET = "samlite_ros/msg/QuerySet"
STRING = "std_msgs/msg/String"
OUR_PACKAGES = ("vision_msgs", "samlite_ros")
"""Their types are registered from their texts."""

_VERSIONS_KEPT = 64


@cache
def typestore() -> Typestore:
    """All types that are read and written; ours registered beside those of ROS 2 Jazzy.

    Raises:
        BagError: The .msg files are not where the build puts them.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for package in OUR_PACKAGES:
        for path in sorted(_definitions(package).glob("*.msg")):
            types.update(get_types_from_msg(path.read_text(encoding="utf-8"), f"{package}/msg/{path.stem}"))
    store.register(types)
    return store


@lru_cache(_VERSIONS_KEPT)
def recorded_types(type_name: str, definition: str) -> Typestore | None:
    """Our types as a recorder of another version knew them.

    Fields are only ever added at the end, so one version begins with all that the other has.

    Returns:
        None = they are as they are today, or none of our versions, or the text cannot be read.
    """
    if type_name.partition("/")[0] not in OUR_PACKAGES or len(definition) > DEFINITION_CHARACTERS:
        return None
    try:
        types = get_types_from_msg(definition, type_name)
        ours: Any = {  # without their constants: `rosbags` makes a program of what is registered
            name: ([], fields) for name, (_, fields) in types.items() if name.partition("/")[0] in OUR_PACKAGES
        }
        known = {name: parts[1] for name, parts in typestore().fielddefs.items()}
        pairs = [(fields, known[name]) for name, (_, fields) in ours.items() if name in known]
        if all(a == b for a, b in pairs) or any(a[: len(b)] != b[: len(a)] for a, b in pairs):
            return None
        store = get_typestore(Stores.ROS2_JAZZY)
        store.register(ours)
    except Exception:  # the text is whatever its recorder wrote
        return None
    return store


def _definitions(package: str) -> Path:
    """Folder of a package's .msg files: installed beside the modules, or that of the source tree."""
    modules = Path(__file__).resolve().parents[1]
    source = {"samlite_ros": "msg", "vision_msgs": "pip_ros/vision_msgs/msg"}[package]
    candidates = (modules / "interfaces" / package, modules.parent / source)
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise BagError(f"the messages of {package} are in neither of {', '.join(map(str, candidates))}: install again")


class BagMessages:
    """Makes messages for bags; see `messages.fill.MessageFactory`."""

    def new(self, type_name: str, **fields: Any) -> Any:
        """A message of `rosbags`."""
        store = typestore()
        if len(fields) < len(store.fielddefs[type_name][1]):
            fields |= fields_left_out(type_name, fields, store)
        return store.types[type_name](**fields)

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values as they are."""
        return np.ascontiguousarray(values)


BAG_MESSAGES = BagMessages()


def serialize(message: Any) -> bytes:
    """A message as it lies in a bag (CDR)."""
    return bytes(typestore().serialize_cdr(message, message.__msgtype__))


def deserialize(data: bytes, type_name: str, definition: str = "") -> Any:
    """A message from a bag.

    Args:
        data: Its bytes (CDR).
        type_name: Of today's name.
        definition: The text of its type as its recorder knew it; fields that came later have their defaults. Empty =
            the type is as it is today.

    Raises:
        BagError: The bytes are not a message of this type.
    """
    try:
        recorded = recorded_types(type_name, definition) if definition else None
        if recorded is not None:
            return as_today(recorded.deserialize_cdr(data, type_name), type_name, typestore())
        return typestore().deserialize_cdr(data, type_name)
    except Exception as error:  # damaged bytes fail in whichever way they reach first
        raise BagError(f"{len(data)} bytes are not a {type_name}: {one_line(error)}") from error
