"""One object followed over frames: its model, where it is, what it answers to; and its motion from frame to frame."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.geometry import Poses, compose, corner_shift_px, identity, transform, translation
from samlite_ros.streaming.image.work_image import DenseFlow, WorkImage
from samlite_ros.streaming.model.alignment import Alignment, AlignmentBatch, Occlusion, align, align_best, stack
from samlite_ros.streaming.model.appearance import AppearanceModel
from samlite_ros.streaming.model.search import find_by_color
from samlite_ros.streaming.tuning import InitialPoseTuning, TrackingTuning, Tuning
from samlite_ros.streaming.tuning.model import INNER_WEIGHT
from samlite_ros.types import Mask, Prompt


@dataclass(frozen=True)
class PromptMatch:
    """One object answers one prompt.

    Args:
        prompt: The prompt.
        score: Score in the keyframe in which it was last found.
        keyframe_ns: Stamp of that keyframe [ns].
        misses: Keyframes since then in which the prompt was searched and the object not found.
    """

    prompt: Prompt
    score: float
    keyframe_ns: int
    misses: int = 0


@dataclass(eq=False)
class Track:
    """One object.

    Args:
        track_id: Stays with the object.
        model: How it looked in its keyframe.
        keyframe_ns: Stamp of that keyframe [ns].
        keyframe_mask: The network's mask in it.
        matches: What it answers to, best score first.
        tuning: When its alignment is doubtful.
        pose: (2, 3): keyframe to current frame [work px].
        velocity: (2,): shift of its center per frame [work px].
        inlier_share: Share of all template points that agree, smoothed over frames.
        agreement: Share of the template points in sight that agree, smoothed over frames.
        cost: Mean difference of the template points [levels].
        inliers: bool (96,): template points that agree.
        nested: Ids of tracks that share pixels with it in the keyframe; they do not compete for pixels.
        misses: Keyframes since it was last found in which it should have been.
        still: It has not moved since its keyframe.
    """

    track_id: int
    model: AppearanceModel
    keyframe_ns: int
    keyframe_mask: Mask
    matches: tuple[PromptMatch, ...]
    tuning: TrackingTuning
    pose: Poses
    velocity: NDArray[np.float32]
    inliers: NDArray[np.bool_]
    nested: frozenset[int] = frozenset()
    inlier_share: float = 1.0
    agreement: float = 1.0
    cost: float = 0.0
    misses: int = 0
    still: bool = False

    @property
    def prompts(self) -> frozenset[Prompt]:
        """The prompts that it answers."""
        return frozenset(m.prompt for m in self.matches)

    @property
    def center(self) -> NDArray[np.float32]:
        """Where its center is now, (2,) [work px]."""
        center: NDArray[np.float32] = transform(self.pose, self.model.center[None])[0]
        return center

    @property
    def uncertain(self) -> bool:
        """The alignment is doubtful: other starting poses are worth a try."""
        return self.inlier_share < self.tuning.uncertain_share or self.cost > self.tuning.uncertain_cost

    @property
    def lost(self) -> bool:
        """By all signs it is not where it is believed to be."""
        return self.inlier_share < self.tuning.uncertain_share and self.cost > self.tuning.uncertain_cost

    @property
    def mismatched(self) -> bool:
        """What is at its place does not look like it."""
        return self.agreement < self.tuning.mismatch_agreement

    @property
    def last_seen_ns(self) -> int:
        """Stamp of the newest keyframe in which the network found it [ns]."""
        return max(m.keyframe_ns for m in self.matches)


class TrackBatch:
    """The tracks that can be aligned, with their points stacked; rebuilt when a track's model changes."""

    def __init__(self, tracks: Sequence[Track], tuning: Tuning) -> None:
        self._tuning = tuning
        self.tracks = [t for t in tracks if t.model.alignment is not None]
        self.drifting = [t for t in tracks if t.model.alignment is None]
        self.points: AlignmentBatch | None = stack([t.model for t in self.tracks]) if self.tracks else None

    def carry(
        self, image: WorkImage, flow: DenseFlow, occlusion: Occlusion | None, settled: Container[int] = ()
    ) -> None:
        """Move all tracks to the next frame.

        Args:
            image: The frame.
            flow: Motion from the frame before.
            occlusion: What occluded the tracks of `self.tracks`, in this order, in the last answer.
            settled: Ids of tracks that are not searched for: it is known otherwise where they are.
        """
        for track in self.drifting:
            _drift(track, flow)
        points = self.points
        if points is None:
            return
        before = np.stack([t.pose for t in self.tracks])
        point_flow = flow.at(transform(before, points.template))
        predicted = self._predict(points, before, point_flow)
        rows, starts = self._starts(image, points, before, predicted, point_flow, settled)
        tuning = self._tuning.tracking
        iterations = tuning.iterations if len(rows) == len(self.tracks) else tuning.iterations_uncertain
        found = align_best(image, points, rows, starts, iterations, occlusion, self._tuning.alignment)
        found = self._prefer_rest(image, points, found, occlusion)
        for index, track in enumerate(self.tracks):
            update_from_alignment(track, found, index)

    def _prefer_rest(
        self, image: WorkImage, points: AlignmentBatch, found: Alignment, occlusion: Occlusion | None
    ) -> Alignment:
        """Put the objects that are about where they were in their keyframe exactly there, unless that fits worse.

        An alignment is off by a fraction of a pixel; of an object at rest the exact place is known.
        """
        tuning = self._tuning.tracking
        shifts_px = corner_shift_px(found.poses, [t.model.box_xyxy for t in self.tracks])
        near = [int(i) for i in np.flatnonzero(shifts_px < tuning.rest_reach_px)]
        if not near:
            return found
        rest = np.repeat(identity()[None], len(near), 0)
        occluded = occlusion.take(near) if occlusion is not None else None
        at_rest = align(image, points.take(near), rest, 0, occluded, self._tuning.alignment)
        fits = at_rest.cost <= found.cost[near] * tuning.rest_factor + tuning.rest_margin
        return found.replace_rows(np.array(near)[fits], at_rest.take(np.flatnonzero(fits)))

    def _predict(self, points: AlignmentBatch, before: Poses, point_flow: NDArray[np.float32]) -> Poses:
        """Poses moved by the flow of the points that agreed last time, or by the velocity where these are few."""
        trusted = np.stack([t.inliers for t in self.tracks]) & (points.template_weight >= INNER_WEIGHT)
        velocity = np.stack([t.velocity for t in self.tracks])
        enough = trusted.sum(1) >= self._tuning.tracking.least_flow_points
        predicted = before.copy()
        predicted[:, :, 2] += np.where(enough[:, None], masked_median(point_flow, trusted), velocity)
        return predicted

    def _starts(
        self,
        image: WorkImage,
        points: AlignmentBatch,
        before: Poses,
        predicted: Poses,
        point_flow: NDArray[np.float32],
        settled: Container[int],
    ) -> tuple[list[int], Poses]:
        """Starting poses and the track of each; the worst tracks get more than one."""
        rows, starts = list(range(len(self.tracks))), list(predicted)
        uncertain = [i for i, t in enumerate(self.tracks) if t.uncertain and t.track_id not in settled]
        uncertain.sort(key=self._badness, reverse=True)
        for index in uncertain[: self._tuning.tracking.most_uncertain]:
            interior = points.template_weight[index] >= INNER_WEIGHT
            inside_flow = point_flow[index][interior]
            for pose in _other_starts(
                image, self.tracks[index], before[index], predicted[index], inside_flow, self._tuning
            ):
                rows.append(index)
                starts.append(pose)
        return rows, np.stack(starts)

    def _badness(self, index: int) -> float:
        track, tuning = self.tracks[index], self._tuning.tracking
        return track.cost + tuning.uncertain_priority * (track.inlier_share < tuning.uncertain_share)


