import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompts import prompts

from samlite_ros.errors import PhraseTooLongError
from samlite_ros.queries import (
    Action,
    HoldUps,
    Hysteresis,
    Outcome,
    QueryOptions,
    QueryRegistry,
    QueryRequest,
    Refusal,
    State,
    embed_pending,
    normalise_phrase,
)
from samlite_ros.queries.class_ids import REST_NS
from samlite_ros.queries.registry import ENDED_KEPT_NS, MAX_ENDED
from samlite_ros.types import QueryKey, QueryResult, Segmentation

S = 1_000_000_000


def ask(id="q", text="red ball", client="planner", **fields):
    return QueryRequest(QueryKey(client, id), text, **fields)


def ready_registry(*requests, options=None, now_ns=S):
    registry = QueryRegistry(options)
    for request in requests:
        registry.apply(request, now_ns)
    embed_pending(registry, lambda prompts: None, now_ns)
    return registry


def status_of(registry, id="q", client="planner"):
    found = [s for s in registry.statuses() if s.key == QueryKey(client, id)]
    assert len(found) == 1
    return found[0]


def answer(registry, stamp_ns, counts, camera="", presence=0.7):
    """A segmentation that saw each active query `counts` times."""
    results = tuple(
        QueryResult(query, stamp_ns, presence, count)
        for query, count in zip(registry.vocabulary.queries, counts, strict=True)
    )
    return Segmentation(stamp_ns, "", camera, (4, 4), "m", registry.vocabulary.epoch, stamp_ns, results, ())


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Red  Ball", "red ball"),
        ("\tred\n ball ", "red ball"),
        ("\uff52\uff45\uff44 ball", "red ball"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("ﬁsh", "fish"),
        ("red\x00ball", "red ball"),
        ("  ", ""),
        ("\u200b", ""),
    ],
)
def test_normalise_phrase(text, phrase):
    assert normalise_phrase(text) == phrase


@given(st.text(max_size=30))
def test_normalising_twice_changes_nothing(text):
    assert normalise_phrase(normalise_phrase(text)) == normalise_phrase(text)


def test_pending_until_embedded_then_active():
    registry = QueryRegistry()
    registry.apply(ask(stamp_ns=7), S)
    assert status_of(registry).state == State.PENDING
    assert registry.vocabulary.queries == ()
    (pending,) = registry.vocabulary.pending
    assert (pending.prompt, pending.class_id, registry.vocabulary.epoch) == (*prompts("red ball"), 0, 1)
    embed_pending(registry, lambda prompts: None, S)
    assert (registry.vocabulary.queries, registry.vocabulary.pending) == ((pending,), ())
    status = status_of(registry)
    assert (status.state, status.outcome, status.request_stamp_ns) == (State.ACTIVE, Outcome.UNKNOWN, 7)
    assert math.isnan(status.presence)
    (query,) = registry.vocabulary.queries
    assert (query.prompt.display, query.class_id, query.score_threshold) == ("red ball", 0, 0.5)


def test_a_phrase_that_is_too_long_is_rejected_with_its_count():
    registry = QueryRegistry()
    registry.apply(ask(text="short"), S)
    registry.apply(ask("r", "long"), S)

    def embed(new):
        if new == [*prompts("long")]:
            raise PhraseTooLongError("long", 41, 32)

    embed_pending(registry, embed, S)
    status = status_of(registry, "r")
    assert (status.state, status.reason) == (State.REJECTED, Refusal.TEXT_TOO_LONG)
    assert "41" in status.message
    assert status_of(registry).state == State.ACTIVE


