from types import SimpleNamespace

import numpy as np
import pytest

from samlite_ros.messages.fill import segmentation_message
from samlite_ros.messages.read import read_segmentation
from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.types import Instance, Prompt, Query, QueryKey, QueryMatch, QueryResult, Segmentation


class PlainMessages:
    """Messages as plain objects: only names and nesting count here."""

    def new(self, type_name, **fields):
        return SimpleNamespace(**fields)

    def array(self, values):
        return values


def make_answer():
    inside = np.zeros((20, 30), bool)
    inside[3:9, 5:14] = True
    query = Query(QueryKey("planner", "q1"), Prompt("red ball"), 3, text="red ball")
    other = Query(QueryKey("planner", "q2"), Prompt("dragon"), 4, text="dragon")
    instance = Instance(
        7, (QueryMatch(query, 0.8),), 0.7, True, 1_500_000_001, (5.0, 3.0, 14.0, 9.0), mask_from_array(inside)
    )
    return Segmentation(
        stamp_ns=2_000_000_003,
        frame_id="optical",
        camera="front",
        size=(20, 30),
        model_id="demo",
        vocabulary_epoch=5,
        keyframe_stamp_ns=1_500_000_001,
        results=(QueryResult(query, 1_500_000_001, 0.9, 1), QueryResult(other, 1_500_000_001, 0.1, 0)),
        instances=(instance,),
    )


def test_an_answer_survives_the_way_through_a_message():
    answer = make_answer()
    again = read_segmentation(segmentation_message(PlainMessages(), answer))
    for name in ("stamp_ns", "frame_id", "camera", "size", "model_id", "vocabulary_epoch", "keyframe_stamp_ns"):
        assert getattr(again, name) == getattr(answer, name), name
    (instance,), (expected,) = again.instances, answer.instances
    assert (instance.mask.full() == expected.mask.full()).all()
    assert instance.box_xyxy == expected.box_xyxy
    assert (instance.track_id, instance.confidence, instance.propagated) == (7, 0.7, True)
    assert instance.matches[0].query.prompt.display == "red ball" and instance.matches[0].score == 0.8
    assert [(r.query.key, r.presence, r.count) for r in again.results] == [
        (r.query.key, r.presence, r.count) for r in answer.results
    ]


def test_damaged_run_lengths_are_refused():
    message = segmentation_message(PlainMessages(), make_answer())
    message.instances[0].counts = message.instances[0].counts[:-1]
    with pytest.raises(ValueError, match="20 x 30 has 600 pixels"):
        read_segmentation(message)
