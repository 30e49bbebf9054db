"""Both ways over one sequence, and the figures that follow."""

import pytest
from moving_square import answer, truth_frames

from samlite_ros.bench.figures import Report, tables
from samlite_ros.bench.plots import draw_report
from samlite_ros.bench.streaming.accuracy import Run, figures_of_errors, figures_of_outcomes, figures_of_runs
from samlite_ros.bench.streaming.both_ways import SequenceOutcome, run_sequence, with_matched_ids
from samlite_ros.bench.streaming.options import MAIN
from samlite_ros.evaluation.measures.streaming_accuracy import score_run
from samlite_ros.streaming.pipeline import StreamingCounters
from samlite_ros.virtual.latency import LatencyProfile


def test_both_ways_over_one_sequence():
    outcome = run_sequence("square", truth_frames(24), LatencyProfile.of_total_ms(126))
    assert outcome.ours.answered == 1 and outcome.ours.iou() > outcome.peers.iou()
    row = accuracy_of(outcome)
    assert row["error_ratio"] == pytest.approx((1 - row["iou_ours"]) / (1 - row["iou_peers"]))
    assert {"iou_ours", "iou_peers", "iou_ours_visible", "iou_peers_visible", "answered", "age_frames_max"} <= set(row)
    assert 0 < row["work_p50"] <= row["work_p95"] <= row["work_max"]


def test_with_charged_work_the_figures_are_the_same_every_time():
    runs = [run_sequence("square", truth_frames(24), LatencyProfile.of_total_ms(126), charge_s=0) for _ in range(2)]
    first, again = (figures_of_runs([Run("development", MAIN, 126.0, o)], with_work=False) for o in runs)
    assert first == again


def test_keyframe_answers_are_matched_without_carrying():
    truth = truth_frames(30, step=3)
    near = with_matched_ids([answer(truth, i, 5, 0) for i in (0, 1, 2)])
    far = with_matched_ids([answer(truth, i, 5, 0) for i in (0, 14, 28)])
    assert [p.answer.instances[0].track_id for p in near] == [1, 1, 1]
    assert [p.answer.instances[0].track_id for p in far] == [1, 2, 3]


def test_the_peers_identities_are_also_judged_at_the_frames_that_they_saw():
    outcome = run_sequence("square", truth_frames(36, step=3), LatencyProfile.of_total_ms(250))
    late, in_time = outcome.peers, outcome.peers_at_keyframes
    assert all(o.iou == 1 for o in in_time.sightings) and late.iou() < 0.6
    assert len({o.track_id for o in in_time.sightings}) == in_time.id_switches() + 1 > 1
    rows = {f.row for f in figures_of_errors("126 ms", [outcome]) if f.table == "identity"}
    assert rows == {f"126 ms, {side}" for side in ("ours", "peers", "peers_at_keyframes")}


def test_a_sequence_that_ends_before_the_first_result_has_no_figures():
    outcome = run_sequence("square", truth_frames(8), LatencyProfile.of_total_ms(950))
    row = accuracy_of(outcome)
    assert "iou_ours" not in row and row["answered"] == 1
    identity = {f.column for f in figures_of_errors("950 ms", [outcome]) if f.row == "950 ms, ours"}
    assert "switches_per_minute" not in identity
    assert "950 ms" in tables(figures_of_outcomes("accuracy/950 ms", [outcome], 950.0))


def test_report_has_a_table_and_pictures(tmp_path):
    outcome = SequenceOutcome("square", *(2 * [perfect()]), 6, 2, StreamingCounters())
    figures = figures_of_runs([Run("development", MAIN, 126.0, outcome)], with_work=True)
    text = tables(figures)
    assert "126 ms, all" in text and "126 ms, square" in text
    assert all(path.stat().st_size > 1000 for path in draw_report(Report({}, {}, figures), tmp_path))


def accuracy_of(outcome):
    return {f.column: f.value for f in figures_of_outcomes("accuracy/one", [outcome], 126.0)}


def perfect():
    truth = truth_frames(6)
    return score_run(truth, [answer(truth, i, 5) for i in range(6)])
