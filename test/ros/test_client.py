"""The planner's client over a real graph: asks, verdicts, answers, late and restarted nodes, its end."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from unittest.mock import patch

import pytest
from graph import graph, scene, stamp_of
from node_process import FAKE_NODE, NodeProcess, graph_environment, own_domain
from rclpy.executors import SingleThreadedExecutor

from samlite_ros.client import PlannerClient, Verdict, result_of, things_of
from samlite_ros.msg import QueryStatus

ROOT = Path(__file__).resolve().parents[2]
ASKED = "asked; the first searches may take a while\n"

AT_ONCE = {"propagate": False, "found_after": 1, "not_found_after": 1}
TIMEOUT_S = 60.0


class Camera:
    """Shows a scene while whoever holds it waits: its timer runs on the test client's node."""

    def __init__(self, client, *colors):
        self.colors, self._client = colors, client
        self._timer = client.node.create_timer(1 / 30, self._send)

    def _send(self):
        self._client.send_image(scene(*self.colors))

    def close(self):
        self._client.node.destroy_timer(self._timer)


@pytest.fixture(scope="module")
def session():
    with graph(parameters=AT_ONCE) as (client, _):
        client.send_image(scene("gray"))  # waits for the node
        yield client


@pytest.fixture
def camera(session):
    with closing(Camera(session, "red", "blue")) as camera:
        yield camera


@pytest.fixture
def planner(session):
    with PlannerClient("planner", session.node) as planner:
        yield planner


def test_there_and_not_there(planner, camera):
    planner.ask("red thing", id="r")
    assert planner.ask("green thing") == "green thing"
    found, absent = (planner.wait_for_outcome(id, TIMEOUT_S) for id in ("r", "green thing"))
    assert (found.verdict, absent.verdict) == (Verdict.FOUND, Verdict.NOT_FOUND)
    assert (found.presence, absent.presence) == pytest.approx((0.95, 0.1))
    assert found.last_seen_ns > 0 == absent.last_seen_ns
    assert (str(found), str(absent)) == ("FOUND", "NOT_FOUND")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("  ", {}, "'  '"),
        ("toolong", {}, "40 tokens"),
        ("thing", {"score_threshold": 1.5}, "1.5"),
        ("thing", {"max_rate_hz": -1.0}, "-1.0"),
        ("thing", {"cameras": ["left"]}, "left"),
    ],
)
def test_refusals_come_with_their_reason_and_stay_known(planner, text, options, words):
    planner.ask(text, "bad", **options)
    outcome = planner.wait_for_outcome("bad", TIMEOUT_S)
    assert outcome.verdict is Verdict.REJECTED
    assert words in outcome.reason and words in str(outcome)
    planner.ask("red thing", "good")
    assert planner.outcome("bad") == outcome


def test_options_reach_the_node(planner, camera):
    planner.ask("red thing", "r", score_threshold=0.99, max_instances=3, priority=-2, mask_threshold=0.25)
    assert planner.wait_for_outcome("r", TIMEOUT_S).verdict is Verdict.NOT_FOUND, "no score is so high"


@pytest.mark.parametrize(
    "options", [{"priority": 1000}, {"max_instances": -1}, {"lifetime_s": -1.0}, {"lifetime_s": float("nan")}]
)
def test_a_number_that_fits_no_field_is_refused_here(planner, options):
    (name,) = options
    with pytest.raises(ValueError, match=name):
        planner.ask("thing", **options)
    with pytest.raises(KeyError, match="nothing was asked under the id"):
        planner.outcome("thing")


def test_the_same_id_replaces_and_the_old_verdict_does_not_count(planner, camera):
    planner.ask("green thing", "target")
    assert planner.wait_for_outcome("target", TIMEOUT_S).verdict is Verdict.NOT_FOUND
    planner.ask("blue thing", "target")
    assert planner.outcome("target").verdict is Verdict.UNKNOWN
    assert planner.wait_for_outcome("target", TIMEOUT_S).verdict is Verdict.FOUND


def test_a_time_that_is_too_short_says_what_is_missing(planner, session):
    planner.ask("red thing")
    start_s = time.monotonic()
    outcome = planner.wait_for_outcome("red thing", 0.5)
    assert 0.5 <= time.monotonic() - start_s < 5.0
    assert outcome.verdict is Verdict.UNKNOWN and outcome.reason
    session.wait_until_active("red thing")
    assert planner.outcome("red thing").reason


