"""What fuzzing once found, and each target's own seeds: tried again within bounds of time and memory."""

import subprocess
import sys
from pathlib import Path

import fuzz
import pytest

FOUND = sorted(path.relative_to(fuzz.CORPUS) for path in fuzz.CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", FOUND, ids=str)
def test_what_was_once_found_is_read_or_refused(path):
    fuzz.try_one(path.parent.name, (fuzz.CORPUS / path).read_bytes())


@pytest.mark.parametrize("name", sorted(set(fuzz.ALL) - {"checkpoint_loading"}))
def test_seeds_are_read_or_refused(name):
    for data in fuzz.ALL[name].seeds():
        fuzz.try_one(name, data)
        fuzz.try_one(name, data[: len(data) // 2])


ROUND = """
import multiprocessing, os, sys
from pathlib import Path

import fuzz

def die(data):
    if data:
        os.abort()

fuzz.CORPUS = Path(sys.argv[1])
fuzz.ALL["image"] = fuzz.TARGETS["image"].__class__(die, lambda: [b""])
count, data = fuzz.run_round("image", 1, 5.0)
assert count > 0 and data
assert fuzz.keep("image", data).read_bytes() == data
assert not multiprocessing.active_children()
"""


def test_a_finding_and_a_death_are_told(tmp_path):
    # In an interpreter of its own, as `make fuzz` is: a fork of one that has threads may wait for ever for their locks.
    subprocess.run([sys.executable, "-c", ROUND, tmp_path], cwd=Path(fuzz.__file__).parent, check=True, timeout=120)
    assert list(tmp_path.glob("image/*"))
