"""The rights of the node are what it does on a running graph: all of it, and nothing else."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from graph import OUTPUTS, RELIABLE, graph
from rclpy.node import NodeNameNonExistentError
from sensor_msgs.msg import CameraInfo, Image

from samlite_ros.access import Deployment, Rights, node_rights
from samlite_ros.parameters.table import Parameters

TF2 = str(Path(__file__).parents[1] / "fakes/tf2_standin")


def done_by(client, node="samlite", namespace="/"):
    """What a node does, as the graph tells; nothing while it is not known."""
    of = client.node
    kinds = (
        of.get_publisher_names_and_types_by_node,
        of.get_subscriber_names_and_types_by_node,
        of.get_service_names_and_types_by_node,
        of.get_client_names_and_types_by_node,
    )
    try:
        return Rights(*(frozenset(name for name, _ in kind(node, namespace)) for kind in kinds))
    except NodeNameNonExistentError:
        return Rights()


@pytest.mark.parametrize(
    ("values", "extra"),
    [
        ({}, {}),
        ({"cameras": ("front", "rear"), "image_transport": "compressed"}, {}),
        ({"positions": False, "autostart": False, "bond_period": 0.0}, {"use_sim_time": True}),
        ({"target_frame": "map"}, {}),
    ],
)
def test_the_node_does_what_its_rights_say(values, extra):
    deployment = Deployment(Parameters(**values), **extra)
    rights = node_rights(deployment)
    always = node_rights(replace(deployment, parameters=replace(deployment.parameters, positions=False)))
    environment = {"PYTHONPATH": ":".join([TF2, *sys.path])} if "target_frame" in values else {}
    with graph(parameters={**values, **extra}, environment=environment) as (client, _):
        client.wait_for(lambda: done_by(client).publish >= rights.publish, "the node with all its topics")
        client.wait_for(lambda: len(done_by(client).reply) >= len(rights.reply) - 1, "its services")
        client.wait_for_diagnostic("node", lambda *_: True)  # nothing more is made after that, unless somebody asks
        done = done_by(client)
    assert done.publish == rights.publish
    assert always.subscribe <= done.subscribe <= rights.subscribe
    assert rights.reply - {"/samlite/get_type_description"} <= done.reply <= rights.reply  # Humble has none
    assert done.request == rights.request == frozenset()


def test_depth_that_is_found_beside_the_image_is_within_the_rights():
    with graph(remappings={"image": "/cam/color/image_raw"}, parameters={"queries": ["red thing"]}) as (client, _):
        client.node.create_publisher(Image, "/cam/color/image_raw", RELIABLE)
        client.node.create_publisher(Image, "/cam/aligned_depth_to_color/image_raw", RELIABLE)
        client.node.create_publisher(CameraInfo, "/cam/color/camera_info", RELIABLE)
        client.listen_to_outputs(*list(OUTPUTS)[:1])
        client.wait_for(
            lambda: (
                "/cam/aligned_depth_to_color/image_raw" in done_by(client).subscribe
                and "/cam/color/camera_info" in done_by(client).subscribe
            ),
            "a subscription to depth and calibration",
        )
        done = done_by(client)
    rights = node_rights(Deployment(remappings={"image": "/cam/color/image_raw"}))
    assert done.subscribe <= rights.subscribe
