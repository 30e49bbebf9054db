"""A minute of camera, planners that change their minds, and listeners that come and go: memory stays where it is."""

import itertools
import os
import time
from pathlib import Path

import pytest
from graph import RELIABLE, graph, scene

from samlite_ros.bench.process_tree import tree_of
from samlite_ros.msg import Segmentation, TextQuery

SECONDS, SETTLED_S = 60.0, 20.0
GROWTH_LIMIT_MIB = 16.0


def resident_mib(pid: int) -> float:
    """Of the node, its network's process included."""
    pages = sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) for member in tree_of(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.acceptance
def test_memory_stays_flat_while_queries_and_listeners_change():
    with graph() as (client, node):
        answers = client.listen_to_outputs("segmentation", "label_image", "overlay")["segmentation"]
        client.query("kept", "red thing")
        client.wait_until_active("kept")
        began_s, settled_mib = time.monotonic(), 0.0
        for second in itertools.count():
            client.query(f"{second % 7}", f"thing {second}")
            client.query(f"{(second + 3) % 7}", action=TextQuery.REMOVE)
            listener = client.node.create_subscription(Segmentation, "/samlite/segmentation", lambda _: None, RELIABLE)
            until_s = time.monotonic() + 1.0
            client.stream_until(scene("red", "blue"), lambda until_s=until_s: time.monotonic() > until_s, "time")
            client.node.destroy_subscription(listener)
            for messages in client.received.values():
                del messages[:-1]
            passed_s = time.monotonic() - began_s
            if passed_s > SETTLED_S and not settled_mib:
                settled_mib = resident_mib(node.process.pid)
            if passed_s > SECONDS:
                break
        growth_mib = resident_mib(node.process.pid) - settled_mib
        assert growth_mib < GROWTH_LIMIT_MIB, f"from {settled_mib:.0f} MiB by {growth_mib:.1f} MiB"
        assert answers[-1].instances
        assert "Traceback" not in node.log()
