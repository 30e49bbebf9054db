"""Over a real graph: phrases that take turns say how long they wait, and a new phrase was seen before it was asked."""

import pytest
from graph import graph, scene, stamp_of

from samlite_ros.msg import QueryStatus

ABSENT = [f"gray thing {n}" for n in range(11)]
TURNS = {"propagate": False, "queries": ["red thing", *ABSENT], "decode_budget": 1e-6}
"""A budget for one phrase a pass."""


def test_statuses_and_diagnostics_tell_of_turns_and_of_what_cannot_be_had():
    with graph(parameters=TURNS) as (client, _):
        client.query("now", "green thing", priority=3)
        segmentations = client.listen_to_outputs("segmentation")["segmentation"]

        def all_searched():
            told = [s for s in client.statuses.values() if s.client in ("parameters", "planner") and s.id != "probe"]
            return len(told) == 13 and all(stamp_of(s.last_searched) and s.wait_passes for s in told)

        client.stream_until(scene("red", "green"), all_searched, "search for each")
        waiting, urgent = client.statuses["parameters", "red thing"], client.statuses["planner", "now"]
        assert waiting.wait_passes == 24 and urgent.wait_passes == 1
        assert waiting.wait > 0 and urgent.search_rate > waiting.search_rate
        assert "decode_budget is 0 ms" in waiting.message
        assert segmentations[-1].results
        status = client.wait_for_diagnostic("camera", lambda status, _: "decode_budget" in status.message)
        values = {v.key: v.value for v in status.values}
        assert values["phrases"] == "13" and values["longest turn [passes]"] == "24"
        assert client.set_parameter("decode_budget", 0.0) == ""
        client.stream_until(
            scene("red", "green"),
            lambda: not client.statuses["parameters", "red thing"].wait_passes,
            "an end of turns",
        )


@pytest.mark.parametrize("network_process", [True, False])
def test_a_phrase_asked_after_its_thing_left_was_last_seen_then(network_process):
    parameters = {"queries": ["green thing"], "remember_s": 30.0, "network_process": network_process}
    with graph(parameters=parameters) as (client, _):
        segmentations = client.listen_to_outputs("segmentation")["segmentation"]
        shown = client.answer_to(scene("red"), segmentations)
        for _ in range(3):
            shown = client.answer_to(scene("red", "green"), segmentations)
            shown = client.answer_to(scene("red"), segmentations)
        left_ns = client.next_stamp()
        for _ in range(3):
            client.answer_to(scene("gray", "green"), segmentations)
            client.answer_to(scene("gray"), segmentations)
        client.query("late", "red thing")
        client.stream_until(
            scene("gray"), lambda: ("planner", "late") in client.statuses and stamp_of(late(client).last_seen), "recall"
        )
        assert stamp_of(shown.keyframe_stamp) - 10**9 < stamp_of(late(client).last_seen) < left_ns
        client.stream_until(scene("gray"), lambda: late(client).outcome == QueryStatus.NOT_FOUND, "not found")
        remembered = client.wait_for_diagnostic("network", lambda _, values: int(values.get("looks back", 0)))
        assert int({v.key: v.value for v in remembered.values}["keyframes remembered"])


def late(client):
    return client.statuses["planner", "late"]