def test_a_node_that_is_not_there_is_named(session):
    with PlannerClient("planner", session.node, samlite="/elsewhere") as planner:
        planner.ask("red thing")
        assert str(planner.wait_for_outcome("red thing", 0.2)) == "UNKNOWN: no node /elsewhere is there"


def test_a_verdict_of_a_node_that_fell_silent_counts_no_more(planner, camera):
    planner.ask("red thing", "r")
    assert planner.wait_for_outcome("r", TIMEOUT_S).verdict is Verdict.FOUND
    later_s = time.monotonic() + 6.0
    with patch("samlite_ros.client.time.monotonic", lambda: later_s):  # its publisher may stay in the graph so long
        outcome = planner.outcome("r")
    assert outcome.verdict is Verdict.UNKNOWN and "nothing was heard" in outcome.reason
    assert planner.outcome("r").verdict is Verdict.FOUND


def test_answers_are_this_client_s_alone(planner, camera, session):
    with PlannerClient("other", session.node) as other:
        other.ask("blue thing", "target")
        planner.ask("red thing", "target")
        planner.ask("green thing", "absent")
        for answer in planner.answers(TIMEOUT_S):
            if len(answer.results) == 2 and answer.instances:
                break
        assert {(r.client, r.query_id) for r in answer.results} == {("planner", "target"), ("planner", "absent")}
        (thing,) = answer.instances
        assert [(m.client, m.text) for m in thing.matches] == [("planner", "red thing")]
        assert things_of(answer, "target") == [thing] and things_of(answer, "absent") == []
        assert (result_of(answer, "target").count, result_of(answer, "absent").count) == (1, 0)
        assert result_of(answer, "another") is None
        theirs = next(a for a in other.answers(TIMEOUT_S) if a.instances)
        assert [m.text for m in theirs.instances[0].matches] == ["blue thing"]


def test_one_thing_of_two_clients_keeps_only_our_match(planner, camera, session):
    with PlannerClient("other", session.node) as other:
        other.ask("red thing")
        planner.ask("RED thing", "target")
        answer = next(a for a in planner.answers(TIMEOUT_S) if a.instances)
        assert [(m.client, m.text) for i in answer.instances for m in i.matches] == [("planner", "RED thing")]


def test_answers_end_when_none_comes(planner):
    planner.ask("red thing")
    start_s = time.monotonic()
    assert list(planner.answers(timeout_s=0.3)) == []
    assert time.monotonic() - start_s < 5.0


def test_callbacks_come_from_the_caller_s_executor(planner, camera, session):
    seen = []
    planner.on_answer(seen.append)
    planner.ask("red thing", "target")
    session.wait_for(lambda: any(things_of(answer, "target") for answer in seen), "callback")
    session.wait_for(lambda: planner.outcome("target").verdict is Verdict.FOUND, "verdict, which comes the same way")


def test_withdrawn_queries_end_at_the_node(planner, session):
    planner.ask("red thing", "r")
    planner.ask("blue thing", "b")
    session.wait_until_active("r")
    planner.withdraw("r")
    planner.withdraw("never asked")
    session.wait_for_status("r", state=QueryStatus.REMOVED)
    session.wait_until_active("b")
    assert planner.outcome("r").verdict is Verdict.REMOVED
    planner.withdraw_all()
    session.wait_for_status("b", state=QueryStatus.REMOVED)


def test_replacing_everything_leaves_alone_what_stays(planner, session):
    planner.replace({"r": "red thing", "b": "blue thing"})
    kept = session.wait_until_active("b")
    planner.replace({"b": "blue thing", "g": "green thing"})
    session.wait_for_status("r", state=QueryStatus.REMOVED)
    assert session.wait_until_active("g").request_stamp != kept.request_stamp
    assert session.statuses["planner", "b"].request_stamp == kept.request_stamp


def test_the_end_withdraws_and_leaves_the_given_node(session):
    with PlannerClient("brief", session.node) as planner:
        planner.ask("red thing", "r")
        session.wait_until_active("r", "brief")
    session.wait_for_status("r", "brief", state=QueryStatus.REMOVED)
    assert session.executor.get_nodes() == [session.node]


def test_lifetimes_end_once_and_are_not_begun_anew_by_another_query(planner, session):
    planner.ask("red thing", "brief", lifetime_s=1.0)
    start_s = time.monotonic()
    session.wait_until_active("brief")
    while time.monotonic() - start_s < 0.9:
        planner.ask("blue thing", "other")
        planner.spin_until(lambda: False, 0.2)
    assert planner.wait_for_outcome("brief", TIMEOUT_S).verdict is Verdict.EXPIRED
    assert time.monotonic() - start_s < 10.0
    planner.ask("green thing", "third")
    session.wait_until_active("third")
    assert planner.outcome("brief").verdict is Verdict.EXPIRED
    session.wait_for_status("brief", state=QueryStatus.EXPIRED)


