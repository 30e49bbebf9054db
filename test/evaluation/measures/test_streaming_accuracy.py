"""The streaming benchmark's single measurements: still scenes, late queries, cost, busy networks, steps, report."""

import json
import os
import re
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prompts import prompts

from samlite_ros.bench.process_tree import tree_cpu_s, tree_of
from samlite_ros.bench.streaming.busy_segmenter import BusySegmenter, busy_in_a_process, busy_on_a_thread
from samlite_ros.bench.streaming.cost import frame_costs
from samlite_ros.bench.streaming.late import Bound, Waits, late_queries, late_row
from samlite_ros.bench.streaming.oracle import OracleSegmenter
from samlite_ros.bench.streaming.sections import StreamingBenchOptions, run_bench
from samlite_ros.bench.streaming.still import (
    CONTRASTS,
    ENTERING_ID,
    PLACES,
    SIZES_PX,
    Entry,
    entering_things,
    entries,
    still_scene,
)
from samlite_ros.bench.streaming_clips import many_things, pendulum
from samlite_ros.bench.streaming_late_live import Notes, RecordingSegmenter, late_queries_live
from samlite_ros.bench.streaming_network import RememberingSegmenter
from samlite_ros.bench.streaming_node_process import ContentOracle, image_key, read_script, write_script
from samlite_ros.bench.streaming_pictures import draw
from samlite_ros.bench.streaming_progress import Step, perform
from samlite_ros.bench.streaming_report import tables
from samlite_ros.errors import SamliteError
from samlite_ros.scenes.hard_sequences import STILL, StreamSequence
from samlite_ros.types import DecodeOptions, Frame, Prompt
from samlite_ros.virtual.latency import LatencyProfile

SMALL = (120, 160)
KEEP = (DecodeOptions(),)
DEVELOPMENT_ONE = (replace(STILL, name="drift", base="pan", count=3),)


def documented_keys():
    """What docs/bench_streaming.md names as keys of the JSON file."""
    text = (Path(__file__).resolve().parents[3] / "docs/bench_streaming.md").read_text(encoding="utf-8")
    quoted = re.findall(r"`([^`]+)`", text.partition("## The JSON file")[2])
    return {word for words in quoted for word in re.findall(r"[a-z_0-9]+", words)}


def still_truth(frames=60, size=SMALL):
    return list(StreamSequence(STILL, 3, frames, size=size))


