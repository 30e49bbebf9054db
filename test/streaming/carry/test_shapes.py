"""Tracks drawn as their shapes were carried, or as their templates say."""

import numpy as np
import pytest
from streaming_world import Disc, PaintedWorld, best_iou, index_of, truth_segmenter, vocabulary

from samlite_ros.streaming.carry import shapes
from samlite_ros.streaming.carry.shapes import CarriedShapes
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.streaming.tuning import ShapeTuning, Tuning
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import VirtualRun

SHAPES = Tuning(shapes=ShapeTuning(enabled=True))
WORLD = PaintedWorld([Disc("ball", (200, 60, 50), 16.0, lambda i: (20 + 2.0 * i, 60.0))], size=(120, 160))


def answers(tuning=None, frames=20):
    options = StreamingOptions(propagate=True, tuning=tuning or SHAPES)
    run = VirtualRun(truth_segmenter(WORLD), LatencyProfile(0.06, 0.03), options, vocabulary("ball"), charge_s=0)
    return {index_of(p.answer.stamp_ns): p.answer for p in run.run(WORLD.frame(i) for i in range(frames))}


def masks(found):
    return [i.mask.full() for answer in found.values() for i in answer.instances]


@pytest.mark.parametrize("enabled", [True, False])
def test_masks_are_carried_with_and_without_shapes(enabled):
    found = answers(Tuning(shapes=ShapeTuning(enabled=enabled)))
    assert min(best_iou(found[i], WORLD.truth(i)[0]) for i in range(8, 20)) > 0.7


def test_without_weights_all_is_as_if_shapes_were_switched_off(monkeypatch):
    off = masks(answers(Tuning(shapes=ShapeTuning(enabled=False))))
    monkeypatch.setattr(shapes, "shipped_refiner", lambda cells: None)
    without = masks(answers())
    assert len(off) == len(without) > 10
    assert all(np.array_equal(a, b) for a, b in zip(off, without, strict=True))


def test_switched_off_the_refiner_is_not_even_read(monkeypatch):
    monkeypatch.setattr(shapes, "shipped_refiner", pytest.fail)
    CarriedShapes(Tuning(shapes=ShapeTuning(enabled=False)))


def test_the_refiner_is_asked_about_what_its_template_does_not_settle(monkeypatch):
    asked = []

    def refiner(planes):
        asked.append(planes.shape)
        return np.zeros(planes.shape[1:], np.float32)

    monkeypatch.setattr(shapes, "shipped_refiner", lambda cells: refiner)
    answers(frames=50)
    before, asked[:] = len(asked), []
    answers(frames=50, tuning=Tuning(shapes=ShapeTuning(fitting_cost=0.0)))
    assert 0 < before < len(asked)
