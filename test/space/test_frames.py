"""Transforms: what a hostile or broken publisher of /tf sends is none."""

import math

import numpy as np
import pytest

from samlite_ros.space.frames import transform_of

HERE, UNTURNED = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("translation", "quaternion"),
    [
        (HERE, (0.0, 0.0, 0.0, 0.0)),
        (HERE, (math.nan, 0.0, 0.0, 1.0)),
        (HERE, (math.inf, 0.0, 0.0, 1.0)),
        (HERE, (1e300, 1e300, 0.0, 1.0)),
        ((math.nan, 0.0, 0.0), UNTURNED),
        ((0.0, math.inf, 0.0), UNTURNED),
        ((0.0, 0.0, 1e300), UNTURNED),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_leads_nowhere_is_no_transform(translation, quaternion):
    assert transform_of(translation, quaternion) is None


def test_a_quaternion_need_not_be_of_length_1():
    long, short = transform_of((1.0, 2.0, 3.0), (0.0, 0.0, 2.0, 2.0)), transform_of(HERE, (0.0, 0.0, 0.5, 0.5))
    np.testing.assert_allclose(long.rotation, short.rotation)
    np.testing.assert_allclose(long.points(np.array([[1.0], [0.0], [0.0]])), [[1.0], [3.0], [3.0]], atol=1e-12)
