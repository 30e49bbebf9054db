"""Signals to end, from the first line of a program on; imports nothing that takes time."""

from __future__ import annotations

import os
import signal


class EarlySignals:
    """Until ROS heeds SIGINT and SIGTERM they end the process at once, with status 0: nothing is there to be ended yet.

    Python's own handler would raise KeyboardInterrupt wherever the thread is: in the middle of an import, or inside of
    rclpy's conversion of a message, which makes another error of it, or aborts.
    """

    def __init__(self) -> None:
        self._ros_heeds = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def leave_to_ros(self) -> None:
        """rclpy has its handlers now, which end the spinning; ours is called after them."""
        self._ros_heeds = True

    def _on_signal(self, *_: object) -> None:
        if not self._ros_heeds:
            os._exit(0)
