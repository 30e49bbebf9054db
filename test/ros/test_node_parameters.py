"""Parameters as people write them: what is wrong is said in a line, and refused where it was meant for the node."""

import subprocess
import sys

import pytest
from graph import graph
from node_process import FAKE_NODE

from samlite_ros.parameters.table import SPECS


def started_with(tmp_path, text):
    path = tmp_path / "my.yaml"
    path.write_text(text)
    return [*FAKE_NODE, "--ros-args", "--params-file", str(path)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "samlite: {ros__parameters: {scoretreshold: 0.3}}",
            "no parameter scoretreshold, did you mean score_threshold?",
        ),
        ("/**: {ros__parameters: {image_timout: 3}}", "no parameter image_timout, did you mean image_timeout?"),
        ("/**: {ros__parameters: {queries: [red ball, 5]}}", "queries must be a list of texts, got ['red ball', 5]"),
        ("/**: {ros__parameters: {score_threshold: high}}", "score_threshold must be a number, got 'high'"),
        ("/**: {score_threshold: 0.3}", "my.yaml: no ros__parameters above '/**/score_threshold'"),
        ("/**: {ros__parameters: [a, b]}", "my.yaml: no ros__parameters below /**"),
        ("red ball", "no section for a node, e.g. /**, but 'red ball'"),
        ("/**: {ros__parameters: {", "my.yaml: while parsing"),
        (
            "/**: {ros__parameters: {qos_overrides: {/image: {subscription: {reliability: maybe}}}}}",
            "reliability must be one of reliable, best_effort, system_default, got 'maybe'",
        ),
    ],
)
def test_a_file_that_says_something_else_than_was_meant_is_refused_in_a_line(tmp_path, text, words):
    with graph(started_with(tmp_path, text)) as (_, node):
        assert node.process.wait(60.0) == 1
        assert "wrong parameter: " in node.log()
        assert words in node.log()
        assert "Traceback" not in node.log()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--ros-args", "--params-file", "/nowhere/my.yaml"], "parameters /nowhere/my.yaml: "),
        (["--ros-args", "-p", "queries:=[red ball"], "queries"),
        (["--ros-args", "-p", "max_quries:=3"], "no parameter max_quries, did you mean max_queries?"),
        (["--ros-args", "-p", "use_sim_time:=maybe"], "use_sim_time"),
        (["--model=demo"], "'--model=demo' is no argument of ROS: write --ros-args -p model:=demo"),
    ],
)
def test_a_command_line_that_cannot_be_meant_is_refused_in_a_line(words, line):
    with graph([*FAKE_NODE, *words]) as (_, node):
        assert node.process.wait(60.0) == 1
        assert "wrong parameter: " in node.log()
        assert line in node.log()
        assert "Traceback" not in node.log()


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_is_every_parameter(word):
    done = subprocess.run(
        [sys.executable, "-m", "samlite_ros.node.main", word], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("usage: samlite_node ")
    assert all(f"    {name}: " in done.stdout for name in SPECS)
    assert done.stderr == ""


def test_what_may_be_another_node_s_is_told_and_the_node_starts(tmp_path):
    qos = "{/image/compressed: {subscription: {reliability: reliable}}, /front: {subscription: {depth: 2}}}"
    text = f"/**: {{ros__parameters: {{exposure: 3, queries: [red thing], qos_overrides: {qos}}}}}"
    with graph(started_with(tmp_path, text)) as (client, node):
        client.wait_until_active("red thing", "parameters")
        lines = [line for line in node.log().splitlines() if "there is no parameter" in line]
        assert ["exposure" in line or "/front" in line for line in lines] == [True, True], lines


def test_a_file_without_a_section_for_the_node_is_told(tmp_path):
    text = "samlite_node: {ros__parameters: {queries: [red thing]}}"
    with graph(started_with(tmp_path, text)) as (client, node):
        client.wait_for_diagnostic("network", lambda *_: True)
        assert "nothing in it is for this node, samlite: it has sections for samlite_node" in node.log()


def test_a_section_in_a_namespace_of_another_name_is_read(tmp_path):
    text = "robot1: {front: {ros__parameters: {queries: [red thing]}}}"
    command = [*started_with(tmp_path, text), "-r", "__ns:=/robot1", "-r", "__node:=front"]
    with graph(command) as (client, node):
        client.wait_for(lambda: "listens to /robot1/image" in node.log(), "line")
        assert "nothing in it" not in node.log()


def test_times_that_no_clock_can_count_are_refused_and_the_next_change_works():
    with graph() as (client, _):
        for name in (
            "settle_time",
            "max_mask_age",
            "keyframe_period",
            "image_timeout",
            "network_timeout",
            "load_timeout",
        ):
            assert f"{name} must be" in client.set_parameter(name, 1e308)
            assert client.set_parameter(name, 1e6) == ""
        assert client.set_parameter("found_after", 3) == ""
