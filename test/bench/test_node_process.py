"""What runs as the node: its network's time is logged; a busy network knows images by their content."""

from dataclasses import replace

import numpy as np
import pytest
from fake_segmenter import FakeSegmenter
from prompts import prompts

pytest.importorskip("rclpy", reason="needs ROS 2")

from samlite_ros.bench.node_process import (
    ContentOracle,
    LoggedSegmenter,
    image_key,
    read_log,
    read_script,
    write_script,
)
from samlite_ros.scenes.hard_sequences import STILL, StreamSequence
from samlite_ros.types import DecodeOptions, Frame, Prompt
from samlite_ros.virtual.latency import LatencyProfile

SMALL = (120, 160)
KEEP = (DecodeOptions(),)


def test_the_node_s_network_knows_images_by_their_content(tmp_path):
    truth = list(StreamSequence(STILL, 3, 2, size=SMALL))
    write_script(tmp_path / "script.npz", truth, LatencyProfile(0.01, 0.002))
    network = read_script(tmp_path / "script.npz")
    for shown in truth:
        image = network.embed_image(replace(shown.frame, stamp_ns=77))
        (result,) = network.segment(image, network.embed_prompts(prompts("thing 0")), KEEP)
        assert image.stamp_ns == 77
        assert sum(m.area for m in result.masks) == np.count_nonzero(shown.ids)
    unknown = network.embed_image(Frame(np.zeros((*SMALL, 3), np.uint8), 1))
    assert not network.segment(unknown, network.embed_prompts(prompts("thing 0")), KEEP)[0].masks
    assert image_key(truth[0].frame.image) != image_key(truth[1].frame.image)
    assert ContentOracle({}).model_id == "oracle"


def test_log_has_the_networks_time_of_each_frame(tmp_path):
    path, seen = tmp_path / "log", []
    with path.open("w") as log:
        segmenter = LoggedSegmenter(FakeSegmenter(), log)
        for stamp_ns in (5, 7):
            image = segmenter.embed_image(Frame(np.zeros((2, 2, 3), np.uint8), stamp_ns), lambda: seen.append(1))
            (result,) = segmenter.segment(image, segmenter.embed_prompts(prompts("a")), [DecodeOptions()])
            assert result.prompt == Prompt("a")
        log.write("9 0.1")
    found = read_log(path)
    assert list(found) == [5, 7]
    assert all(t.wall_s > 0 and t.cpu_s > 0 for t in found.values())
    assert len(seen) == 2
