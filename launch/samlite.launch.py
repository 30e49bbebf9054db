"""Start the samlite node on a camera.

    ros2 launch samlite_ros samlite.launch.py image:=/camera/color/image_raw queries:="red mug, exit sign"
    ros2 launch samlite_ros samlite.launch.py cameras:=front,rear image:=/front/color,/rear/color

An argument that is left empty leaves the value of the parameter file in force.
"""

from difflib import get_close_matches
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from samlite_ros.parameters.file import cameras_in
from samlite_ros.parameters.launch_arguments import (
    camera_topics,
    of_either_transport,
    one_of,
    to_list,
    to_truth,
    to_whole_number,
)

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
DEFAULT_PARAMS_FILE = str(Path(__file__).resolve().parents[1] / "config" / "samlite.yaml")

ARGUMENTS = (
    # name, default, description
    (
        "image",
        "",
        "Camera topic, image if empty; with image_transport:=compressed its /compressed sibling is read. "
        "With cameras, also those of the parameter file: a topic for each, comma-separated, in their order; "
        "<camera>/image if empty.",
    ),
    ("cameras", "", "Names of several cameras, comma-separated: front,rear."),
    ("image_transport", "", "raw or compressed."),
    (
        "reliability",
        "",
        "reliable: ask for lost parts of images again, which a best-effort camera never answers; best_effort. "
        "Empty: best effort, and reliable where images are lost and the camera offers it.",
    ),
    ("model", "", "Checkpoint: demo, a local folder, or a hub id such as vil-uob/sam3-litetext-s0."),
    ("device", "", "auto, cuda, cuda:1, cpu."),
    ("dtype", "", "auto, float32, bfloat16, float16."),
    ("image_size", "", "Side of the network's square input [px]; 0: the checkpoint's own."),
    ("params_file", DEFAULT_PARAMS_FILE, "Parameter file (YAML)."),
    ("namespace", "", "Namespace of the node."),
    ("queries", "", "Phrases to search for from the start, comma-separated."),
    ("autostart", "", "false: wait for a lifecycle manager to configure and activate the node."),
    ("use_sim_time", "false", "true: follow /clock, as with ros2 bag play --clock."),
    ("log_level", "info", "debug, info, warn, error."),
)


def start_node(context):
    """Turn the arguments into one node action."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    if not Path(value("params_file")).is_file():
        raise ValueError(f"launch argument params_file: there is no file {value('params_file')!r}")
    # Typed values: launch_ros would otherwise read a phrase like "yes" as YAML and send a bool.
    texts = ("image_transport", "model", "device", "dtype")
    parameters: dict = {name: ParameterValue(value(name), value_type=str) for name in texts if value(name)}
    for name in ("queries", "cameras"):
        if items := to_list(value(name)):
            parameters[name] = ParameterValue(items, value_type=list[str])
    if value("image_size"):
        parameters["image_size"] = to_whole_number("image_size", value("image_size"))
    if value("autostart"):
        parameters["autostart"] = to_truth("autostart", value("autostart"))
    node = f"/{value('namespace').strip('/')}/samlite".replace("//", "/")
    cameras = to_list(value("cameras")) or cameras_in(Path(value("params_file")), node)
    topics = camera_topics(cameras, to_list(value("image")))
    reliability = one_of("reliability", value("reliability"), ("", "reliable", "best_effort"))
    for topic in of_either_transport(topics.values(), value("namespace")) if reliability else ():
        parameters[f"qos_overrides.{topic}.subscription.reliability"] = reliability
    parameters["use_sim_time"] = to_truth("use_sim_time", value("use_sim_time"))
    return [
        *notes_on_slips(context),
        Node(
            package="samlite_ros",
            executable="samlite_node",
            name="samlite",
            namespace=value("namespace"),
            parameters=[value("params_file"), parameters],
            remappings=list(topics.items()),
            arguments=["--ros-args", "--log-level", one_of("log_level", value("log_level").lower(), LOG_LEVELS)],
            output="screen",
            sigterm_timeout="15",  # a busy computer takes its time to unload torch
        ),
    ]


def notes_on_slips(context) -> list[LogInfo]:
    """A line for each argument that is none of ours but reads like one: launch ignores what it does not know."""
    ours = [name for name, *_ in ARGUMENTS]
    given = [name for name in context.launch_configurations if name not in ours]
    alike = {name: get_close_matches(name, ours, 1, 0.75) for name in given}
    return [
        LogInfo(msg=f"samlite.launch.py has no argument {name}, did you mean {found[0]}?")
        for name, found in alike.items()
        if found
    ]


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, value, text in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=start_node)])
