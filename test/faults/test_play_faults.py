"""Types and topics that a bag names: only message packages are imported, whatever they are called."""

import os
import subprocess
import sys

import pytest
from bounds import refusal

from samlite_ros.errors import BagError
from samlite_ros.play.message_types import installed_class

NAMES = [
    "",
    "os/msg/System",
    "antigravity/msg/Fly",
    "evil_package/msg/Thing",
    "evil_package.msg/msg/Thing",
    "evil_package/Thing",
    "../evil_package/msg/Thing",
    "std_msgs/msg/../os",
    "std_msgs/srv/Empty",
    "std_msgs/msg/os",
    "std_msgs/msg/_string",
    "std_msgs/msg/String\n",
    "samlite_ros/node/main",
    "samlite_ros/msg/Nothing",
    "samlite_ros/msg/Metaclass_TextQuery",
    "json/msg/Decoder",
    "sensor_msgs/msg/Image in ros1",
    "x" * 1_000_000,
    "é/msg/É",
    "__main__/msg/Main",
]


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A package that leaves a mark when it is imported, with what looks like messages."""
    package = tmp_path / "evil_package"
    (package / "msg").mkdir(parents=True)
    mark = tmp_path / "mark"
    for path in (package / "__init__.py", package / "msg" / "__init__.py"):
        path.write_text(f"open({str(mark)!r}, 'w').close()\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    return mark


@pytest.mark.parametrize("name", NAMES, ids=[name[:30] for name in NAMES])
def test_a_name_that_is_no_message_imports_nothing(evil, name):
    before = set(sys.modules)
    assert refusal(lambda: installed_class(name), BagError, memory_mib=64)
    assert not evil.exists()
    new = {module.partition(".")[0] for module in set(sys.modules) - before}
    assert new <= {"std_msgs", "samlite_ros", "sensor_msgs", "builtin_interfaces", "rosidl_parser", "rosidl_pycommon"}


def test_a_module_that_poses_as_a_message_package_is_looked_through(evil):
    package = evil.parent / "evil_package"
    (package / "evil_package_s__rosidl_typesupport_c.so").touch()
    assert "no message" in refusal(lambda: installed_class("evil_package/msg/Thing"), BagError)


def test_messages_are_found():
    assert installed_class("std_msgs/msg/String").__name__ == "String"
    assert installed_class("samlite_ros/msg/TextQuery").__name__ == "TextQuery"


def test_a_log_that_cannot_be_written_is_told_in_a_line(tmp_path):
    bag = tmp_path / "bag"
    environment = {**os.environ, "ROS_LOG_DIR": "/proc"}
    run = [sys.executable, "-m", "samlite_ros.commands.cli"]
    subprocess.run([*run, "make-bag", bag, "--frames", "2"], check=True, timeout=60)
    done = subprocess.run([*run, "play", bag], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "samlite play: ROS cannot be started here: Failed opening file /proc/" in done.stderr
