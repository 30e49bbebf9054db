"""The constants of the stream: their ranges, their descriptions, and that another value makes another stream."""

import math
import pickle
from dataclasses import fields, replace

import pytest

from samlite_ros.errors import TuningError
from samlite_ros.streaming.tuning import AlignmentTuning, ColorTuning, MotionTuning, TrackingTuning, Tuning

GROUPS = [getattr(Tuning(), group.name) for group in fields(Tuning)]
CONSTANTS = [
    pytest.param(group, f.name, id=f"{type(group).__name__}.{f.name}") for group in GROUPS for f in fields(group)
]


@pytest.mark.parametrize(("group", "name"), CONSTANTS)
def test_a_constant_is_described_and_bounded(group, name):
    assert f"{name}" in type(group).__doc__
    metadata = next(f.metadata for f in fields(group) if f.name == name)
    for wrong in (metadata["least"] - 1, "much", None, math.nan):
        with pytest.raises(TuningError, match=rf"{type(group).__name__}\.{name} is {wrong!r}, expected "):
            replace(group, **{name: wrong})


@pytest.mark.parametrize(
    ("group", "values"),
    [
        (TrackingTuning, {"iterations": 2.5}),
        (TrackingTuning, {"iterations": True}),
        (MotionTuning, {"enabled": 1}),
        (ColorTuning, {"useful": 1.5}),
        (ColorTuning, {"useful": 0.6}),  # as `useless`: no accuracy in between
        (AlignmentTuning, {"least_scale": 20.0}),
    ],
)
def test_what_contradicts_is_refused(group, values):
    with pytest.raises(TuningError, match=next(iter(values)) if "useful" not in values else "use"):
        group(**values)


def test_whole_numbers_do_for_real_ones():
    assert AlignmentTuning(step_limit_px=6) == AlignmentTuning()


def test_a_tuning_is_a_value():
    assert Tuning() == Tuning() and hash(Tuning()) == hash(Tuning())
    other = Tuning(alignment=AlignmentTuning(least_stiffness=10.0))
    assert other != Tuning() and pickle.loads(pickle.dumps(other)) == other
    assert other.alignment.stiffness[0, 0] == 10 and Tuning().alignment.stiffness[0, 0] == 50
