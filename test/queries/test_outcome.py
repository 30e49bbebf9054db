"""What is remembered of a place survives whatever its covariance is."""

import math

import numpy as np
import pytest

from samlite_ros.queries.outcome import Finding, Hysteresis, LastPlace, SearchHistory
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


S = 10**9


def at(stamp_ns: int) -> LastPlace:
    return LastPlace((stamp_ns / S, 0.0, 1.0), 0.01, "map", stamp_ns)


def search(history: SearchHistory, stamp_ns: int, *, seen: bool, camera: str = "") -> None:
    history.add(camera, stamp_ns, Finding(stamp_ns, 0.9 if seen else 0.1, seen), Hysteresis())


def test_what_masks_showed_after_a_thing_left_is_no_last_place() -> None:
    history = SearchHistory()
    search(history, S, seen=True)
    for tenth in range(10, 20):
        history.note_place(at(tenth * S // 10))
    assert history.last_place == at(19 * S // 10)  # it is carried on, and nobody has looked since
    search(history, 2 * S, seen=False)
    assert history.last_place == at(S)
    history.note_place(at(21 * S // 10))  # a mask that waited for its depth
    assert history.last_place == at(S)
    search(history, 3 * S, seen=True)
    history.note_place(at(3 * S))
    assert history.last_place == at(3 * S)


def test_a_place_that_a_later_search_confirms_stays() -> None:
    history = SearchHistory()
    search(history, S, seen=True)
    for second in range(1, 40):
        history.note_place(at(second * S // 4 + S))
    search(history, 9 * S, seen=True)
    search(history, 12 * S, seen=False)
    assert history.last_place == at(9 * S)


def test_another_camera_that_does_not_see_it_takes_no_place_away() -> None:
    history = SearchHistory()
    search(history, S, seen=True, camera="left")
    history.note_place(at(15 * S // 10))
    search(history, 2 * S, seen=False, camera="right")
    assert history.last_place == at(15 * S // 10)
