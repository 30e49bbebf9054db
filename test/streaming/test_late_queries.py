"""Queries that come while the network is busy: decoded on the last embedding, learnt, shown once they are active."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from pipeline_world import CARRY, GREEN, at_rest, ball, deliver
from prompts import prompts
from streaming_world import PaintedWorld, best_iou, index_of, stamp_ns, truth_segmenter, vocabulary

from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.streaming.pipeline import KeyframeResult, StreamingOptions, StreamingPipeline
from samlite_ros.types import Prompt, Vocabulary


def test_a_late_query_is_decoded_on_the_last_embedding_and_carried_from_it():
    world = PaintedWorld(
        [ball(lambda i: (60 + 3.0 * i, 60.0)), ball(lambda i: (250 - 2.0 * i, 170.0), GREEN, phrase="cup")]
    )
    pipeline, segmenter = StreamingPipeline(CARRY), truth_segmenter(world)
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(world.frame(0))
    deliver(pipeline, segmenter, pipeline.take_job())
    pipeline.step(world.frame(1))
    running = pipeline.take_job()
    for i in range(2, 12):
        pipeline.step(world.frame(i))
    assert pipeline.take_late_job() is None
    pipeline.set_vocabulary(vocabulary("ball", "cup", epoch=2))
    late = pipeline.take_late_job()
    assert (late.late, late.prompts, index_of(late.frame.stamp_ns)) == (True, prompts("cup"), 0)
    assert pipeline.take_late_job() is None
    deliver(pipeline, segmenter, late)
    answer = pipeline.step(world.frame(12))
    assert best_iou(answer, world.truth(12)[1]) > 0.9
    (cup,) = (i for i in answer.instances if i.matches[0].query.prompt.display == "cup")
    assert cup.keyframe_stamp_ns == stamp_ns(0) and cup.propagated
    deliver(pipeline, segmenter, running)
    again = pipeline.take_job()
    assert again.late and again.prompts == prompts("cup")  # the newest embedding has not been asked for it yet
    deliver(pipeline, segmenter, again)
    pipeline.step(world.frame(13))
    answer = pipeline.step(world.frame(14))
    assert {i.keyframe_stamp_ns for i in answer.instances} == {stamp_ns(1)}
    assert pipeline.counters.late_decodes == 2 and pipeline.counters.keyframes == 2


def test_what_is_found_for_a_pending_query_is_kept_and_shown_once_it_is_active():
    world = PaintedWorld([ball(at_rest()), ball(lambda i: (250 - 2.0 * i, 170.0), GREEN, phrase="cup")])
    pipeline, segmenter = StreamingPipeline(CARRY), truth_segmenter(world)
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(world.frame(0))
    deliver(pipeline, segmenter, pipeline.take_job())
    with_cup = vocabulary("ball", "cup", epoch=2)
    pipeline.set_vocabulary(Vocabulary(2, with_cup.queries[:1], pending=with_cup.queries[1:]))
    late = pipeline.take_late_job()
    assert late.prompts == prompts("cup")
    deliver(pipeline, segmenter, late)
    for index in (1, 2):
        answer = pipeline.step(world.frame(index))
        assert [r.query.prompt.display for r in answer.results] == ["ball"] and len(answer.instances) == 1
    pipeline.set_vocabulary(with_cup)
    assert pipeline.take_late_job() is None
    answer = pipeline.step(world.frame(3))
    assert [(r.query.prompt.display, r.count) for r in answer.results] == [("ball", 1), ("cup", 1)]
    assert best_iou(answer, world.truth(3)[1]) > 0.9


def test_where_nothing_is_carried_a_pending_query_waits_until_it_is_active():
    world = PaintedWorld([ball(at_rest())])
    pipeline = StreamingPipeline(StreamingOptions(propagate=False))
    asked = vocabulary("ball", "cup")
    pipeline.set_vocabulary(Vocabulary(1, asked.queries[:1], pending=asked.queries[1:]))
    pipeline.step(world.frame(0))
    assert pipeline.take_job().prompts == prompts("ball")


@pytest.mark.parametrize("known", [False, True])
def test_a_late_query_may_find_what_is_still_to_be_learnt(known):
    """The keyframe's result and the late query's come between two frames, and find the same thing."""
    world = PaintedWorld([ball(lambda i: (80 + 3.0 * i, 120.0))])
    pipeline, segmenter = StreamingPipeline(CARRY), truth_segmenter(world, also={"sphere": "ball"})
    pipeline.set_vocabulary(vocabulary("ball"))
    first = 0
    if known:
        pipeline.step(world.frame(0))
        deliver(pipeline, segmenter, pipeline.take_job())
        first = 1
    pipeline.step(world.frame(first))
    deliver(pipeline, segmenter, pipeline.take_job())
    pipeline.set_vocabulary(vocabulary("ball", "sphere", epoch=2))
    late = pipeline.take_late_job()
    assert late.prompts == prompts("sphere")
    deliver(pipeline, segmenter, late)
    for index in (first + 1, first + 2):
        answer = pipeline.step(world.frame(index))
        (instance,) = answer.instances
        assert {m.query.prompt.display for m in instance.matches} == {"ball", "sphere"}
        if not known or index > first + 1:  # models of what is known are learnt a frame after its shape is taken in
            assert instance.keyframe_stamp_ns == stamp_ns(first)
        assert best_iou(answer, world.truth(index)[0]) > 0.9


def test_what_was_found_first_is_learnt_where_a_late_query_finds_the_same_a_little_larger():
    world = PaintedWorld([ball(lambda i: (60 + 6.0 * i, 120.0))])
    pipeline, segmenter = StreamingPipeline(CARRY), truth_segmenter(world, also={"sphere": "ball"})
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(world.frame(0))
    job = pipeline.take_job()
    for index in range(1, 9):
        pipeline.step(world.frame(index))
    deliver(pipeline, segmenter, job)
    pipeline.set_vocabulary(vocabulary("ball", "sphere", epoch=2))
    late = pipeline.take_late_job()
    larger = cv2.dilate(world.truth(0)[0].astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    result = replace(segmenter.find(late.frame, Prompt("sphere"), late.options[0]), masks=(mask_from_array(larger),))
    pipeline.deliver(KeyframeResult(late, (result,), "truth"))
    for index in range(9, 12):
        answer = pipeline.step(world.frame(index))
        (instance,) = answer.instances
        assert {m.query.prompt.display for m in instance.matches} == {"ball", "sphere"}
        assert best_iou(answer, world.truth(index)[0]) > 0.9


def test_a_result_that_is_on_its_way_makes_room_for_other_late_queries_and_outlives_no_reset():
    world = PaintedWorld([ball(at_rest()), ball(at_rest(220), GREEN, phrase="cup")])
    pipeline, segmenter = StreamingPipeline(CARRY), truth_segmenter(world)
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(world.frame(0))
    deliver(pipeline, segmenter, pipeline.take_job())
    pipeline.set_vocabulary(vocabulary("ball", "cup", epoch=2))
    first = pipeline.take_late_job()
    pipeline.note_done(first)
    assert pipeline.take_late_job() is None
    pipeline.set_vocabulary(vocabulary("ball", "cup", "box", epoch=3))
    second = pipeline.take_late_job()
    assert (first.prompts, second.prompts) == (prompts("cup"), prompts("box"))
    deliver(pipeline, segmenter, first)
    assert {m.query.prompt.display for i in pipeline.step(world.frame(1)).instances for m in i.matches} == {
        "ball",
        "cup",
    }
    pipeline.note_done(second)
    pipeline.reset()
    deliver(pipeline, segmenter, second)
    assert pipeline.counters.ignored_results == 1


def test_what_is_decoded_before_the_result_of_its_pass_is_taken_over_is_not_decoded_again():
    world = PaintedWorld([ball(at_rest()), ball(at_rest(220), GREEN, phrase="cup")])
    pipeline, segmenter = StreamingPipeline(CARRY), truth_segmenter(world)
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(world.frame(0))
    job = pipeline.take_job()
    pipeline.note_done(job)
    pipeline.set_vocabulary(vocabulary("ball", "cup", epoch=2))
    late = pipeline.take_late_job()
    assert late.prompts == prompts("cup")
    pipeline.note_done(late)
    deliver(pipeline, segmenter, job)
    assert pipeline.take_late_job() is None
    deliver(pipeline, segmenter, late)
    assert {m.query.prompt.display for i in pipeline.step(world.frame(1)).instances for m in i.matches} == {
        "ball",
        "cup",
    }


def test_two_things_of_two_phrases_on_one_image_stay_two_where_that_is_asked():
    world = PaintedWorld([ball(at_rest())])
    options = StreamingOptions(propagate=True, merge_prompts=False)
    pipeline, segmenter = StreamingPipeline(options), truth_segmenter(world, also={"sphere": "ball"})
    pipeline.set_vocabulary(vocabulary("ball"))
    pipeline.step(world.frame(0))
    deliver(pipeline, segmenter, pipeline.take_job())
    pipeline.set_vocabulary(vocabulary("ball", "sphere", epoch=2))
    deliver(pipeline, segmenter, pipeline.take_late_job())
    answer = pipeline.step(world.frame(1))
    assert sorted(m.query.prompt.display for i in answer.instances for m in i.matches) == ["ball", "sphere"]
    assert len({i.track_id for i in answer.instances}) == 2
