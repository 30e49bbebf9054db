"""Raw images from one participant to another in this process; needs rclpy."""

from __future__ import annotations

import time
from collections.abc import Callable

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

SENT, PERIOD_S = 20, 1 / 30
DISCOVERY_S, LAST_S = 5.0, 0.3
HEIGHT, WIDTH = 480, 640


def send_images(count: int = SENT) -> tuple[int, int]:
    """Send best-effort images at 30 Hz; returns how many were sent, and how many came."""
    name = f"samlite_doctor_{time.monotonic_ns()}/image"
    profile = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    contexts = [Context(), Context()]
    for context in contexts:
        rclpy.init(args=[], context=context)
    try:
        camera = rclpy.create_node("samlite_doctor_camera", context=contexts[0], enable_rosout=False)
        eye = rclpy.create_node("samlite_doctor_eye", context=contexts[1], enable_rosout=False)
        publisher = camera.create_publisher(Image, name, profile)
        came: list[bool] = []
        eye.create_subscription(Image, name, lambda _: came.append(True), profile)
        executor = SingleThreadedExecutor(context=contexts[1])
        executor.add_node(eye)
        message = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
        message.data.frombytes(bytes(3 * WIDTH * HEIGHT))
        until_s = time.monotonic() + DISCOVERY_S
        while not came and time.monotonic() < until_s:  # until both know each other
            publisher.publish(message)
            _spin(executor, PERIOD_S)
        _spin(executor, LAST_S)
        came.clear()
        for _ in range(count):
            publisher.publish(message)
            _spin(executor, PERIOD_S)
        _spin(executor, LAST_S, lambda: len(came) == count)
        executor.shutdown()
        camera.destroy_node()
        eye.destroy_node()
        return count, len(came)
    finally:
        for context in contexts:
            rclpy.shutdown(context=context)


def _spin(executor: SingleThreadedExecutor, seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0 and not is_over():
        executor.spin_once(timeout_sec=min(left_s, 0.02))
