"""The memory of one image serves the next."""

import subprocess
import sys

import pytest

from samlite_ros.pixels.host_memory import keep_freed_memory

PROGRAM = """
import resource, sys
import numpy as np
from samlite_ros.pixels.host_memory import keep_freed_memory

if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit("the C library could not be told")
if sys.argv[1] == "torch":
    from samlite_ros.segmenter import SegmenterOptions, load_segmenter
    load_segmenter(SegmenterOptions("demo", device="cpu", backend="torch"))
for round in range(12):
    if round == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.full(6_000_000, round, np.uint8) for _ in range(4)]  # what a raw 1920x1080 image passes through
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(case: str) -> int:
    run = subprocess.run([sys.executable, "-c", PROGRAM, case], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_images_come_to_lie_in_pages_that_are_there():
    assert page_faults("kept") < 500 < page_faults("default") / 4


def test_a_network_of_torch_on_the_cpu_has_its_memory_kept():
    assert page_faults("torch") < 500


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not keep_freed_memory()