def _other_starts(
    image: WorkImage,
    track: Track,
    before: Poses,
    predicted: Poses,
    inside_flow: NDArray[np.float32],
    tuning: Tuning,
) -> list[Poses]:
    """Where an uncertain track may be instead: moved by the flow of its inside (N, 2), or where its colours are."""
    starts = []
    if len(inside_flow) >= tuning.tracking.least_flow_points:
        starts.append(compose(translation(np.median(inside_flow, 0)), before))
    start = start_by_color(image, track, predicted, tuning)
    return starts if start is None else [*starts, start]


def start_by_color(image: WorkImage, track: Track, pose: Poses, tuning: Tuning) -> Poses | None:
    """Where a track's colours are, near a pose (2, 3); None = there already, or its colours are not to be trusted."""
    if track.misses:
        return None
    center = transform(pose, track.model.center[None])[0]
    shift = find_by_color(image, track.model, center, tuning.search) - center
    return compose(translation(shift), pose) if np.hypot(*shift) > tuning.tracking.least_search_shift_px else None


def update_from_alignment(track: Track, found: Alignment, index: int) -> None:
    """Take over row `index` of an alignment: pose, agreement and, where the object is in sight, its motion."""
    before, tuning = track.center, track.tuning
    share, gain = float(found.inlier_share[index]), tuning.agreement_gain
    track.pose = found.poses[index]
    track.inlier_share = (1 - gain) * track.inlier_share + gain * share
    track.agreement = (1 - gain) * track.agreement + gain * float(found.agreement[index])
    track.cost = float(found.cost[index])
    track.inliers = found.inliers[index] & (share >= tuning.hidden_share)
    if share > tuning.hidden_share and not found.rejected[index]:
        shift = track.center - before
        track.velocity = (1 - tuning.velocity_gain) * track.velocity + tuning.velocity_gain * shift


