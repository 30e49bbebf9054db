"""A disk that is full while a replay writes: told in a line, and nothing is left half made."""

import resource

import pytest
from bag_world import colour_segmenter, write_recording

from samlite_ros.errors import BagError
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.replay.result_writer import ResultOptions


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("size", [0, 3_000, 60_000])
def test_a_disk_that_fills_up_during_a_replay_is_told_in_a_line(tmp_path, storage, size):
    recording = write_recording(tmp_path / "bag")
    options = ReplayOptions(phrases=("red thing",), result=ResultOptions(storage=storage, images=True))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        outcome = replay(recording.path, tmp_path / "out", options, colour_segmenter())
        told = " ".join(outcome.faults)
    except (BagError, OSError) as error:
        told = str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in told or "disk" in told or "full" in told
    assert not (tmp_path / "out" / "messages").is_dir()
