"""Whoever starts as the node or as a command has no threads of numpy's."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
{first}
import numpy as np
ones = np.ones((700, 700), np.float32)
ones @ ones
print(len(os.listdir("/proc/self/task")), os.environ.get("OPENBLAS_NUM_THREADS"))
"""
FIRST = {
    "commands": """
import samlite_ros.commands.cli as cli
cli.importlib.import_module = lambda name: sys.exit()
try:
    cli.main(["info"])
except SystemExit:
    pass
""",
    "node": """
import samlite_ros.node.main as node
node.EarlySignals = sys.exit
try:
    node.main([])
except SystemExit:
    pass
""",
}


def threads(first, **environment):
    command = [sys.executable, "-c", PROGRAM.format(first=first)]
    others = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=others | environment).stdout.split()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")
@pytest.mark.parametrize("name", FIRST)
def test_products_are_computed_by_the_thread_that_asks(name):
    assert threads(FIRST[name]) == ["1", "None"]


@pytest.mark.skipif(not sys.platform.startswith("linux") or (os.cpu_count() or 1) < 2, reason="/proc, one core")
def test_what_the_user_says_stays():
    told = threads(FIRST["commands"], OPENBLAS_NUM_THREADS="2")
    assert told[1] == "2" and told[0] == threads("", OPENBLAS_NUM_THREADS="2")[0]
