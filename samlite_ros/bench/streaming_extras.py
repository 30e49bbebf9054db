"""Beyond the main table: still scenes, things that enter, late queries, cost, and each part's worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.bench.streaming_oracle import OracleSegmenter, oracle_vocabulary
from samlite_ros.bench.streaming_run import (
    CARRIED,
    PARTS,
    USUAL,
    Outcome,
    error_ratio,
    mean_iou,
    one_thread,
    run_sequence,
    without,
)
from samlite_ros.bench.streaming_sequences import (
    DEVELOPMENT,
    STILL,
    Difficulty,
    StreamSequence,
    TruthFrame,
    sequences,
)
from samlite_ros.streaming.runner import LatencyProfile, Published, VirtualRun
from samlite_ros.types import Vocabulary

STILL_FRAMES = 300
ENTERING_PX, ENTERING_SPEED_PX_S = 24, 150.0
ENTERS_AT_S = 2.0
ENTERING_ID = 200
ANSWERED_IOU = 0.3
LATE_QUERIES = 16
COST_COUNTS = (1, 8, 32)
COST_FRAMES = 60


def still_scene(seed: int) -> dict[str, float]:
    """Nothing moves: how rarely an embedding is computed, and whether the masks are as good as the usual way's."""
    truth = list(StreamSequence(STILL, seed, STILL_FRAMES))
    outcome = run_sequence(STILL.name, truth, LatencyProfile.of_total_ms(126))
    return {
        "frames": outcome.frames,
        "embeddings": outcome.embeddings,
        "share_without_embedding": 1 - outcome.embeddings / outcome.frames,
        "still_frames": outcome.counters.still_frames,
        "iou_ours": outcome.ours.iou(),
        "iou_peers": outcome.peers.iou(),
    }


