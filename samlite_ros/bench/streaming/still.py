"""Still scenes: how rarely an image embedding is computed, and how soon something that enters is answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.bench.streaming.both_ways import run_sequence
from samlite_ros.bench.streaming.oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.scenes.hard_sequences import STILL, StreamSequence, TruthFrame
from samlite_ros.streaming.answer import Published
from samlite_ros.streaming.pipeline import StreamingOptions
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


def still_scene(seed: int, profiles_ms: Sequence[float], sensor: str) -> dict[str, dict[str, float]]:
    """Nothing moves, by profile: how rarely an embedding is computed, and whether the masks are as good as the peers'.

    Args:
        seed: Of the scene.
        profiles_ms: Time of a pass [ms].
        sensor: One of SENSORS.
    """
    noise, flicker = SENSORS[sensor]
    truth = list(StreamSequence(replace(STILL, noise=noise, flicker=flicker), seed, STILL_FRAMES))
    return {f"{profile_ms:g}": _still_under(truth, profile_ms) for profile_ms in profiles_ms}


def _still_under(truth: Sequence[TruthFrame], profile_ms: float) -> dict[str, float]:
    outcome = run_sequence(STILL.name, truth, LatencyProfile.of_total_ms(profile_ms), options=AS_THE_NODE)
    return {
        "frames": outcome.frames,
        "embeddings": outcome.embeddings,
        "share_without_embedding": 1 - outcome.embeddings / outcome.frames,
        "still_frames": outcome.counters.still_frames,
        "iou_ours": outcome.ours.iou(),
        "iou_peers": outcome.peers.iou(),
    }


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


def entering_things(seed: int, profile_ms: float) -> dict[str, Any]:
    """How long it takes until things that enter a still scene are answered, in latencies of the network.

    Returns:
        latencies: sorted, infinite where a thing was not answered within WATCHED_LATENCIES; p50, p95, max;
        within_two: share answered within two; and the median by size and by contrast.
    """
    frames = round(30 * (ENTERS_S[1] + 0.5 + WATCHED_LATENCIES * profile_ms / 1e3))
    scenes = [list(StreamSequence(STILL, 10 * seed + number, frames)) for number in range(2)]
    waits = [(entry, _wait_ms(scenes[i % 2], entry, profile_ms) / profile_ms) for i, entry in enumerate(entries(seed))]
    latencies = sorted(wait for _, wait in waits)
    return {
        "latencies": latencies,
        **{name: float(np.percentile(latencies, q, method="higher")) for name, q in (("p50", 50), ("p95", 95))},
        "max": latencies[-1],
        "within_two": float(np.mean(np.array(latencies) <= 2)),
        "by_size": {f"{size} px": _median([w for e, w in waits if e.size_px == size]) for size in SIZES_PX},
        "by_contrast": {name: _median([w for e, w in waits if e.contrast == name]) for name in CONTRASTS},
    }


def _median(values: Sequence[float]) -> float:
    return float(np.percentile(values, 50, method="higher")) if values else float("nan")


def _wait_ms(scene: Sequence[TruthFrame], entry: Entry, profile_ms: float) -> float:
    """From the first frame that shows at least half of the thing to the first answer that covers it [ms]."""
    truth = list(entry.drawn(scene))
    half = entry.size_px**2 // 2
    in_sight = next(i for i, t in enumerate(truth) if np.count_nonzero(t.ids == ENTERING_ID) >= half)
    run = VirtualRun(OracleSegmenter(truth), LatencyProfile.of_total_ms(profile_ms), AS_THE_NODE, oracle_vocabulary())
    number = {t.frame.stamp_ns: i for i, t in enumerate(truth)}
    for published in run.run(t.frame for t in truth):
        index = number[published.answer.stamp_ns]
        if index >= in_sight and _covers(published, truth[index].ids == ENTERING_ID):
            return (published.at_ns - truth[in_sight].frame.stamp_ns) / 1e6
    return float("inf")


def _covers(published: Published, inside: NDArray[np.bool_]) -> bool:
    for instance in published.answer.instances:
        mask = instance.mask.full()
        if (mask & inside).sum() > ANSWERED_IOU * (mask | inside).sum():
            return True
    return False
