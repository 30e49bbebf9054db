"""Statuses tell what an accepted query waits for, on whatever it is that it waits."""

import numpy as np
import pytest
from graph import RELIABLE, graph, scene
from sensor_msgs.msg import Image

from samlite_ros.messages.fill import RCLPY, image_message
from samlite_ros.msg import QueryStatus

KEYFRAMES = {"propagate": False, "queries": ["red thing"]}


def wait_for_message(client, words, id="red thing", who="parameters"):
    def told():
        status = client.statuses.get((who, id))
        return status if status is not None and words in status.message else None

    try:
        return client.wait_for(told, f"status that says {words!r}")
    except AssertionError as error:
        raise AssertionError(f"{error}; the last was {client.statuses.get((who, id))}") from None


@pytest.mark.parametrize(
    ("parameters", "environment", "state", "words"),
    [
        ({"autostart": False}, {}, QueryStatus.PENDING, "unconfigured: the model is loaded when it is configured"),
        ({}, {"FAKE_LOAD_S": "3600"}, QueryStatus.PENDING, "the model is being loaded"),
        ({"image_timeout": 600.0}, {}, QueryStatus.ACTIVE, "no image has come yet on /image"),
        ({"image_timeout": 0.5}, {}, QueryStatus.ACTIVE, "no image comes on /image: nobody publishes it"),
        (
            {"cameras": ["front", "rear"], "image_timeout": 600.0},
            {},
            QueryStatus.ACTIVE,
            "; camera rear: no image has come yet on /rear/image",
        ),
    ],
)
def test_before_the_first_image(parameters, environment, state, words):
    with graph(parameters={**KEYFRAMES, **parameters}, environment=environment) as (client, _):
        status = wait_for_message(client, words)
        assert (status.state, status.outcome) == (state, QueryStatus.UNKNOWN)


def test_of_an_inactive_node_and_of_one_that_is_asked_again():
    with graph(parameters={**KEYFRAMES, "autostart": False}) as (client, _):
        assert client.change_state("configure")
        client.wait_until_active("red thing", "parameters")  # the text is embedded once the model is there
        assert wait_for_message(client, "the node is inactive").state == QueryStatus.ACTIVE
        assert client.change_state("activate")
        client.stream_until(scene("red"), lambda: outcome(client) == QueryStatus.FOUND, "found")
        client.wait_for_status("red thing", "parameters", message="")
        assert client.change_state("deactivate")
        assert wait_for_message(client, "the node is inactive").outcome == QueryStatus.FOUND


def outcome(client):
    return client.statuses["parameters", "red thing"].outcome


def test_of_a_camera_that_falls_silent_only_those_hear_that_search_it():
    with graph(parameters={**KEYFRAMES, "cameras": ["front", "rear"], "image_timeout": 0.5}) as (client, _):
        client.query("front", "red thing", cameras=["front"])
        client.query("rear", "red thing", cameras=["rear"])
        both = lambda: all(  # noqa: E731
            client.statuses["planner", id].outcome == QueryStatus.FOUND for id in ("front", "rear")
        )

        def send():
            client.send_image(scene("red"), topic="/front/image")
            client.send_image(scene("red"), topic="/rear/image")

        client.wait_until_active("rear")
        client.act_until(send, both, "found by both")
        words = "camera rear: no image comes on /rear/image: 1 publisher is there (/client) but nothing arrives"
        client.act_until(
            lambda: client.send_image(scene("red"), topic="/front/image"),
            lambda: client.statuses["planner", "rear"].message.startswith(words),
            "word of the silent camera",
        )
        assert client.statuses["planner", "front"].message == ""
        assert words in client.statuses["parameters", "red thing"].message


def test_of_images_that_cannot_be_read():
    with graph(parameters=KEYFRAMES) as (client, _):
        publisher = client.publisher("/image", Image, RELIABLE)

        def publish():
            message = image_message(RCLPY, scene("red"), "rgb8", client.next_stamp(), "optical")
            message.encoding = "32FC1"
            publisher.publish(message)

        told = lambda: "depth" in client.statuses["parameters", "red thing"].message  # noqa: E731
        client.wait_until_active("red thing", "parameters")
        client.act_until(publish, told, "word of the depth")


def test_of_a_network_that_is_slow_or_fails():
    slow = {"FAKE_BLOCKS": "200", "FAKE_BLOCK_S": "0.05"}
    for phrase, environment, words in (
        ("red thing", slow, "waits for a pass of the network"),
        ("fail", {}, "the network fails: "),
    ):
        parameters = {"propagate": False, "queries": [phrase]}
        with graph(parameters=parameters, environment=environment) as (client, _):
            client.wait_until_active(phrase, "parameters")
            told = lambda p=phrase, w=words: w in client.statuses["parameters", p].message  # noqa: E731
            client.stream_until(scene("red"), told, words)


def test_a_still_black_image_is_searched_and_nothing_is_waited_for():
    with graph(parameters={**KEYFRAMES, "not_found_after": 1}) as (client, _):
        client.wait_until_active("red thing", "parameters")
        black = np.zeros((48, 64, 3), np.uint8)
        client.stream_until(black, lambda: outcome(client) == QueryStatus.NOT_FOUND, "not found")
        client.stream_until(black, lambda: client.statuses["parameters", "red thing"].message == "", "no more to say")
