"""Still scenes: how rarely an image embedding is computed, and how soon something that enters is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from samlite_ros.bench.figures import Figure, row
from samlite_ros.bench.streaming.both_ways import SequenceOutcome, run_sequence
from samlite_ros.bench.streaming.options import Progress, StreamingBenchOptions
from samlite_ros.bench.streaming.oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.pixels.masks import mask_iou
from samlite_ros.scenes.clips import CONTRASTS, ENTERING_ID, ENTERS_S, SIZES_PX, Entry, entries
from samlite_ros.scenes.hard_sequences import STILL, StreamSequence, TruthFrame
from samlite_ros.streaming.answer import Published
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.types import Mask
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import VirtualRun

STILL_FRAMES = 300
SENSORS = {"quiet": (2.0, 0.0), "as elsewhere": (4.6, 0.02), "noisy": (8.0, 0.03)}
"""Name to noise [levels of 255] and flicker of the exposure (relative), standard deviations."""
AS_THE_NODE = StreamingOptions(propagate=True)
"""With the node's own max_mask_age, at which knowledge must be renewed most often."""
ANSWERED_IOU = 0.3
WATCHED_LATENCIES = 4.0


def run(options: StreamingBenchOptions, progress: Progress) -> list[Figure]:
    """Still scenes under every sensor, and things that enter them, under every profile."""
    figures: list[Figure] = []
    for sensor in progress(list(SENSORS), "still scenes"):
        figures += still_scene(options, sensor)
    for profile_ms in progress(options.profiles_ms, "things that enter"):
        figures += entering_things(options.seed, profile_ms, options.charge_s)
    return figures


def still_scene(options: StreamingBenchOptions, sensor: str) -> list[Figure]:
    """Nothing moves, by profile: how rarely an embedding is computed, and whether the masks are as good as the peers'.

    Args:
        options: Seed, profiles, and what is charged.
        sensor: One of SENSORS.
    """
    noise, flicker = SENSORS[sensor]
    truth = list(StreamSequence(replace(STILL, noise=noise, flicker=flicker), options.seed, STILL_FRAMES))
    figures: list[Figure] = []
    for profile_ms in options.profiles_ms:
        profile = LatencyProfile.of_total_ms(profile_ms)
        outcome = run_sequence(STILL.name, truth, profile, options=AS_THE_NODE, charge_s=options.charge_s)
        figures += _figures_of_still(f"still/{profile_ms:g} ms, {sensor}", outcome, options.charge_s is None)
    return figures


def _figures_of_still(name: str, outcome: SequenceOutcome, with_work: bool) -> list[Figure]:
    values = {
        "frames": outcome.frames,
        "embeddings": outcome.embeddings,
        "share_without_embedding": 1 - outcome.embeddings / outcome.frames,
        "still_frames": outcome.counters.still_frames,
        "iou_ours": outcome.ours.iou(),
        "iou_peers": outcome.peers.iou(),
    }
    work = {"work_mean": 1e3 * float(np.mean(outcome.ours.work_s))} if with_work else {}
    return row(name, values) + row(name, work, "ms")


def entering_things(seed: int, profile_ms: float, charge_s: float | None = None) -> list[Figure]:
    """How long it takes until things that enter a still scene are answered, in latencies of the network.

    Returns:
        answered: share, within WATCHED_LATENCIES; p50, p95, max (none where that thing was not answered); within_two:
        share answered within two; and the median by size and by contrast.
    """
    frames = round(30 * (ENTERS_S[1] + 0.5 + WATCHED_LATENCIES * profile_ms / 1e3))
    scenes = [list(StreamSequence(STILL, 10 * seed + number, frames)) for number in range(2)]
    waits = [
        (entry, _wait_ms(scenes[i % 2], entry, profile_ms, charge_s) / profile_ms)
        for i, entry in enumerate(entries(seed))
    ]
    latencies = np.array([wait for _, wait in waits])
    name = f"entering/{profile_ms:g} ms"
    values = {
        "answered": float(np.isfinite(latencies).mean()),
        "within_two": float((latencies <= 2).mean()),
        **{p: float(np.percentile(latencies, q, method="higher")) for p, q in (("p50", 50), ("p95", 95), ("max", 100))},
        **{f"{size} px": _median([w for e, w in waits if e.size_px == size]) for size in SIZES_PX},
        **{contrast: _median([w for e, w in waits if e.contrast == contrast]) for contrast in CONTRASTS},
    }
    return row(name, values)


def _median(values: Sequence[float]) -> float:
    return float(np.percentile(values, 50, method="higher")) if values else float("nan")


def _wait_ms(scene: Sequence[TruthFrame], entry: Entry, profile_ms: float, charge_s: float | None) -> float:
    """From the first frame that shows at least half of the thing to the first answer that covers it [ms]."""
    truth = list(entry.drawn(scene))
    half = entry.size_px**2 // 2
    in_sight = next(i for i, t in enumerate(truth) if np.count_nonzero(t.ids == ENTERING_ID) >= half)
    profile = LatencyProfile.of_total_ms(profile_ms)
    run = VirtualRun(OracleSegmenter(truth), profile, AS_THE_NODE, oracle_vocabulary(), charge_s=charge_s)
    number = {t.frame.stamp_ns: i for i, t in enumerate(truth)}
    for published in run.run(t.frame for t in truth):
        index = number[published.answer.stamp_ns]
        if index >= in_sight and _covers(published, truth[index].masks[ENTERING_ID]):
            return (published.at_ns - truth[in_sight].frame.stamp_ns) / 1e6
    return float("inf")


def _covers(published: Published, thing: Mask) -> bool:
    return any(mask_iou(i.mask, thing) > ANSWERED_IOU for i in published.answer.instances)
