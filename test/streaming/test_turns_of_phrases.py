"""Phrases take turns under a budget: what is not decoded in a pass is carried on, and is never counted as absent."""

from dataclasses import replace

import numpy as np
import pytest
from pipeline_world import BLUE, GREEN, RED, at_rest, ball, deliver, run
from streaming_world import PaintedWorld, best_iou, query, stamp_ns, truth_segmenter, vocabulary

from samlite_ros.streaming.pipeline import KeyframeResult, StreamingOptions, StreamingPipeline
from samlite_ros.types import Prompt, Vocabulary
from samlite_ros.virtual.latency import LatencyProfile

COLORS = {"ball": RED, "cup": GREEN, "box": BLUE}
PROFILE = LatencyProfile(0.1, 0.05)
ONE_A_PASS = StreamingOptions(propagate=True, decode_budget_s=0.05)


def moving_world(*absent):
    """Three things that move all the time, each with a phrase of its own."""
    starts = {"ball": (60, 60), "cup": (160, 120), "box": (250, 180)}
    discs = [
        ball(lambda i, x=x, y=y: (x + 25 * np.sin(i / 10), y + 10 * np.cos(i / 7)), COLORS[name], 22, name)
        for name, (x, y) in starts.items()
        if name not in absent
    ]
    return PaintedWorld(discs)


def searched(answer):
    return {r.query.prompt.text: r.keyframe_stamp_ns for r in answer.results}


def test_each_pass_decodes_what_the_budget_pays_for_and_all_have_their_turn():
    _, virtual = run(moving_world(), 45, PROFILE, ONE_A_PASS)
    record = virtual.record
    assert all(p.prompts == 1 for p in record.passes)
    _, all_at_once = run(moving_world(), 45, PROFILE, StreamingOptions(propagate=True))
    passes = [p for p in record.passes if not p.late]
    assert len(passes) > 1.3 * sum(not p.late for p in all_at_once.record.passes)


def test_things_whose_phrase_waits_for_its_turn_are_carried_on_under_their_ids():
    world = moving_world()
    answers, _ = run(world, 75, PROFILE, ONE_A_PASS)
    for i in range(30, 75):
        assert len(answers[i].instances) == 3, i
        assert min(best_iou(answers[i], truth) for truth in world.truth(i)) > 0.6, i
    assert len({instance.track_id for i in range(30, 75) for instance in answers[i].instances}) == 3


def test_masks_are_shown_until_their_turn_even_where_that_is_longer_than_masks_live():
    options = StreamingOptions(propagate=True, decode_budget_s=0.05, max_mask_age_s=0.4)
    answers, virtual = run(moving_world(), 90, PROFILE, options)
    shown = [len(answers[i].instances) for i in range(30, 90)]
    assert np.mean(shown) > 2.9
    oldest_s = max(
        (answers[i].stamp_ns - n.keyframe_stamp_ns) / 1e9 for i in range(30, 90) for n in answers[i].instances
    )
    assert 0.4 < oldest_s < 1.0
    turn = answers[89].results[0].turn
    assert turn.passes == 6 and turn.wait_s == pytest.approx(6 * 0.167, abs=0.15)
    assert virtual.record.counters.withdrawn <= 3


def test_masks_are_withdrawn_when_the_network_stays_away_whoever_has_the_turn():
    world = PaintedWorld([ball(at_rest()), ball(at_rest(200), GREEN, phrase="cup")])
    pipeline = StreamingPipeline(StreamingOptions(propagate=True, max_mask_age_s=0.5, decode_budget_s=1.0))
    segmenter = truth_segmenter(world)
    pipeline.set_vocabulary(vocabulary("ball", "cup"))
    pipeline.step(world.frame(0))
    deliver(pipeline, segmenter, pipeline.take_job())
    deliver(pipeline, segmenter, pipeline.take_late_job())
    assert any(pipeline.step(world.frame(i)).instances for i in range(1, 15))
    assert not pipeline.step(world.frame(16)).instances


def test_masks_of_passes_that_take_longer_than_masks_live_are_shown_while_results_come():
    options = StreamingOptions(propagate=True, decode_budget_s=0.05, max_mask_age_s=0.2)
    answers, _ = run(moving_world(), 75, PROFILE, options)
    assert np.mean([len(answers[i].instances) for i in range(30, 75)]) > 2.9


def test_a_thing_that_is_gone_when_its_phrase_has_its_turn_ends():
    world = PaintedWorld(
        [
            ball(lambda i: (60 + 2 * np.sin(i), 60.0)),
            ball(lambda i: (200, 100) if i < 40 else None, GREEN, phrase="cup"),
        ]
    )
    answers, _ = run(world, 80, PROFILE, ONE_A_PASS)
    assert len(answers[35].instances) == 2
    assert [m.query.prompt.text for m in answers[79].instances[0].matches] == ["ball"]
    assert len(answers[79].instances) == 1