@pytest.mark.parametrize(
    ("request_", "reason", "names"),
    [
        (ask(text=" \n"), Refusal.TEXT_EMPTY, "' \\n'"),
        (ask(text="x" * 1001), Refusal.TEXT_TOO_LONG, "1001"),
        (ask(id=""), Refusal.ID_INVALID, "empty"),
        (ask(id="x" * 257), Refusal.ID_INVALID, "257"),
        (ask(client="x" * 257), Refusal.ID_INVALID, "client has 257"),
        (ask(action=9), Refusal.UNKNOWN_ACTION, "9"),
        (ask(action=Action.REMOVE), Refusal.UNKNOWN_QUERY, "'q'"),
        (ask(cameras=("left", "top")), Refusal.UNKNOWN_CAMERA, "top"),
        (ask(score_threshold=1.5), Refusal.BAD_THRESHOLD, "score_threshold is 1.5"),
        (ask(mask_threshold=-0.1), Refusal.BAD_THRESHOLD, "mask_threshold is -0.1"),
        (ask(score_threshold=math.nan), Refusal.BAD_THRESHOLD, "nan"),
        (ask(lifetime_ns=-S), Refusal.BAD_LIFETIME, "-1.0 s"),
        (ask(max_rate_hz=-2.0), Refusal.BAD_RATE, "-2.0"),
        (ask(max_rate_hz=math.inf), Refusal.BAD_RATE, "inf"),
        (ask(max_rate_hz=math.nan), Refusal.BAD_RATE, "nan"),
        (ask(exemplars=2), Refusal.UNSUPPORTED, "2 exemplars"),
    ],
)
def test_rejections(request_, reason, names):
    registry = QueryRegistry(QueryOptions(cameras=("left",)))
    returned = registry.apply(request_, S)
    (status,) = registry.statuses()
    assert returned == status
    assert (status.state, status.reason, status.key) == (State.REJECTED, reason, request_.shortened().key)
    assert names in status.message
    assert registry.vocabulary.queries == ()


def test_too_many_queries_and_room_again():
    registry = ready_registry(ask("a"), ask("b"), ask("c"), options=QueryOptions(max_queries=2))
    assert status_of(registry, "c").reason == Refusal.TOO_MANY_QUERIES
    registry.apply(ask("a", "blue ball"), S)  # replacing needs no room
    assert status_of(registry, "a").state == State.PENDING
    registry.apply(ask("b", action=Action.REMOVE), S)
    registry.apply(ask("c"), S)
    assert status_of(registry, "c").state == State.PENDING


def test_replacing_keeps_or_forgets_the_evidence():
    registry = ready_registry(ask(), options=QueryOptions(hysteresis=Hysteresis(1, 1)))
    registry.record(answer(registry, 5, [1]))
    registry.apply(ask(lifetime_ns=3 * S, stamp_ns=9), 2 * S)
    status = status_of(registry)
    assert (status.outcome, status.last_seen_ns, status.expires_ns, status.request_stamp_ns) == (
        Outcome.FOUND,
        5,
        5 * S,
        9,
    )
    registry.apply(ask(text="blue ball"), 2 * S)
    assert status_of(registry).outcome == Outcome.UNKNOWN


def test_a_rejected_replacement_leaves_the_query_as_it_was():
    registry = ready_registry(ask(stamp_ns=1))
    before = registry.vocabulary
    registry.apply(ask(text="blue ball", score_threshold=2.0, stamp_ns=2), S)
    assert registry.vocabulary is before
    states = {status.request_stamp_ns: status.state for status in registry.statuses()}
    assert states == {1: State.ACTIVE, 2: State.REJECTED}


def test_a_good_replacement_clears_the_rejection():
    registry = ready_registry(ask(stamp_ns=1))
    registry.apply(ask(score_threshold=2.0, stamp_ns=2), S)
    registry.apply(ask(stamp_ns=3), S)
    assert [(s.request_stamp_ns, s.state) for s in registry.statuses()] == [(3, State.ACTIVE)]


def test_clear_and_sets_touch_one_client_only():
    registry = ready_registry(ask("a"), ask("b"), ask("a", client="other"))
    registry.apply(ask(id="", action=Action.CLEAR), S)
    assert [q.key.client for q in registry.vocabulary.queries] == ["other"]
    registry.replace_set("planner", [ask("c", client="other"), ask("d")], S)
    assert {s.key for s in registry.statuses() if s.state == State.PENDING} <= {("planner", "c"), ("planner", "d")}
    assert ("other", "a") in {q.key for q in registry.vocabulary.queries}


def test_a_set_leaves_the_same_queries_undisturbed():
    registry = ready_registry(ask("a"), ask("b", "blue ball"), options=QueryOptions(hysteresis=Hysteresis(1, 1)))
    registry.record(answer(registry, 5, [1, 1]))
    registry.replace_set("planner", [ask("b", "blue ball"), ask("c", "cone")], 2 * S)
    assert status_of(registry, "a").state == State.REMOVED
    assert status_of(registry, "b").outcome == Outcome.FOUND
    assert status_of(registry, "c").state == State.PENDING


