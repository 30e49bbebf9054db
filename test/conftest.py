"""What tests of several rooms share."""

import os
from pathlib import Path

import pytest
from exports import exported_demo


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The user's exports would be taken for the demo network."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def demo_export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo network's export; not to be changed."""
    base = tmp_path_factory.getbasetemp()
    return exported_demo(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
