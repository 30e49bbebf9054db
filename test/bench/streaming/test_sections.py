"""The streaming benchmark judges rightly: sequences, oracle, scores, report."""

from dataclasses import replace

import numpy as np
import pytest

from samlite_ros.bench.streaming.both_ways import CARRIED, PARTS, Outcome, run_sequence, with_matched_ids, without
from samlite_ros.bench.streaming.oracle import Imperfection, OracleSegmenter, oracle_vocabulary
from samlite_ros.bench.streaming.sections import profile_row
from samlite_ros.bench.streaming_pictures import draw
from samlite_ros.bench.streaming_report import tables
from samlite_ros.evaluation.measures.streaming_accuracy import Observation, Score, score_run
from samlite_ros.pixels.masks import mask_bounds_xyxy, mask_from_array
from samlite_ros.scenes.hard_sequences import DEVELOPMENT, HELD_OUT, StreamSequence, TruthFrame, _warped_ids
from samlite_ros.streaming.answer import Published
from samlite_ros.streaming.pipeline import StreamingCounters
from samlite_ros.streaming.tuning import Tuning
from samlite_ros.types import Frame, Instance, Prompt, Query, QueryKey, QueryMatch, Segmentation
from samlite_ros.virtual.latency import LatencyProfile

PERIOD_NS = 33_333_333
QUERY = Query(QueryKey("bench", "thing 0"), Prompt("thing 0"), 0)


def truth_frames(count, step=2):
    """A square of 40 px that moves to the right."""
    out = []
    for i in range(count):
        ids = np.zeros((120, 160), np.uint8)
        ids[40:80, 20 + step * i : 60 + step * i] = 7
        image = np.full((120, 160, 3), 100, np.uint8)
        image[ids > 0] = (200, 40, 40)
        out.append(TruthFrame(Frame(image, 1_000_000_000 + i * PERIOD_NS), ids, frozenset({7})))
    return out


def answer(truth, index, at_ms, track_id=1, of=None):
    """The truth of frame `of` (or of the frame itself) as the answer of frame `index`, published at a time."""
    shown = truth[index if of is None else of]
    mask = mask_from_array(shown.ids == 7)
    stamp = truth[index].frame.stamp_ns
    instance = Instance(
        track_id, (QueryMatch(QUERY, 0.9),), 0.9, False, shown.frame.stamp_ns, mask_bounds_xyxy(mask), mask
    )
    segmentation = Segmentation(stamp, "", "", (120, 160), "m", 1, shown.frame.stamp_ns, (), (instance,))
    return Published(segmentation, stamp + int(at_ms * 1e6), 0.001)


def test_a_perfect_stream_scores_one():
    truth = truth_frames(6)
    score = score_run(truth, [answer(truth, i, 5) for i in range(6)])
    assert score.iou() == score.iou(whole_only=True) == 1
    assert (score.answered, score.age_frames_max, score.id_switches(), score.ghosts) == (1, 0, 0, 0)


def test_a_late_answer_is_compared_with_the_truth_of_the_present():
    truth = truth_frames(6)
    score = score_run(truth, [answer(truth, 0, 100)])
    assert [o.frame for o in score.observations] == [3, 4, 5]
    shared = [40 - 2 * i for i in (3, 4, 5)]
    assert [o.iou for o in score.observations] == pytest.approx([s / (80 - s) for s in shared])
    assert score.age_frames_max == 5


def test_frames_after_the_start_without_an_instance_count_as_zero():
    truth = truth_frames(4)
    empty = replace(answer(truth, 2, 5).answer, instances=())
    score = score_run(truth, [answer(truth, 1, 5), Published(empty, truth[2].frame.stamp_ns, 0.001)])
    assert [o.iou for o in score.observations] == [1, 0, 0]


def test_identity_measures():
    truth = truth_frames(6)
    ids = [1, 1, 2, 2, 1, 1]
    score = score_run(truth, [answer(truth, i, 5, track_id) for i, track_id in enumerate(ids)])
    assert score.id_switches() == 2
    assert score.idf1() == pytest.approx(4 / 6)
    seen = [Observation(i, 7, iou, True, 1, 3) for i, iou in enumerate([0.9, 0.1, 0.9, 0.9, 0.2, 0.9])]
    assert Score(seen).fragmentations() == 2


def test_the_error_is_split_by_its_cause():
    truth = truth_frames(3)
    unseen = replace(truth[0], ids=np.zeros_like(truth[0].ids))
    partly = replace(truth[1], whole=frozenset())
    score = score_run([unseen, partly, truth[2]], [answer(truth, 2, 5, of=1)])
    assert [o.cause for o in score.observations] == [1]
    assert score.error_by_cause()[1] == pytest.approx(1 - score.iou())
    seen = [Observation(0, 7, 0.4, True, 1, 0), Observation(0, 8, 0.8, True, 2, 3), Observation(0, 9, 0, False, 0, 2)]
    assert Score(seen).error_by_cause(whole_only=True) == pytest.approx([0.3, 0, 0, 0.1])


def test_warped_truth_moves_by_fractions_of_a_pixel():
    y, x = np.ogrid[:60, :60]

    def disc(shift):
        return np.uint8(5) * ((x - 30.2 - shift) ** 2 + (y - 30.1 - shift) ** 2 < 12.3**2)

    overlaps = []
    for shift in np.linspace(0.1, 1.9, 10):
        warped = _warped_ids(disc(0), np.float64([[1, 0, shift], [0, 1, shift]]), (60, 60))
        assert set(np.unique(warped)) == {0, 5}
        both, either = (warped > 0) & (disc(shift) > 0), (warped > 0) | (disc(shift) > 0)
        overlaps.append(np.count_nonzero(both) / np.count_nonzero(either))
    assert np.mean(overlaps) > 0.975  # of the nearest ids .96


