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

HERE = Path(__file__).resolve().parent

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

    player = value("player")
    if player not in PLAYERS:
        raise ValueError(f"launch argument player must be one of {', '.join(PLAYERS)}, got {player!r}")
    loop = ["--loop"] if value("loop").lower() in ("true", "1") else []
    delay = ["--delay", value("delay")] if float(value("delay")) > 0 else []  # ros2 bag refuses 0
    command = [*PLAYERS[player], value("bag"), "--clock", "100", "--rate", value("rate"), *delay, *loop]
    if value("reliability") == "reliable":  # players offer as best effort what was recorded so
        overrides = ["--qos-profile-overrides-path", reliable_images(value("image"), value("namespace"))]
        command += overrides if player == "ros2" else ["--reliable"]
    return [ExecuteProcess(cmd=command, output="screen")]


def reliable_images(images: str, namespace: str) -> str:
    """Write a file that has `ros2 bag play` offer these topics reliably; returns its path."""
    names = [name.strip() for name in images.strip("[] ").split(",") if name.strip()]
    full = [f"/{(n if n.startswith('/') else f'{namespace}/{n}').lstrip('/')}" for n in names]
    qos = "{reliability: reliable, history: keep_last, depth: 10}"
    with tempfile.NamedTemporaryFile("w", prefix="samlite_replay_qos_", suffix=".yaml", delete=False) as file:
        file.writelines(f"{name}: {qos}\n" for topic in full for name in (topic, f"{topic}/compressed"))
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
