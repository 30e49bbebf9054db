"""What a user of the pipeline sees: answers for every frame, ages, identities, late queries, still scenes, resets."""

from itertools import pairwise

import numpy as np
import pytest
from fake_segmenter import FakeSegmenter
from pipeline_world import CARRY, FAST, GREEN, RED, at_rest, ball, deliver, run
from prompts import prompts
from streaming_world import Disc, PaintedWorld, best_iou, index_of, query, stamp_ns, truth_segmenter, vocabulary

from samlite_ros.streaming.carry import model_update, tracker
from samlite_ros.streaming.carry.snapshot import Snapshot
from samlite_ros.streaming.carry.tracks import initial_pose
from samlite_ros.streaming.image.geometry import translation
from samlite_ros.streaming.pipeline import StreamingOptions, StreamingPipeline
from samlite_ros.types import Mask, Vocabulary
from samlite_ros.virtual.latency import LatencyProfile


def test_masks_follow_a_thing_between_slow_keyframes():
    world = PaintedWorld([ball(lambda i: (50 + 3.0 * i, 120 + 20 * np.sin(i / 8)))])
    answers, virtual = run(world, 60)
    overlaps = [best_iou(answers[i], world.truth(i)[0]) for i in range(15, 60)]
    assert np.mean(overlaps) > 0.93 and min(overlaps) > 0.85
    assert virtual.record.embeddings <= 6
    assert {i.track_id for n in range(15, 60) for i in answers[n].instances} == {1}
    assert all(i.propagated for n in range(15, 60) for i in answers[n].instances)


def test_every_frame_gets_its_own_answer_with_its_own_stamp():
    world = PaintedWorld([ball(at_rest())])
    answers, _ = run(world, 20)
    assert sorted(answers) == list(range(20))
    assert all(a.stamp_ns == stamp_ns(i) and a.size == world.size for i, a in answers.items())
    before, after = answers[5].results[0], answers[19].results[0]
    assert np.isnan(before.presence) and before.keyframe_stamp_ns == 0 and answers[5].keyframe_stamp_ns == 0
    assert after.presence == pytest.approx(0.95) and after.count == 1 and answers[19].model_id == "truth"


def test_a_still_scene_costs_hardly_any_embeddings_and_its_masks_are_exact():
    world = PaintedWorld([ball(at_rest()), ball(at_rest(200, 60), GREEN, phrase="cup")], noise=4.0)
    answers, virtual = run(world, 100, FAST)
    assert virtual.record.embeddings <= 0.05 * 100
    assert virtual.record.counters.still_frames >= 0.95 * 99
    assert all(best_iou(answers[i], t) == 1.0 for i in range(10, 100) for t in world.truth(i))


def test_a_small_thing_that_moves_into_a_still_scene_is_answered_within_two_latencies():
    bug = ball(lambda i: (min(-12 + 4.0 * (i - 20), 40.0), 300.0) if i >= 20 else None, GREEN, 12, "bug")
    world = PaintedWorld([ball(at_rest(300, 200), radius_px=50), bug], size=(480, 640), noise=4.0)
    answers, _ = run(world, 50, LatencyProfile(0.16, 0.045))
    in_sight = next(i for i in range(50) if world.truth(i)[1].sum() > 200)
    answered = next(i for i in range(in_sight, 50) if best_iou(answers[i], world.truth(i)[1]) > 0.3)
    assert (answered - in_sight) / 30 <= 2 * 0.25


@pytest.mark.parametrize("px_per_frame", [4.0, 6.0, 7.0])
def test_a_thing_that_leaves_ends_and_nothing_is_repeated(px_per_frame):
    world = PaintedWorld([ball(lambda i: (200 + px_per_frame * i, 120.0))])
    answers, _ = run(world, 60)
    assert answers[15].instances
    gone = [i for i in range(60) if not world.truth(i)[0].any()]
    assert not any(answers[i].instances for i in gone)


