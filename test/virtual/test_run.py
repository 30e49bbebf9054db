"""The virtual clock: who waits for whom, and that nothing depends on the machine when no work is charged."""

import pytest
from streaming_world import Disc, PaintedWorld, index_of, stamp_ns, truth_segmenter, vocabulary

from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import VirtualRun

MOVING = PaintedWorld([Disc("ball", (200, 60, 50), 26, lambda i: (60 + 4.0 * i, 120.0))])
PROFILE = LatencyProfile(0.064, 0.036)


def frames(world, count):
    return [world.frame(i) for i in range(count)]


def test_the_usual_way_publishes_each_keyframe_when_its_pass_is_done():
    published = list(
        VirtualRun(truth_segmenter(MOVING), PROFILE, StreamingOptions(), vocabulary("ball"), charge_s=0).run(
            frames(MOVING, 12)
        )
    )
    assert [index_of(p.answer.stamp_ns) for p in published] == [0, 3, 6, 9]  # the newest frame every 100 ms
    assert [p.at_ns - p.answer.stamp_ns for p in published] == [100_000_000, 100_000_001, 100_000_002, 100_000_003]


def test_every_frame_is_answered_at_once_when_masks_are_carried():
    options = StreamingOptions(propagate=True)
    run = VirtualRun(truth_segmenter(MOVING), PROFILE, options, vocabulary("ball"), charge_s=0.004)
    published = list(run.run(frames(MOVING, 12)))
    assert [p.answer.stamp_ns for p in published] == [stamp_ns(i) for i in range(12)]
    assert {p.at_ns - p.answer.stamp_ns for p in published} == {4_000_000}
    assert run.record.dropped_ns == []


def test_a_stream_slower_than_the_camera_drops_frames_and_says_so():
    run = VirtualRun(
        truth_segmenter(MOVING), PROFILE, StreamingOptions(propagate=True), vocabulary("ball"), charge_s=0.05
    )
    published = list(run.run(frames(MOVING, 12)))
    assert [index_of(s) for s in run.record.dropped_ns] == [2, 5, 8]
    assert [index_of(p.answer.stamp_ns) for p in published] == [0, 1, 3, 4, 6, 7, 9, 10, 11]


def test_measured_work_is_charged():
    options = StreamingOptions(propagate=True)
    run = VirtualRun(truth_segmenter(MOVING), PROFILE, options, vocabulary("ball"))
    published = list(run.run(frames(MOVING, 8)))
    assert all(p.work_s > 0 and p.at_ns >= p.answer.stamp_ns + int(p.work_s * 1e9) for p in published)


@pytest.mark.parametrize("propagate", [False, True])
def test_two_runs_without_charged_work_are_equal(propagate):
    def outcome():
        options = StreamingOptions(propagate=propagate)
        run = VirtualRun(truth_segmenter(MOVING), PROFILE, options, vocabulary("ball"), charge_s=0).run(
            frames(MOVING, 15)
        )
        return [
            (
                p.at_ns,
                p.answer.stamp_ns,
                [(i.track_id, i.confidence, i.box_xyxy, i.mask.area) for i in p.answer.instances],
            )
            for p in run
        ]

    assert outcome() == outcome()


def test_a_late_query_is_decoded_between_two_blocks_and_delays_the_pass_by_its_decoding():
    world = PaintedWorld([*MOVING.discs, Disc("cup", (40, 160, 60), 20, lambda i: (200.0, 60 + 2.0 * i))])
    profile = LatencyProfile(0.32, 0.04, blocks=32)
    asked_ns = stamp_ns(15) + 5_000_000
    segmenter = truth_segmenter(world)
    run = VirtualRun(
        segmenter,
        profile,
        StreamingOptions(propagate=True),
        vocabulary("ball"),
        [(asked_ns, vocabulary("ball", "cup", epoch=2))],
        charge_s=0,
    )
    published = list(run.run(frames(world, 40)))
    delivered_ns = next(p.ends_ns for p in run.record.passes if p.late)
    assert delivered_ns - asked_ns <= (10 + 40) * 1e6  # one block and one decoding
    first = next(
        p for p in published if any(m.query.prompt.display == "cup" for i in p.answer.instances for m in i.matches)
    )
    assert first.at_ns - delivered_ns <= 34e6  # goes out with the next frame
    stamps = {r.query.prompt.display: r.keyframe_stamp_ns for r in first.answer.results}
    assert stamps["cup"] <= stamps["ball"]
    late = [phrases for _, phrases in segmenter.decoded if phrases == ("cup",)]
    assert late and len(segmenter.embedded) == run.record.embeddings


def test_a_late_query_that_comes_while_a_pass_is_decoding_waits_for_one_step_only():
    world = PaintedWorld([*MOVING.discs, Disc("cup", (40, 160, 60), 20, lambda i: (200.0, 60 + 2.0 * i))])
    profile = LatencyProfile(0.05, 0.3, blocks=5, decode_steps=10)
    asked_ns = stamp_ns(15)
    changes = [(asked_ns, vocabulary("ball", "cup", epoch=2))]
    run = VirtualRun(
        truth_segmenter(world), profile, StreamingOptions(propagate=True), vocabulary("ball"), changes, charge_s=0
    )
    list(run.run(frames(world, 40)))
    decoding = [p.begins_ns + 50_000_000 <= asked_ns <= p.ends_ns for p in run.record.passes if not p.late]
    assert any(decoding)
    delivered_ns = next(p.ends_ns for p in run.record.passes if p.late)
    assert delivered_ns - asked_ns <= (30 + 300) * 1e6


def test_profile_of_a_total_time():
    profile = LatencyProfile.of_total_ms(250)
    assert profile.encode_s == pytest.approx(0.16)
    assert profile.decode_s == pytest.approx(0.09)
