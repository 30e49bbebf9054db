"""Each part of the carrying can be left out."""

import pytest
from moving_square import truth_frames

from samlite_ros.bench.streaming.both_ways import CARRIED, PARTS, run_sequence, without
from samlite_ros.streaming.tuning import Tuning
from samlite_ros.virtual.latency import LatencyProfile


@pytest.mark.parametrize("part", PARTS)
def test_each_part_can_be_left_out_and_is_there_otherwise(part):
    assert without(part).tuning == PARTS[part] and (PARTS[part] != CARRIED.tuning) == (part != "nothing")
    run_sequence("square", truth_frames(8), LatencyProfile.of_total_ms(126), options=without(part))
    assert CARRIED.tuning == Tuning()
