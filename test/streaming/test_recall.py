"""Looking back: a new prompt is looked for in kept keyframes, once each at the most."""

import numpy as np
from fake_segmenter import found
from prompts import prompts
from streaming_world import vocabulary

from samlite_ros.pixels.masks import mask_from_array
from samlite_ros.streaming.recall import RecallBook
from samlite_ros.types import Prompt

SEEN = (mask_from_array(np.ones((2, 2), bool)),)


def result(text, seen=False):
    return found(Prompt(text), SEEN if seen else ())


def book_after_passes(*stamps, phrases=("ball",)):
    book = RecallBook("front")
    book.ask(vocabulary(*phrases))
    for stamp in stamps:
        book.note_search(stamp, [result(p, seen=True) for p in phrases])
    return book


def test_a_new_prompt_is_looked_for_from_its_first_search_back_until_it_is_found():
    book = book_after_passes(10, 20, 30, 40)
    book.ask(vocabulary("ball", "cup"))
    assert book.take([40, 30, 20, 10]) is None
    book.note_search(40, [result("cup")])
    looked, told = [], []
    while (job := book.take([40, 30, 20, 10])) is not None:
        looked.append((job.camera, job.stamp_ns, job.prompts))
        told += book.note_recall(job, [result("cup", seen=job.stamp_ns <= 20)])
    assert looked == [("front", stamp, prompts("cup")) for stamp in (30, 10, 20)]
    assert [(t.camera, t.stamp_ns, t.prompt.text) for t in told] == [("front", 10, "cup"), ("front", 20, "cup")]


def test_a_look_wants_no_masks_and_one_instance():
    book = book_after_passes(10, 20)
    book.ask(vocabulary("ball", "cup"))
    book.note_search(20, [result("cup")])
    (option,) = book.take([20, 10]).options
    assert (option.masks, option.max_instances) == (False, 1)


def test_what_is_in_sight_now_or_comes_into_sight_is_not_looked_for():
    book = book_after_passes(10, 20)
    book.ask(vocabulary("ball", "cup", "box"))
    book.note_search(20, [result("cup", seen=True), result("box")])
    assert book.take([20, 10]).prompts == prompts("box")
    book.note_search(30, [result("box", seen=True)])
    assert book.take([30, 20, 10]) is None


def test_what_was_asked_from_the_start_is_not_looked_for():
    book = RecallBook("")
    book.ask(vocabulary("ball", "cup"))
    book.note_search(10, [result("ball"), result("cup")])
    assert book.take([10]) is None
    book.note_search(20, [result("ball"), result("cup")])
    assert book.take([20, 10]) is None


def test_a_look_that_came_to_nothing_is_taken_again_and_one_without_a_result_is_not():
    book = book_after_passes(10, 20, 30)
    book.ask(vocabulary("ball", "cup"))
    book.note_search(30, [result("cup")])
    job = book.take([30, 20, 10])
    assert book.take([30, 20, 10]) == job
    assert book.note_recall(job, []) == []
    assert book.take([30, 20, 10]).stamp_ns == 10


def test_keyframes_from_before_a_reset_are_of_no_use():
    book = book_after_passes(10, 20)
    book.ask(vocabulary("ball", "cup"))
    book.forget()
    book.note_search(15, [result("ball"), result("cup")])
    assert book.take([15, 10]) is None


def test_a_withdrawn_prompt_is_looked_for_no_more_and_anew_when_it_comes_back():
    book = book_after_passes(10, 20)
    book.ask(vocabulary("ball", "cup"))
    book.note_search(20, [result("cup")])
    job = book.take([20, 10])
    book.ask(vocabulary("ball"))
    assert book.take([20, 10]) is None
    assert book.note_recall(job, [result("cup", seen=True)]) == []
    book.ask(vocabulary("ball", "cup"))
    book.note_search(20, [result("cup")])
    assert book.take([20, 10]).stamp_ns == 10


def test_several_prompts_share_a_look_and_no_more_than_allowed():
    book = book_after_passes(10, 20)
    names = [f"new {n}" for n in range(6)]
    book.ask(vocabulary("ball", *names))
    book.note_search(20, [result(name) for name in names])
    first = book.take([20, 10], 4)
    assert len(first.prompts) == len(first.options) == 4
    book.note_recall(first, [])
    assert len(book.take([20, 10], 4).prompts) == 2
