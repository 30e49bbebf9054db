"""A recorded bag as the camera: the node runs on the bag's time.

    ros2 launch samlite_ros replay.launch.py bag:=drive.mcap image:=/camera/image_raw queries:="red mug" loop:=true

Without `ros2 bag` on the machine: player:=samlite.
"""

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
PASSED_ON = ("image", "image_transport", "model", "device", "queries", "namespace")
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
    return [ExecuteProcess(cmd=command, output="screen")]


def generate_launch_description():
    declared = [DeclareLaunchArgument(name, default_value=value, description=text) for name, value, text in ARGUMENTS]
    bag = DeclareLaunchArgument("bag", description="Folder, .mcap or .db3 file.")
    given = {name: LaunchConfiguration(name, default="") for name in PASSED_ON if name != "image"}
    samlite = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(HERE / "samlite.launch.py")),
        launch_arguments={
            **given,
            "image": LaunchConfiguration("image", default="image"),
            "use_sim_time": "true",
        }.items(),
    )
    return LaunchDescription([bag, *declared, samlite, OpaqueFunction(function=start_player)])
