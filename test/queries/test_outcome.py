"""What is remembered of a place survives whatever its covariance is."""

import math

import numpy as np
import pytest

from samlite_ros.queries.outcome import LastPlace
from samlite_ros.types import Place


def place(covariance: np.ndarray) -> Place:
    middle = np.array([0.1, 0.2, 1.0])
    measured = (middle, np.eye(3) * 1e-4)
    return Place(5, "map", middle, covariance, *measured, 0.01, 100, 0.9, middle, np.ones(3), np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("covariance", "sigma_m"),
    [
        (np.diag([1e-4, 4e-4, 1e-4]), 0.02),
        (-np.eye(3) * 1e-4, 0.0),
        (np.diag([-1e8, -1e-9, -5.0]), 0.0),
        (np.full((3, 3), np.nan), math.inf),
        (np.full((3, 3), np.inf), math.inf),
    ],
    ids=["sound", "negative", "one is less so", "nan", "inf"],
)
def test_the_sigma_of_a_last_place(covariance, sigma_m) -> None:
    last = LastPlace.of(place(covariance))
    assert last.sigma_m == pytest.approx(sigma_m)
    assert last.position_m == (0.1, 0.2, 1.0) and last.stamp_ns == 5