def test_what_one_phrase_misses_and_another_one_finds_at_its_turn_is_not_ended():
    """Found by "ball" for a while only, by "sphere" always."""
    world = PaintedWorld([ball(lambda i: (100 + 40 * np.sin(i / 12), 100.0))])
    segmenter = truth_segmenter(world, also={"sphere": "ball"})
    find = segmenter.find

    def forgetful(frame, prompt, options):
        late = frame.stamp_ns > stamp_ns(35)
        return find(frame, Prompt("nothing") if late and prompt.text == "ball" else prompt, options)

    segmenter.find = lambda f, p, o: type(find(f, p, o))(p, *vars_of(forgetful(f, p, o)))
    answers, _ = run(world, 100, PROFILE, ONE_A_PASS, vocabulary("ball", "sphere"), segmenter)
    assert all(len(answers[i].instances) == 1 for i in range(30, 100))
    assert len({answers[i].instances[0].track_id for i in range(30, 100)}) == 1
    assert {m.query.prompt.text for m in answers[99].instances[0].matches} == {"sphere"}


def vars_of(result):
    return result.presence, result.scores, result.boxes_xyxy, result.masks


def test_a_phrase_that_waits_says_when_it_was_searched_and_has_no_other_images_presence():
    answers, _ = run(moving_world("box"), 75, PROFILE, ONE_A_PASS, vocabulary("ball", "cup", "box"))
    stamps = [searched(answers[i])["box"] for i in range(30, 75)]
    assert len(set(stamps)) <= 45 / 30 / 0.3
    assert all(r.presence == pytest.approx(0.02) for i in range(30, 75) for r in answers[i].results[2:])


def test_in_a_still_scene_the_rest_is_decoded_on_the_embedding_that_is_there():
    world = PaintedWorld([ball(at_rest()), ball(at_rest(200, 60), GREEN, phrase="cup")])
    asked = vocabulary("ball", "cup", *(f"none {n}" for n in range(20)))
    answers, virtual = run(world, 44, PROFILE, ONE_A_PASS, asked)
    assert virtual.record.embeddings == 1
    assert all(r.keyframe_stamp_ns == stamp_ns(0) for r in answers[43].results)
    assert len(answers[43].instances) == 2


def test_new_phrases_are_decoded_late_for_one_passs_share_and_known_ones_are_not_held_up():
    world = moving_world()
    pipeline, segmenter = (
        StreamingPipeline(StreamingOptions(propagate=True, decode_budget_s=0.1)),
        truth_segmenter(world),
    )
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(world.frame(0))
    job = pipeline.take_job()
    deliver_in(pipeline, segmenter, job, 0.05)
    pipeline.step(world.frame(1))
    pipeline.set_vocabulary(vocabulary("ball", *(f"new {n}" for n in range(10)), epoch=2))
    late = pipeline.take_job()
    assert late.late and len(late.prompts) == 2
    deliver_in(pipeline, segmenter, late, 0.05)
    following = pipeline.take_job()
    assert not following.late and len(following.prompts) == 2


def deliver_in(pipeline, segmenter, job, decode_s):
    """Deliver what each phrase took so long for."""
    found = (segmenter.find(job.frame, *asked) for asked in zip(job.prompts, job.options, strict=True))
    pipeline.deliver(KeyframeResult(job, tuple(replace(r, decode_s=decode_s) for r in found), "truth"))


def test_a_high_priority_is_in_every_pass():
    asked = Vocabulary(1, (query("ball", 0, priority=3), *(query(f"none {n}", n + 1) for n in range(9))))
    answers, virtual = run(moving_world(), 60, PROFILE, StreamingOptions(propagate=True, decode_budget_s=0.15), asked)
    passes = [p for p in virtual.record.passes if not p.late]
    assert all(p.prompts <= 3 for p in passes)
    newest = answers[59]
    assert searched(newest)["ball"] == newest.keyframe_stamp_ns
    assert newest.results[0].turn.passes == 1


def test_too_small_a_budget_is_told_with_the_numbers():
    options = StreamingOptions(propagate=True, decode_budget_s=0.01, max_turn_age_s=0.3)
    answers, _ = run(moving_world(), 45, PROFILE, options)
    told = answers[44].results[0].turn.overload
    assert "decode_budget is 10 ms" in told and "50 ms" in told and "carried for 0.3 s" in told


@pytest.mark.parametrize("propagate", [False, True])
def test_the_outcome_is_the_same_every_time(propagate):
    options = StreamingOptions(propagate=propagate, decode_budget_s=0.1)
    asked = vocabulary("ball", "cup", "box", *(f"none {n}" for n in range(5)))

    def content():
        answers, virtual = run(moving_world(), 30, PROFILE, options, asked)
        masks = [i.mask.full().tobytes() for a in answers.values() for i in a.instances]
        return [searched(a) for a in answers.values()], masks, virtual.record.passes

    assert content() == content()
