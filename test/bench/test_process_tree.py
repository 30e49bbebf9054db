import subprocess
import sys

import pytest

from samlite_ros.bench.memory import resident_mib
from samlite_ros.bench.process_tree import tree_cpu_s, tree_of, tree_peak_mib

BURN = "import time\nwhile time.process_time() < 0.3: pass\nblock = bytearray(b'x') * (32 << 20)\n"
SCRIPT = f"""
import subprocess, sys
ended = subprocess.run([sys.executable, "-c", {BURN!r}])
running = subprocess.Popen([sys.executable, "-c", {BURN!r} + "print(1, flush=True); input()"])
running.wait()
"""


@pytest.fixture
def parent():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], **pipes) as parent:
        assert parent.stdout.readline() == b"1\n"
        yield parent.pid
        parent.stdin.close()


def test_children_count_also_those_that_have_ended(parent):
    assert len(tree_of(parent)) == 2
    assert 0.55 <= tree_cpu_s(parent) < 3.0


def test_memory_of_children_counts_and_shared_pages_only_once(parent):
    members = [resident_mib(pid) for pid in tree_of(parent)]
    assert 32 < members[1] < tree_peak_mib(parent) < sum(members)
