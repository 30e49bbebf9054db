"""A recorded bag as the camera: the node runs on the bag's time.

    ros2 launch samlite_ros replay.launch.py bag:=drive.mcap image:=/camera/image_raw queries:="red mug" loop:=true

Images are asked for and played reliably, so that none is lost between the two. Without `ros2 bag` on the machine:
player:=samlite.
"""

import tempfile
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from samlite_ros.parameters.file import cameras_in
from samlite_ros.parameters.launch_arguments import (
    camera_topics,
    of_either_transport,
    one_of,
    to_list,
    to_number,
    to_truth,
)

HERE = Path(__file__).resolve().parent
DEFAULT_PARAMS_FILE = str(HERE.parent / "config" / "samlite.yaml")

ARGUMENTS = (
    # name, default, description
    ("rate", "1.0", "Pace; 2.0 is twice as fast as recorded."),
    ("loop", "false", "true: begin again at the end."),
    ("delay", "5.0", "Seconds before the first message: the node loads its network meanwhile, and would miss it."),
    ("player", "ros2", "ros2: ros2 bag play; samlite: samlite play."),
)
PASSED_ON = (
    ("image", "", "Topic of the images in the bag; with cameras one for each, comma-separated."),
    ("cameras", "", "Names of several cameras, comma-separated."),
    ("image_transport", "", "raw or compressed."),
    ("reliability", "reliable", "reliable or best_effort: how the node asks for images."),
    ("params_file", DEFAULT_PARAMS_FILE, "Parameter file (YAML)."),
    ("model", "", "Checkpoint."),
    ("device", "", "auto, cuda, cuda:1, cpu."),
    ("dtype", "", "auto, float32, bfloat16, float16."),
    ("image_size", "", "Side of the network's square input [px]."),
    ("queries", "", "Phrases to search for from the start, comma-separated."),
    ("namespace", "", "Namespace of the node."),
    ("log_level", "info", "debug, info, warn, error."),
)
PLAYERS = {"ros2": ["ros2", "bag", "play"], "samlite": ["samlite", "play"]}


def start_player(context):
    """Play the bag with its clock."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    player = one_of("player", value("player"), tuple(PLAYERS))
    to_number("rate", value("rate"), 0.001)
    loop = ["--loop"] if to_truth("loop", value("loop")) else []
    delay = ["--delay", value("delay")] if to_number("delay", value("delay")) > 0 else []  # ros2 bag refuses 0
    command = [*PLAYERS[player], value("bag"), "--clock", "100", "--rate", value("rate"), *delay, *loop]
    if value("reliability") == "reliable":  # players offer as best effort what was recorded so
        node = f"/{value('namespace').strip('/')}/samlite".replace("//", "/")
        cameras = to_list(value("cameras")) or cameras_in(Path(value("params_file")), node)
        topics = camera_topics(cameras, to_list(value("image"))).values()
        overrides = ["--qos-profile-overrides-path", reliable(of_either_transport(topics, value("namespace")))]
        command += overrides if player == "ros2" else ["--reliable"]
    return [ExecuteProcess(cmd=command, output="screen")]


def reliable(topics: list[str]) -> str:
    """Write a file that has `ros2 bag play` offer these topics reliably; returns its path."""
    qos = "{reliability: reliable, history: keep_last, depth: 10}"
    with tempfile.NamedTemporaryFile("w", prefix="samlite_replay_qos_", suffix=".yaml", delete=False) as file:
        file.writelines(f"{topic}: {qos}\n" for topic in topics)
    return file.name


def generate_launch_description():
    declared = [
        DeclareLaunchArgument(name, default_value=value, description=text)
        for name, value, text in (*ARGUMENTS, *PASSED_ON)
    ]
    bag = DeclareLaunchArgument("bag", description="Folder, .mcap or .db3 file.")
    given = {name: LaunchConfiguration(name) for name, *_ in PASSED_ON}
    samlite = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(HERE / "samlite.launch.py")),
        launch_arguments={**given, "use_sim_time": "true"}.items(),
    )
    return LaunchDescription([bag, *declared, samlite, OpaqueFunction(function=start_player)])
