"""Still scenes: how rarely an image embedding is computed, and how soon something that enters is answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.bench.figures import Figure, row
from samlite_ros.bench.streaming.both_ways import Outcome, run_sequence
from samlite_ros.bench.streaming.options import Progress, StreamingBenchOptions
from samlite_ros.bench.streaming.oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.pixels.masks import mask_iou
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
SIZES_PX = (24, 32, 48)
CONTRASTS = {"dark": 1 / 3, "bright": 1.8, "faint": 0.8}
"""Brightness of a thing that enters, over the scene's mean."""
PLACES = ("left", "right", "top", "bottom")
SPEED_PX_S = 150.0
ENTERS_S = (1.0, 2.0)
ENTERING_ID = 200
ANSWERED_IOU = 0.3
WATCHED_LATENCIES = 4.0
ENTRIES = 24
"""Per profile; size, contrast and place go round, the moment and the place along the border are random."""


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


def _figures_of_still(name: str, outcome: Outcome, with_work: bool) -> list[Figure]:
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


@dataclass(frozen=True)
class Entry:
    """A square that slides into a still scene and stays.

    Args:
        size_px: Its side.
        contrast: One of CONTRASTS.
        place: The border that it comes over, one of PLACES.
        along: Where on that border, 0 to 1.
        at_s: When its first pixel is in sight [s].
    """

    size_px: int
    contrast: str
    place: str
    along: float
    at_s: float

    def box(self, time_s: float, size: tuple[int, int]) -> tuple[slice, slice] | None:
        """Its pixels (rows, columns) at a time, in an image (H, W); None = not there yet."""
        moved = int(np.clip(SPEED_PX_S * (time_s - self.at_s), 0, 3 * self.size_px))
        if moved == 0:
            return None
        height, width = size
        across, length = (width, height) if self.place in ("left", "right") else (height, width)
        start = int(self.along * (length - self.size_px))
        far, near = moved, max(moved - self.size_px, 0)
        inwards = slice(near, far) if self.place in ("left", "top") else slice(across - far, across - near)
        aside = slice(start, start + self.size_px)
        return (aside, inwards) if self.place in ("left", "right") else (inwards, aside)

    def drawn(self, truth: Sequence[TruthFrame]) -> Iterator[TruthFrame]:
        """The same frames with the square in them."""
        start_ns, texture = truth[0].frame.stamp_ns, self._texture(truth[0])
        for index, frame in enumerate(truth):
            box = self.box((frame.frame.stamp_ns - start_ns) / 1e9, frame.frame.size)
            yield frame if box is None else self._with_square(frame, box, texture, index)

    def _texture(self, truth: TruthFrame) -> NDArray[np.float32]:
        """Float32 (size, size, 3): blotches about a brightness of its own."""
        rng = np.random.default_rng([42, round(1e6 * self.along)])
        blotches = rng.normal(0, 12, (6, 6, 1)).astype(np.float32)
        large = np.asarray(cv2.resize(blotches, (self.size_px, self.size_px), interpolation=cv2.INTER_CUBIC))
        return np.asarray(CONTRASTS[self.contrast] * truth.frame.image.mean((0, 1)) + large[..., None], np.float32)

    def _with_square(
        self, truth: TruthFrame, box: tuple[slice, slice], texture: NDArray[np.float32], index: int
    ) -> TruthFrame:
        image, ids = truth.frame.image.copy(), truth.ids.copy()
        height, width = ids[box].shape
        first = self.place in ("right", "bottom")  # its leading edge is the first that is seen
        part = texture[:height, :width] if first else texture[-height:, -width:]
        noise = np.random.default_rng([43, index]).normal(0, STILL.noise, part.shape)
        image[box] = np.clip(part + noise, 0, 255).astype(np.uint8)
        ids[box] = ENTERING_ID
        return replace(truth, frame=replace(truth.frame, image=image), ids=ids)


def entries(seed: int, count: int = ENTRIES) -> list[Entry]:
    """Every size with every contrast, over every border, at random moments."""
    rng = np.random.default_rng([41, seed])
    kinds = [(size, contrast) for size in SIZES_PX for contrast in CONTRASTS]
    return [
        Entry(*kinds[i % len(kinds)], PLACES[i % len(PLACES)], float(rng.uniform()), float(rng.uniform(*ENTERS_S)))
        for i in range(count)
    ]


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
