"""What planners may ask and may not: each row is refused with its number, cut, and costs others nothing."""

import math
import time
from dataclasses import replace

import pytest
from bounds import bounds

from samlite_ros.foreign.stamps import END_NS
from samlite_ros.messages.cdr_head import CdrHead
from samlite_ros.queries import Action, QueryOptions, QueryRegistry, QueryRequest, Refusal, State, embed_pending
from samlite_ros.types import QueryKey

NOW_NS = 1_700_000_000_000_000_000
OPTIONS = QueryOptions(cameras=("left", "right"), max_queries=30, max_client_queries=20, max_client_class_ids=10)


def ask(id="q", text="red ball", client="planner", **fields):
    return QueryRequest(QueryKey(client, id), text, **fields)


def registry_of(*requests, options=OPTIONS):
    registry = QueryRegistry(options)
    for request in requests:
        registry.apply(request, NOW_NS)
    return registry


REFUSED = {
    "a text of 10 MB": (ask(text="x" * 10_000_000), Refusal.TEXT_TOO_LONG, "10000000 characters"),
    "an id of 10 MB": (ask(id="x" * 10_000_000), Refusal.ID_INVALID, "10000000 characters"),
    "a client of 10 MB": (ask(client="x" * 10_000_000), Refusal.ID_INVALID, "10000000 characters"),
    "no id": (ask(id=""), Refusal.ID_INVALID, "empty"),
    "an id that is no Unicode": (ask(id="a\ud800"), Refusal.ID_INVALID, "no Unicode"),
    "a text that is no Unicode": (ask(text="a\udfff"), Refusal.ID_INVALID, "no Unicode"),
    "a text of control characters": (ask(text="\x00\x1b\n\t"), Refusal.TEXT_EMPTY, r"\x1b"),
    "a text of blanks that are none": (ask(text="\u200b\u2060 "), Refusal.TEXT_EMPTY, "nothing to search"),
    "a million cameras": (ask(cameras=("left",) * 1_000_000), Refusal.UNKNOWN_CAMERA, "1,000,000 cameras"),
    "a camera of a megabyte": (ask(cameras=("x" * 1_000_000,)), Refusal.UNKNOWN_CAMERA, "1,000,000 characters"),
    "a lifetime before 0": (ask(lifetime_ns=-1), Refusal.BAD_LIFETIME, "negative"),
    "a lifetime beyond all times": (ask(lifetime_ns=END_NS), Refusal.BAD_LIFETIME, "0 = for ever"),
    "a threshold that is no number": (ask(score_threshold=math.nan), Refusal.BAD_THRESHOLD, "nan"),
    "a rate without end": (ask(max_rate_hz=math.inf), Refusal.BAD_RATE, "inf"),
    "an action that there is not": (ask(action=250), Refusal.UNKNOWN_ACTION, "250"),
    "removing what is not there, by a megabyte": (
        ask(id="x" * 1_000_000, action=Action.REMOVE),
        Refusal.ID_INVALID,
        "1000000 characters",
    ),
    "a stamp that is none": (ask(refusal=(Refusal.BAD_STAMP, "stamp of 5 s")), Refusal.BAD_STAMP, "stamp of 5 s"),
    "exemplars": (ask(exemplars=100_000), Refusal.UNSUPPORTED, "100000 exemplars"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_is_none_is_refused_and_cut(name):
    request, reason, words = REFUSED[name]
    registry = registry_of(ask("kept"))
    with bounds(memory_mib=100, seconds=1):
        status = registry.apply(request, NOW_NS)
    assert status.state is State.REJECTED and status.reason is reason and words in status.message
    assert max(len(status.text), len(status.key.id), len(status.key.client)) <= 200
    assert len(status.message) <= 1000
    assert [q.key.id for q in registry.vocabulary.asked] == ["kept"]


def test_sixty_texts_of_ten_megabytes_are_not_kept():
    registry = registry_of()
    with bounds(memory_mib=100):
        for number in range(60):
            registry.apply(ask(f"{number}", "x" * 10_000_000), NOW_NS)
    assert sum(len(status.text) for status in registry.statuses()) < 20_000


@pytest.mark.parametrize("count", [21, 20_000, 300_000])
def test_a_set_of_too_many_is_refused_whole_with_the_number(count):
    registry = registry_of(ask("kept"))
    requests = [ask("one")] * count
    with bounds(seconds=0.5):
        (status,) = registry.replace_set("planner", requests, NOW_NS)
    assert (
        status.reason is Refusal.TOO_MANY_QUERIES and f"{count:,}" in status.message and "'planner'" in status.message
    )
    assert [q.key.id for q in registry.vocabulary.asked] == ["kept"]


def test_a_text_of_too_many_phrases_is_refused_before_they_are_looked_at():
    registry = registry_of(ask("kept"))
    with bounds(seconds=0.3):
        (status,) = registry.replace_texts("planner", ["x" * 500] * 300_000, NOW_NS)
    assert "300,000" in status.message and [q.key.id for q in registry.vocabulary.asked] == ["kept"]


def test_a_thousand_queries_cost_as_much_each_as_one():
    options = QueryOptions(max_queries=10_000, max_client_queries=10_000)
    times_s = {}
    for count in (500, 4000):
        registry = QueryRegistry(options)
        began_s = time.process_time()
        registry.replace_set("planner", [ask(f"{n}", f"thing {n % 150}") for n in range(count)], NOW_NS)
        embed_pending(registry, lambda prompts: None, NOW_NS)
        registry.replace_set("planner", [], NOW_NS)
        times_s[count] = (time.process_time() - began_s) / count
    assert times_s[4000] < 4 * times_s[500] + 1e-4


def test_one_planner_leaves_class_ids_and_queries_to_others():
    registry = registry_of()
    refused = [registry.apply(ask(f"{n}", f"thing {n}", "greedy"), NOW_NS) for n in range(25)]
    told = [status for status in refused if status is not None]
    assert len(told) == 15 and all("client 'greedy'" in status.message for status in told)
    assert registry.apply(ask("mine", "another thing", "modest"), NOW_NS) is None


def test_a_planner_that_changes_its_mind_uses_up_its_own_share_only():
    registry = registry_of()
    refused = 0
    for n in range(40):
        refused += registry.apply(ask("q", f"thing {n}", "fickle"), NOW_NS + n) is not None
    assert refused == 30
    assert registry.apply(ask("mine", "another thing", "modest"), NOW_NS + 99) is None
    assert registry.apply(ask("q", "thing new", "fickle"), NOW_NS + 61_000_000_000) is None


def test_one_planner_cannot_push_out_what_others_are_told():
    registry = registry_of(ask("", client="modest"))
    for n in range(5000):
        registry.apply(ask(f"{n}", "", f"flood {n % 3}"), NOW_NS)
    assert ("modest", "") in {tuple(status.key) for status in registry.statuses()}
    assert len(registry.statuses()) <= 2000


def test_a_clock_that_goes_back_takes_deadlines_along():
    registry = registry_of(ask(lifetime_ns=10_000_000_000))
    registry.advance(NOW_NS - 5_000_000_000)
    registry.advance(NOW_NS + 4_000_000_000)
    assert registry.vocabulary.asked
    registry.advance(NOW_NS + 6_000_000_000)
    assert not registry.vocabulary.asked


HEADS = {
    "nothing": b"",
    "three bytes": b"\0\1\0",
    "an end in the stamp": b"\0\1\0\0" + bytes(7),
    "a text of four gigabytes": b"\0\1\0\0" + bytes(8) + b"\xff\xff\xff\xff" + b"abc",
    "big endian, a text behind the end": b"\0\0\0\0" + bytes(8) + b"\0\0\0\x09" + b"abc",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_message_that_ends_early_has_no_head(name):
    def read():
        head = CdrHead(HEADS[name])
        head.skip_header()
        return head.text(), head.number()

    with bounds(memory_mib=10), pytest.raises(ValueError, match="bytes"):
        read()


def test_refused_requests_keep_their_beginning():
    request = replace(ask(text="y" * 5000), cameras=("left",) * 99)
    kept = request.shortened()
    assert kept.text.endswith("...") and kept.text.startswith("yyy") and kept.cameras == ()
