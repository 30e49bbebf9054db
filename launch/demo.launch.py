"""A rendered camera and the samlite node on it: see the package work without a camera.

ros2 launch samlite_ros demo.launch.py queries:="red ball, green cone" rviz:=true
"""

from dataclasses import replace
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from samlite_ros.parameters.launch_arguments import one_of, to_number, to_truth, to_whole_number
from samlite_ros.scenes import KINDS

HERE = Path(__file__).resolve().parent
RVIZ_LAYOUT = str(HERE.parent / "config" / "samlite.rviz")

ARGUMENTS = (
    # name, default, description
    (
        "queries",
        "",
        "Phrases to search for from the start, comma-separated; empty: things of the scene.",
    ),
    ("motion", "fly", "How the rendered camera moves: still, pan, fly."),
    ("seed", "1", "Which scene."),
    ("rate", "30.0", "Frames a second [Hz]."),
    ("rviz", "false", "true: open RViz with the layout of this package."),
)


def start_all(context):
    """The rendered camera, the node, and RViz if asked for."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    motion, seed = one_of("motion", value("motion"), KINDS), to_whole_number("seed", value("seed"))
    camera = Node(
        package="samlite_ros",
        executable="scene_camera",
        name="scene_camera",
        parameters=[{"motion": motion, "seed": seed, "rate": to_number("rate", value("rate"), 0.1)}],
        remappings=[("image", "/scene_camera/image")],
        output="screen",
    )
    samlite = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(HERE / "samlite.launch.py")),
        launch_arguments={
            "image": "/scene_camera/image",
            "reliability": "reliable",
            "model": "demo",
            "queries": value("queries") or ", ".join(phrases_in(motion, seed)),
        }.items(),
    )
    if not to_truth("rviz", value("rviz")):
        return [camera, samlite]
    return [camera, samlite, Node(package="rviz2", executable="rviz2", name="rviz", arguments=["-d", RVIZ_LAYOUT])]


def phrases_in(motion: str, seed: int) -> tuple[str, ...]:
    """Names of the most visible things of the scene."""
    from samlite_ros.demo.phrases import visible_phrases
    from samlite_ros.demo.scene_camera import DEFAULTS

    return visible_phrases(replace(DEFAULTS, motion=motion, seed=seed).sequence(), 3)


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, value, text in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=start_all)])
