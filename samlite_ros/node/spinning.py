"""The executor: what a callback raises is told and ends nothing; what other threads do can be waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import rclpy.task
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

REST_S = 0.001
"""After a failure: one that repeats without end leaves the processor to others."""


def spin_guarded(node: Node, on_failure: Callable[[Exception], None]) -> None:
    """Serve until ROS is shut down.

    Here every callback of the node's is guarded: subscriptions, also those of rclpy's own such as /clock's, timers,
    services, events, and the making of Python messages of what came.

    Args:
        node: Whose callbacks are served.
        on_failure: Told of what one raised.
    """
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    while node.context.ok():
        try:
            executor.spin_once()
        except ExternalShutdownException:
            return
        except Exception as error:
            if node.context.ok():
                on_failure(error)
                time.sleep(REST_S)


class Waits:
    """What callbacks of the executor wait for without holding it up; all on the executor's thread.

    Args:
        post: Has something done on the executor's thread; may be called from any thread.
    """

    def __init__(self, post: Callable[[Callable[[], None]], None]) -> None:
        self._post = post
        self._waits: list[tuple[Future[Any], float, rclpy.task.Future]] = []

    async def until(self, future: Future[Any], timeout_s: float) -> bool:
        """Wait for another thread's future; returns whether it was done in time."""
        over = rclpy.task.Future()
        self._waits.append((future, time.monotonic() + timeout_s, over))
        future.add_done_callback(lambda _: self._post(self.look))
        await over
        return future.done()

    def look(self) -> None:
        """Let those go on whose wait is over; to be called several times a second."""
        now_s = time.monotonic()
        over = [w for w in self._waits if w[0].done() or now_s > w[1]]
        self._waits = [w for w in self._waits if w not in over]
        for _, _, future in over:
            future.set_result(None)