@pytest.mark.parametrize(("side_px", "is_shown"), [(5, False), (6, True)])
def test_a_remainder_no_larger_than_the_error_of_its_border_is_not_shown(monkeypatch, side_px, is_shown):
    remainder = Mask(0, 0, np.full((side_px, side_px), 255, np.uint8), (240, 320))
    monkeypatch.setattr(tracker, "to_mask", lambda *_: remainder)
    answers, _ = run(PaintedWorld([ball(lambda i: (50 + 3.0 * i, 120.0))]), 20, FAST)  # 1.5 % of it are 27 px
    assert any(answers[i].instances for i in range(20)) == is_shown


def test_masks_are_withdrawn_when_the_network_stays_away():
    world = PaintedWorld([ball(at_rest())])
    pipeline = StreamingPipeline(StreamingOptions(propagate=True, max_mask_age_s=0.5))
    segmenter = truth_segmenter(world)
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(world.frame(0))
    deliver(pipeline, segmenter, pipeline.take_job())
    answers = [pipeline.step(world.frame(i)) for i in range(1, 30)]
    kept = [a for a in answers if a.instances]
    assert [index_of(a.stamp_ns) for a in kept] == list(range(1, 16))
    assert all(i.keyframe_stamp_ns == stamp_ns(0) for a in kept for i in a.instances)
    confidence = [a.instances[0].confidence for a in kept]
    assert all(late < early for early, late in pairwise(confidence))
    assert pipeline.counters.withdrawn == 1


def test_a_removed_query_is_in_no_answer_from_the_next_frame_on():
    world = PaintedWorld([ball(at_rest()), ball(at_rest(220, 100), GREEN, phrase="cup")])
    changes = [(stamp_ns(30) - 1, vocabulary("cup", epoch=2))]
    answers, _ = run(world, 34, FAST, changes=changes)
    assert {m.query.prompt.display for i in answers[29].instances for m in i.matches} == {"ball", "cup"}
    for n in range(30, 34):
        assert {m.query.prompt.display for i in answers[n].instances for m in i.matches} == {"cup"}
        assert [r.query.prompt.display for r in answers[n].results] == ["cup"] and answers[n].vocabulary_epoch == 2


def test_one_thing_that_two_phrases_find_is_one_instance_with_two_matches():
    world = PaintedWorld([ball(lambda i: (80 + 3.0 * i, 120.0))])
    segmenter = truth_segmenter(world, also={"sphere": "ball"})
    answers, _ = run(world, 30, FAST, asked=vocabulary("ball", "sphere"), segmenter=segmenter)
    (instance,) = answers[29].instances
    assert {m.query.prompt.display for m in instance.matches} == {"ball", "sphere"}
    assert [r.count for r in answers[29].results] == [1, 1]


def test_phrases_are_kept_apart_when_asked():
    world = PaintedWorld([ball(lambda i: (80 + 3.0 * i, 120.0))])
    segmenter = truth_segmenter(world, also={"sphere": "ball"})
    options = StreamingOptions(propagate=True, merge_prompts=False)
    answers, _ = run(world, 30, FAST, options, vocabulary("ball", "sphere"), segmenter)
    assert [len(i.matches) for i in answers[29].instances] == [1, 1]
    assert len({i.track_id for i in answers[29].instances}) == 2
    assert best_iou(answers[29], world.truth(29)[0]) > 0.85


def test_identities_persist_while_two_like_things_cross():
    world = PaintedWorld(
        [ball(lambda i: (40 + 4.0 * i, 100.0), RED), ball(lambda i: (280 - 4.0 * i, 130.0), (190, 90, 60))]
    )
    answers, _ = run(world, 60, FAST)
    ids = {}
    for n in (12, 58):
        for number, truth in enumerate(world.truth(n)):
            owner = max(answers[n].instances, key=lambda i, t=truth: (i.mask.full() & t).sum())
            ids.setdefault(number, set()).add(owner.track_id)
    assert all(len(v) == 1 for v in ids.values()) and ids[0] != ids[1]


