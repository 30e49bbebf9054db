"""The launch files: the command lines that they start, these started, and the real `launch` where it is installed."""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from graph import graph, stamp_of
from launch_standin import command_lines, declared, notes
from node_process import NodeProcess
from ros_install import find_in_ros

from samlite_ros.access.rights import ROLES
from samlite_ros.bags.frames import image_topics
from samlite_ros.bags.index import index_bag
from samlite_ros.bags.reader import BagReader
from samlite_ros.demo.make_bag import MadeBag, make_bag
from samlite_ros.errors import ParameterError
from samlite_ros.scenes import Sequence, SequenceOptions, matches

SHARE = find_in_ros("share/samlite_ros")
SAMLITE = SHARE / "launch/samlite.launch.py"
DEMO = SHARE / "launch/demo.launch.py"
REPLAY = SHARE / "launch/replay.launch.py"
REAL_LAUNCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
path, *pairs = sys.argv[1:]
given = [tuple(pair.split(":=", 1)) for pair in pairs if ":=" in pair]
service = LaunchService()
source = PythonLaunchDescriptionSource(path)
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given)]))
sys.exit(service.run())
"""


def start_of(words):
    """The command line with its executable's path."""
    return [sys.executable, str(find_in_ros(f"lib/samlite_ros/{words[0]}")), *words[1:]]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["-r", "__node:=samlite"]),
        ({}, ["--params-file", str(SHARE / "config/samlite.yaml")]),
        ({}, ["-p", "use_sim_time:=false"]),
        ({"use_sim_time": "true"}, ["-p", "use_sim_time:=true"]),
        (
            {"params_file": f"{SHARE}/launch/../config/samlite.yaml"},
            ["--params-file", f"{SHARE}/launch/../config/samlite.yaml"],
        ),
        ({"namespace": "robot1"}, ["-r", "__ns:=/robot1"]),
        ({"image": "/front/color"}, ["-r", "image:=/front/color"]),
        ({"image_transport": "compressed"}, ["-p", "image_transport:=compressed"]),
        ({"model": "123"}, ["-p", "model:='123'"]),
        ({"device": "cpu"}, ["-p", "device:=cpu"]),
        ({"dtype": "float16"}, ["-p", "dtype:=float16"]),
        ({"image_size": "504"}, ["-p", "image_size:=504"]),
        ({"cameras": "[front,rear]"}, ["-p", "cameras:=[front, rear]"]),
        ({"cameras": "front, rear"}, ["-r", "rear/image:=rear/image"]),
        ({"cameras": "front,rear", "image": "/f/color,/r/color"}, ["-r", "rear/image:=/r/color"]),
        (
            {"cameras": "front,rear", "reliability": "reliable", "namespace": "r1"},
            ["-p", "qos_overrides./r1/rear/image.subscription.reliability:=reliable"],
        ),
        ({"queries": "['red mug', \"exit sign\"]"}, ["-p", "queries:=[red mug, exit sign]"]),
        ({"queries": "red mug, exit sign,"}, ["-p", "queries:=[red mug, exit sign]"]),
        ({"queries": "yes, 2"}, ["-p", "queries:=['yes', '2']"]),
        ({"autostart": "false"}, ["-p", "autostart:=false"]),
        (
            {"reliability": "reliable", "image": "/cam"},
            ["-p", "qos_overrides./cam.subscription.reliability:=reliable"],
        ),
        (
            {"reliability": "reliable", "image": "cam", "namespace": "r1"},
            ["-p", "qos_overrides./r1/cam/compressed.subscription.reliability:=reliable"],
        ),
        ({"log_level": "debug"}, ["--log-level", "debug"]),
    ],
)
def test_arguments_reach_the_command_line(arguments, expected):
    (words,) = command_lines(SAMLITE, **arguments)
    assert words[0] == "samlite_node"
    assert any(words[i : i + 2] == expected for i in range(len(words))), words


def two_cameras(tmp_path, section):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({section: {"ros__parameters": {"cameras": ["front", "rear"]}}}))
    return str(path)


