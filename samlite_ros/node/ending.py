"""How a program around a ROS node ends when it is interrupted."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import rclpy

from samlite_ros.network.host import NetworkHost

LONGEST_END_S = 4.0
"""From a signal to the end of the process, whatever hangs [s]; launch sends the next signal after 5 s."""
LOOK_S = 0.1


@contextmanager
def quiet_after_shutdown() -> Iterator[None]:
    """What cannot be made, waited for or published because ROS was shut down meanwhile is no news."""
    try:
        yield
    except Exception:
        if rclpy.ok():
            raise


def end_in_time(host: NetworkHost | None) -> None:
    """From now on the process ends at the latest so long after ROS was shut down, also where its main thread hangs.

    Args:
        host: Its processes are ended too.
    """

    def watch() -> None:
        while rclpy.ok():
            time.sleep(LOOK_S)
        time.sleep(LONGEST_END_S)
        if host is not None:
            host.close()
        os._exit(0)

    threading.Thread(target=watch, name="end in time", daemon=True).start()


def leave(status: int) -> NoReturn:
    """End the process now, all being stopped.

    Python would wait for a thread that is deep in the network, and unload torch with a second of CPU time, which on a
    busy computer is more than the 5 s that launch waits.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