def test_frames_go_to_and_fro_with_growing_stamps():
    truth = pendulum(still_truth(4), 9)
    images = [t.frame.image for t in truth]
    same = [next(i for i, image in enumerate(images) if np.array_equal(image, other)) for other in images]
    assert same == [0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert np.diff([t.frame.stamp_ns for t in truth]) == pytest.approx(1e9 / 30, rel=1e-6)
    assert len(pendulum(still_truth(4))) == 6


@pytest.mark.parametrize("place", PLACES)
def test_a_thing_enters_over_its_border_and_stays_in_sight(place):
    entry = Entry(24, "dark", place, 0.5, at_s=0.2)
    truth = list(entry.drawn(still_truth(45)))
    areas = [np.count_nonzero(t.ids == ENTERING_ID) for t in truth]
    assert areas[6] == 0 and areas[-1] == 24**2 and areas == sorted(areas)
    first = np.argwhere(truth[next(i for i, area in enumerate(areas) if area)].ids == ENTERING_ID)
    border = {"left": first[:, 1].min(), "top": first[:, 0].min()}
    border |= {"right": SMALL[1] - 1 - first[:, 1].max(), "bottom": SMALL[0] - 1 - first[:, 0].max()}
    assert border[place] == 0


def test_the_thing_looks_as_bright_as_it_should_and_keeps_its_texture():
    truth = still_truth(45)
    shown = {name: list(Entry(32, name, "left", 0.5, 0.1).drawn(truth))[-2:] for name in CONTRASTS}
    mean = {name: t[0].frame.image[t[0].ids == ENTERING_ID].mean() for name, t in shown.items()}
    scene = truth[0].frame.image.mean()
    assert mean["dark"] < 0.5 * scene < mean["faint"] < scene < mean["bright"]
    a, b = (t.frame.image[t.ids == ENTERING_ID].astype(float).ravel() for t in shown["faint"])
    assert np.corrcoef(a, b)[0, 1] > 0.7


def test_entries_cover_every_kind():
    kinds = {(e.size_px, e.contrast) for e in entries(0)}
    assert kinds == {(s, c) for s in SIZES_PX for c in CONTRASTS}
    assert {e.place for e in entries(0)} == set(PLACES) and entries(0) != entries(1)


def test_entering_things_are_counted_even_when_they_are_never_answered(monkeypatch):
    monkeypatch.setattr("samlite_ros.bench.streaming.still.ENTRIES", 4)
    monkeypatch.setattr("samlite_ros.bench.streaming.still.entries", lambda seed: entries(seed, 4))
    row = entering_things(1, 126.0)
    assert len(row["latencies"]) == 4 and row["latencies"] == sorted(row["latencies"])
    monkeypatch.setattr("samlite_ros.bench.streaming.still.ANSWERED_IOU", 1.1)
    never = entering_things(1, 126.0)
    assert never["latencies"] == 4 * [float("inf")] and never["within_two"] == 0


def test_a_still_scene_is_judged_under_every_profile(monkeypatch):
    monkeypatch.setattr("samlite_ros.bench.streaming.still.STILL_FRAMES", 60)
    rows = still_scene(2, (126.0, 250.0), "noisy")
    assert set(rows) == {"126", "250"}
    assert all(r["embeddings"] == round((1 - r["share_without_embedding"]) * 60) >= 1 for r in rows.values())


def test_late_queries_beat_waiting_and_no_query_is_left_out():
    row = late_queries(0, 126.0, queries=12)
    assert row["queries"] == len(row["curves"]["decoded"]) == len(row["curves"]["full_pass"]) == 12
    assert row["decoded_ms"]["p50"] < row["full_pass_ms"]["p50"]
    parts = row["block_ms"] + row["decode_ms"]
    assert row["curves"]["decoded"][0] >= 0.36 * 126 - 0.01, "no decoding is sooner than itself"
    assert row["curves"]["full_pass"][0] >= (0.64 + 2 * 0.36) * 126 - 0.01, "no pass of both phrases is shorter"
    assert row["bound_ms"] == pytest.approx(1.1 * parts)
    later = zip(row["curves"]["decoded"], row["curves"]["published"], strict=True)
    assert all(published >= decoded for decoded, published in later)


def test_the_late_row_says_where_the_bound_is_broken():
    waits = [Waits(10.0, 20.0, 100.0)] * 18 + [Waits(40.0, float("nan"), 100.0)] * 2
    row = late_row(waits, Bound(2.0, 1.0, 8.0))
    assert row["bound_ms"] == pytest.approx(12.1)
    assert (row["within_bound"], row["shown"], row["queries"]) == (0.9, 18, 20)
    assert set(row) <= documented_keys()
    assert row["p95_over_bound"] > 1 and row["ratio_of_medians"] == 0.1


def test_late_queries_live_take_the_node_s_threads_and_process():
    row = late_queries_live("demo", 1, budget_s=0.0, least=2)
    assert row["queries"] == 2 and row["process"]
    assert all(row[f"{part}_ms"] > 0 for part in ("block", "text", "decode", "pass"))
    assert row["decoded_ms"]["p50"] >= row["decode_ms"] / 2


def test_the_recorder_tells_late_decoding_from_a_full_pass():
    truth = still_truth(2)
    notes = Notes()
    recorder = RecordingSegmenter(OracleSegmenter(truth, 2), notes.tell)
    image = recorder.embed_image(truth[0].frame)
    recorder.segment(image, recorder.embed_prompts(prompts("thing 0")), KEEP)
    recorder.segment(image, recorder.embed_prompts(prompts("thing 1")), KEEP)
    assert [c.late for c in notes.decodes()] == [False, True]
    assert notes.first_decode(Prompt("thing 1")).late and notes.first_decode(Prompt("thing 1"), of_pass=True) is None
    image = recorder.embed_image(truth[1].frame)
    recorder.segment(image, recorder.embed_prompts(prompts("thing 0", "thing 1")), 2 * KEEP)
    assert notes.first_decode(Prompt("thing 1"), of_pass=True) is notes.decodes()[-1]


def test_the_cost_of_a_frame_holds_its_messages():
    costs = frame_costs(pendulum(many_things(0, 4, SMALL, 15), 25))
    assert costs and all(c.instances == 4 for c in costs[2:])
    assert all(0 < c.messages_cpu_s < c.cpu_s for c in costs)


def test_a_busy_network_takes_its_time_and_burns_it():
    truth = still_truth(1)
    network = BusySegmenter(OracleSegmenter(truth), LatencyProfile(0.08, 0.02, blocks=4))
    blocks = []
    began_s, began_cpu_s = time.perf_counter(), time.thread_time()
    image = network.embed_image(truth[0].frame, lambda: blocks.append(1))
    network.segment(image, network.embed_prompts(prompts("thing 0", "thing 1")), 2 * KEEP)
    took_s, cpu_s = time.perf_counter() - began_s, time.thread_time() - began_cpu_s
    assert took_s >= 0.12 and len(blocks) == 3
    assert cpu_s > 0.05 * took_s, "it does not sleep; on a busy machine it gets but a share of a core"


def test_the_busy_network_ends_with_its_block():
    before = threading.active_count()
    with busy_on_a_thread():
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_a_busy_network_in_a_process_of_its_own_burns_a_core_and_ends_with_its_block():
    before = tree_of(os.getpid())
    with busy_in_a_process():
        (busy,) = set(tree_of(os.getpid())) - set(before)
        began_s = tree_cpu_s(busy)
        time.sleep(0.3)
        assert tree_cpu_s(busy) > began_s
    assert tree_of(os.getpid()) == before


def test_the_node_s_network_knows_images_by_their_content(tmp_path):
    truth = still_truth(2)
    write_script(tmp_path / "script.npz", truth, LatencyProfile(0.01, 0.002), held_share=0.5)
    network = read_script(tmp_path / "script.npz")
    for shown in truth:
        image = network.embed_image(replace(shown.frame, stamp_ns=77))
        (result,) = network.segment(image, network.embed_prompts(prompts("thing 0")), KEEP)
        assert image.stamp_ns == 77
        assert sum(m.area for m in result.masks) == np.count_nonzero(shown.ids)
    unknown = network.embed_image(Frame(np.zeros((*SMALL, 3), np.uint8), 1))
    assert not network.segment(unknown, network.embed_prompts(prompts("thing 0")), KEEP)[0].masks
    assert image_key(truth[0].frame.image) != image_key(truth[1].frame.image)
    assert ContentOracle({}).model_id == "oracle"


def test_an_image_is_computed_once_for_all():
    truth, calls = still_truth(2), []

    class Counting(OracleSegmenter):
        def segment(self, image, text, options, on_step=None):
            calls.append(image.stamp_ns)
            return super().segment(image, text, options)

    network = RememberingSegmenter(Counting(truth))
    text = network.embed_prompts(prompts("thing 0"))
    first, again = (network.segment(network.embed_image(truth[0].frame), text, KEEP) for _ in range(2))
    assert first is again and len(calls) == 1
    network.forget()
    network.segment(network.embed_image(truth[0].frame), text, KEEP)
    assert len(calls) == 2


def test_steps_are_done_in_order_and_let_go_before_the_next():
    happened = []

    class Clip:
        def __del__(self):
            happened.append("clip gone")

    def step(text, about_s, clip=None):
        return Step(text, about_s, lambda clip=clip: happened.append(text))

    steps = [step("a", 1.0, Clip()), step("b", 3.0)]
    perform(steps, lambda step, done_s, total_s: happened.append((step.text, done_s, total_s)))
    assert happened == [("a", 0.0, 4.0), "a", "clip gone", ("b", 1.0, 4.0), "b"]


def test_the_report_of_a_short_run_of_everything(tmp_path, monkeypatch):
    monkeypatch.setattr("samlite_ros.bench.streaming.still.STILL_FRAMES", 40)
    monkeypatch.setattr("samlite_ros.bench.streaming.still.entries", lambda seed: entries(seed, 2))
    monkeypatch.setattr("samlite_ros.bench.streaming.cost.FRAMES", 20)
    monkeypatch.setattr("samlite_ros.bench.streaming_extras.SIZES", ((120, 160),))
    monkeypatch.setattr("samlite_ros.bench.streaming.sections.PARTS", {"nothing": (), "rest": ()})
    monkeypatch.setattr("samlite_ros.bench.streaming_parts.PARTS", {"nothing": (), "rest": ()})
    monkeypatch.setattr("samlite_ros.bench.streaming.sections.SETS", {"development": DEVELOPMENT_ONE})
    monkeypatch.setattr("samlite_ros.bench.streaming.sections.DEVELOPMENT", DEVELOPMENT_ONE)
    sections = ("accuracy", "still", "cost", "parts", "network")
    options = StreamingBenchOptions(profiles_ms=(126.0,), sets=("development",), frames=30, sections=sections)
    report = run_bench(options, lambda step, done_s, total_s: None)
    row = report["profiles"]["126"]
    wanted = {"iou_ours", "iou_peers", "iou_ours_visible", "iou_peers_visible", "answered", "age_frames_max"}
    assert wanted | {"work_ms", "id_switches"} <= set(row) and {"p50", "p95"} <= set(row["work_ms"])
    rows = (row, report["still"]["quiet"]["126"], report["entering"]["126"], report["parts"]["rest"]["126"])
    assert {key for r in rows for key in r} | set(next(iter(report["cost"].values()))["idle"]) <= documented_keys()
    assert report["variants"]["8 phrases"]["126"]["pass_ms"] == pytest.approx(126 * (0.64 + 8 * 0.36))
    text = tables(report)
    for title in (
        "all sequences",
        "held",
        "gray images",
        "part's worth",
        "in the loop",
        "still scene",
        "work per frame",
    ):
        assert (title in text) == (title != "held")
    assert {p.stem for p in draw(report, tmp_path)} >= {"streaming_iou", "streaming_error", "streaming_parts"}
    json.dumps(report)


def test_a_wrong_network_is_told_before_anything_is_measured():
    options = StreamingBenchOptions(sections=("accuracy", "network"), network="no/such folder")
    with pytest.raises(SamliteError, match="no/such folder"):
        run_bench(options, lambda *_: pytest.fail("something ran"))