@pytest.mark.parametrize("section", ["/**", "/r1/samlite", "/*/samlite", "/**/samlite"])
def test_image_and_reliability_are_for_the_cameras_of_the_parameter_file(tmp_path, section):
    given = {"params_file": two_cameras(tmp_path, section), "namespace": "r1", "reliability": "reliable"}
    (words,) = command_lines(SAMLITE, **given, image="/f/color,/r/color")
    assert words[-4:] == ["-r", "front/image:=/f/color", "-r", "rear/image:=/r/color"]
    assert "qos_overrides./r/color.subscription.reliability:=reliable" in words
    with pytest.raises((ParameterError, ValueError), match=r"a topic for each of 2 cameras \(front, rear\)"):
        command_lines(SAMLITE, **given, image="/cam")
    (words,) = command_lines(SAMLITE, **given, cameras="left", image="/l")
    assert words[-2:] == ["-r", "left/image:=/l"]


@pytest.mark.parametrize("section", ["/r2/samlite", "other", "/samlite"])
def test_cameras_of_other_nodes_are_not_ours(tmp_path, section):
    given = {"params_file": two_cameras(tmp_path, section), "namespace": "r1", "image": "/cam"}
    assert command_lines(SAMLITE, **given)[0][-2:] == ["-r", "image:=/cam"]


@pytest.mark.parametrize(
    "name", ["model", "queries", "cameras", "autostart", "image_transport", "device", "dtype", "image_size"]
)
def test_an_argument_left_empty_leaves_the_parameter_file_in_force(name):
    (words,) = command_lines(SAMLITE)
    assert not any(word.startswith(f"{name}:=") for word in words)


@pytest.mark.parametrize("queries", [",", " , "])
def test_queries_that_are_blank_set_nothing(queries):
    (words,) = command_lines(SAMLITE, queries=queries)
    assert not any(word.startswith("queries:=") for word in words)


def test_a_truth_value_that_is_none_is_refused():
    with pytest.raises((ParameterError, ValueError), match="autostart must be true or false, got 'maybe'"):
        command_lines(SAMLITE, autostart="maybe")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"params_file": "/nowhere/my.yaml"}, "params_file: there is no file '/nowhere/my.yaml'"),
        ({"reliability": "maybe"}, "reliability must be one of reliable, best_effort, got 'maybe'"),
        ({"image_size": "big"}, "image_size must be a whole number, got 'big'"),
        ({"cameras": "front,rear", "image": "/cam"}, r"a topic for each of 2 cameras \(front, rear\)"),
        ({"image": "/a,/b"}, "image must name a topic for each of 1 cameras"),
        ({"log_level": "loud"}, "log_level must be one of debug, info, warn, error, fatal, got 'loud'"),
        ({"use_sim_time": "maybe"}, "use_sim_time must be true or false, got 'maybe'"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, words):
    with pytest.raises((ParameterError, ValueError), match=words):
        command_lines(SAMLITE, **arguments)


def test_every_argument_that_the_documentation_names_is_one():
    root = Path(__file__).resolve().parents[2]
    texts = [file.read_text() for file in (root / "README.md", *sorted((root / "docs").glob("*.md")))]
    named = {name for text in texts for name in re.findall(r"(?<![-./\w])([a-z_]+):=", text)}
    known = {argument.name for path in (SAMLITE, DEMO, REPLAY) for argument in declared(path)}
    assert named - known - {"__node", "__ns"} - set(ROLES) == set()  # roles: of `samlite policy --peer`