def test_a_small_thing_that_goes_far_during_a_pass_is_found_there():
    small = ball(lambda i: (20 + 4.5 * i, 60), GREEN, radius_px=9)
    large = ball(lambda i: (300 - 4.5 * i, 75), radius_px=30, phrase="other")
    world = PaintedWorld([large, small])
    answers, _ = run(world, 45)
    overlaps = [best_iou(answers[i], world.truth(i)[1]) for i in range(18, 45)]
    assert np.mean(overlaps) > 0.85 and min(overlaps) > 0.7


def test_a_thing_at_rest_is_found_where_it_was_though_what_passed_by_took_its_points_along():
    passing = ball(lambda i: (20.0 + 2 * i % 60, 52.0), (255, 255, 255), radius_px=12, phrase="other")
    world = PaintedWorld([ball(at_rest(40, 30), radius_px=12), passing], size=(80, 120))
    options = StreamingOptions(propagate=True, max_mask_age_s=10)
    answers, _ = run(world, 100, LatencyProfile.of_total_ms(2500), options, vocabulary("ball"))
    assert all(best_iou(answers[i], world.truth(i)[0]) > 0.9 for i in range(78, 100))


def test_a_lost_track_does_not_take_the_next_keyframe_along(monkeypatch):
    monkeypatch.setattr(
        model_update, "initial_pose", lambda *points: (initial_pose(*points)[0], False)
    )  # points disagree
    monkeypatch.setattr(Snapshot, "motion_since", lambda self, track: translation([500.0, 0.0]))
    world = PaintedWorld([ball(lambda i: (50 + 3.0 * i, 120))])
    answers, virtual = run(world, 60)
    assert virtual.record.embeddings > 3
    assert min(best_iou(answers[i], world.truth(i)[0]) for i in range(15, 60)) > 0.85


def test_an_identity_survives_a_short_time_behind_something():
    world = PaintedWorld([ball(lambda i: (40 + 4.0 * i, 120.0)), Disc("wall", (120, 120, 60), 40, at_rest(160, 120))])
    answers, _ = run(world, 75, FAST, asked=vocabulary("ball"))
    hidden = [i for i in range(75) if not world.truth(i)[0].any()]
    assert hidden and not any(a.instances for a in (answers[i] for i in hidden[3:]))
    assert {i.track_id for n in (*range(8, 20), *range(60, 75)) for i in answers[n].instances} == {1}


def test_a_thing_that_the_network_overlooks_once_is_kept_with_less_confidence():
    world = PaintedWorld([ball(lambda i: (60 + 2.0 * i, 120.0))])
    overlooked = {9, 10, 11}
    segmenter = truth_segmenter(world, misses=lambda index, disc: index in overlooked)
    answers, _ = run(world, 40, FAST, segmenter=segmenter)
    assert overlooked & {index_of(stamp) for stamp in segmenter.embedded}
    assert all(best_iou(answers[i], world.truth(i)[0]) > 0.8 for i in range(4, 40))
    assert {i.track_id for n in range(4, 40) for i in answers[n].instances} == {1}
    assert min(answers[n].instances[0].confidence for n in range(12, 16)) < 0.8 * answers[8].instances[0].confidence


def test_a_thing_that_vanishes_is_given_up():
    world = PaintedWorld([ball(lambda i: (60 + 2.0 * i, 120.0) if i < 15 else None)])
    answers, _ = run(world, 40, FAST)
    assert answers[14].instances
    assert not any(answers[i].instances for i in range(26, 40))


def test_gray_images_are_followed_too():
    world = PaintedWorld([ball(lambda i: (50 + 3.0 * i, 120.0))], gray=True)
    answers, _ = run(world, 50)
    assert np.mean([best_iou(answers[i], world.truth(i)[0]) for i in range(15, 50)]) > 0.85


