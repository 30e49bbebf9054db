#!/usr/bin/env python3
"""A planner prints where the red ball is, in metres. Run beside a samlite node whose camera has a depth image."""

from contextlib import suppress

from vision_msgs.msg import Detection3DArray

from samlite_ros.client import PlannerClient


def tell(found: Detection3DArray) -> None:
    for thing in found.detections:
        pose = thing.results[0].pose
        at, sure = pose.pose.position, max(pose.covariance[:15:7]) ** 0.5
        print(f"#{thing.id} at ({at.x:.2f}, {at.y:.2f}, {at.z:.2f}) m, give or take {sure:.3f}")


with suppress(KeyboardInterrupt), PlannerClient("planner") as planner:
    planner.ask("red ball")
    planner.node.create_subscription(Detection3DArray, "/samlite/detections_3d", tell, 5)
    while planner.node.context.ok():
        planner.spin_until(lambda: False, 1.0)
