"""What the demo's planner times on a graph."""

import os
import time
from unittest.mock import patch

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from node_process import graph_environment, own_domain
from std_msgs.msg import String

from samlite_ros.client import PlannerClient
from samlite_ros.demo.observer import Observer
from samlite_ros.errors import SamliteError


@pytest.mark.parametrize("lost", [2, 10**9])
def test_a_lost_message_is_followed_by_another_soon_and_silence_is_waited_for_no_longer_than_told(lost):
    with own_domain() as domain, patch.dict(os.environ, graph_environment(domain)), PlannerClient("demo") as planner:
        heard = []
        echo = planner.node.create_publisher(String, "/scene_camera/pong", 10)

        def on_ping(message):
            heard.append(message)
            if len(heard) > lost:
                echo.publish(message)

        planner.node.create_subscription(String, "/scene_camera/ping", on_ping, 10)
        observer, began_s = Observer(planner), time.monotonic()
        if lost == 2:
            assert len(observer._ping(3, 20.0)) == 3
        else:
            with pytest.raises(SamliteError, match="waited 1 s for 3 messages to come back, 0 did"):
                observer._ping(3, 1.0)
        assert time.monotonic() - began_s < 4.0