@pytest.mark.parametrize("size", [(720, 1280), (1080, 1920), (640, 360), (243, 317), (60, 80)])
def test_any_image_size_is_answered_at_that_size(size):
    scale = min(size) / 240
    disc = Disc("ball", RED, 30 * scale, lambda i: (size[1] * 0.4 + 4 * scale * i, size[0] * 0.5))
    world = PaintedWorld([disc], size=size, noise=0.0)
    answers, _ = run(world, 10, FAST)
    assert answers[9].size == size and answers[9].instances[0].mask.size == size
    assert best_iou(answers[9], world.truth(9)[0]) > 0.85


def test_a_change_of_size_starts_afresh():
    small, large = PaintedWorld([ball(at_rest())]), PaintedWorld([ball(at_rest())], size=(480, 640))
    pipeline, segmenter = StreamingPipeline(CARRY), truth_segmenter(small)
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(small.frame(0))
    job = pipeline.take_job()
    assert pipeline.step(large.frame(1)).instances == ()
    deliver(pipeline, segmenter, job)
    assert pipeline.step(large.frame(2)).instances == () and pipeline.counters.ignored_results == 1
    assert pipeline.take_job().frame.size == (480, 640)


def test_a_stamp_that_does_not_grow_is_refused_and_reset_recovers():
    world = PaintedWorld([ball(at_rest())])
    pipeline, segmenter = StreamingPipeline(CARRY), truth_segmenter(world)
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(world.frame(50))
    old = pipeline.take_job()
    for index in (50, 3):
        with pytest.raises(ValueError, match=r"stamps must grow; call reset\(\)"):
            pipeline.step(world.frame(index))
    pipeline.reset()
    assert pipeline.step(world.frame(3)).instances == ()
    assert deliver(pipeline, segmenter, old) is None
    assert pipeline.counters.ignored_results == 1
    deliver(pipeline, segmenter, pipeline.take_job())
    assert best_iou(pipeline.step(world.frame(4)), world.truth(4)[0]) > 0.9


def test_without_queries_the_network_rests():
    world = PaintedWorld([ball(at_rest())])
    pipeline = StreamingPipeline(CARRY)
    answers = [pipeline.step(world.frame(i)) for i in range(3)]
    assert pipeline.take_job() is None and pipeline.take_late_job() is None
    assert all(a.results == () and a.instances == () for a in answers)


def test_queries_of_other_cameras_are_left_out():
    pipeline = StreamingPipeline(CARRY, camera="left")
    queries = (query("ball", cameras=("left",)), query("cup", 1, cameras=("right",)), query("box", 2))
    pipeline.set_vocabulary(Vocabulary(1, queries))
    pipeline.step(PaintedWorld([]).frame(0))
    assert pipeline.take_job().prompts == prompts("ball", "box")


def test_a_query_is_not_searched_more_often_than_its_rate():
    world = PaintedWorld([ball(lambda i: (50 + 3.0 * i, 60.0)), ball(at_rest(200, 170), GREEN, phrase="cup")])
    segmenter = truth_segmenter(world)
    asked = Vocabulary(1, (query("ball"), query("cup", 1, max_rate_hz=1.0)))
    run(world, 60, FAST, asked=asked, segmenter=segmenter)
    cups = [index_of(stamp) for stamp, phrases in segmenter.decoded if "cup" in phrases]
    assert len(cups) == 2 and cups[1] - cups[0] >= 30
    assert sum("ball" in phrases for _, phrases in segmenter.decoded) > 10


def test_a_failed_job_can_be_taken_again():
    world = PaintedWorld([ball(at_rest())])
    pipeline = StreamingPipeline(CARRY)
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(world.frame(0))
    job = pipeline.take_job()
    pipeline.step(world.frame(1))
    assert pipeline.take_job() is None
    pipeline.abandon(job)
    assert index_of(pipeline.take_job().frame.stamp_ns) == 1
    assert pipeline.counters.failed_jobs == 1