def _drift(track: Track, flow: DenseFlow) -> None:
    """Move a track that has too few points to be aligned along with the image."""
    center = track.center.reshape(1, 1, 2)
    track.pose = compose(translation(flow.at(center)[0, 0]), track.pose)


def masked_median(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Median of values (K, N, C) over the entries of mask (K, N); (K, C); 0 where there are none."""
    ordered = np.sort(np.where(mask[..., None], values, np.float32(np.inf)), axis=1)
    count = mask.sum(1)
    rows = np.arange(len(values))
    low = ordered[rows, np.maximum(count - 1, 0) // 2]
    high = ordered[rows, np.minimum(count // 2, values.shape[1] - 1)]
    return np.where(count[:, None] > 0, (low + high) / 2, np.float32(0)).astype(np.float32)


def initial_pose(
    points: NDArray[np.float32], moved: NDArray[np.float32], tuning: InitialPoseTuning
) -> tuple[Poses, bool]:
    """Similarity transform of advected points.

    Args:
        points: float32 (N, 2): where they were in the keyframe [work px].
        moved: float32 (N, 2): where they are now.
        tuning: How.

    Returns:
        The transform and whether it explains enough of the points; without that it is their median shift.
    """
    if len(points) == 0:
        return identity(), False
    if len(points) > tuning.most_points:
        chosen = np.linspace(0, len(points) - 1, tuning.most_points).astype(np.intp)
        points, moved = points[chosen], moved[chosen]
    if len(points) < tuning.least_points:
        return _median_shift(points, moved), False
    pose, inliers = cv2.estimateAffinePartial2D(
        points,
        moved,
        method=cv2.RANSAC,
        ransacReprojThreshold=tuning.inlier_px,
        maxIters=tuning.ransac_iterations,
        confidence=tuning.confidence,
    )
    if pose is None or inliers.mean() <= tuning.least_inlier_share:
        return _median_shift(points, moved), False
    if not 1 / tuning.most_growth < np.hypot(pose[0, 0], pose[1, 0]) < tuning.most_growth:
        return _median_shift(points, moved), False
    return pose.astype(np.float32), True


def _median_shift(points: NDArray[np.float32], moved: NDArray[np.float32]) -> Poses:
    return translation(np.median(moved - points, 0))
