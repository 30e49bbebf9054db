"""The messages: fields as published to the world, each explained, and vision_msgs wire-compatible with upstream's."""

import importlib
import json
import re
from pathlib import Path

import pytest
from ros_install import find_in_ros

from samlite_ros.msg import QueryStatus, TextQuery
from samlite_ros.queries import Action, Outcome, Refusal, State

MSG = Path(__file__).resolve().parents[2] / "msg"

# Changing a line here breaks every planner that is out there.
FIELDS = {
    "BoxExemplar": "header:std_msgs/Header camera:string roi:sensor_msgs/RegionOfInterest positive:boolean",
    "TextQuery": "header:std_msgs/Header client:string id:string action:uint8 text:string score_threshold:float "
    "mask_threshold:float max_instances:uint16 lifetime:builtin_interfaces/Duration max_rate:float priority:int8 "
    "cameras:sequence<string> exemplars:sequence<samlite_ros/BoxExemplar>",
    "QuerySet": "header:std_msgs/Header client:string queries:sequence<samlite_ros/TextQuery>",
    "QueryStatus": "client:string id:string request_stamp:builtin_interfaces/Time text:string state:uint8 "
    "outcome:uint8 reason:uint16 message:string class_id:uint16 presence:float last_searched:builtin_interfaces/Time "
    "last_seen:builtin_interfaces/Time last_seen_camera:string expires:builtin_interfaces/Time "
    "last_place:geometry_msgs/PointStamped last_place_sigma:float search_rate:float wait_passes:uint32 wait:float",
    "QueryStatusArray": "header:std_msgs/Header vocabulary_epoch:uint32 queries:sequence<samlite_ros/QueryStatus>",
    "QueryMatch": "client:string query_id:string text:string class_id:uint16 score:float",
    "QueryResult": "client:string query_id:string class_id:uint16 keyframe_stamp:builtin_interfaces/Time "
    "presence:float count:uint16",
    "InstanceMask": "track_id:uint64 matches:sequence<samlite_ros/QueryMatch> confidence:float propagated:boolean "
    "keyframe_stamp:builtin_interfaces/Time box:vision_msgs/BoundingBox2D height:uint32 width:uint32 "
    "counts:sequence<uint32>",
    "Place": "instance:uint32 track_id:uint64 matches:sequence<samlite_ros/QueryMatch> confidence:float "
    "position:geometry_msgs/Point covariance:double[9] measured:geometry_msgs/Point measured_covariance:double[9] "
    "spread:float support:uint32 share:float box_center:geometry_msgs/Point box_size:geometry_msgs/Vector3",
    "PlaceArray": "header:std_msgs/Header camera:string places:sequence<samlite_ros/Place>",
    "Segmentation": "header:std_msgs/Header camera:string model_id:string vocabulary_epoch:uint32 "
    "keyframe_stamp:builtin_interfaces/Time height:uint32 width:uint32 results:sequence<samlite_ros/QueryResult> "
    "instances:sequence<samlite_ros/InstanceMask>",
}

# Of upstream's vision_msgs 4.1.1, from its own message files through rosidl_generator_type_description.
VISION_MSGS_HASHES = {
    "BoundingBox2D": "RIHS01_008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "BoundingBox3D": "RIHS01_bbb73a65c163d7f9bb29009c7bde9f7faa576bd2d23299c4511d19230dab4698",
    "Detection2D": "RIHS01_0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "Detection2DArray": "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    "Detection3D": "RIHS01_ddd703be132ab0b69d33121f1bb034132bfbb3b0ac5f9fb1516005ba1c8a265b",
    "Detection3DArray": "RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
    "LabelInfo": "RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    "ObjectHypothesis": "RIHS01_51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "ObjectHypothesisWithPose": "RIHS01_41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc",
    "Point2D": "RIHS01_eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
    "Pose2D": "RIHS01_b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
    "VisionClass": "RIHS01_1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a",
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_the_published_ones(name: str) -> None:
    message = getattr(importlib.import_module("samlite_ros.msg"), name)
    expected = dict(field.split(":") for field in FIELDS[name].split())
    assert list(message.get_fields_and_field_types().items()) == list(expected.items())


def test_every_message_file_is_published() -> None:
    assert {file.stem for file in MSG.glob("*.msg")} == set(FIELDS)


@pytest.mark.parametrize("file", sorted(MSG.glob("*.msg")), ids=lambda file: file.stem)
def test_every_field_and_constant_is_explained(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.search(r" # \S", line)] == []


@pytest.mark.parametrize(
    ("message", "prefix", "values"),
    [(QueryStatus, "REASON_", Refusal), (QueryStatus, "", State), (QueryStatus, "", Outcome), (TextQuery, "", Action)],
    ids=["Refusal", "State", "Outcome", "Action"],
)
def test_constants_are_those_of_the_library(message: type, prefix: str, values: type) -> None:
    assert {value.name: getattr(message, prefix + value.name) for value in values} == {v.name: v.value for v in values}


def test_library_knows_every_reason_of_the_message() -> None:
    in_message = set(re.findall(r"REASON_(\w+)=", (MSG / "QueryStatus.msg").read_text()))
    assert in_message == {reason.name for reason in Refusal}


@pytest.mark.parametrize("name", VISION_MSGS_HASHES)
def test_vision_msgs_is_wire_compatible(name: str) -> None:
    description = find_in_ros(f"share/vision_msgs/msg/{name}.json")
    if description is None:
        pytest.skip("this distribution has no type hashes (before Jazzy)")
    hashes = {entry["type_name"]: entry["hash_string"] for entry in json.loads(description.read_text())["type_hashes"]}
    assert hashes[f"vision_msgs/msg/{name}"] == VISION_MSGS_HASHES[name]
