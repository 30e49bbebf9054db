"""Queries over a real graph: replaced, removed, expired, rejected, of several planners, in bursts, after restarts."""

import math

import pytest
from graph import graph, scene, stamp_of, time_of
from node_process import FAKE_NODE, NodeProcess

from samlite_ros.msg import BoxExemplar, QueryStatus, TextQuery

ACTIVE, REJECTED, REMOVED, EXPIRED = (
    QueryStatus.ACTIVE,
    QueryStatus.REJECTED,
    QueryStatus.REMOVED,
    QueryStatus.EXPIRED,
)


@pytest.fixture(scope="module")
def session():
    with graph(parameters={"propagate": False, "found_after": 1, "not_found_after": 1}) as (client, _):
        client.outputs = client.listen_to_outputs("segmentation", "label_info")
        yield client


@pytest.fixture
def client(session):
    yield session
    session.query_text("")
    for name in ("planner", "a", "b", "burst"):
        session.query("", client=name, action=TextQuery.CLEAR)
    session.wait_until_queries_are_read()
    session.wait_for(
        lambda: all(status.state > ACTIVE for status in session.statuses.values()), "the end of all queries"
    )


def keys_of(answer):
    return sorted((result.client, result.query_id) for result in answer.results)


def test_a_query_is_replaced_with_its_stamp_echoed(client):
    header = TextQuery().header
    header.stamp = time_of(77)
    client.query("q", "red thing", header=header)
    status = client.wait_until_active("q")
    assert stamp_of(status.request_stamp) == 77
    answer = client.answer_to(scene("blue"), client.outputs["segmentation"])
    assert answer.results[0].count == 0
    client.query("q", "blue thing", score_threshold=0.25)
    client.wait_for_status("q", text="blue thing", state=ACTIVE)
    answer = client.answer_to(scene("blue"), client.outputs["segmentation"])
    (instance,) = answer.instances
    assert [match.text for match in instance.matches] == ["blue thing"]
    assert keys_of(answer) == [("planner", "q")]


def test_a_replaced_phrase_never_labels_with_the_old_name(client):
    client.query("q", "red thing")
    client.wait_until_active("q")
    client.answer_to(scene("red"), client.outputs["segmentation"])
    client.query("q", "green thing")
    client.wait_for_status("q", text="green thing", state=ACTIVE)
    answer = client.answer_to(scene("green"), client.outputs["segmentation"])
    names = {answer.results[0].class_id: "green thing"}

    def info():  # topics come in any order: the LabelInfo was sent first, and may arrive last
        infos = client.outputs["label_info"]
        return next((i for i in infos if {c.class_id: c.class_name for c in i.class_map} == names), None)

    first_frame = stamp_of(client.wait_for(info, "LabelInfo of the new phrase").header.stamp)
    assert first_frame <= stamp_of(answer.header.stamp)


def test_a_removed_query_is_in_no_later_answer(client):
    client.query("a", "red thing")
    client.query("b", "blue thing")
    client.wait_until_active("a")
    client.wait_until_active("b")
    client.query("a", action=TextQuery.REMOVE)
    client.wait_for_status("a", state=REMOVED)
    answer = client.answer_to(scene("red", "blue"), client.outputs["segmentation"])
    assert keys_of(answer) == [("planner", "b")]


def test_a_query_expires(client):
    message = TextQuery()
    message.lifetime.nanosec = 500_000_000
    client.query("q", "red thing", lifetime=message.lifetime)
    expires = stamp_of(client.wait_until_active("q").expires)
    assert expires > 0
    client.wait_for_status("q", state=EXPIRED)
    assert stamp_of(client.told.header.stamp) >= expires


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"text": "  "}, QueryStatus.REASON_TEXT_EMPTY, "'  '"),
        ({"text": "toolong"}, QueryStatus.REASON_TEXT_TOO_LONG, "40 tokens"),
        ({"text": "ok", "action": 9}, QueryStatus.REASON_UNKNOWN_ACTION, "9"),
        ({"action": TextQuery.REMOVE}, QueryStatus.REASON_UNKNOWN_QUERY, "has no"),
        ({"text": "ok", "cameras": ["left"]}, QueryStatus.REASON_UNKNOWN_CAMERA, "left"),
        ({"text": "ok", "score_threshold": 1.5}, QueryStatus.REASON_BAD_THRESHOLD, "1.5"),
        ({"text": "ok", "mask_threshold": math.nan}, QueryStatus.REASON_BAD_THRESHOLD, "nan"),
        ({"text": "ok", "max_rate": -1.0}, QueryStatus.REASON_BAD_RATE, "-1.0"),
        ({"text": "ok", "exemplars": [BoxExemplar()]}, QueryStatus.REASON_UNSUPPORTED, "exemplars"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_rejections_are_answered_and_disturb_nobody(client, fields, reason, words):
    client.query("good", "red thing")
    bad = f"bad {words}"
    client.query(bad, **fields)
    status = client.wait_for_status(bad, state=REJECTED)
    assert (status.reason, status.class_id) == (reason, 65535)
    assert words in status.message
    client.wait_until_active("good")


def test_two_planners_do_not_disturb_each_other(client):
    client.query("q", "red thing", client="a")
    client.query("q", "blue thing", client="b")
    client.query_text("green thing, RED thing")
    for id, who in (("q", "a"), ("q", "b"), ("green thing", "text"), ("red thing", "text")):
        client.wait_until_active(id, who)
    answer = client.answer_to(scene("red", "blue"), client.outputs["segmentation"])
    shared = [sorted(match.client for match in instance.matches) for instance in answer.instances]
    assert sorted(shared) == [["a", "text"], ["b"]]
    client.query("", client="a", action=TextQuery.CLEAR)
    client.wait_for_status("q", "a", state=REMOVED)
    client.query_text("")
    client.wait_for_status("red thing", "text", state=REMOVED)
    assert client.statuses["b", "q"].state == ACTIVE
    answer = client.answer_to(scene("red", "blue"), client.outputs["segmentation"])
    assert keys_of(answer) == [("b", "q")]


def test_a_burst_of_1000_queries_is_answered_whole(client):
    for i in range(1000):
        client.query(f"{i}", f"thing {i % 200}", client="burst")

    def all_answered():
        mine = [status.state for (who, _), status in client.statuses.items() if who == "burst"]
        return mine.count(ACTIVE) == 1000

    client.wait_for(all_answered, "1000 active queries")
    client.query("", client="burst", action=TextQuery.CLEAR)
    client.wait_for_status("999", "burst", state=REMOVED)


def test_a_latched_set_is_found_again_by_a_restarted_node():
    with graph() as (client, node):
        client.query_set("planner", a="red thing", b="blue thing")
        client.wait_until_active("a")
        assert node.interrupt(10.0) == 0
        stopped_ns = client.node.get_clock().now().nanoseconds
        again = NodeProcess(FAKE_NODE, node.domain)
        try:
            client.wait_for(lambda: client.status_time_ns() > stopped_ns, "statuses of the new node")
            client.wait_until_active("a")
            client.wait_until_active("b")
            client.query_set("planner", b="blue thing")
            client.wait_for_status("a", state=REMOVED)
            assert client.statuses["planner", "b"].state == ACTIVE
        finally:
            again.close()
