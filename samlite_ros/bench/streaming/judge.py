"""Judges masks carried over a sequence with truth: ours, the usual way, rival ways, the bound of rigid carrying."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.bench.figures import Figure, percentiles, row
from samlite_ros.bench.streaming.both_ways import CARRIED, USUAL, undisturbed, with_matched_ids
from samlite_ros.bench.streaming.oracle import PERFECT, Imperfection, OracleSegmenter, oracle_vocabulary
from samlite_ros.bench.streaming.rivals import RIVALS, run_rival
from samlite_ros.evaluation.measures.rigid_bound import rigid_bound
from samlite_ros.evaluation.measures.streaming_accuracy import (
    LEAST_VISIBLE_PX,
    StreamScore,
    judged_frames,
    score_run,
)
from samlite_ros.evaluation.pictures import Tile
from samlite_ros.scenes.hard_sequences import TruthFrame
from samlite_ros.streaming.answer import Published
from samlite_ros.streaming.pipeline import StreamingOptions
from samlite_ros.types import Segmentation
from samlite_ros.virtual.latency import LatencyProfile
from samlite_ros.virtual.run import VirtualRun

WAYS = ("ours", "peers", *RIVALS)
BOUND = "bound"
MEAN = "mean"
COLORS = {"truth": (255, 255, 255), "ours": (255, 90, 230), "peers": (255, 220, 0)}
"""RGB, of the outlines in pictures."""


@dataclass(frozen=True)
class Judgement:
    """One sequence under one profile.

    Args:
        sequence: Its name.
        profile_ms: Time of a pass [ms].
        scores: By way.
        bound: Mean overlap of the keyframes' true masks, moved by the best affine motions.
        worst: The frame that ours shows worst.
        worst_iou: Our mean overlap in it.
    """

    sequence: str
    profile_ms: float
    scores: dict[str, StreamScore]
    bound: float
    worst: Tile
    worst_iou: float

    def iou(self, way: str) -> float:
        """Mean overlap of a way, or of the bound."""
        return self.bound if way == BOUND else self.scores[way].iou()


def judge_sequence(
    name: str,
    truth: Sequence[TruthFrame],
    profile_ms: float,
    imperfection: Imperfection = PERFECT,
    charge_s: float | None = None,
    options: StreamingOptions = CARRIED,
) -> Judgement | None:
    """Run all ways over one sequence.

    Args:
        name: For tables.
        truth: Two frames at least.
        profile_ms: Time of a pass [ms].
        imperfection: How the keyframes are spoilt, for all ways; the bound takes the true ones.
        charge_s: Our work per frame that is charged to the clock [s]; None = as measured. Others are not charged.
        options: Of our pipeline.

    Returns:
        None where nothing can be judged: no thing is in sight after the first pass.
    """
    oracle = OracleSegmenter(truth, 1, imperfection)
    profile, frames = LatencyProfile.of_total_ms(profile_ms), [t.frame for t in truth]
    usual = VirtualRun(oracle, profile, USUAL, oracle_vocabulary(1), charge_s=0)
    ours = VirtualRun(oracle, profile, options, oracle_vocabulary(1), charge_s=charge_s)
    published: dict[str, Sequence[Published]] = {"peers": with_matched_ids(list(usual.run(frames)))}
    with undisturbed():
        published["ours"] = list(ours.run(frames))
        for rival, make in RIVALS.items():
            published[rival] = list(run_rival(make(), truth, usual.record.passes, oracle.masks_in))
    scores = {way: score_run(truth, published[way], contours=True) for way in WAYS}
    if any(not score.sightings for score in scores.values()):
        return None
    by_frame: dict[int, list[float]] = {}
    for sighting in scores["ours"].sightings:
        by_frame.setdefault(sighting.frame, []).append(sighting.iou)
    worst = min(by_frame, key=lambda frame: float(np.mean(by_frame[frame])))
    worst_iou = float(np.mean(by_frame[worst]))
    standing = {way: dict(judged_frames(truth, published[way]))[worst] for way in ("ours", "peers")}
    tile = Tile(f"{name}, {profile_ms:g} ms, frame {worst}: ours {worst_iou:.2f}", _drawn(truth[worst], standing))
    return Judgement(name, profile_ms, scores, _bound(truth, published["peers"]), tile, worst_iou)


def _bound(truth: Sequence[TruthFrame], usual: Sequence[Published]) -> float:
    """Mean over things and frames; the keyframe is the one that the usual way shows."""
    number = {t.frame.stamp_ns: t for t in truth}
    overlaps = []
    for index, answer in judged_frames(truth, usual):
        keyframe, now = number.get(answer.keyframe_stamp_ns), truth[index]
        for thing, mask in now.masks.items():
            if keyframe is not None and mask.area >= LEAST_VISIBLE_PX:
                overlaps.append(rigid_bound(keyframe.ids == thing, now.ids == thing))
    return float(np.mean(overlaps)) if overlaps else float("nan")


def _drawn(truth: TruthFrame, standing: dict[str, Segmentation]) -> NDArray[np.uint8]:
    """uint8 (H, W, 3): the image with the outlines of what is shown and what is there, and which is which."""
    picture = truth.frame.image.copy()
    masks = {"truth": truth.masks.values(), **{way: [i.mask for i in a.instances] for way, a in standing.items()}}
    for way, of_way in masks.items():
        for mask in of_way:
            edges, _ = cv2.findContours(mask.full().astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, edges, -1, COLORS[way], 2)
    x = 6
    for way, color in COLORS.items():
        cv2.putText(picture, way, (x, picture.shape[0] - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 3)
        cv2.putText(picture, way, (x, picture.shape[0] - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, 1)
        x += 56
    return picture


def figures_of_verdicts(table: str, verdicts: Sequence[Judgement], with_work: bool) -> list[Figure]:
    """Overlaps and errors by sequence and in the mean, and what they are made of by way; each sequence counts the same.

    Args:
        table: Name of the first table; the second is called `TABLE_details`.
        verdicts: In any order.
        with_work: The work per frame too, which is not the same every time.
    """
    figures: list[Figure] = []
    for profile_ms in dict.fromkeys(v.profile_ms for v in verdicts):
        of_profile = [v for v in verdicts if v.profile_ms == profile_ms]
        groups = {MEAN: of_profile, **{v.sequence: [v] for v in of_profile}}
        for name, group in groups.items():
            figures += row(f"{table}/{profile_ms:g} ms, {name}", _overlaps(group))
        for way in WAYS:
            figures += _details(
                f"{table}_details/{profile_ms:g} ms, {way}", [v.scores[way] for v in of_profile], with_work
            )
    return figures


def _overlaps(verdicts: Sequence[Judgement]) -> dict[str, float]:
    ious = {way: float(np.mean([v.iou(way) for v in verdicts])) for way in (*WAYS, BOUND)}
    usual_error = max(1 - ious["peers"], 1e-6)
    ratios = {way: (1 - iou) / usual_error for way, iou in ious.items() if way != "peers"}
    return {
        **{f"iou_{way}": iou for way, iou in ious.items()},
        "error_ratio": ratios.pop("ours"),
        **{f"error_ratio_{way}": ratio for way, ratio in ratios.items()},
        "contour_f_ours": float(np.mean([v.scores["ours"].contour_f() for v in verdicts])),
        "contour_f_peers": float(np.mean([v.scores["peers"].contour_f() for v in verdicts])),
    }


def _details(name: str, scores: Sequence[StreamScore], with_work: bool) -> list[Figure]:
    """Means over sequences; work over all frames [ms]."""
    figures = row(
        name,
        {
            "contour_f": float(np.mean([s.contour_f() for s in scores])),
            "ghosts_per_frame": float(np.mean([s.ghosts for s in scores])),
            "switches": float(np.mean([s.id_switches() for s in scores])),
            "fragmentations": float(np.mean([s.fragmentations() for s in scores])),
            "idf1": float(np.mean([s.idf1() for s in scores])),
        },
    )
    if with_work:
        work_ms = [1e3 * w for s in scores for w in s.work_s]
        figures += percentiles(name, "ms", work_ms, (50, 95, 100), prefix="work_p")
    return figures
