"""The node over DDS: what is counted, and that it gets through."""

import os
import shutil
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from samlite_ros.bench import node
from samlite_ros.bench.node import (
    JPEG,
    PROFILE_VARIABLES,
    RAW,
    SHARED,
    Measurement,
    Setting,
    camera_images,
    figures_of_node,
    measure_node,
    to_message,
)
from samlite_ros.bench.node_client import Arrival
from samlite_ros.bench.node_process import NetworkTime
from samlite_ros.errors import SamliteError

SIZE = (96, 64)
PERIOD_NS, START_NS = 33_333_333, 1_700_000_000_000_000_000
BUSY = Setting((640, 480), JPEG, propagate=True, rate_hz=30.0, pass_ms=126.0)


@pytest.mark.parametrize(("compressed", "kind"), [(False, "Image"), (True, "CompressedImage")])
def test_camera_flies_there_and_back(compressed, kind):
    messages = [to_message(image, compressed) for image in camera_images(SIZE)]
    assert {type(m).__name__ for m in messages} == {kind}
    assert messages[1].data == messages[-1].data != messages[0].data


def measured(latencies_s, **fields):
    arrivals = [Arrival(stamp + round(1e9 * s), stamp) for stamp, s in latencies_s.items()]
    return Measurement(**{"sent_ns": list(latencies_s), "arrivals": arrivals, "elapsed_s": 1.0, **fields})


def test_figures_of_the_node_leave_the_network_out():
    setting = Setting((640, 480), RAW, propagate=False, rate_hz=4.0)
    network = {stamp: NetworkTime(0.020, 0.010) for stamp in range(10)}
    seen = measured(
        {stamp: 0.030 + 0.001 * stamp for stamp in range(10)},
        sent_ns=list(range(16)),
        network=network,
        elapsed_s=4.0,
        cpu_s=0.2,
        peak_mib=512.0,
    )
    found = {f.name.removeprefix("node/640x480 raw, network/"): f.value for f in figures_of_node(setting, seen)}
    assert found["rate"] == pytest.approx(2.5)
    assert found["dropped"] == pytest.approx(37.5)
    assert found["p50"] == pytest.approx(34.5)
    assert found["CPU per answer"] == pytest.approx(20.0)
    assert found["CPU outside"] == pytest.approx(10.0)
    assert found["outside the network p50"] == pytest.approx(14.5)
    assert not any("ours" in name for name in found)


def test_what_an_echo_takes_on_the_same_way_is_not_ours():
    setting = Setting((640, 480), RAW, propagate=False, rate_hz=4.0)
    seen = measured({1: 0.030, 2: 0.032, 3: 0.040}, network=dict.fromkeys((1, 2, 3), NetworkTime(0.020, 0.010)))
    echoed = measured({4: 0.002, 5: 0.003, 6: 0.009})
    found = {f.column: f.value for f in figures_of_node(setting, seen, echoed)}
    assert found["way there and back"] == pytest.approx(3.0)
    assert found["ours p50"] == pytest.approx(9.0)
    assert found["ours p99"] == pytest.approx(found["outside the network p99"] - 3.0)


def test_images_that_are_all_lost_are_a_figure_too():
    setting = Setting((1920, 1080), RAW, propagate=False, rate_hz=4.0)
    figures = figures_of_node(setting, Measurement(sent_ns=list(range(8)), elapsed_s=2.0, peak_mib=500.0))
    found = {f.name.removeprefix("node/1920x1080 raw, network/"): f.value for f in figures}
    assert found == {"rate": 0.0, "dropped": 100.0, "peak memory": 500.0}


def watched(arrivals):
    """Ten frames, and answers as (frame, arrival in frames' times after the first frame's stamp)."""
    stamps = [START_NS + i * PERIOD_NS for i in range(10)]
    answers = [Arrival(START_NS + int(at * PERIOD_NS), stamps[index], 0.1) for index, at in arrivals]
    seen = Measurement(stamps, answers, elapsed_s=10 * PERIOD_NS / 1e9, cpu_s=0.1)
    return seen


