"""Learns the models of a keyframe's instances, a few per frame, so that no frame takes long."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.detections import KeyframeDetection, merge_matches
from samlite_ros.streaming.carry.snapshot import Snapshot
from samlite_ros.streaming.carry.tracks import Track, initial_pose, start_by_color, update_from_alignment
from samlite_ros.streaming.image.geometry import Poses, identity, scale_of, transform
from samlite_ros.streaming.image.work_image import WorkImage
from samlite_ros.streaming.model.alignment import Alignment, Occlusion, align_best, stack
from samlite_ros.streaming.model.appearance import AppearanceModel, Prior, build_model
from samlite_ros.streaming.model.keyframe import PaddedKeyframe
from samlite_ros.streaming.model.search import find_by_template
from samlite_ros.streaming.tuning import ModelUpdateTuning, Tuning
from samlite_ros.types import Prompt

OcclusionOf = Callable[[Sequence[Track]], Occlusion | None]
"""What occludes given tracks, one row each."""


@dataclass(frozen=True, eq=False)
class ModelUpdate:
    """A model to learn.

    Args:
        snapshot: The keyframe's moment.
        keyframe: The keyframe.
        index: Which of its masks.
        nested: Which masks share pixels with it.
        nested_ids: The ids of those.
        track_id: What it is.
        detection: What the network said.
        tuning: How.
    """

    snapshot: Snapshot
    keyframe: PaddedKeyframe
    index: int
    nested: frozenset[int]
    nested_ids: frozenset[int]
    track_id: int
    detection: KeyframeDetection
    tuning: Tuning

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """bool (M, N): the grid points of the keyframe that lie on the object."""
        return np.asarray(self.snapshot.at_grid(self.keyframe.labels) == self.index + 1)

    @property
    def cost_px(self) -> int:
        """Work that it takes, about, in pixels of its crop."""
        x0, y0, x1, y1 = self.keyframe.masks[self.index].box_xyxy
        margins = 2 * self.tuning.appearance.margin_px
        return self.tuning.model_update.overhead_px + (x1 - x0 + margins) * (y1 - y0 + margins)

    def merged_with(self, other: ModelUpdate) -> ModelUpdate:
        """This update, of an object that answers to what another one found, too."""
        matches = merge_matches(other.detection.matches, self.detection.matches, frozenset(), self.tuning.detection)
        return replace(self, detection=replace(self.detection, matches=matches))

    def shown_share(self, old: Track) -> float:
        """How much of what an older model shows this keyframe shows, about."""
        pose = self.snapshot.poses.get(self.track_id, old.pose)
        expected = np.count_nonzero(old.model.distance > 0) * float(scale_of(pose)) ** 2
        return np.count_nonzero(self.keyframe.masks[self.index].inside) / max(expected, 1.0)

    def pose_now(self) -> tuple[Poses, bool]:
        """Where the advected points have gone, and whether they agree on it."""
        inside = self.inside
        return initial_pose(self.snapshot.grid[inside], self.snapshot.points[inside], self.tuning.initial_pose)

    def pose_in(self, later: Snapshot) -> Poses:
        """Where they were in a later keyframe; their present place where that is not known."""
        inside = self.inside
        points = later.points_of.get(self.snapshot.stamp_ns, self.snapshot.points)
        return initial_pose(self.snapshot.grid[inside], points[inside], self.tuning.initial_pose)[0]


class UpdateQueue:
    """The models still to be learnt; tracks stay on their old models meanwhile."""

    def __init__(self, tuning: ModelUpdateTuning) -> None:
        self._tuning = tuning
        self._updates: list[ModelUpdate] = []

    @property
    def snapshots(self) -> list[Snapshot]:
        """The keyframes that they are of."""
        return [x.snapshot for x in self._updates]

    def add(
        self,
        updates: Sequence[ModelUpdate],
        snapshot: Snapshot,
        urgency: Callable[[int], float],
        left_out: frozenset[Prompt] = frozenset(),
    ) -> None:
        """Updates of a keyframe; those of earlier keyframes are dropped, but for prompts that this one leaves out.

        A late query may find what its keyframe's first prompts have found and what is not learnt yet: then the mask
        that came first is learnt, and the object answers to both.

        Args:
            updates: The updates.
            snapshot: The keyframe.
            urgency: By track id; small ones are learnt first.
            left_out: What was not searched in this keyframe, and will be in another one.
        """
        waiting = [
            x
            for x in self._updates
            if x.snapshot.stamp_ns >= snapshot.stamp_ns or not left_out.isdisjoint(x.detection.prompts)
        ]
        by_id: dict[int, ModelUpdate] = {}
        for update in sorted([*waiting, *updates], key=lambda x: x.snapshot.stamp_ns):
            earlier = by_id.get(update.track_id)
            if earlier is None:
                by_id[update.track_id] = update
            elif earlier.snapshot is update.snapshot:
                by_id[update.track_id] = earlier.merged_with(update)
            else:
                by_id[update.track_id] = update.merged_with(earlier)
        self._updates = sorted(by_id.values(), key=lambda x: urgency(x.track_id))

    def take(self, known: Container[int], only_new: bool = False) -> list[ModelUpdate]:
        """The next few: new objects first, for these are not to be seen before.

        Args:
            known: Track ids that have a model already.
            only_new: Those can wait.
        """
        new = [x for x in self._updates if x.track_id not in known]
        taken = _within(new, self._tuning.new_budget_px)
        if not taken and not only_new:
            taken = _within(self._updates, self._tuning.budget_px)
        self._updates = [x for x in self._updates if x not in taken]
        return taken


def _within(updates: Sequence[ModelUpdate], budget_px: int) -> list[ModelUpdate]:
    """As many updates as the budget pays for, at least one where there is any."""
    total = np.cumsum([x.cost_px for x in updates])
    count = int(np.searchsorted(total, budget_px, side="right"))
    return list(updates[: max(count, 1)])


def updated_track(update: ModelUpdate, old: Track | None, background: NDArray[np.float32]) -> Track:
    """A track with the update's model, at a first guess of its present pose.

    Args:
        update: What to learn.
        old: The track so far; None = a new object.
        background: Histogram of everything that belongs to no object.
    """
    snapshot, keyframe = update.snapshot, update.keyframe
    prior_pose = snapshot.poses.get(update.track_id)
    prior = Prior(old.model, prior_pose) if old is not None and prior_pose is not None else None
    model = build_model(keyframe, update.index, update.nested, background, update.tuning, prior)
    pose, fits = update.pose_now()
    motion = snapshot.motion_since(old) if old is not None else None
    if model.alignment is None and not fits and motion is not None:  # what can be aligned tries both
        pose = motion
    track = Track(
        track_id=update.track_id,
        model=model,
        keyframe_ns=snapshot.stamp_ns,
        keyframe_mask=update.detection.mask,
        matches=old.matches if old is not None else update.detection.matches,
        tuning=update.tuning.tracking,
        pose=pose,
        velocity=np.zeros(2, np.float32),
        inliers=model.alignment.template_weight > 0 if model.alignment is not None else np.zeros(0, bool),
        nested=update.nested_ids,
    )
    shift = (track.center - model.center) / np.float32(max(snapshot.frames_since, 1))
    track.velocity = old.velocity if old is not None else shift
    return track


@dataclass(frozen=True, eq=False)
class ModelAligner:
    """Aligns new models to the current frame.

    Args:
        image: The current frame.
        occlusion_of: What occludes given tracks.
        settled: Ids of those that are not searched for: it is known otherwise where they are.
        tuning: How.
    """

    image: WorkImage
    occlusion_of: OcclusionOf
    settled: Container[int]
    tuning: Tuning

    def align(self, updated: Sequence[tuple[Track, Track | None]], snapshots: Sequence[Snapshot]) -> None:
        """Align from the first guess, from the old track's motion, and from where the keyframe shows the object where
        that has not changed: the flow of what passes by may have taken its points along.

        Args:
            updated: New tracks and those that they replace.
            snapshots: The keyframe of each.
        """
        alignable = [i for i, (new, _) in enumerate(updated) if new.model.alignment is not None]
        if not alignable:
            return
        new_tracks = [updated[i][0] for i in alignable]
        guesses = [t.pose for t in new_tracks]
        rows, starts = list(range(len(alignable))), list(guesses)
        for row, index in enumerate(alignable):
            others = _other_starts(*updated[index], snapshots[index])
            rows += [row] * len(others)
            starts += others
        self._align(new_tracks, rows, starts, self.tuning.model_update.iterations)
        lost = [r for r, t in enumerate(new_tracks) if t.lost or (t.uncertain and updated[alignable[r]][1] is None)]
        lost = [r for r in lost if new_tracks[r].track_id not in self.settled]
        self._look_nearby([(new_tracks[row], guesses[row]) for row in lost])
        for row in [row for row in lost if new_tracks[row].uncertain][: self.tuning.model_update.most_searches]:
            self._look_everywhere(new_tracks[row], snapshots[alignable[row]])

    def _look_nearby(self, lost: Sequence[tuple[Track, Poses]]) -> None:
        """Align lost objects also from where their colours are, near a first guess."""
        starts_by_color = [(t, start_by_color(self.image, t, guess, self.tuning)) for t, guess in lost]
        found = [(t, start) for t, start in starts_by_color if start is not None]
        if found:
            tracks = [t for t, _ in found]
            rows = [*range(len(tracks)), *range(len(tracks))]
            starts = [*(t.pose for t in tracks), *(start for _, start in found)]
            self._align(tracks, rows, starts, self.tuning.model_update.search_iterations)

    def _look_everywhere(self, track: Track, snapshot: Snapshot) -> None:
        """Align a lost object from the places in the whole image that look like it, except where nothing changed."""
        may_be_at, occlusion = snapshot.has_changed_at, self.occlusion_of([track])
        found = relocalise(self.image, track.model, track.pose, track.cost, may_be_at, occlusion, self.tuning)
        if found is not None:
            _take_over([track], found)

    def _align(self, tracks: Sequence[Track], rows: Sequence[int], starts: Sequence[Poses], iterations: int) -> None:
        """Put each track at the best alignment over all its starts; `rows` tells whose each start is."""
        batch, occlusion = stack([t.model for t in tracks]), self.occlusion_of(tracks)
        found = align_best(self.image, batch, rows, np.stack(starts), iterations, occlusion, self.tuning.alignment)
        _take_over(tracks, found)


def _other_starts(new: Track, old: Track | None, snapshot: Snapshot) -> list[Poses]:
    """Where an object may be instead: where the old track's motion takes it, or where it was in its keyframe."""
    motion = snapshot.motion_since(old) if old is not None else None
    starts = [] if motion is None else [motion]
    return starts if snapshot.has_changed_at(new.model.inner_points) else [*starts, identity()]


