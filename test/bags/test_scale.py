"""Long bags: flat memory, and no slower than the network alone. Run on an idle machine: make acceptance."""

from __future__ import annotations

import gc
import itertools
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from bag_world import TOPIC, colour_segmenter, draw_world, stamp_of
from prompts import prompts

from samlite_ros.bags.frames import read_frames
from samlite_ros.bags.index import index_bag
from samlite_ros.bags.message_types import BAG_MESSAGES, COMPRESSED_IMAGE
from samlite_ros.bags.reader import BagReader
from samlite_ros.bags.results import ResultBag
from samlite_ros.bags.writer import BagWriter
from samlite_ros.demo.make_bag import MadeBag, make_bag
from samlite_ros.evaluation.evaluation import evaluate
from samlite_ros.evaluation.truth.truth import read_truth
from samlite_ros.messages.fill import header_message
from samlite_ros.parameters.table import Parameters
from samlite_ros.replay.replay import ReplayOptions, replay
from samlite_ros.replay.result_writer import ResultOptions
from samlite_ros.scenes import SequenceOptions
from samlite_ros.segmenter.load import load_segmenter
from samlite_ros.types import DecodeOptions

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(3600)]
FRAMES = 10_000


def tell(line: str) -> None:
    """Show a measured figure, also where pytest captures the output."""
    sys.__stdout__.write(f"\n{line}\n")


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.fixture(scope="module")
def long_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10,000 JPEG images of 640 x 480."""
    path = tmp_path_factory.mktemp("long") / "bag"
    pictures = [cv2.resize(draw_world(i), (640, 480), interpolation=cv2.INTER_NEAREST) for i in range(10)]
    jpegs = [cv2.imencode(".jpg", cv2.cvtColor(p, cv2.COLOR_RGB2BGR))[1].ravel() for p in pictures]
    with BagWriter(path) as bag:
        bag.add_topic(TOPIC, COMPRESSED_IMAGE)
        for index, jpeg in zip(range(FRAMES), itertools.cycle(jpegs)):
            header = header_message(BAG_MESSAGES, stamp_of(index), "optical")
            bag.write(
                TOPIC, stamp_of(index), BAG_MESSAGES.new(COMPRESSED_IMAGE, header=header, format="jpeg", data=jpeg)
            )
    return path


def test_memory_stays_flat(long_bag: Path, tmp_path: Path) -> None:
    samples_mb: dict[int, float] = {}

    def progress(done: int, total: int) -> None:
        if done % 1000 == 0:
            gc.collect()
            samples_mb[done] = resident_mb()

    options = ReplayOptions(
        phrases=("red thing", "blue thing"), parameters=Parameters(propagate=False), result=ResultOptions(images=True)
    )
    outcome = replay(long_bag, tmp_path / "out", options, colour_segmenter(), progress)
    assert outcome.summary["answers"] == FRAMES
    growth_mb = samples_mb[FRAMES] - samples_mb[2000]
    tell(f"resident memory [MB] after so many frames: { {k: round(v) for k, v in samples_mb.items()} }")
    assert growth_mb < 40  # 5 kB a frame: index, answers' stamps and counts
    before_mb = resident_mb()
    with ResultBag(tmp_path / "out") as bag:
        evaluation = evaluate(bag.answers(), read_truth(tmp_path / "out"))
    assert evaluation.overall.scores.detection.recall == 1
    tell(f"evaluating it took {resident_mb() - before_mb:.0f} MB more")


def test_replay_is_as_fast_as_the_network(tmp_path: Path) -> None:
    make_bag(tmp_path / "in", MadeBag(scenes=SequenceOptions(frames=60)))
    parameters = Parameters(propagate=False)
    segmenter = load_segmenter(parameters.segmenter_options())
    with BagReader(tmp_path / "in") as reader:
        frames = [f.frame for f in read_frames(reader, index_bag(reader, ["/camera/image"]), {"/camera/image": ""})]

    def alone() -> float:
        began_s = time.perf_counter()
        for frame in frames:
            text = segmenter.embed_prompts(prompts("green cone", "red box"))
            segmenter.segment(segmenter.embed_image(frame), text, [DecodeOptions()] * 2)
        return time.perf_counter() - began_s

    def replayed(name: str) -> float:
        times_s = []
        options = ReplayOptions(phrases=("green cone", "red box"), parameters=parameters)
        replay(
            tmp_path / "in",
            tmp_path / name,
            options,
            segmenter,
            lambda done, total: times_s.append(time.perf_counter()),
        )
        return (times_s[-1] - times_s[0]) * len(frames) / (len(frames) - 1)

    alone()
    pairs = [(alone(), replayed(f"out{round_}")) for round_ in range(5)]
    ratio = float(np.median([network_s / replay_s for network_s, replay_s in pairs]))
    tell(f"frames a second: network alone {len(frames) / pairs[0][0]:.1f}, ratio of replay to it {ratio:.3f}")
    assert ratio >= 0.9
