"""Whose turn it is, over streams with lists of jobs."""

from job_source import Source
from prompts import prompts

from samlite_ros.streaming.turns import Turns


def taken(turns):
    stream, job = turns.next_job()
    return stream.camera, job.frame.stamp_ns


def test_cameras_take_turns_and_one_without_work_lets_the_next_go_first():
    left, right = Source("left"), Source("right")
    turns = Turns([left, right])
    for stamp in (1, 2, 3):
        left.add(stamp)
    right.add(11)
    assert [taken(turns) for _ in range(4)] == [("left", 1), ("right", 11), ("left", 2), ("left", 3)]
    assert turns.next_job() is None


def test_a_busy_camera_keeps_its_turn():
    left, right = Source("left"), Source("right")
    turns = Turns([left, right])
    left.is_busy = True
    left.add(1)
    right.add(11)
    assert turns.next_job() is None
    left.is_busy = False
    assert [taken(turns) for _ in range(2)] == [("left", 1), ("right", 11)]


def test_within_a_pass_each_camera_has_one_late_job_in_turn():
    left, right = Source("left"), Source("right")
    turns = Turns([left, right])
    left.add(1)
    taken(turns)
    left.add(1, "cone", late=True)
    left.add(1, "cup", late=True)
    right.add(11, "cone", late=True)
    assert [(s.camera, job.prompts) for s, job in turns.late_jobs()] == [
        ("right", prompts("cone")),
        ("left", prompts("cone")),
    ]
    assert [(s.camera, job.prompts) for s, job in turns.late_jobs()] == [("left", prompts("cup"))]


def test_a_late_job_is_taken_when_the_one_before_is_done():
    left, right = Source("left"), Source("right")
    left.add(1, late=True)
    late = Turns([left, right]).late_jobs()
    next(late)
    right.add(11, late=True)
    assert [job.frame.stamp_ns for _, job in late] == [11]


def test_late_queries_of_any_camera_come_first_and_are_no_turn():
    left, right = Source("left"), Source("right")
    turns = Turns([left, right])
    left.add(1)
    right.add(11)
    right.add(10, "cone", late=True)
    assert [taken(turns) for _ in range(3)] == [("right", 10), ("left", 1), ("right", 11)]