def relocalise(
    image: WorkImage,
    model: AppearanceModel,
    pose: Poses,
    cost: float,
    may_be_at: Callable[[NDArray[np.float32]], bool],
    occlusion: Occlusion | None,
    tuning: Tuning,
) -> Alignment | None:
    """Where in the whole image a lost object is; None = nowhere that fits far better.

    Args:
        image: The image.
        model: The object; it has alignment points.
        pose: Where it was believed to be, (2, 3).
        cost: How badly it fits there [levels].
        may_be_at: Whether it may be at the points (N, 2) [work px].
        occlusion: What occludes it, one row.
        tuning: How.
    """
    places = find_by_template(image, model, pose, tuning.search)
    starts = [place for place in places if may_be_at(transform(place, model.inner_points))]
    if not starts:
        return None
    rows, iterations = [0] * len(starts), tuning.model_update.search_iterations
    found = align_best(image, stack([model]), rows, np.stack(starts), iterations, occlusion, tuning.alignment)
    is_certain = not found.rejected[0] and found.inlier_share[0] >= tuning.tracking.uncertain_share
    return found if is_certain and found.cost[0] < tuning.model_update.far_cost_ratio * cost else None


def _take_over(tracks: Sequence[Track], found: Alignment) -> None:
    """First poses of new models: there is nothing to smooth over yet."""
    for row, track in enumerate(tracks):
        velocity = track.velocity
        update_from_alignment(track, found, row)
        track.velocity = velocity
        track.inlier_share, track.agreement = float(found.inlier_share[row]), float(found.agreement[row])
