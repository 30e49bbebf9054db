"""The small recorded world of `bag_world`, recorded once."""

import pytest
from bag_world import Recording, write_recording


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Ten frames of the world, one camera."""
    return write_recording(tmp_path_factory.mktemp("recording") / "bag")
