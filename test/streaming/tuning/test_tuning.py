"""The constants of the stream: their ranges, their descriptions, and that another value makes another stream."""

import math
import pickle
from dataclasses import fields, replace

import pytest
from streaming_world import Disc, PaintedWorld, best_iou, index_of, truth_segmenter, vocabulary

from samlite_ros.errors import TuningError
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.streaming.tuning import (
    AlignmentTuning,
    AppearanceTuning,
    ColorTuning,
    CompositingTuning,
    ImageTuning,
    ModelUpdateTuning,
    MotionTuning,
    SearchTuning,
    ShapeTuning,
    TemplateTuning,
    TrackingTuning,
    Tuning,
)
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import VirtualRun

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


@pytest.mark.parametrize(
    "tuning",
    [
        Tuning(image=ImageTuning(grid_step_px=16)),
        Tuning(motion=MotionTuning(enabled=False)),
        Tuning(template=TemplateTuning(textured_share=1.0)),
        Tuning(template=TemplateTuning(textured_share=0.0)),
        Tuning(appearance=AppearanceTuning(least_hidden=math.inf)),
        Tuning(search=SearchTuning(least_evidence=0.01, candidates=0)),
        Tuning(compositing=CompositingTuning(disocclusion_log_odds=math.inf)),
        Tuning(model_update=ModelUpdateTuning(budget_px=1, new_budget_px=1)),
        Tuning(shapes=ShapeTuning(most_points=0)),
        Tuning(shapes=ShapeTuning(fitting_share=1.0, least_surety=0.0, no_surety=0.0)),
    ],
)
def test_an_extreme_value_is_no_fault(tuning):
    world = PaintedWorld([Disc("ball", (200, 60, 50), 16.0, lambda i: (20 + 2.0 * i, 60.0))], size=(120, 160))
    options = StreamingOptions(propagate=True, tuning=tuning)
    run = VirtualRun(truth_segmenter(world), LatencyProfile(0.06, 0.03), options, vocabulary("ball"), charge_s=0)
    answers = {index_of(p.answer.stamp_ns): p.answer for p in run.run(world.frame(i) for i in range(20))}
    assert min(best_iou(answers[i], world.truth(i)[0]) for i in range(8, 20)) > 0.7