@pytest.mark.parametrize(
    ("path", "arguments", "words"),
    [
        (DEMO, {"rate": "fast"}, "rate must be a number of at least 0.1, got 'fast'"),
        (DEMO, {"seed": "-1"}, "seed must be a whole number, got '-1'"),
        (DEMO, {"motion": "swim"}, "motion must be one of .*fly"),
        (DEMO, {"rviz": "yes"}, "rviz must be true or false"),
        (REPLAY, {"bag": "/b", "rate": "0"}, "rate must be a number of at least 0.001, got '0'"),
        (REPLAY, {"bag": "/b", "delay": "nan"}, "delay must be a number of at least 0, got 'nan'"),
        (REPLAY, {"bag": "/b", "loop": "always"}, "loop must be true or false, got 'always'"),
        (REPLAY, {"bag": "/b", "player": "vlc"}, "player must be one of ros2, samlite, got 'vlc'"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_the_other_files_too(path, arguments, words):
    with pytest.raises(ParameterError, match=words):
        command_lines(path, **arguments)


def test_an_argument_that_is_like_one_of_ours_is_named():
    assert notes(SAMLITE, querys="red ball", frame="x") == [
        "samlite.launch.py has no argument querys, did you mean queries?"
    ]
    assert notes(DEMO, rviz="true") == []


def test_the_demo_opens_rviz_on_demand():
    assert [words[0] for words in command_lines(DEMO)] == ["scene_camera", "samlite_node"]
    assert [words[0] for words in command_lines(DEMO, rviz="true")] == ["scene_camera", "samlite_node", "rviz2"]


def test_the_demo_asks_for_what_is_in_its_scene():
    _, node = command_lines(DEMO, motion="still", seed="2")
    (queries,) = [word for word in node if word.startswith("queries:=")]
    scene = Sequence("still", 2, SequenceOptions())[0]
    for phrase in yaml.safe_load(queries.removeprefix("queries:=")):
        assert any(matches(phrase, thing) for thing in scene.objects), phrase


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            {"reliability": "best_effort"},
            ["ros2", "bag", "play", "/b", "--clock", "100", "--rate", "1.0", "--delay", "5.0"],
        ),
        (
            {"loop": "true", "rate": "2.0", "delay": "0", "reliability": "best_effort"},
            ["ros2", "bag", "play", "/b", "--clock", "100", "--rate", "2.0", "--loop"],
        ),
        (
            {"player": "samlite", "delay": "9"},
            ["samlite", "play", "/b", "--clock", "100", "--rate", "1.0", "--delay", "9", "--reliable"],
        ),
    ],
)
def test_replay_plays_the_bag_with_its_clock(arguments, expected):
    node, player = command_lines(REPLAY, bag="/b", image="/cam", queries="red ball", **arguments)
    assert player == expected
    for words in (["-p", "use_sim_time:=true"], ["-r", "image:=/cam"], ["-p", "queries:=[red ball]"]):
        assert any(node[i : i + 2] == words for i in range(len(node))), node


def test_replay_asks_for_every_image_and_has_the_player_offer_it_so():
    node, player = command_lines(REPLAY, bag="/b", image="cam", namespace="r1")
    assert "qos_overrides./r1/cam.subscription.reliability:=reliable" in node
    path = Path(player[player.index("--qos-profile-overrides-path") + 1])
    with contextlib.closing(path.open()) as file:
        overrides = yaml.safe_load(file)
    path.unlink()
    assert overrides["/r1/cam"] == {"reliability": "reliable", "history": "keep_last", "depth": 10}


@pytest.mark.parametrize("arguments", [{"cameras": "front,rear"}, {"params_file": None}, {}])
def test_replay_has_the_player_offer_reliably_what_the_node_asks_for(tmp_path, arguments):
    given = {name: value or two_cameras(tmp_path, "/**") for name, value in arguments.items()}
    node, player = command_lines(REPLAY, bag="/b", **given)
    path = Path(player[player.index("--qos-profile-overrides-path") + 1])
    offered = set(yaml.safe_load(path.read_text()))
    path.unlink()
    asked = {w.removeprefix("qos_overrides.").partition(".")[0] for w in node if w.startswith("qos_overrides.")}
    assert offered == asked
    assert ("/rear/image" in offered) == bool(arguments)


def test_replay_needs_a_bag():
    with pytest.raises(RuntimeError, match="bag is needed"):
        command_lines(REPLAY)


def test_the_command_line_starts_a_node_that_searches():
    (words,) = command_lines(SAMLITE, queries="red ball, yes", model="demo")
    with graph(start_of(words)) as (client, node):
        client.wait_until_active("red ball", "parameters")
        client.wait_until_active("yes", "parameters")
        assert node.interrupt(20) == 0


def answers_rest_on_a_search(client):
    client.listen_to_outputs("segmentation")
    answers = client.received["/samlite/segmentation"]
    client.wait_for(lambda: any(a.keyframe_stamp.sec for a in answers), "answer that rests on a search")


