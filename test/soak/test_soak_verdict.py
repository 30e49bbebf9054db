"""What a soak says of the growth of memory: nothing before the warm-up is over, the truth afterwards."""

import argparse
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from probes import Held
from soak import verdict


def judged(minutes, grows_mib, threads=19):
    """Warms up by 9 MiB within 10 minutes, and grows in every 10 minutes afterwards."""
    seconds = 60 * minutes
    rise = [(t, 9 * min(t / 600, 1) + grows_mib * max(t / 600 - 1, 0)) for t in range(10, int(seconds) + 1, 10)]
    held = [(t, Held(180 + mib, 100 + mib, 19 if t < seconds / 2 else threads, 22, 1)) for t, mib in rise]
    options = argparse.Namespace(warm_up=0.2, minutes=minutes, slope=1.0)
    return verdict(SimpleNamespace(samples=held, options=options, kills=0, node=SimpleNamespace(log=str)), {})


@pytest.mark.parametrize("minutes", [0.5, 4, 24])
def test_a_short_soak_does_not_judge_memory_but_all_else(minutes):
    assert judged(minutes, 0.0)["faults"] == []
    assert judged(minutes, 0.0)["growth of memory"].startswith("not judged")
    assert judged(minutes, 0.0, threads=25)["faults"] == ["threads grow from 19 to 25"]


@pytest.mark.parametrize("minutes", [25, 30, 60])
def test_a_long_one_tells_a_leak_from_the_warm_up(minutes):
    assert judged(minutes, 0.5)["faults"] == []
    assert judged(minutes, 1.5)["faults"] == ["memory grows by 1.5 MiB in 10 minutes"]
