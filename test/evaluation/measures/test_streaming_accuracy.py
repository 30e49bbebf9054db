"""At every camera frame: what stands against the truth of that frame, identities, and causes of errors."""

from dataclasses import replace

import numpy as np
import pytest
from moving_square import answer, truth_frames

from samlite_ros.evaluation.measures.sightings import Sighting
from samlite_ros.evaluation.measures.streaming_accuracy import StreamScore, score_run
from samlite_ros.streaming.answer import Published


def test_a_perfect_stream_scores_one():
    truth = truth_frames(6)
    score = score_run(truth, [answer(truth, i, 5) for i in range(6)])
    assert score.iou() == score.iou(whole_only=True) == 1
    assert (score.answered, score.age_frames_max, score.id_switches(), score.ghosts) == (1, 0, 0, 0)


def at_rate(truth, rate_hz):
    """The same frames with rounded stamps, whose distances differ by a nanosecond."""
    stamps = [1_000_000_000 + round(i * 1e9 / rate_hz) for i in range(len(truth))]
    return [replace(t, frame=replace(t.frame, stamp_ns=s)) for t, s in zip(truth, stamps, strict=True)]


@pytest.mark.parametrize("rate_hz", [24.0, 30.0, 15.0])
def test_a_frame_ends_at_the_stamp_of_the_next_one(rate_hz):
    truth = at_rate(truth_frames(12), rate_hz)
    assert len(set(np.diff([t.frame.stamp_ns for t in truth]))) == 2
    score = score_run(truth, [answer(truth, i, 0) for i in range(12)])
    assert score.iou() == 1 and [s.frame for s in score.sightings] == list(range(12))
    assert score.seconds == pytest.approx(12 / rate_hz)


def test_a_late_answer_is_compared_with_the_truth_of_the_present():
    truth = truth_frames(6)
    score = score_run(truth, [answer(truth, 0, 100)])
    assert [o.frame for o in score.sightings] == [3, 4, 5]
    shared = [40 - 2 * i for i in (3, 4, 5)]
    assert [o.iou for o in score.sightings] == pytest.approx([s / (80 - s) for s in shared])
    assert score.age_frames_max == 5


def test_frames_after_the_start_without_an_instance_count_as_zero():
    truth = truth_frames(4)
    empty = replace(answer(truth, 2, 5).answer, instances=())
    score = score_run(truth, [answer(truth, 1, 5), Published(empty, truth[2].frame.stamp_ns, 0.001)])
    assert [o.iou for o in score.sightings] == [1, 0, 0]


def test_identity_measures():
    truth = truth_frames(6)
    ids = [1, 1, 2, 2, 1, 1]
    score = score_run(truth, [answer(truth, i, 5, track_id) for i, track_id in enumerate(ids)])
    assert score.id_switches() == 2
    assert score.idf1() == pytest.approx(4 / 6)
    seen = [Sighting(i, 7, iou, True, 1, 3) for i, iou in enumerate([0.9, 0.1, 0.9, 0.9, 0.2, 0.9])]
    assert StreamScore(seen).fragmentations() == 2


def test_the_error_is_split_by_its_cause():
    truth = truth_frames(3)
    unseen = replace(truth[0], ids=np.zeros_like(truth[0].ids))
    partly = replace(truth[1], whole=frozenset())
    score = score_run([unseen, partly, truth[2]], [answer(truth, 2, 5, of=1)])
    assert [o.cause for o in score.sightings] == [1]
    assert score.error_by_cause()[1] == pytest.approx(1 - score.iou())
    seen = [Sighting(0, 7, 0.4, True, 1, 0), Sighting(0, 8, 0.8, True, 2, 3), Sighting(0, 9, 0, False, 0, 2)]
    assert StreamScore(seen).error_by_cause(whole_only=True) == pytest.approx([0.3, 0, 0, 0.1])
