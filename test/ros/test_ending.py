"""An interrupt may end ROS at any moment; no program takes that for a failure."""

import os
import signal
from unittest.mock import patch

import pytest
import rclpy
from node_process import graph_environment, own_domain
from rclpy.executors import SingleThreadedExecutor

from samlite_ros.bench.node_process import echo
from samlite_ros.demo import scene_camera
from samlite_ros.node.ending import quiet_after_shutdown


@pytest.fixture(autouse=True)
def domain():
    handler = signal.getsignal(signal.SIGINT)
    with own_domain() as domain, patch.dict(os.environ, graph_environment(domain)):
        yield
        rclpy.try_shutdown()
    signal.signal(signal.SIGINT, handler)


def end_within_a_step(*_):
    """As rclpy does where ROS is shut down between two of its own steps."""
    rclpy.try_shutdown()
    raise RuntimeError("the given context is not valid")


def test_what_fails_while_ros_runs_is_told():
    rclpy.init()
    with pytest.raises(RuntimeError, match="of its own"), quiet_after_shutdown():
        raise RuntimeError("a failure of its own")


def test_what_fails_since_ros_was_shut_down_is_no_news():
    rclpy.init()
    with quiet_after_shutdown():
        end_within_a_step()


def test_the_benchmark_s_echo_ends_well_whenever_it_is_interrupted(monkeypatch):
    monkeypatch.setattr(SingleThreadedExecutor, "spin", end_within_a_step)
    assert echo() == 0


def test_the_rendered_camera_ends_well_whenever_it_is_interrupted(monkeypatch):
    monkeypatch.setattr(rclpy, "spin", end_within_a_step)
    scene_camera.main()
