"""Bags that other versions of our messages recorded are read by the definitions that are in them."""

from pathlib import Path

import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from samlite_ros.bags.message_types import TEXT_QUERY, deserialize, serialize, typestore
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.storage import RawMessage

BOX = "samlite_ros/msg/BoxExemplar"


def text_of(**versions: str) -> str:
    """Today's text of TextQuery, with other ends of some of its types."""
    text, _ = typestore().generate_msgdef(TEXT_QUERY, ros_version=2)
    for name, (before, after) in versions.items():
        assert before in text, name
        text = text.replace(before, after)
    return text


OLDER = text_of(query=("string[] cameras\nsamlite_ros/BoxExemplar[] exemplars\n", ""))
NEWER = text_of(
    query=("BoxExemplar[] exemplars\n", "BoxExemplar[] exemplars\nstring[] labels\n"),
    box=("bool positive", "bool positive\nfloat64 weight"),
)
FOREIGN = text_of(query=("string client\nstring id\n", "string id\nstring client\n"))


def recorded(folder: Path, text: str, storage: StoragePlugin, **fields) -> RawMessage:
    """A message of that version through a bag."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = get_types_from_msg(text, TEXT_QUERY)
    store.register({name: parts for name, parts in types.items() if name.startswith("samlite_ros/")})
    names = [name for name, _ in types[TEXT_QUERY][1]]
    now = typestore()
    time = store.types["builtin_interfaces/msg/Time"](sec=1, nanosec=2)
    values = {
        **dict.fromkeys(names, 0),
        "header": store.types["std_msgs/msg/Header"](stamp=time, frame_id=""),
        "lifetime": store.types["builtin_interfaces/msg/Duration"](sec=3, nanosec=0),
        "cameras": ["front"],
        "exemplars": [],
        "labels": ["x"],
        **{"client": "me", "id": "cup", "text": "red cup"},
    }
    message = store.types[TEXT_QUERY](**{name: values[name] for name in names})
    with Writer(folder / "bag", version=8, storage_plugin=storage) as bag:
        topic = bag.add_connection("/q", TEXT_QUERY, msgdef=text, rihs01=now.hash_rihs01(TEXT_QUERY))
        bag.write(topic, 1, store.serialize_cdr(message, TEXT_QUERY))
    with BagReader(folder / "bag") as reader:
        return next(iter(reader.messages(["/q"])))


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_an_older_version_has_defaults_for_what_came_later(tmp_path: Path, storage) -> None:
    message = recorded(tmp_path, OLDER, storage)
    query = deserialize(message.data, TEXT_QUERY, message.definition)
    assert (query.client, query.id, query.text, query.lifetime.sec) == ("me", "cup", "red cup", 3)
    assert (query.cameras, query.exemplars) == ([], [])
    assert serialize(query)  # it is one of today's


def test_a_newer_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    message = recorded(tmp_path, NEWER, StoragePlugin.MCAP)
    query = deserialize(message.data, TEXT_QUERY, message.definition)
    assert (query.text, query.cameras) == ("red cup", ["front"])


@pytest.mark.parametrize("text", ["", "nonsense {", FOREIGN, text_of()])
def test_what_is_no_version_of_ours_is_read_as_today(text) -> None:
    today = recorded_today()
    assert deserialize(today, TEXT_QUERY, text).text == "red cup"


def recorded_today() -> bytes:
    types = typestore().types
    time = types["builtin_interfaces/msg/Time"](sec=1, nanosec=2)
    message = types[TEXT_QUERY](
        header=types["std_msgs/msg/Header"](stamp=time, frame_id=""),
        client="me",
        id="cup",
        action=0,
        text="red cup",
        score_threshold=0.0,
        mask_threshold=0.0,
        max_instances=0,
        lifetime=types["builtin_interfaces/msg/Duration"](sec=3, nanosec=0),
        max_rate=0.0,
        priority=0,
        cameras=[],
        exemplars=[],
    )
    return serialize(message)
