import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from samlite_ros.demo.circumstances import CameraCounts, MachineLoad, Traffic, read_counts, traffic_between
from samlite_ros.demo.report import to_table


def test_frames_are_counted_between_two_diagnostics():
    before, after = CameraCounts(10**9, 100, 90), CameraCounts(3 * 10**9, 140, 128)
    published_ns = range(0, 4 * 10**9, 4 * 10**7)  # 25 a second of a camera that ought to have 30
    traffic = traffic_between(before, after, published_ns, rate_hz=30.0)
    assert traffic == Traffic(due=60, published=50, received=40, answered=38)
    assert traffic.lost == 10


def test_counts_are_read_from_the_cameras_status_alone():
    names = ("images received", "images answered")
    camera = DiagnosticStatus(values=[KeyValue(key=k, value=v) for k, v in zip(names, ("7", "5"), strict=True)])
    message = DiagnosticArray(status=[DiagnosticStatus(name="node"), camera])
    message.header.stamp.sec = 3
    assert read_counts(message) == CameraCounts(3 * 10**9, 7, 5)
    assert read_counts(DiagnosticArray()) is None


@pytest.mark.parametrize(("start", "end", "busy"), [(0.5, 1.9, False), (8.8, 1.0, True), (0.1, 2.5, True)])
def test_a_machine_is_busy_where_the_load_is_above_its_cores(start, end, busy):
    assert MachineLoad(2, start, end).is_busy == busy


def figures(*, busy: bool) -> dict[str, object]:
    return {
        "scene": "fly 1", "size": "640x480", "camera_hz": 30.0, "model": "demo", "phrase": "pink box",
        "answered_frames": 190, "answered_hz": 16.1, "latency_ms": {"p50": 30.0, "p95": 90.0},
        "way_ms": {"there": 3.0, "back": 1.0}, "knowledge_age_ms_p50": 120.0,
        "mean_iou": 0.92, "recall": 0.9, "precision": 1.0,
        "absent_phrase": "green box", "absent_outcome": "NOT_FOUND", "absent_presence": 0.01, "absent_seconds": 0.9,
        "asked_for_pictures": {"pink box": "FOUND", "red ball": "FOUND", "blue cone": "NOT_FOUND"},
        "frames": {"due": 360, "published": 300, "received": 210, "answered": 200, "lost_on_the_way": 90},
        "machine": {"cores": 2, "load_at_start": 8.8, "load_at_end": 11.2, "busy": busy},
    }  # fmt: skip


def test_the_table_tells_all_that_was_asked_and_why_it_was_slow():
    table = to_table(figures(busy=True))
    for told in (
        "360 due, 300 published, 90 lost on the way, 210 reached the node, 200 answered",
        "2 cores, load 8.8 before, 11.2 after\n  busy  ",
        "asked 'pink box', 'red ball', 'blue cone' at once; not seen in them: 'blue cone'",
        "old in pictures",
        "'green box', which is not there",
    ):
        assert told in table
    assert "  busy  " not in to_table(figures(busy=False))
