"""What any callback of the executor raises is told, and everything else is served on."""

import os
import threading
import time
from concurrent.futures import Future
from unittest.mock import patch

import pytest
import rclpy
from node_process import graph_environment, own_domain
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from std_msgs.msg import String
from std_srvs.srv import Empty

from samlite_ros.node.spinning import Waits, spin_guarded

DEADLINE_S = 20.0


class Served:
    """A node whose callbacks are served by another thread."""

    def __init__(self):
        rclpy.init()
        self.node = rclpy.create_node("guarded")
        self.failures, self.ticks = [], 0
        self.node.create_timer(0.02, self._tick)
        self.thread = threading.Thread(target=spin_guarded, args=(self.node, self._on_failure))
        self.thread.start()

    def _on_failure(self, error):
        self.failures.append(error)

    def _tick(self):
        self.ticks += 1

    def wait_for(self, condition, what):
        deadline_s = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline_s, f"no {what}"
            time.sleep(0.005)

    def close(self):
        rclpy.try_shutdown()
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()


@pytest.fixture(scope="module")
def served():
    with own_domain() as domain, patch.dict(os.environ, graph_environment(domain)):
        served = Served()
        yield served
        served.close()


def fail(*_):
    raise KeyError("of a callback")


def from_a_subscription(node):
    node.create_subscription(String, "topic", fail, 1)
    publisher = node.create_publisher(String, "topic", 1)
    return lambda: publisher.publish(String(data="x"))


def from_a_service(node):
    node.create_service(Empty, "service", fail)
    client = node.create_client(Empty, "service")
    return lambda: client.call_async(Empty.Request())


def from_a_timer(node):
    timer = node.create_timer(0.01, fail)
    return timer.cancel


def from_a_guard_condition(node):
    guard = node.create_guard_condition(fail)
    return guard.trigger


def from_a_coroutine(node):
    async def fail_late(request, response):
        fail()

    node.create_service(Empty, "coroutine", fail_late)
    client = node.create_client(Empty, "coroutine")
    return lambda: client.call_async(Empty.Request())


@pytest.mark.parametrize(
    "kind", [from_a_subscription, from_a_service, from_a_timer, from_a_guard_condition, from_a_coroutine]
)
def test_what_a_callback_raises_is_told_and_the_others_are_served(served, kind):
    before = len(served.failures)
    act = kind(served.node)

    def told():
        if len(served.failures) == before:
            act()
        time.sleep(0.02)
        return len(served.failures) > before

    if kind is from_a_timer:
        served.wait_for(lambda: len(served.failures) > before, "failure")
        act()
    else:
        served.wait_for(told, "failure")
    assert isinstance(served.failures[-1], KeyError)
    ticks = served.ticks
    served.wait_for(lambda: served.ticks > ticks + 2, "timer")


def test_a_parameter_s_check_that_raises_ends_nothing(served):
    def check(parameters):
        if parameters[0].name == "odd":
            fail()
        return SetParametersResult(successful=True)

    served.node.declare_parameter("odd", 1)
    served.node.add_on_set_parameters_callback(check)
    ticks = served.ticks
    with pytest.raises(KeyError):
        served.node.set_parameters([rclpy.parameter.Parameter("odd", value=2)])
    served.wait_for(lambda: served.ticks > ticks + 2, "timer")


def test_waiting_for_another_thread_holds_up_nothing_and_has_a_bound(served):
    tasks = []
    served.node.create_timer(0.01, lambda: [tasks.pop(0)() for _ in list(tasks)] and None)
    waits, done, never = Waits(tasks.append), Future(), Future()
    served.node.create_timer(0.01, waits.look)
    results = {}

    async def wait(request, response):
        results["done"] = await waits.until(done, DEADLINE_S)
        results["never"] = await waits.until(never, 0.1)
        return response

    served.node.create_service(Empty, "waits", wait, callback_group=ReentrantCallbackGroup())
    client = served.node.create_client(Empty, "waits")
    served.wait_for(client.service_is_ready, "service")
    client.call_async(Empty.Request())
    ticks = served.ticks
    served.wait_for(lambda: served.ticks > ticks + 3, "timer meanwhile")
    assert results == {}
    done.set_result(None)
    served.wait_for(lambda: len(results) == 2, "end of the wait")
    assert results == {"done": True, "never": False}
