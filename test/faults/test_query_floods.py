"""Messages of a hostile size: told with the number, services answered meanwhile, the next frame answered."""

import time

import pytest
from graph import LATCHED, RELIABLE, graph, scene
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import String

from samlite_ros.msg import QuerySet, QueryStatus, TextQuery

TOPICS = {"query": TextQuery, "query_set": QuerySet, "query_text": String}


@pytest.fixture(scope="module")
def running():
    with graph(parameters={"propagate": False, "queries": ["red thing"]}) as (client, node):
        client.answers = client.listen_to_outputs("segmentation")["segmentation"]
        yield client, node


def of(count: int) -> list[TextQuery]:
    return [TextQuery(id=f"{n}", text=f"thing {n}") for n in range(count)]


FLOODS = {
    "300,000 phrases in a text": (
        "query_text",
        String(data=",".join(f"p{n}" for n in range(300_000))),
        "300,000 queries",
    ),
    "a text of 10 MB": ("query_text", String(data="x" * 10_000_000), "bytes, at most"),
    "a set of 20,000": ("query_set", QuerySet(client="greedy", queries=of(20_000)), "20,000 queries"),
    "a set of one query of 10 MB": (
        "query_set",
        QuerySet(client="greedy", queries=[TextQuery(id="a", text="x" * 10_000_000)]),
        "bytes, at most",
    ),
    "a query of 10 MB": ("query", TextQuery(client="greedy", id="q", text="x" * 10_000_000), "bytes, at most"),
    "a query of a million cameras": (
        "query",
        TextQuery(client="greedy", id="q", text="a", cameras=[""] * 1_000_000),
        "bytes",
    ),
    "a client of a megabyte": ("query", TextQuery(client="g" * 1_000_000, id="q", text="a"), "bytes, at most"),
    "a client of 60 kB": ("query", TextQuery(client="g" * 60_000, id="q", text="a"), "60000 characters"),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_is_told_with_its_number_and_costs_nobody_else(running, name):
    client, node = running
    topic, message, words = FLOODS[name]
    publisher = client.publisher(f"/samlite/{topic}", TOPICS[topic], LATCHED if topic == "query_set" else RELIABLE)
    data = serialize_message(message)

    def told():
        return [s for s in client.told.queries if s.state == QueryStatus.REJECTED and words in s.message]

    client.act_until(lambda: publisher.publish(data), told, "refusal")
    (status,) = told()[:1]
    assert max(len(status.client), len(status.id), len(status.text)) <= 257
    publisher.publish(data)
    began_s = time.monotonic()
    assert client.state() == "active"
    assert time.monotonic() - began_s < 2.0  # 200 ms on a quiet machine
    assert client.answer_to(scene("red"), client.answers).instances
    assert "Traceback" not in node.log()


GARBAGE = {
    "no bytes": b"",
    "a head alone": b"\0\1\0\0",
    "lengths that lie": b"\0\1\0\0" + b"\xff\xff\xff\x7f" * 20,
    "lengths that lie later": b"\0\1\0\0" + bytes(8) + b"\1\0\0\0\0\0\0\0" * 3 + b"\xff\xff\xff\xff" * 20,
    "another encoding": b"\x99\x99\0\0" + bytes(100),
}


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.parametrize("topic", [*TOPICS, "image"])
def test_bytes_that_are_no_message_end_nothing(running, topic, name):
    client, node = running
    name_of = "/image" if topic == "image" else f"/samlite/{topic}"
    kind = Image if topic == "image" else TOPICS[topic]
    publisher = client.publisher(name_of, kind, LATCHED if topic == "query_set" else RELIABLE)
    for _ in range(3):
        publisher.publish(GARBAGE[name])
    assert client.answer_to(scene("red"), client.answers).instances
    assert node.process.poll() is None