def row_of(seen):
    return {f.column: f.value for f in figures_of_node(BUSY, seen) if f.table == "node"}


def test_a_node_that_answers_every_frame_in_its_time():
    row = row_of(watched([(i, i + 0.5) for i in range(10)]))
    assert (row["frames_in"], row["frames_out"], row["dropped"]) == (10, 10, 0.0)
    assert (row["age_frames_max"], row["late_frames"], row["foreign"], row["repeated"]) == (0, 0, 0, 0)
    assert row["p50"] == pytest.approx(16.7, abs=0.1)
    assert row["knowledge_age_max"] == pytest.approx(0.1, abs=1e-3)
    assert row["CPU per answer"] == pytest.approx(10)
    assert row["rate"] == pytest.approx(30, abs=0.1)


def test_frames_left_out_and_late_answers_are_counted():
    row = row_of(watched([(0, 0.5), (1, 3.5), (5, 5.5), (6, 6.2), (9, 9.5)]))
    assert (row["frames_out"], row["dropped"]) == (5, 50.0)
    assert row["age_frames_max"] == 3, "when frame 4 is over, frame 1 is what is known"
    assert row["late_frames"] == 6


def test_answers_of_no_frame_and_repeated_answers_are_counted():
    seen = watched([(i, i + 0.5) for i in range(10)])
    last_ns = seen.sent_ns[-1]
    seen.arrivals += [Arrival(last_ns + 1, last_ns), Arrival(last_ns + 1, last_ns + 7)]
    row = row_of(seen)
    assert (row["foreign"], row["repeated"], row["frames_out"]) == (1, 1, 10)


def test_the_real_node_beside_a_busy_network():
    figures = figures_of_node(BUSY, measure_node(BUSY, 3.0))
    row = {f.column: f.value for f in figures if f.table == "node"}
    assert row["frames_in"] >= 60 and row["frames_out"] > 0.2 * row["frames_in"]
    assert row["foreign"] == row["repeated"] == 0
    assert row["knowledge_age_max"] <= 2.0, "the node's default of max_mask_age"


def test_late_queries_through_the_real_node():
    setting = Setting((320, 240), JPEG, propagate=True, rate_hz=15.0, late_queries=2)
    seen = measure_node(setting, 1.0)
    assert len(seen.late_s) == 2 and min(seen.late_s) > 0
    assert {f.column for f in figures_of_node(setting, seen) if f.table.startswith("late query")} == {
        "p50",
        "p95",
        "p100",
    }


def test_shared_memory_is_that_of_the_profile_which_we_ship():
    found = Setting((640, 480), SHARED, propagate=True, rate_hz=30.0).environment()
    assert set(found) == set(PROFILE_VARIABLES)
    assert all("SHM" in Path(path).read_text() for path in found.values())
    assert not Setting((640, 480), JPEG, propagate=True, rate_hz=30.0).environment()


def test_what_a_node_said_that_did_not_end_well_can_be_read(monkeypatch):
    @contextmanager
    def dies(module, parameters, log):
        log.write_text("out of ideas")
        yield SimpleNamespace(pid=os.getpid())
        raise SamliteError(f"{module} ended with 1 instead of 0; its output is in {log}")

    watched = SimpleNamespace(arrivals=[1], spin_until=lambda done: None, ask_late=lambda phrases, timeout_s: [])
    monkeypatch.setattr(node, "_graph", lambda setting, folder: nullcontext(watched))
    monkeypatch.setattr(node, "running", dies)
    monkeypatch.setattr(node, "_watch", lambda client, pid, seconds: measured({}))
    with pytest.raises(SamliteError, match="its output is in ") as caught:
        measure_node(BUSY, 1.0)
    log = Path(str(caught.value).split(" is in ")[1])
    assert log.read_text() == "out of ideas"
    shutil.rmtree(log.parent)
