"""What is missing in a camera's stamps is counted; a camera without a rhythm misses nothing."""

import numpy as np
import pytest

from samlite_ros.streaming.rhythm import StampRhythm

PERIOD_NS = 33_333_333


def missing(indices, jitter=0.0, period_ns=PERIOD_NS):
    rhythm, random = StampRhythm(), np.random.default_rng(0)
    for index in indices:
        rhythm.add(round(10**12 + (index + random.uniform(-jitter, jitter)) * period_ns))
    return rhythm.missing


@pytest.mark.parametrize("jitter", [0.0, 0.08])
def test_nothing_is_missing_where_every_image_comes(jitter):
    assert missing(range(300), jitter) == 0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.67])
def test_lost_images_are_counted(share):
    came = np.flatnonzero(np.random.default_rng(1).uniform(size=600) > share)
    assert missing(came) == pytest.approx(600 - len(came), rel=0.1)


def test_a_camera_that_takes_images_when_it_likes_loses_none():
    gaps = np.random.default_rng(2).exponential(size=400)
    assert missing(np.cumsum(gaps)) < 40


@pytest.mark.parametrize(("pause", "lost"), [(4, 3), (14, 0), (40, 0)])
def test_a_pause_is_no_loss(pause, lost):
    assert missing([*range(10), *range(9 + pause, 30 + pause)]) == lost


def test_a_bag_that_loops_begins_anew():
    assert missing([*range(100), *range(100), *range(50, 120)]) == 0


def test_after_an_image_without_a_time_nothing_is_missing():
    rhythm = StampRhythm()
    for index in (*range(20), *range(40, 60)):
        if index == 40:
            rhythm.begin_anew()
        rhythm.add(10**12 + index * PERIOD_NS)
    assert rhythm.missing == 0
