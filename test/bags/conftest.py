"""The small recorded world of `bag_world`, recorded once, and replays of it."""

import json
from pathlib import Path

import pytest
from bag_world import Recording, coco_truth, colour_segmenter, write_recording
from judged_replays import wrong_segmenter
from replays import PHRASES

from samlite_ros.parameters.table import Parameters
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.replay.result_writer import ResultOptions
from samlite_ros.virtual.latency import LatencyProfile


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Ten frames of the world, one camera."""
    return write_recording(tmp_path_factory.mktemp("recording") / "bag")


@pytest.fixture(scope="session")
def results(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Replays of one recording: exact, carried (with tracks), late (300 ms a pass), and of a world seen wrongly."""
    folder = tmp_path_factory.mktemp("results")
    result = ResultOptions(timeline=False, images=True, label_images=True)
    options = {
        "exact": ReplayOptions(phrases=PHRASES, parameters=Parameters(propagate=False), result=result),
        "carried": ReplayOptions(phrases=PHRASES, parameters=Parameters(propagate=True), result=result),
        "late": ReplayOptions(
            phrases=PHRASES, parameters=Parameters(propagate=False), profile=LatencyProfile(0.3, 0.0), result=result
        ),
    }
    for name, chosen in options.items():
        replay(recording.path, folder / name, chosen, colour_segmenter())
    replay(recording.path, folder / "wrong", options["exact"], wrong_segmenter())
    return {name: folder / name for name in (*options, "wrong")}


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Exact truth of the recording, as COCO json."""
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(coco_truth()))
    return path
