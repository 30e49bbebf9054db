"""Latencies as they are written: a device's name, a total, or encoding and decoding apart."""

from __future__ import annotations

import pytest

from samlite_ros.errors import ParameterError
from samlite_ros.virtual.latency import parse_profile


@pytest.mark.parametrize(
    ("text", "encode_s", "decode_s"),
    [("orin-nx", 0.608, 0.342), ("thor", 0.08064, 0.04536), ("100", 0.064, 0.036), ("80,20", 0.08, 0.02), ("0", 0, 0)],
)
def test_latency_profiles(text: str, encode_s: float, decode_s: float) -> None:
    profile = parse_profile(text)
    assert (profile.encode_s, profile.decode_s) == pytest.approx((encode_s, decode_s))


@pytest.mark.parametrize("text", ["fast", "-1", "1,2,3", "", "nan", "inf", "1e9", "10,nan", "1,"])
def test_wrong_latency_profile_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="latency"):
        parse_profile(text)
