"""What goes wrong around the node becomes a count, a diagnosis and a line in the log; the node lives on."""

import pytest
from builtin_interfaces.msg import Time
from graph import RELIABLE, graph, scene, time_of
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from samlite_ros.msg import QueryStatus


def image(client, **fields):
    message = Image(height=4, width=8, encoding="rgb8", step=24, data=bytes(96))
    message.header.stamp = time_of(client.next_stamp())
    for name, value in fields.items():
        setattr(message, name, value)
    return message


BAD_IMAGES = [
    ({"encoding": "32FC1"}, "'32FC1'"),
    ({"encoding": "no such"}, "'no such'"),
    ({"data": bytes(50)}, "50 bytes"),
    ({"height": 0}, "8 x 0"),
    ({"step": 7}, "step is 7"),
    ({"encoding": "x" * 1_000_000}, "(1,000,000 characters)"),
    ({"header": Header(stamp=Time(sec=5, nanosec=1_000_000_000))}, "stamp that is none"),
    ({"header": Header(stamp=Time(sec=-5))}, "stamp that is none"),
    ({"header": Header(stamp=Time(sec=2**31 - 1), frame_id="x" * 100_000)}, "(100,000 characters)"),
]


@pytest.fixture(scope="module")
def running():
    with graph(parameters={"propagate": False, "queries": ["red thing"]}) as (client, node):
        client.answers = client.listen_to_outputs("segmentation")["segmentation"]
        yield client, node


@pytest.mark.parametrize(("fields", "words"), BAD_IMAGES, ids=[words for _, words in BAD_IMAGES])
def test_an_impossible_image_is_named_and_the_next_good_one_answered(running, fields, words):
    client, node = running
    publisher = client.publisher("/image", Image, RELIABLE)
    named = client.diagnostic("camera", lambda status, _: status.level == status.ERROR and words in status.message)
    client.act_until(
        lambda: publisher.publish(image(client, **fields)),
        lambda: named() and words in node.log(),
        "diagnosis of the bad image",
    )
    assert client.answer_to(scene("red"), client.answers).instances
    well = client.diagnostic("camera", lambda status, _: status.level == status.OK)
    client.act_until(lambda: client.answer_to(scene("red"), client.answers), well, "diagnosis that all is well")
    assert "Traceback" not in node.log()


def test_images_that_repeat_a_stamp_are_diagnosed(running):
    client, _ = running
    publisher, message = client.publisher("/image", Image, RELIABLE), image(client)
    repeated = client.diagnostic("camera", lambda status, _: status.level == status.WARN and "stamp" in status.message)
    client.act_until(lambda: publisher.publish(message), repeated, "diagnosis of the repeated stamp")


@pytest.mark.parametrize(
    ("data", "format", "words"),
    [
        (b"", "jpeg", "empty"),
        (b"\xff\xd8 broken \xff\xd9", "jpeg", "damaged"),
        (b"x", "16UC1; compressedDepth", "Depth"),
    ],
)
def test_bad_compressed_images_are_named(data, format, words):
    with graph(parameters={"image_transport": "compressed", "queries": ["red thing"]}) as (client, _):
        client.listen_to_outputs("segmentation")
        publisher = client.publisher("/image/compressed", CompressedImage, RELIABLE)
        message = CompressedImage(format=format, data=data)
        message.header.stamp = time_of(client.next_stamp())
        named = client.diagnostic("camera", lambda status, _: status.level == status.ERROR and words in status.message)
        client.act_until(lambda: publisher.publish(message), named, "diagnosis of the bad image")


def test_a_failing_network_is_diagnosed_and_the_last_good_state_stays(running):
    client, node = running
    assert client.answer_to(scene("red"), client.answers).instances
    client.query("bad", "fail")
    client.wait_until_active("bad")
    failed = client.diagnostic(
        "network", lambda status, values: status.level == status.ERROR and int(values["failures"]) > 1
    )
    status = client.stream_until(scene("red"), failed, "diagnosis of the failure")
    assert "out of memory" in status.message
    assert "CUDA out of memory" in node.log()
    assert client.state() == "active"
    assert client.statuses["parameters", "red thing"].outcome == QueryStatus.FOUND
    client.query("bad", "blue thing")
    client.wait_for_status("bad", text="blue thing", state=QueryStatus.ACTIVE)
    assert client.answer_to(scene("red"), client.answers).instances
    client.wait_for_diagnostic("network", lambda status, _: status.level == status.OK)


def test_a_flood_of_rejected_queries_leaves_the_node_answering(running):
    client, _ = running
    for i in range(3000):
        client.query(f"flood {i}", " ")
    client.wait_until_queries_are_read()
    assert client.answer_to(scene("red"), client.answers).instances
