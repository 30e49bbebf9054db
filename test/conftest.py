"""What tests of several rooms share."""

import os
from collections import defaultdict
from itertools import chain, zip_longest
from pathlib import Path

import pytest
from exports import exported_demo

SLOW = ("ros", "bench", "segmenter", "faults", "bags", "demo", "live", "training", "doctor", "network", "packaging")
"""Rooms whose tests start processes or run networks."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of slow rooms first, by turns, since those of `ros` wait and those of `bench` compute.

    Of two workers none then waits at the end for a long file of the other's.
    """
    root, files = Path(__file__).parent, defaultdict(list)
    for item in items:
        files[item.path].append(item)
    rooms = defaultdict(list)
    for path in files:
        room = path.relative_to(root).parts[0]
        rooms[room if room in SLOW else ""].append(path)
    turns = zip_longest(*(rooms[room] for room in SLOW))
    order = [path for path in chain.from_iterable(turns) if path is not None] + rooms[""]
    items[:] = [item for path in order for item in files[path]]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The user's exports would be taken for the demo network."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def demo_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo network's export; not to be changed."""
    base = tmp_path_factory.getbasetemp()
    return exported_demo(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
