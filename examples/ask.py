#!/usr/bin/env python3
"""A planner asks where the red ball is, and prints each answer. Run beside a samlite node."""

import rclpy

from samlite_ros.msg import Segmentation, TextQuery

rclpy.init()
node = rclpy.create_node("planner")
ask = node.create_publisher(TextQuery, "/samlite/query", 10)
query = TextQuery(client="planner", id="target", action=TextQuery.ADD, text="red ball")


def on_answer(answer: Segmentation) -> None:
    for thing in answer.instances:
        at = thing.box.center.position
        print(f"{thing.matches[0].text} #{thing.track_id} at ({at.x:.0f}, {at.y:.0f}) px, {thing.confidence:.2f}")


node.create_subscription(Segmentation, "/samlite/segmentation", on_answer, 5)
node.create_timer(1.0, lambda: ask.publish(query))  # repeating is harmless, and finds a node that starts later
rclpy.spin(node)