def test_one_keyframe_job_at_a_time_and_only_on_the_newest_frame():
    world = PaintedWorld([ball(lambda i: (50 + 3.0 * i, 60.0))])
    pipeline, segmenter = StreamingPipeline(CARRY), truth_segmenter(world)
    pipeline.set_vocabulary(vocabulary("ball"))
    for i in range(3):
        pipeline.step(world.frame(i))
    job = pipeline.take_job()
    assert index_of(job.frame.stamp_ns) == 2 and pipeline.take_job() is None
    deliver(pipeline, segmenter, job)
    assert pipeline.take_job() is None  # that frame has been looked at


def test_parts_of_a_thing_do_not_take_its_pixels():
    shirt = Disc("shirt", GREEN, 16, lambda i: (80 + 3.0 * i, 120.0))
    person = Disc("person", RED, 40, lambda i: (80 + 3.0 * i, 120.0))
    world = PaintedWorld([person, shirt])

    def find(frame, prompt, options):
        whole = PaintedWorld([person]) if prompt.text == "person" else world
        return truth_segmenter(whole).find(frame, prompt, options)

    answers, _ = run(world, 30, FAST, segmenter=FakeSegmenter(find, "truth"))
    whole_person = world.truth(29)[0] | world.truth(29)[1]
    assert best_iou(answers[29], whole_person) > 0.9
    assert best_iou(answers[29], world.truth(29)[1]) > 0.8


@pytest.mark.parametrize(("max_mask_age_s", "is_kept"), [(2.0, True), (0.9, False)])
def test_a_keyframe_that_showed_little_of_a_thing_does_not_replace_a_model_that_fits(max_mask_age_s, is_kept):
    """Something passed before it while the network looked; the older model is kept, unless it would become too old."""
    passing = Disc("wall", (120, 120, 60), 30, lambda i: (12.0 * i - 20, 118.0))
    world = PaintedWorld([ball(lambda i: (60 + 3.0 * i, 120.0)), passing])
    options = StreamingOptions(propagate=True, max_mask_age_s=max_mask_age_s)
    pipeline, segmenter = StreamingPipeline(options), truth_segmenter(world)
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(world.frame(0))
    deliver(pipeline, segmenter, pipeline.take_job())
    for index in range(1, 11):
        pipeline.step(world.frame(index))
    hidden = pipeline.take_job()
    assert world.truth(10)[0].sum() < 0.1 * world.truth(0)[0].sum()
    for index in range(11, 16):
        pipeline.step(world.frame(index))
    deliver(pipeline, segmenter, hidden)
    answers = {index: pipeline.step(world.frame(index)) for index in range(16, 21)}
    learnt = [a for index, a in answers.items() if index > 16]  # shapes are taken in first, models a frame later
    assert {i.keyframe_stamp_ns for a in learnt for i in a.instances} == {stamp_ns(0 if is_kept else 10)}
    assert min(best_iou(a, world.truth(n)[0]) for n, a in answers.items()) > (0.98 if is_kept else 0.9)
    deliver(pipeline, segmenter, pipeline.take_job())
    pipeline.step(world.frame(21))
    assert pipeline.step(world.frame(22)).instances[0].keyframe_stamp_ns == stamp_ns(20)


@pytest.mark.parametrize(("propagate", "levels"), [(True, {"ball": 76, "cup": 128}), (False, {"ball": 0, "cup": 0})])
def test_masks_may_be_cut_early_where_they_are_carried(propagate, levels):
    pipeline = StreamingPipeline(StreamingOptions(propagate=propagate))
    asked = (query("ball", mask_threshold=0.6), query("ball", 1, "other", mask_threshold=0.3), query("cup", 2))
    pipeline.set_vocabulary(Vocabulary(1, asked))
    pipeline.step(PaintedWorld([]).frame(0))
    job = pipeline.take_job()
    assert {p.text: o.cut_level for p, o in zip(job.prompts, job.options, strict=True)} == levels
