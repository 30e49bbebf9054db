"""The policy: each role may do what it needs and no more; the document is one of SROS 2."""

import xml.etree.ElementTree as ET

import pytest

from samlite_ros.access import Deployment, profiles, render_policy
from samlite_ros.commands import cli
from samlite_ros.errors import ParameterError
from samlite_ros.messages.outputs import CAMERA_OUTPUTS
from samlite_ros.parameters.table import Parameters

TWO = Deployment(
    Parameters(cameras=("front", "rear"), image_transport="compressed", positions=False),
    "/robot1/samlite",
    {"front/image": "/cam/color/image_raw"},
    peers={"planner": "/robot1/task_planner"},
)


def rules_of(xml):
    """{(enclave, kind, right): names}"""
    rules = {}
    for enclave in ET.fromstring(xml).iter("enclave"):
        for rule in enclave.iter():
            for right in {"publish", "subscribe", "reply", "request"} & rule.attrib.keys():
                assert rule.attrib[right] == "ALLOW"
                rules[enclave.attrib["path"], rule.tag, right] = {item.text for item in rule}
    return rules


def test_names_follow_namespace_remapping_and_transport():
    node = profiles(TWO)["samlite"]
    assert "/cam/color/image_raw/compressed" in node.subscribe
    assert "/robot1/rear/image/compressed" in node.subscribe
    assert "/robot1/samlite/rear/segmentation" in node.publish
    assert "/diagnostics" in node.publish
    assert not [name for name in node.subscribe if "depth" in name]


def test_every_output_of_every_camera_is_published_by_the_node_alone():
    roles = profiles(TWO)
    outputs = {f"/robot1/samlite/{camera}/{row.name[2:]}" for row in CAMERA_OUTPUTS for camera in ("front", "rear")}
    assert outputs <= roles["samlite"].publish
    assert not [role for role in roles if role != "samlite" and roles[role].publish & outputs]


def test_only_the_operator_calls_services_and_only_the_planner_asks():
    roles = profiles(TWO)
    assert [role for role, rights in roles.items() if rights.request] == ["operator"]
    asks = {f"/robot1/samlite/{name}" for name in ("query", "query_set", "query_text")}
    assert [role for role, rights in roles.items() if asks & rights.publish] == ["planner"]
    assert asks <= roles["planner"].publish


def test_nothing_is_a_pattern():
    names = {name for rights in profiles(TWO).values() for name in rights.publish | rights.subscribe | rights.reply}
    assert not [name for name in names if set("*?[") & set(name)]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"target_frame": "map"}, "/tf"),
        ({"autostart": False}, "/bond"),
        ({"depth_topics": ("/d/image",)}, "/d/image/compressedDepth"),
        ({"camera_info_topics": ("/c/info",)}, "/c/info"),
    ],
)
def test_what_the_parameters_switch_on_is_allowed_and_else_not(values, name):
    assert name in profiles(Deployment(Parameters(**values)))["samlite"].subscribe
    assert name not in profiles(Deployment())["samlite"].subscribe


def test_the_document_says_the_rights():
    rules = rules_of(render_policy(TWO))
    assert {path for path, _, _ in rules} == {
        "/robot1/samlite",
        "/robot1/task_planner",
        "/camera",
        "/viewer",
        "/operator",
    }
    roles = profiles(TWO)
    assert rules["/robot1/samlite", "topics", "publish"] == roles["samlite"].publish
    assert rules["/operator", "services", "request"] == roles["operator"].request


@pytest.mark.parametrize("name", ["samlite", "/", "/a b", "/a/", "/ü", "/x<y", "/*", ""])
def test_names_that_are_none_are_refused(name):
    with pytest.raises(ParameterError):
        Deployment(node=name)
    with pytest.raises(ParameterError):
        Deployment(peers={"planner": name})


def test_the_command(tmp_path, capsys):
    parameters, out = tmp_path / "samlite.yaml", tmp_path / "policy.xml"
    parameters.write_text("samlite:\n  ros__parameters:\n    cameras: [front]\n")
    words = ["--params-file", str(parameters), "--remap", "front/image:=/cam/image", "--peer", "viewer:=/rviz"]
    assert cli.main(["policy", *words, "--use-sim-time", "-o", str(out)]) == 0
    rules = rules_of(out.read_text())
    assert {"/cam/image", "/clock"} <= rules["/samlite", "topics", "subscribe"]
    assert "/samlite/front/overlay" in rules["/rviz", "topics", "subscribe"]
    assert cli.main(["policy"]) == 0
    assert rules_of(capsys.readouterr().out)


@pytest.mark.parametrize("words", [["--remap", "image"], ["--peer", "pilot:=/p"], ["--params-file", "/nowhere"]])
def test_the_command_refuses_in_a_line(words, capsys):
    assert cli.main(["policy", *words]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--peer", "camera:=/samlite"], "samlite and camera are both named '/samlite'"),
        (["--peer", "camera:=/samlite", "--peer", "planner:=/task"], "samlite and camera"),
        (["--node", "/viewer"], "samlite and viewer"),
        (["--peer", "camera:=/a", "planner:=/a"], "planner and camera are both named '/a'"),
        (["--peer", "planner:=/a", "--peer", "planner:=/b"], "'planner' is given twice, as '/a' and '/b'"),
        (["--remap", "image:=/a", "--remap", "image:=/b"], "'image' is given twice"),
    ],
)
def test_no_two_roles_have_one_enclave(words, told, capsys):
    assert cli.main(["policy", *words]) == 1
    assert told in capsys.readouterr().err


def test_options_that_are_given_again_all_count(capsys):
    assert cli.main(["policy", "--peer", "camera:=/cam", "--peer", "planner:=/task", "--remap", "image:=/i"]) == 0
    assert {name for name, _, _ in rules_of(capsys.readouterr().out)} == {
        *("/samlite", "/cam", "/task", "/viewer", "/operator")
    }
