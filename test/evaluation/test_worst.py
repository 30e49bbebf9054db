"""Frames for a sheet: the worst, but not ten of one moment."""

from samlite_ros.bags.results import FrameKey
from samlite_ros.evaluation.worst import spread


def keys(*stamps: int, camera: str = "") -> list[FrameKey]:
    return [FrameKey(camera, stamp) for stamp in stamps]


def test_frames_of_one_moment_are_shown_once_where_there_are_others() -> None:
    ranked = keys(50, 51, 52, 49, 10, 11, 90, 30)
    assert spread(ranked, 100, 3) == keys(50, 10, 90)
    assert spread(ranked, 100, 4) == keys(50, 10, 90, 30)


def test_where_there_are_no_others_neighbours_are_shown() -> None:
    assert spread(keys(50, 51, 52), 100, 6) == keys(50, 51, 52)
    assert spread(keys(50, 51, 52), 100, 2) == keys(50, 51)
    assert spread([], 100, 6) == spread(keys(1), 100, 0) == []


def test_cameras_are_apart_from_each_other() -> None:
    assert spread(keys(5, camera="a") + keys(5, camera="b"), 100, 2) == keys(5, camera="a") + keys(5, camera="b")
