"""Both sides of the message benchmark say the same of the same masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_segmenter import FakeSegmenter
from prompts import prompts

pytest.importorskip("rclpy", reason="needs ROS 2")

from std_msgs.msg import Header

from samlite_ros.bench.messages import (
    INSTANCES,
    answers,
    conversions,
    cv_bridge_message,
    fillings,
    mask_logits,
    our_messages,
    peer_messages,
)
from samlite_ros.bench.node import (
    JPEG,
    PROFILE_VARIABLES,
    RAW,
    SHARED,
    Measurement,
    Setting,
    camera_messages,
    figures_of_node,
)
from samlite_ros.bench.node_process import LoggedSegmenter, NetworkTime, read_log
from samlite_ros.pixels.masks import decode_rle
from samlite_ros.types import DecodeOptions, Frame, Prompt

SIZE = (96, 64)


def test_both_ways_fill_the_same_masks():
    logits, frame = mask_logits(32), Frame(np.zeros((64, 96, 3), np.uint8), 1)
    segmentation, detections, *rasters = our_messages(logits, frame)
    theirs, *images = peer_messages(logits, frame, cv_bridge_message)
    assert len(segmentation.instances) == len(detections.detections) == len(theirs.detections) == INSTANCES
    assert [r.encoding for r in rasters] == ["mono8", "mono8", "mono16"]
    by_class = {i.matches[0].class_id: i for i in segmentation.instances}
    for class_id, image in enumerate(images):
        peer = np.frombuffer(image.data, np.uint8).reshape(64, 96) > 0
        ours = decode_rle(np.array(by_class[class_id].counts), 64, 96)
        assert (ours != peer).mean() < 0.02
        assert peer.any()


@pytest.mark.parametrize("make", [conversions, fillings])
def test_both_ways_give_the_same_pixels(make):
    for sides in make(SIZE).values():
        wanted = pixels(sides["peers"]())
        assert all((pixels(call()) == wanted).all() for call in sides.values())


def pixels(value):
    return value if isinstance(value, np.ndarray) else np.frombuffer(value.data, np.uint8)


def test_every_way_of_answering_runs():
    assert all(len(call()) > 1 for call in answers(SIZE).values())


def test_cv_bridges_way_keeps_size_and_step():
    message = cv_bridge_message(np.zeros((3, 5, 3), np.uint8), "rgb8", Header(frame_id="x"))
    assert (message.height, message.width, message.step, len(message.data)) == (3, 5, 15, 45)


@pytest.mark.parametrize(("compressed", "kind"), [(False, "Image"), (True, "CompressedImage")])
def test_camera_flies_there_and_back(compressed, kind):
    messages = camera_messages(SIZE, compressed)
    assert {type(m).__name__ for m in messages} == {kind}
    assert messages[1].data == messages[-1].data != messages[0].data


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


def test_figures_of_the_node_leave_the_network_out():
    setting = Setting((640, 480), RAW, propagate=False, rate_hz=4.0)
    latencies = {stamp: 0.030 + 0.001 * stamp for stamp in range(10)}
    network = {stamp: NetworkTime(0.020, 0.010) for stamp in range(10)}
    figures = figures_of_node(setting, Measurement(latencies, network, 16, 4.0, 0.2, 512.0))
    found = {f.name.removeprefix("node/640x480 raw, network/"): f.value for f in figures}
    assert found["rate"] == pytest.approx(2.5)
    assert found["dropped"] == pytest.approx(37.5)
    assert found["p50"] == pytest.approx(34.5)
    assert found["CPU per answer"] == pytest.approx(20.0)
    assert found["CPU outside"] == pytest.approx(10.0)
    assert found["outside the network p50"] == pytest.approx(14.5)
    assert not any("ours" in name for name in found)


def test_what_an_echo_takes_on_the_same_way_is_not_ours():
    setting = Setting((640, 480), RAW, propagate=False, rate_hz=4.0)
    seen = Measurement({1: 0.030, 2: 0.032, 3: 0.040}, dict.fromkeys((1, 2, 3), NetworkTime(0.020, 0.010)), 3, 1.0)
    echoed = Measurement({4: 0.002, 5: 0.003, 6: 0.009}, {}, 3, 1.0)
    found = {f.column: f.value for f in figures_of_node(setting, seen, echoed)}
    assert found["way there and back"] == pytest.approx(3.0)
    assert found["ours p50"] == pytest.approx(9.0)
    assert found["ours p99"] == pytest.approx(found["outside the network p99"] - 3.0)


def test_images_that_are_all_lost_are_a_figure_too():
    setting = Setting((1920, 1080), RAW, propagate=False, rate_hz=4.0)
    figures = figures_of_node(setting, Measurement(sent=8, elapsed_s=2.0, peak_mib=500.0))
    found = {f.name.removeprefix("node/1920x1080 raw, network/"): f.value for f in figures}
    assert found == {"rate": 0.0, "dropped": 100.0, "peak memory": 500.0}


def test_shared_memory_is_that_of_the_profile_which_we_ship():
    found = Setting((640, 480), SHARED, propagate=True, rate_hz=30.0).environment()
    assert set(found) == set(PROFILE_VARIABLES)
    assert all("SHM" in Path(path).read_text() for path in found.values())
    assert not Setting((640, 480), JPEG, propagate=True, rate_hz=30.0).environment()
