"""Networks that burn their time instead of sleeping."""

import os
import threading
import time

from prompts import prompts

from samlite_ros.bench.process_tree import tree_cpu_s, tree_of
from samlite_ros.bench.streaming.busy_segmenter import BusySegmenter, busy_in_a_process, busy_on_a_thread
from samlite_ros.bench.streaming.oracle import OracleSegmenter
from samlite_ros.scenes.hard_sequences import STILL, StreamSequence
from samlite_ros.types import DecodeOptions
from samlite_ros.virtual.latency import LatencyProfile

KEEP = (DecodeOptions(),)


def test_a_busy_network_takes_its_time_and_burns_it():
    truth = list(StreamSequence(STILL, 3, 1, size=(120, 160)))
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