def entering_thing(seed: int, profile_ms: float) -> dict[str, float]:
    """A thing of 24 px moves into a still scene: how long until it is answered, in latencies of the network."""
    truth = list(_with_entering(StreamSequence(STILL, seed, round(30 * (ENTERS_AT_S + 3 * profile_ms / 1e3) + 30))))
    in_sight = next(i for i, t in enumerate(truth) if np.count_nonzero(t.ids == ENTERING_ID) >= ENTERING_PX**2 // 2)
    run = VirtualRun(OracleSegmenter(truth), LatencyProfile.of_total_ms(profile_ms), CARRIED, oracle_vocabulary())
    number = {t.frame.stamp_ns: i for i, t in enumerate(truth)}
    for published in run.run(t.frame for t in truth):
        index = number[published.answer.stamp_ns]
        if index >= in_sight and _covers(published, truth[index].ids == ENTERING_ID):
            waited_ms = (published.at_ns - truth[in_sight].frame.stamp_ns) / 1e6
            return {"answered_after_ms": waited_ms, "latencies": waited_ms / profile_ms}
    return {"answered_after_ms": float("inf"), "latencies": float("inf")}


def _with_entering(sequence: StreamSequence) -> list[TruthFrame]:
    """A small dark square slides in from the left near the lower border and stays."""
    out = []
    for index, truth in enumerate(sequence):
        moved = ENTERING_SPEED_PX_S * (index / sequence.rate_hz - ENTERS_AT_S)
        right = int(min(moved, 3 * ENTERING_PX))
        if right <= 0:
            out.append(truth)
            continue
        image, ids = truth.frame.image.copy(), truth.ids.copy()
        part = slice(-2 * ENTERING_PX, -ENTERING_PX), slice(max(right - ENTERING_PX, 0), right)
        image[part] = image[part] // 3
        ids[part] = ENTERING_ID
        out.append(TruthFrame(replace(truth.frame, image=image), ids, truth.whole))
    return out


def _covers(published: Published, inside: NDArray[np.bool_]) -> bool:
    for instance in published.answer.instances:
        mask = instance.mask.full()
        if (mask & inside).sum() > ANSWERED_IOU * (mask | inside).sum():
            return True
    return False


def late_queries(seed: int, profile_ms: float) -> dict[str, float]:
    """Queries at random moments of running passes: time to their first mask, against waiting for the next full pass.

    The things are dealt out to two phrases; one is always asked for, the other comes and goes.
    """
    spacing_s = 0.8 + 2.5 * profile_ms / 1e3
    truth = _pendulum(list(StreamSequence(replace(DEVELOPMENT[0], count=8), seed, 60)), spacing_s * (LATE_QUERIES + 1))
    changes = _comings_and_goings(np.random.default_rng([21, seed]), truth[0].frame.stamp_ns, spacing_s)
    asked_ns = [stamp for stamp, _ in changes[::2]]
    profile = LatencyProfile.of_total_ms(profile_ms)
    runs = {
        name: VirtualRun(OracleSegmenter(truth, 2), profile, options, oracle_vocabulary(1), changes, charge_s=0.01)
        for name, options in (("late", CARRIED), ("full_pass", USUAL))
    }
    waits = {name: _waits_ms(list(run.run(t.frame for t in truth)), changes) for name, run in runs.items()}
    decoded_ms = _decoded_ms(asked_ns, runs["late"].record.late_delivered_ns, 0.65 * spacing_s * 1e3)
    return {
        "queries": len(asked_ns),
        "answered": min(len(w) for w in waits.values()),
        "decoded_p50_ms": float(np.percentile(decoded_ms, 50)),
        "decoded_p95_ms": float(np.percentile(decoded_ms, 95)),
        **{f"{name}_p{q}_ms": float(np.percentile(list(w.values()), q)) for name, w in waits.items() for q in (50, 95)},
        "ratio_of_medians": float(
            np.median(list(waits["late"].values())) / np.median(list(waits["full_pass"].values()))
        ),
        "one_block_and_decoding_ms": 1e3 * (profile.encode_s / profile.blocks + profile.decode_s),
    }


def _comings_and_goings(rng: np.random.Generator, start_ns: int, spacing_s: float) -> list[tuple[int, Vocabulary]]:
    """In turn: the second phrase is asked for at a random moment, and withdrawn."""
    changes = []
    for number in range(LATE_QUERIES):
        asked_ns = start_ns + int(spacing_s * (number + 1 - rng.uniform(0.0, 0.3)) * 1e9)
        changes.append((asked_ns, replace(oracle_vocabulary(2), epoch=2 * number + 2)))
        changes.append((asked_ns + int(0.65 * spacing_s * 1e9), replace(oracle_vocabulary(1), epoch=2 * number + 3)))
    return changes


def _decoded_ms(asked_ns: Sequence[int], delivered_ns: Sequence[int], limit_ms: float) -> list[float]:
    """Time from each query to its late decoding; those that the next full pass took along are left out."""
    firsts = [next(((d - asked) / 1e6 for d in delivered_ns if d >= asked), limit_ms) for asked in asked_ns]
    return [first for first in firsts if first < limit_ms]


def _pendulum(truth: Sequence[TruthFrame], seconds: float) -> list[TruthFrame]:
    """The same frames to and fro, for as long as is wanted."""
    there_and_back = [*truth, *truth[-2:0:-1]]
    return [
        _at(there_and_back[index % len(there_and_back)], truth[0].frame.stamp_ns + round(index * 1e9 / 30))
        for index in range(round(30 * seconds))
    ]


def _at(truth: TruthFrame, stamp_ns: int) -> TruthFrame:
    """The same frame at another time."""
    return TruthFrame(replace(truth.frame, stamp_ns=stamp_ns), truth.ids, truth.whole)


def _waits_ms(published: Sequence[Published], changes: Sequence[tuple[int, Vocabulary]]) -> dict[int, float]:
    """Time from each query to the first mask that answers it, by its number; those never answered are left out."""
    waits: dict[int, float] = {}
    for number, (asked_ns, _) in enumerate(changes[::2]):
        withdrawn_ns = changes[2 * number + 1][0]
        for entry in published:
            if asked_ns <= entry.at_ns < withdrawn_ns and _answers(entry, "thing 1"):
                waits[number] = (entry.at_ns - asked_ns) / 1e6
                break
    return waits


def _answers(entry: Published, phrase: str) -> bool:
    return any(m.query.phrase == phrase for i in entry.answer.instances for m in i.matches)


def costs(seed: int) -> dict[str, dict[str, float]]:
    """Work per frame for more instances and for larger images [ms of one core]."""
    rows = {}
    for size in ((480, 640), (720, 1280)):
        for count in COST_COUNTS:
            truth = _many_things(seed, count, size)
            run = VirtualRun(OracleSegmenter(truth), LatencyProfile.of_total_ms(250), CARRIED, oracle_vocabulary())
            with one_thread():
                published = list(run.run(t.frame for t in truth))
            settled = [p for p in published if p.answer.keyframe_stamp_ns]
            work_ms = 1e3 * np.array([p.work_s for p in settled])
            rows[f"{count} at {size[1]}x{size[0]}"] = {
                "instances": float(np.mean([len(p.answer.instances) for p in settled])),
                **{f"p{q}": float(np.percentile(work_ms, q)) for q in (50, 95)},
                "max": float(work_ms.max()),
            }
    return rows


def _many_things(seed: int, count: int, size: tuple[int, int]) -> list[TruthFrame]:
    """Textured squares that drift over a pan's background, on a loose grid."""
    scale = size[1] / 640
    background = StreamSequence(Difficulty("empty", "pan", 60.0, count=0), seed, COST_FRAMES, size=size)
    rng = np.random.default_rng([31, seed])
    columns = int(np.ceil(np.sqrt(count * 4 / 3)))
    side = int(min(70, 440 / columns) * scale)
    places = [((i % columns + 0.5) / columns, (i // columns + 0.5) / np.ceil(count / columns)) for i in range(count)]
    textures = [
        cv2.resize(rng.integers(40, 230, (6, 6, 3)).astype(np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
        for _ in range(count)
    ]
    speeds = rng.uniform(-0.6, 0.6, (count, 2)) * scale
    out = []
    for index, truth in enumerate(background):
        image, ids = truth.frame.image.copy(), np.zeros(size, np.uint8)
        for number, ((x, y), texture) in enumerate(zip(places, textures, strict=True)):
            x0 = int(np.clip(x * size[1] - side / 2 + speeds[number, 0] * index, 0, size[1] - side))
            y0 = int(np.clip(y * size[0] - side / 2 + speeds[number, 1] * index, 0, size[0] - side))
            image[y0 : y0 + side, x0 : x0 + side] = texture
            ids[y0 : y0 + side, x0 : x0 + side] = number + 1
        out.append(TruthFrame(replace(truth.frame, image=image), ids, frozenset()))
    return out


def parts_worth(
    seed: int, profiles_ms: Sequence[float], frames: int, on_step: Callable[[str], None]
) -> dict[str, dict[str, dict[str, float]]]:
    """Error over the usual way's on the development sequences, with each part left out."""
    outcomes: dict[tuple[str, float], list[Outcome]] = {}
    for sequence in sequences(DEVELOPMENT, 2 * seed, frames):
        truth = list(sequence)
        for part in PARTS:
            for profile_ms in profiles_ms:
                on_step(f"without {part}: {sequence.difficulty.name}, {profile_ms:g} ms")
                with without(part):
                    outcome = run_sequence(sequence.difficulty.name, truth, LatencyProfile.of_total_ms(profile_ms))
                outcomes.setdefault((part, profile_ms), []).append(outcome)
    return {
        part: {
            f"{profile_ms:g}": {
                "error_ratio": error_ratio(outcomes[part, profile_ms]),
                "error_ratio_visible": error_ratio(outcomes[part, profile_ms], whole_only=True),
                "iou_ours": mean_iou([o.ours for o in outcomes[part, profile_ms]]),
            }
            for profile_ms in profiles_ms
        }
        for part in PARTS
    }
