"""Start the samlite node on a camera.

    ros2 launch samlite_ros samlite.launch.py image:=/camera/color/image_raw queries:="red mug, exit sign"

An argument that is left empty leaves the value of the parameter file in force.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

DEFAULT_PARAMS_FILE = str(Path(__file__).resolve().parents[1] / "config" / "samlite.yaml")

ARGUMENTS = (
    # name, default, description
    ("image", "image", "Camera topic; with image_transport:=compressed its /compressed sibling is read."),
    ("image_transport", "", "raw or compressed."),
    ("reliability", "", "reliable: ask for lost parts of images again, where the camera offers it; else best_effort."),
    ("model", "", "Checkpoint: demo, a local folder, or a hub id such as vil-uob/sam3-litetext-s0."),
    ("device", "", "auto, cuda, cuda:1, cpu."),
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

    # Typed values: launch_ros would otherwise read a phrase like "yes" as YAML and send a bool.
    texts = ("image_transport", "model", "device")
    parameters: dict = {name: ParameterValue(value(name), value_type=str) for name in texts if value(name)}
    phrases = [phrase.strip() for phrase in value("queries").split(",") if phrase.strip()]
    if phrases:
        parameters["queries"] = ParameterValue(phrases, value_type=list[str])
    if value("autostart"):
        parameters["autostart"] = is_true("autostart", value("autostart"))
    if value("reliability"):
        topic = value("image") if value("image").startswith("/") else f"{value('namespace')}/{value('image')}"
        for name in (f"/{topic.lstrip('/')}", f"/{topic.lstrip('/')}/compressed"):
            parameters[f"qos_overrides.{name}.subscription.reliability"] = value("reliability")
    parameters["use_sim_time"] = is_true("use_sim_time", value("use_sim_time"))
    return [
        Node(
            package="samlite_ros",
            executable="samlite_node",
            name="samlite",
            namespace=value("namespace"),
            parameters=[value("params_file"), parameters],
            remappings=[("image", value("image"))],
            arguments=["--ros-args", "--log-level", value("log_level")],
            output="screen",
            sigterm_timeout="15",  # a busy computer takes its time to unload torch
        )
    ]


def is_true(name: str, text: str) -> bool:
    """Read a launch argument as a truth value.

    Raises:
        ValueError: Neither true nor false.
    """
    if text.lower() in ("true", "1"):
        return True
    if text.lower() in ("false", "0"):
        return False
    raise ValueError(f"launch argument {name} must be true or false, got {text!r}")


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, value, text in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=start_node)])
