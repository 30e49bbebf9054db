"""How a program around a ROS node ends when it is interrupted."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import rclpy


@contextmanager
def quiet_after_shutdown() -> Iterator[None]:
    """What cannot be made, waited for or published because ROS was shut down meanwhile is no news."""
    try:
        yield
    except Exception:
        if rclpy.ok():
            raise


def leave(status: int) -> NoReturn:
    """End the process now, all being stopped.

    Python would wait for a thread that is deep in the network, and unload torch with a second of CPU time, which on a
    busy computer is more than the 5 s that launch waits.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