def test_texts_replace_the_text_client_only():
    registry = ready_registry(ask("a"))
    registry.replace_texts("text", ["red ball", " Blue  cone", "", " blue cone "], S)
    mine = [s for s in registry.statuses() if s.key.client == "text"]
    assert [s.key.id for s in mine] == ["red ball", "blue cone"]
    registry.replace_texts("text", [""], S)
    assert {s.state for s in registry.statuses() if s.key.client == "text"} == {State.REMOVED}
    assert status_of(registry, "a").state == State.ACTIVE


def test_lifetime_and_how_long_ended_queries_are_told():
    registry = ready_registry(ask(lifetime_ns=2 * S), now_ns=10 * S)
    assert status_of(registry).expires_ns == 12 * S
    registry.advance(12 * S - 1)
    assert status_of(registry).state == State.ACTIVE
    registry.advance(12 * S)
    assert status_of(registry).state == State.EXPIRED
    assert registry.vocabulary.queries == ()
    registry.advance(12 * S + ENDED_KEPT_NS)
    assert registry.statuses() == []


def test_a_clock_that_jumps_back_takes_lifetimes_with_it():
    registry = ready_registry(ask(lifetime_ns=5 * S), now_ns=100 * S)
    registry.advance(102 * S)
    registry.advance(10 * S)  # a bag loops
    assert status_of(registry).expires_ns == 13 * S
    registry.advance(13 * S)
    assert status_of(registry).state == State.EXPIRED


def test_two_clients_share_a_class_id_until_both_are_gone():
    registry = ready_registry(ask("a"), ask("b", "Red BALL", client="other"), ask("c", "cone"))
    assert [q.class_id for q in registry.vocabulary.queries] == [0, 0, 1]
    epoch = registry.vocabulary.epoch
    registry.apply(ask("a", action=Action.REMOVE), S)
    assert registry.vocabulary.epoch == epoch
    registry.apply(ask("b", client="other", action=Action.REMOVE), S)
    assert registry.vocabulary.epoch == epoch + 1


def test_freed_class_ids_rest():
    registry = ready_registry(ask("a", "one"), ask("b", "two"))
    registry.apply(ask("a", action=Action.REMOVE), 2 * S)
    registry.apply(ask("c", "three"), 3 * S)
    assert status_of(registry, "c").class_id == 2
    registry.apply(ask("d", "one"), 4 * S)  # its own id, still resting
    assert status_of(registry, "d").class_id == 0
    registry.apply(ask("d", action=Action.REMOVE), 5 * S)
    registry.apply(ask("e", "four"), 5 * S + REST_NS)
    assert status_of(registry, "e").class_id == 0


def test_class_ids_run_out_and_come_back():
    registry = QueryRegistry()
    for i in range(255):
        registry.apply(ask(f"{i}", f"thing {i}", client=f"{i % 2}"), S)
    assert {s.class_id for s in registry.statuses()} == set(range(255))
    registry.apply(ask("more", "thing more"), S)
    assert status_of(registry, "more").reason == Refusal.CLASS_IDS_EXHAUSTED
    registry.apply(ask("same", "thing 7"), S)
    assert status_of(registry, "same").class_id == 7
    registry.apply(ask("3", action=Action.REMOVE, client="1"), S)
    registry.apply(ask("more", "thing more"), 2 * S)
    assert status_of(registry, "more").state == State.REJECTED
    registry.apply(ask("more", "thing more"), S + REST_NS)
    assert status_of(registry, "more").class_id == 3


def test_hysteresis():
    registry = ready_registry(ask(), options=QueryOptions(hysteresis=Hysteresis(found_after=2, not_found_after=3)))
    seen = [0, 0, 0, 1, 1, 0, 1, 0, 0, 0]
    unknown, found, lost = Outcome.UNKNOWN, Outcome.FOUND, Outcome.NOT_FOUND
    outcomes = []
    for stamp_ns, count in enumerate(seen, 1):
        registry.record(answer(registry, stamp_ns, [count]))
        registry.record(answer(registry, stamp_ns, [count]))  # the same search again counts once
        outcomes.append(status_of(registry).outcome)
    assert outcomes == [unknown, unknown, lost, lost, found, found, found, found, found, lost]
    status = status_of(registry)
    assert (status.last_searched_ns, status.last_seen_ns) == (10, 7)
    assert status.presence == pytest.approx(0.7)


@pytest.mark.parametrize(("count", "outcome"), [(1, Outcome.FOUND), (0, Outcome.NOT_FOUND)])
def test_in_a_still_scene_one_search_settles(count, outcome):
    registry = ready_registry(ask(), options=QueryOptions(hysteresis=Hysteresis(2, 3, settle_ns=2 * S)))
    searched = answer(registry, 10 * S, [count])
    for stamp_ns, expected in ((10 * S, Outcome.UNKNOWN), (12 * S - 1, Outcome.UNKNOWN), (12 * S, outcome)):
        registry.record(replace(searched, stamp_ns=stamp_ns))
        assert status_of(registry).outcome == expected


