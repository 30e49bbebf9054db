"""ROS that does not start: a finding, and the rounds go on."""

import os
import re
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from samlite_ros.doctor import Level
from samlite_ros.doctor.trial import failed_start

DOCTOR = [sys.executable, "-m", "samlite_ros.commands.cli", "doctor", "--listen", "1"]


def test_ros_starts_here():
    assert failed_start() is None


@pytest.mark.parametrize(
    ("variables", "found", "advice"),
    [
        ({"RMW_IMPLEMENTATION": "rmw_nope"}, "status 102.*'rmw_nope'", "RMW_IMPLEMENTATION is 'rmw_nope'"),
        ({"ROS_LOG_DIR": "/proc"}, "Failed opening file /proc", "ROS_LOG_DIR"),
    ],
)
def test_ros_that_does_not_start_is_told_with_what_to_do(variables, found, advice):
    finding = failed_start({**os.environ, **variables})
    assert finding is not None and finding.level is Level.ERROR
    assert re.search(found, finding.found) and advice in finding.advice


def test_the_rounds_are_made_to_their_end():
    environment = {**os.environ, "RMW_IMPLEMENTATION": "rmw_nope"}
    done = subprocess.run(DOCTOR, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "ERROR ros: it does not start" in done.stdout and "not looked at: ROS does not start" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("warnings")