def test_the_demo_s_command_lines_answer_frames():
    camera, node = command_lines(DEMO, queries="ball", rate="5.0")
    with (
        graph(start_of(node)) as (client, _),
        contextlib.closing(NodeProcess(start_of(camera), client.node.context.get_domain_id())),
    ):
        answers_rest_on_a_search(client)


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    folder = tmp_path_factory.mktemp("launch") / "bag"
    make_bag(folder, MadeBag(kind="still", seed=1, scenes=SequenceOptions(size=(120, 160), rate_hz=10.0, frames=10)))
    return folder


def all_frames_of_the_bag_are_answered(client, bag):
    """But the last, which a player that loops lets the first one follow at once."""
    with BagReader(bag) as reader:
        expected = {entry.stamp_ns for entry in index_bag(reader, image_topics(reader)).entries[:-1]}
    answers = client.listen_to_outputs("segmentation")["segmentation"]
    client.wait_for(lambda: expected <= {stamp_of(a.header.stamp) for a in answers}, "answer for every frame")


def test_the_replay_s_command_lines_answer_every_frame(bag):
    given = {"bag": str(bag), "image": "/camera/image", "queries": "ball", "player": "samlite", "loop": "true"}
    node, player = command_lines(REPLAY, **given)
    with graph(start_of(node)) as (client, _), subprocess.Popen(start_of(player)) as playing:
        try:
            all_frames_of_the_bag_are_answered(client, bag)
        finally:
            playing.kill()


needs_launch = pytest.mark.skipif(not importlib.util.find_spec("launch_ros"), reason="launch_ros is not installed")


@contextlib.contextmanager
def launched(path, ends_with=0, **arguments):
    given = [f"{name}:={value}" for name, value in arguments.items()]
    with graph([sys.executable, "-c", REAL_LAUNCH, str(path), *given]) as (client, launch):
        try:
            yield client, launch
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(launch.process.pid, signal.SIGINT)  # as a terminal does: launch counts on it
            status = launch.process.wait(60)
        assert status == ends_with, launch.log()


@needs_launch
@pytest.mark.parametrize(
    ("path", "arguments"), [(SAMLITE, {"queries": "red ball, yes"}), (DEMO, {"queries": "yes,red ball", "rate": "5.0"})]
)
def test_real_launch(path, arguments):
    with launched(path, **arguments) as (client, _):
        client.wait_until_active("yes", "parameters")
        if path == DEMO:
            answers_rest_on_a_search(client)


@needs_launch
def test_real_launch_of_a_replay(bag, monkeypatch):
    monkeypatch.setenv("PATH", os.pathsep.join([str(find_in_ros("lib/samlite_ros")), os.environ["PATH"]]))
    given = {"bag": bag, "image": "/camera/image", "queries": "ball", "player": "samlite", "loop": "true", "delay": "1"}
    with launched(REPLAY, **given) as (client, _):
        all_frames_of_the_bag_are_answered(client, bag)


@needs_launch
def test_real_launch_with_namespace_parameter_file_and_topics_of_its_cameras(tmp_path):
    given = {"params_file": two_cameras(tmp_path, "/**"), "namespace": "r1", "reliability": "reliable"}
    with launched(SAMLITE, **given, image="/f/color,color", device="cpu", image_size="0") as (client, launch):
        for line in ("listens to /f/color (raw, reliable)", "listens to /r1/color (raw, reliable)"):
            client.wait_for(lambda line=line: line in launch.log(), line)


@needs_launch
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"reliability": "maybe"}, "reliability must be one of reliable, best_effort"),
        ({"params_file": "/nowhere.yaml"}, "there is no file '/nowhere.yaml'"),
        ({"params_file": str(SHARE / "config/samlite.rviz")}, "no ros__parameters above"),
    ],
)
def test_real_launch_refuses_in_a_line(arguments, words):
    with launched(SAMLITE, ends_with=1, **arguments) as (client, launch):
        client.wait_for(lambda: launch.process.poll() is not None, "end of the launch")
        assert words in launch.log()
        assert "Traceback" not in launch.log()