def test_outcome_over_several_cameras():
    options = QueryOptions(cameras=("left", "right"), hysteresis=Hysteresis(1, 1))
    registry = ready_registry(ask("both"), ask("left", cameras=("left",)), options=options)
    registry.record(answer(registry, 1, [0, 0], camera="left"))
    assert status_of(registry, "both").outcome == Outcome.UNKNOWN
    assert status_of(registry, "left").outcome == Outcome.NOT_FOUND
    registry.record(answer(registry, 2, [0, 0], camera="right"))
    assert status_of(registry, "both").outcome == Outcome.NOT_FOUND
    registry.record(answer(registry, 3, [2, 0], camera="right"))
    status = status_of(registry, "both")
    assert (status.outcome, status.last_seen_camera, status.last_seen_ns) == (Outcome.FOUND, "right", 3)


def test_results_of_replaced_queries_and_unsearched_ones_do_not_count():
    registry = ready_registry(ask())
    late = answer(registry, 5, [1])
    registry.apply(ask(text="cone"), S)
    registry.record(late)
    assert status_of(registry).last_searched_ns == 0
    embed_pending(registry, lambda prompts: None, S)
    registry.record(answer(registry, 6, [1], presence=math.nan))
    assert status_of(registry).last_searched_ns == 0


def test_revision_and_vocabulary_change_only_when_something_does():
    registry = ready_registry(ask(), options=QueryOptions(hysteresis=Hysteresis(1, 1)))
    vocabulary, revision = registry.vocabulary, registry.revision
    registry.advance(2 * S)
    registry.record(answer(registry, 1, [1]))
    assert registry.revision == revision + 1  # UNKNOWN to FOUND
    registry.record(answer(registry, 2, [1]))
    assert registry.revision == revision + 1
    assert registry.vocabulary is vocabulary


def test_new_defaults_apply_to_standing_queries():
    registry = ready_registry(ask("a"), ask("b", score_threshold=0.9))
    registry.configure(replace(QueryOptions(), score_threshold=0.3))
    assert [q.score_threshold for q in registry.vocabulary.queries] == [0.3, 0.9]


def test_suspended_queries_are_pending_again():
    registry = ready_registry(ask())
    registry.suspend()
    assert status_of(registry).state == State.PENDING
    assert registry.pending_prompts == prompts("red ball")


def test_what_a_query_waits_for_is_in_its_status():
    registry = QueryRegistry(QueryOptions(cameras=("front", "rear"), hysteresis=Hysteresis(found_after=2)))
    registry.apply(ask(), S)
    assert status_of(registry).message == "its text waits for the network"
    embed_pending(registry, lambda prompts: None, S)
    assert status_of(registry).message == "waits for a pass of the network"
    revision = registry.revision
    registry.hold_up(HoldUps(cameras={"front": "", "rear": "no image"}))
    assert (status_of(registry).message, registry.revision) == ("camera rear: no image", revision + 1)
    registry.hold_up(HoldUps("the node sleeps", {"rear": "no image"}))
    assert status_of(registry).message == "the node sleeps"
    registry.hold_up(HoldUps())
    registry.record(answer(registry, 1, [1], camera="front"))
    assert status_of(registry).message == "too few images were searched yet"
    registry.record(answer(registry, 2, [1], camera="front"))
    assert (status_of(registry).outcome, status_of(registry).message) == (Outcome.FOUND, "")


@pytest.mark.parametrize(("action", "message"), [(Action.REMOVE, ""), (None, "no image")])
def test_what_it_waited_for_is_told_of_a_query_that_expired_but_not_of_one_that_was_removed(action, message):
    registry = ready_registry(ask(lifetime_ns=S))
    registry.hold_up(HoldUps(cameras={"": "no image"}))
    if action is None:
        registry.advance(3 * S)
    else:
        registry.apply(ask(action=action), S)
    assert status_of(registry).message == message


def test_a_flood_of_rejections_does_not_grow_without_bound():
    registry = QueryRegistry()
    for i in range(MAX_ENDED + 10):
        registry.apply(ask(f"{i}", text="", client=f"client {i % 3}"), S)
    assert len(registry.statuses()) == MAX_ENDED