def test_a_node_that_starts_later_and_again_finds_the_queries():
    with own_domain() as domain, patch.dict(os.environ, graph_environment(domain)), PlannerClient("early") as planner:
        planner.ask("red thing", "r")
        assert planner.wait_for_outcome("r", 0.2).verdict is Verdict.UNKNOWN
        with closing(NodeProcess(FAKE_NODE, domain)) as node:
            assert planner.spin_until(lambda: is_active(planner, "r"), TIMEOUT_S), node.log()
            node.interrupt(TIMEOUT_S)
        assert planner.spin_until(lambda: "is there" in planner.outcome("r").reason, TIMEOUT_S)
        with closing(NodeProcess(FAKE_NODE, domain)) as node:
            assert planner.spin_until(lambda: is_active(planner, "r"), TIMEOUT_S), node.log()
        # Killed: it stays in the graph for 20 s, in which the next finds what was asked of it.
        killed_ns = planner.node.get_clock().now().nanoseconds
        with closing(NodeProcess(FAKE_NODE, domain)) as node:
            assert planner.spin_until(lambda: is_active(planner, "r", killed_ns), TIMEOUT_S), node.log()


def is_active(planner, id, since_ns=0):
    told = planner.statuses
    return stamp_of(told.header.stamp) >= since_ns and any(
        (s.client, s.id, s.state) == (planner.client, id, QueryStatus.ACTIVE) for s in told.queries
    )


def test_a_node_of_the_caller_s_that_is_spun_by_nobody_is_spun(session):
    session.executor.remove_node(session.node)
    try:
        with PlannerClient("alone", session.node) as planner:
            planner.ask("red thing")
            assert planner.spin_until(lambda: is_active(planner, "red thing"), TIMEOUT_S)
    finally:
        session.executor.add_node(session.node)


def test_waiting_ends_where_ros_is_shut_down():
    with own_domain() as domain, patch.dict(os.environ, graph_environment(domain)):
        planner = PlannerClient("planner")
        planner.ask("red thing")
        planner.node.create_timer(0.1, planner.node.context.try_shutdown)
        assert list(planner.answers()) == []
        planner.close()


@contextmanager
def example():
    """examples/ask.py as a process."""
    # What a shell runs in the background inherits that interrupts are ignored.
    heeding = "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", f"{heeding}runpy.run_path(sys.argv[1])", str(ROOT / "examples/ask.py")]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield program
    finally:
        program.kill()


def test_the_example_says_what_it_finds_and_ends_cleanly():
    with graph(parameters=AT_ONCE) as (client, _), closing(Camera(client, "gray")) as camera, example() as program:
        client.wait_until_active("target")
        client.wait_for_status("target", outcome=QueryStatus.NOT_FOUND)
        camera.colors = ("red",)
        client.wait_for_status("target", outcome=QueryStatus.FOUND)
        program.send_signal(signal.SIGINT)
        said, logged = program.communicate(timeout=20)
        assert program.returncode == 0, logged
        assert said.startswith(f"{ASKED}red ball: NOT_FOUND\nno red ball here, presence 0.10\n"), said
        assert "Traceback" not in logged
        client.wait_for_status("target", state=QueryStatus.REMOVED)


def test_the_example_says_that_the_node_is_gone():
    with graph(parameters=AT_ONCE) as (client, node), closing(Camera(client, "red")), example() as program:
        client.wait_for_status("target", outcome=QueryStatus.FOUND)
        node.process.kill()
        last = next(line for line in program.stdout if line.startswith("no answer"))
        assert last.startswith("no answer for 5 s: UNKNOWN: no"), last  # "thing was heard of the node", "node is there"
        program.send_signal(signal.SIGINT)
        assert program.wait(20) == 0


def test_an_executor_of_the_caller_s_is_the_one_that_spins(session):
    executor = SingleThreadedExecutor(context=session.context)
    executor.add_node(session.node)
    try:
        with PlannerClient("planner", session.node) as planner:
            planner.ask("red thing")
            assert planner.spin_until(lambda: is_active(planner, "red thing"), TIMEOUT_S)
            assert executor.get_nodes() == [session.node]
    finally:
        session.executor.add_node(session.node)
        executor.shutdown()
