"""Carries masks from keyframes to every frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.compositing import Composite, composite_of, duplicates_among, to_mask
from samlite_ros.streaming.carry.detections import KeyframeDetection, merge_matches, nested_with
from samlite_ros.streaming.carry.model_update import ModelAligner, ModelUpdate, UpdateQueue, relocalise, updated_track
from samlite_ros.streaming.carry.reidentification import ReIdentifier
from samlite_ros.streaming.carry.shapes import CarriedShapes
from samlite_ros.streaming.carry.snapshot import Snapshot
from samlite_ros.streaming.carry.tracks import Track, TrackBatch
from samlite_ros.streaming.image.change import change_map, most_are_in
from samlite_ros.streaming.image.geometry import Poses, corner_shift_px, identity
from samlite_ros.streaming.image.work_image import WorkImage, dense_flow, no_flow
from samlite_ros.streaming.model.alignment import Alignment, Occlusion, align, stack
from samlite_ros.streaming.model.keyframe import PaddedKeyframe
from samlite_ros.streaming.tuning import TrackLifeTuning, Tuning
from samlite_ros.types import Frame, Mask, Prompt

MOST_RESTING = 8
"""So many keyframes at most are kept by which tracks are known to stand still: each costs work in every frame."""


class Tracker:
    """All tracks of one camera. Call `advance` for each frame, then `draw`.

    Args:
        merge_prompts: What different prompts find may be one object.
        period_s: Least time between two keyframes [s].
        max_age_s: Tracks of older keyframes will be ended [s].
        tuning: How.
    """

    def __init__(self, merge_prompts: bool, period_s: float, max_age_s: float, tuning: Tuning) -> None:
        self._tuning = tuning
        self._reidentifier = ReIdentifier(merge_prompts, tuning)
        self._shapes = CarriedShapes(tuning)
        self._period_s, self._max_age_s = period_s, max_age_s
        self.turn_s = 0.0
        """Prompts take turns: so long it takes at most until one is searched again [s]."""
        self.reset()

    def reset(self) -> None:
        """Forget everything; ids are not used again."""
        self.tracks: list[Track] = []
        self.snapshots: list[Snapshot] = []
        self.image: WorkImage | None = None
        self._rate_hz = 30.0
        self._batch = TrackBatch([], self._tuning)
        self._composite: Composite | None = None
        self._updates = UpdateQueue(self._tuning.model_update)
        self._background: NDArray[np.float32] | None = None
        self._has_news = self._had_news = False
        self._reidentifier.reset()
        self._shapes.reset()

    def advance(self, image: WorkImage) -> None:
        """Carry all tracks to the next frame."""
        before, self.image = self.image, image
        if before is not None:
            self._rate_hz = 1e9 / max(image.stamp_ns - before.stamp_ns, 1)
        self._shapes.advance(image)
        if before is None or not self.snapshots:
            return
        for snapshot in self.snapshots:
            snapshot.compare(image)
        still = all(s.is_still for s in self.snapshots)
        flow = None if still else dense_flow(before, image, self._tuning.motion)
        for snapshot in self.snapshots:
            snapshot.advance(flow)
        occlusion = self._occlusion(self._batch.tracks)
        self._batch.carry(image, flow or no_flow(image), occlusion, self._shapes.settled())
        self._update_models(image)
        self._note_still_tracks()

    def take_snapshot(self, frame: Frame) -> Snapshot:
        """The newest frame goes to the network.

        Raises:
            ValueError: The frame is not the newest one.
        """
        if self.image is None or self.image.stamp_ns != frame.stamp_ns:
            newest = None if self.image is None else self.image.stamp_ns
            raise ValueError(
                f"only the newest frame can become a keyframe: got stamp {frame.stamp_ns}, newest {newest}"
            )
        moment = self._shapes.submit(self.tracks, self.image)
        snapshot = Snapshot(frame, self.image, self.tracks, self._composite, self.snapshots, moment, self._tuning)
        self.snapshots.append(snapshot)
        return snapshot

    def keep_only(self, snapshots: Sequence[Snapshot]) -> None:
        """Forget the other keyframes, except those by which tracks are known to stand still."""
        still = sorted({t.keyframe_ns for t in self.tracks if t.still})[-MOST_RESTING:]
        wanted = [*snapshots, *self._updates.snapshots]
        self.snapshots = [s for s in self.snapshots if s in wanted or s.stamp_ns in still]
        self._shapes.forget_before(min((s.stamp_ns for s in self.snapshots), default=0))

    def deliver(
        self,
        snapshot: Snapshot,
        detections: Sequence[KeyframeDetection],
        searched: frozenset[Prompt],
        left_out: frozenset[Prompt] = frozenset(),
    ) -> None:
        """Take over what the network found in a keyframe; the models are learnt with the next frames.

        Args:
            snapshot: The keyframe.
            detections: What was found.
            searched: The prompts that were searched.
            left_out: Prompts that were not, and will be in another one: what answers them may be there nevertheless.
        """
        masks = [d.keyframe_mask for d in (*(d for _, d in snapshot.found), *detections)]
        keyframe = PaddedKeyframe(snapshot.image, masks, self._tuning.appearance)
        if not left_out or self._background is None:  # else things of theirs are in it
            self._learn_background(keyframe.background)
        ids = self._reidentifier.assign_ids(detections, keyframe, snapshot, self.tracks, self._composite)
        self._judge_missed(snapshot, keyframe, set(ids), searched, left_out)
        first = len(snapshot.found)
        snapshot.found += zip(ids, detections, strict=True)
        nested = nested_with(masks, self._tuning.detection)
        updates = []
        for index, (track_id, detection) in enumerate(zip(ids, detections, strict=True), first):
            if self._is_outdated(track_id, detection, snapshot, searched):
                nested_ids = frozenset(snapshot.found[i][0] for i in nested[index])
                what = index, nested[index], nested_ids, track_id, detection
                updates.append(ModelUpdate(snapshot, keyframe, *what, self._tuning))
        self._updates.add(updates, snapshot, self._urgency, left_out)
        self._has_news = True
        self._shapes.note_answer()
        for update in updates:
            is_known = self._track(update.track_id) is not None
            if is_known and self.image is not None and not self._keeps_old_model(update, self.image):
                self._shapes.deliver(update)

    def _learn_background(self, seen: NDArray[np.float32]) -> None:
        gain = self._tuning.model_update.background_gain
        self._background = seen if self._background is None else (1 - gain) * self._background + gain * seen

    def end(self, tracks: Sequence[Track]) -> None:
        """Tracks end; they may be recognised for some seconds."""
        if not tracks:
            return
        for track in tracks:
            self._reidentifier.archive(track, self._rate_hz)
        gone = {t.track_id for t in tracks}
        for track_id in gone:
            self._shapes.end(track_id)
        self.tracks = [t for t in self.tracks if t.track_id not in gone]
        self._batch = TrackBatch(self.tracks, self._tuning)

    def draw(self) -> list[tuple[Track, Mask]]:
        """The masks in the newest frame, of all tracks that are in sight."""
        image = self.image
        if image is None:
            return []
        layers = self._shapes.layers(self.tracks, image)
        duplicates = duplicates_among(layers, self._tuning.compositing)
        if duplicates:
            self.end([layer.track for layer in duplicates])
            layers = [layer for layer in layers if layer not in duplicates]
        self._composite = composite_of(layers, image.size)
        drawn, least = [], self._tuning.compositing.least_remainder
        for layer, margin in zip(layers, self._composite.margins, strict=True):
            mask = layer.track.keyframe_mask if layer.track.still else to_mask(margin, layer.x0, layer.y0, image)
            if mask is not None and mask.area >= least * layer.track.keyframe_mask.area:
                drawn.append((layer.track, mask))
        return drawn

    def _track(self, track_id: int) -> Track | None:
        return next((t for t in self.tracks if t.track_id == track_id), None)

    def _is_outdated(
        self, track_id: int, detection: KeyframeDetection, snapshot: Snapshot, searched: frozenset[Prompt]
    ) -> bool:
        """Note that an object was found again; whether its model should be learnt anew from this keyframe."""
        track = self._track(track_id)
        if track is None:
            return True
        track.matches = merge_matches(track.matches, detection.matches, searched, self._tuning.detection)
        track.misses = 0
        return track.keyframe_ns < snapshot.stamp_ns

    def _judge_missed(
        self,
        snapshot: Snapshot,
        keyframe: PaddedKeyframe,
        found: set[int],
        searched: frozenset[Prompt],
        left_out: frozenset[Prompt],
    ) -> None:
        """End the tracks that the network should have found and did not, or keep them for a while.

        One that also answers a prompt that was left out only answers the others less: it may be found yet.
        """
        ended = []
        for track in self.tracks:
            center = snapshot.centers.get(track.track_id)
            sought = not searched.isdisjoint(track.prompts)
            if track.track_id in found or center is None or not sought or track.keyframe_ns >= snapshot.stamp_ns:
                continue
            if not left_out.isdisjoint(track.prompts):
                track.matches = merge_matches(track.matches, (), searched, self._tuning.detection)
                continue
            track.misses += 1
            if not _survives(track, center, keyframe, snapshot.stamp_ns, self._tuning.track_life):
                ended.append(track)
        self.end(ended)

    def _urgency(self, track_id: int) -> float:
        """Small = soon: objects seen in part or that fit badly change most; of the others the oldest models."""
        track, image = self._track(track_id), self.image
        if track is None or image is None:
            return -np.inf
        age_s = (image.stamp_ns - track.keyframe_ns) / 1e9
        tuning, is_partial = self._tuning.model_update, track.model.unobserved is not None
        return -age_s - tuning.partial_head_start_s * is_partial - tuning.uncertain_head_start_s * track.uncertain

    def _update_models(self, image: WorkImage) -> None:
        """Learn the next few models; where shapes are carried these see a keyframe first.

        Not where keyframes come with every frame: each would wait for the next one without end.
        """
        known = {t.track_id for t in self.tracks}
        waits = self._has_news and not self._had_news and self._shapes.are_carried
        taken = self._updates.take(known, only_new=waits)
        self._has_news, self._had_news = False, self._has_news
        updates = [x for x in taken if not self._keeps_old_model(x, image)]
        if not updates:
            return
        updated = []
        for update in updates:
            old = self._track(update.track_id)
            background = self._background if self._background is not None else update.keyframe.background
            updated.append((updated_track(update, old, background), old))
        aligner = ModelAligner(image, self._occlusion, self._shapes.settled(), self._tuning)
        aligner.align(updated, [x.snapshot for x in updates])
        for update, (new, old) in zip(updates, updated, strict=True):
            self._replace(new, old, update.snapshot)
            if old is None:
                self._shapes.deliver(update)
        self._shapes.note_learning()
        self._backfill([(x, new) for x, (new, old) in zip(updates, updated, strict=True) if old is None])
        self._batch = TrackBatch(self.tracks, self._tuning)

    def _keeps_old_model(self, update: ModelUpdate, image: WorkImage) -> bool:
        """Whether an object's present model shows more of it than the update's keyframe, where a part is hidden."""
        old = self._track(update.track_id)
        if old is None or old.misses or old.uncertain or old.model.alignment is None:
            return False
        latency_s = (image.stamp_ns - update.snapshot.stamp_ns) / 1e9
        age_s = (update.snapshot.stamp_ns - old.keyframe_ns) / 1e9
        next_age_s = age_s + max(self._period_s, latency_s, self.turn_s) + latency_s
        tuning = self._tuning.model_update
        longest_s = min(tuning.kept_s, self._max_age_s - self._tuning.keyframes.refresh_margin_s)
        return next_age_s < longest_s and update.shown_share(old) < old.inlier_share - tuning.kept_share

    def _replace(self, new: Track, old: Track | None, source: Snapshot) -> None:
        """Put a track in the place of what it was, also in keyframes that the network is still working on."""
        if old is None:
            self.tracks.append(new)
            return
        for snapshot in self.snapshots:
            motion = snapshot.motion_since(old)
            if motion is not None and snapshot is not source:
                snapshot.replace_model(new.track_id, motion, new.pose)
        self.tracks[self.tracks.index(old)] = new

    def _backfill(self, updated: Sequence[tuple[ModelUpdate, Track]]) -> None:
        """Find new objects also in the keyframes that were taken before their first model was there."""
        for snapshot in self.snapshots:
            known = [(x, t) for x, t in updated if x.snapshot.stamp_ns < snapshot.stamp_ns and t.model.alignment]
            if not known:
                continue
            starts = np.stack([x.pose_in(snapshot) for x, _ in known])
            batch, iterations = stack([t.model for _, t in known]), self._tuning.model_update.iterations
            found = align(snapshot.image, batch, starts, iterations, None, self._tuning.alignment)
            for row, (update, track) in enumerate(known):
                snapshot.add_track(track, _surest_pose(snapshot, update, track, found, row, self._tuning))

    def _occlusion(self, tracks: Sequence[Track]) -> Occlusion | None:
        """What occluded which of the tracks in the last answer."""
        composite = self._composite
        if composite is None:
            return None
        owners = [layer.track.track_id for layer in composite.layers]
        occludes = np.zeros((len(tracks), len(owners) + 1), bool)
        for row, track in enumerate(tracks):
            occludes[row, 1:] = [o != track.track_id and o not in track.nested for o in owners]
        return Occlusion(composite.owner, occludes)

    def _note_still_tracks(self) -> None:
        """Put the tracks that have not moved since their keyframe where they were: their mask is exact as it is."""
        by_stamp = {s.stamp_ns: s for s in self.snapshots}
        for track in self.tracks:
            snapshot = by_stamp.get(track.keyframe_ns)
            track.still = (
                snapshot is not None
                and not track.misses
                and snapshot.is_unchanged(track.model.box_xyxy)
                and float(corner_shift_px(track.pose, track.model.box_xyxy)) < self._tuning.model_update.still_shift_px
            )
            if track.still:
                track.pose = identity()


def _surest_pose(
    snapshot: Snapshot, update: ModelUpdate, track: Track, found: Alignment, row: int, tuning: Tuning
) -> Poses:
    """Where an object was in a later keyframe: as aligned, or elsewhere in the image where that is doubtful."""
    pose: Poses = found.poses[row]
    cost = float(found.cost[row])
    if found.inlier_share[row] >= tuning.tracking.uncertain_share and not found.rejected[row]:
        return pose
    may_be_at = partial(most_are_in, change_map(update.snapshot.image, snapshot.image, tuning.change))
    elsewhere = relocalise(snapshot.image, track.model, pose, cost, may_be_at, None, tuning)
    return pose if elsewhere is None else np.asarray(elsewhere.poses[0])


def _survives(
    track: Track, center: NDArray[np.float32], keyframe: PaddedKeyframe, keyframe_ns: int, tuning: TrackLifeTuning
) -> bool:
    """Whether a missed object may still be there: overlooked, or behind something; it is drawn only if it looks so."""
    x, y = np.rint(center).astype(int)
    height, width = keyframe.size
    if track.misses > tuning.most_misses or not (0 <= x < width and 0 <= y < height):
        return False
    return track.misses == 1 or (keyframe_ns - track.last_seen_ns) / 1e9 <= tuning.missed_for_s