@pytest.mark.parametrize("count", [1, 2])
def test_the_oracle_gives_the_truth_of_the_frame_it_was_shown(count):
    truth = truth_frames(3)
    oracle = OracleSegmenter(truth, count)
    asked = [q.prompt for q in oracle_vocabulary(count).queries]
    results = oracle.segment(oracle.embed_image(truth[1].frame), oracle.embed_prompts(asked), [])
    (owner,) = (r for r in results if len(r.masks))
    assert owner.prompt.display == f"thing {7 % count}"
    assert np.array_equal(owner.masks[0].full(), truth[1].ids == 7)


def test_imperfections_are_the_same_for_everybody():
    truth = truth_frames(40)
    spoil = Imperfection(border_px=2.0, miss=0.3)
    masks = [[spoil.apply(t.ids == 7, 7, t.frame.stamp_ns) for t in truth] for _ in range(2)]
    missed = [m is None for m in masks[0]]
    assert missed == [m is None for m in masks[1]] and 4 < sum(missed) < 20
    kept = [(a, b, t) for a, b, t in zip(*masks, truth, strict=True) if a is not None]
    assert all(np.array_equal(a, b) for a, b, _ in kept)
    overlaps = [(a & (t.ids == 7)).sum() / (a | (t.ids == 7)).sum() for a, _, t in kept]
    assert 0.7 < np.mean(overlaps) < 0.97


@pytest.mark.parametrize("difficulty", [*DEVELOPMENT, *HELD_OUT], ids=lambda d: d.name)
def test_sequences_are_the_same_every_time_and_move(difficulty):
    sequence = StreamSequence(difficulty, 3, 2, size=(120, 160))
    first, again = list(sequence), list(sequence)
    assert all(np.array_equal(a.frame.image, b.frame.image) for a, b in zip(first, again, strict=True))
    assert first[0].frame.image.shape == (120, 160, 3) and first[0].frame.stamp_ns < first[1].frame.stamp_ns
    assert not np.array_equal(first[0].frame.image, first[1].frame.image)
    assert all(set(t.whole) <= set(np.unique(t.ids)) - {0} for t in first)


def test_both_ways_over_one_sequence():
    outcome = run_sequence("square", truth_frames(24), LatencyProfile.of_total_ms(126))
    assert outcome.ours.answered == 1 and outcome.ours.iou() > outcome.peers.iou()
    row = profile_row([outcome])
    assert row["error_ratio"] == pytest.approx((1 - row["iou_ours"]) / (1 - row["iou_peers"]))
    assert {"iou_ours", "iou_peers", "iou_ours_visible", "iou_peers_visible", "answered", "age_frames_max"} <= set(row)
    assert 0 < row["work_ms"]["p50"] <= row["work_ms"]["p95"] <= row["work_ms"]["max"]


def test_keyframe_answers_are_matched_without_carrying():
    truth = truth_frames(30, step=3)
    near = with_matched_ids([answer(truth, i, 5, 0) for i in (0, 1, 2)])
    far = with_matched_ids([answer(truth, i, 5, 0) for i in (0, 14, 28)])
    assert [p.answer.instances[0].track_id for p in near] == [1, 1, 1]
    assert [p.answer.instances[0].track_id for p in far] == [1, 2, 3]


def test_the_peers_identities_are_also_judged_at_the_frames_that_they_saw():
    outcome = run_sequence("square", truth_frames(36, step=3), LatencyProfile.of_total_ms(250))
    late, in_time = outcome.peers, outcome.peers_at_keyframes
    assert all(o.iou == 1 for o in in_time.observations) and late.iou() < 0.6
    assert len({o.track_id for o in in_time.observations}) == in_time.id_switches() + 1 > 1
    row = profile_row([outcome])["identity"]
    assert set(row) == {"ours", "peers", "peers_at_keyframes"}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_can_be_left_out_and_is_there_otherwise(part):
    assert without(part).tuning == PARTS[part] and (PARTS[part] != CARRIED.tuning) == (part != "nothing")
    run_sequence("square", truth_frames(8), LatencyProfile.of_total_ms(126), options=without(part))
    assert CARRIED.tuning == Tuning()


def test_report_has_a_table_and_pictures(tmp_path):
    outcome = Outcome("square", *(2 * [perfect()]), 6, 2, StreamingCounters())
    rows = {"126": {"pass_ms": 126.0, **profile_row([outcome])}}
    curves = {"126": {"ours": [[0.0, 1.0]], "peers": [[0.0, 0.5]]}}
    report = {"profiles": rows, "sets": {}, "variants": {}, "sequences": {"square": rows}, "curves": curves}
    assert "126 ms" in tables(report) and "100.0 %" in tables(report)
    assert all(path.stat().st_size > 1000 for path in draw(report, tmp_path))


def test_a_sequence_that_ends_before_the_first_result_has_no_figures():
    outcome = run_sequence("square", truth_frames(8), LatencyProfile.of_total_ms(950))
    row = profile_row([outcome])
    assert np.isnan(row["iou_ours"]) and np.isnan(row["identity"]["ours"]["switches_per_minute"])
    assert row["answered"] == 1
    rows = {"950": {"pass_ms": 950.0, **row}}
    assert "nan" in tables({"profiles": rows, "sets": {}, "variants": {}, "sequences": {"square": rows}})


def perfect():
    truth = truth_frames(6)
    return score_run(truth, [answer(truth, i, 5) for i in range(6)])
