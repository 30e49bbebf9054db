"""Stands in for tf2_ros where it is not installed: knows only what came on /tf for a pair of frames, at any time after.

What is sent on /tf here are geometry_msgs/TransformStamped, one by one, for tf2_msgs is not there either.
"""

from geometry_msgs.msg import TransformStamped


class TransformException(Exception):
    """What tf2 raises where it knows no way."""


class Buffer:
    def __init__(self):
        self.known = {}

    def lookup_transform(self, target, source, time):
        if (target, source) not in self.known:
            raise TransformException(f"no way from {source} to {target}")
        return self.known[target, source]


class TransformListener:
    def __init__(self, buffer, node, *, spin_thread):
        assert not spin_thread
        self.subscription = node.create_subscription(
            TransformStamped,
            "/tf",
            lambda sent: buffer.known.update({(sent.header.frame_id, sent.child_frame_id): sent}),
            10,
        )
