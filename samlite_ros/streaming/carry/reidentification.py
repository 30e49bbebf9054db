"""Gives the detections of a keyframe their track ids; objects that are gone stay in a gallery for a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from samlite_ros.pixels.masks import mask_iou
from samlite_ros.streaming.carry.association import Candidate, match_by_appearance, match_by_overlap, overlaps
from samlite_ros.streaming.carry.compositing import Composite
from samlite_ros.streaming.carry.detections import KeyframeDetection
from samlite_ros.streaming.carry.snapshot import Snapshot
from samlite_ros.streaming.carry.tracks import Track
from samlite_ros.streaming.image.work_image import histogram
from samlite_ros.streaming.model.keyframe import PaddedKeyframe
from samlite_ros.streaming.tuning import Tuning
from samlite_ros.types import Prompt


@dataclass(frozen=True, eq=False)
class _GalleryEntry:
    """An object that has ended and may come back."""

    track_id: int
    candidate: Candidate
    last_seen_ns: int
    velocity_px_s: NDArray[np.float32]


class ReIdentifier:
    """Knows the objects that are gone (the gallery), and hands out ids.

    Args:
        across_prompts: What different prompts find may be one object.
        tuning: How.
    """

    def __init__(self, across_prompts: bool, tuning: Tuning) -> None:
        self._tuning = tuning
        self._across_prompts = across_prompts
        self._next_id = 1
        self._gallery: list[_GalleryEntry] = []

    def reset(self) -> None:
        """Forget the objects that are gone; ids are not used again."""
        self._gallery = []

    def archive(self, track: Track, rate_hz: float) -> None:
        """A track ends and joins the gallery; `rate_hz` is that of the frames."""
        velocity = track.velocity * np.float32(rate_hz)
        self._gallery.append(
            _GalleryEntry(track.track_id, _candidate(track, track.center, 0.0), track.last_seen_ns, velocity)
        )

    def assign_ids(
        self,
        detections: Sequence[KeyframeDetection],
        keyframe: PaddedKeyframe,
        snapshot: Snapshot,
        tracks: Sequence[Track],
        composite: Composite | None,
    ) -> list[int]:
        """Track ids of a keyframe's detections, which are the last of its masks; new ids for new objects.

        First by what was found in this very keyframe before, then by overlap in the keyframe with what was carried to
        it, then by overlap with the masks carried to now, then, for what was out of sight, by appearance.

        Args:
            detections: What was found.
            keyframe: The keyframe.
            snapshot: The same keyframe's moment.
            tracks: The objects that are followed now.
            composite: Who owns which pixel now.
        """
        first = len(keyframe.masks) - len(detections)
        prompts = [d.prompts for d in detections]
        assigned = self._found_before(detections, prompts, snapshot.found)
        now = _overlap_now(snapshot, keyframe, tracks, composite)
        now = np.where(now >= self._tuning.association.least_overlap_now, now, np.float32(0))
        for overlap in (_overlap_then(snapshot, keyframe, tracks), now):
            self._match(overlap[first:], prompts, tracks, assigned)
        unknown = [d for d in range(len(detections)) if d not in assigned]
        if unknown:
            known = self._out_of_sight(snapshot, [t for t in tracks if t.track_id not in assigned.values()])
            candidates = [_detected(snapshot, keyframe, first + d, prompts[d]) for d in unknown]
            pairs = match_by_appearance(candidates, [c for _, c in known], self._tuning.reidentification)
            assigned.update({unknown[d]: known[t][0] for d, t in pairs.items()})
        ids = [assigned[d] if d in assigned else self._new_id() for d in range(len(detections))]
        self._gallery = [g for g in self._gallery if g.track_id not in ids]
        return ids

    def _found_before(
        self,
        detections: Sequence[KeyframeDetection],
        prompts: Sequence[frozenset[Prompt]],
        found: Sequence[tuple[int, KeyframeDetection]],
    ) -> dict[int, int]:
        """Ids, by detection, of the same objects that other prompts have found in the same keyframe."""
        if not found or not detections:
            return {}
        overlap = np.array([[mask_iou(d.mask, f.mask) for _, f in found] for d in detections], np.float32)
        found_prompts = [f.prompts for _, f in found]
        same = np.where(overlap >= self._tuning.detection.same_object_iou, overlap, np.float32(0))
        pairs = match_by_overlap(same, prompts, found_prompts, self._across_prompts, self._tuning.association)
        assigned: dict[int, int] = {}
        for detection, index in pairs.items():  # an object that was found twice before has one id
            track_id = found[index][0]
            if track_id not in assigned.values():
                assigned[detection] = track_id
        return assigned

    def _match(
        self,
        overlap: NDArray[np.float32],
        prompts: Sequence[frozenset[Prompt]],
        tracks: Sequence[Track],
        assigned: dict[int, int],
    ) -> None:
        """Pair the detections and the tracks that are still free by their overlap, and enter them into `assigned`."""
        free = [d for d in range(len(prompts)) if d not in assigned]
        columns = [i for i, t in enumerate(tracks) if t.track_id not in assigned.values()]
        if free and columns:
            track_prompts = [tracks[i].prompts for i in columns]
            part = overlap[np.ix_(free, columns)]
            free_prompts, association = [prompts[d] for d in free], self._tuning.association
            pairs = match_by_overlap(part, free_prompts, track_prompts, self._across_prompts, association)
            assigned.update({free[d]: tracks[columns[i]].track_id for d, i in pairs.items()})

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _out_of_sight(self, snapshot: Snapshot, tracks: Sequence[Track]) -> list[tuple[int, Candidate]]:
        """Ids and looks of the objects that no detection overlaps."""
        now = snapshot.stamp_ns
        memory_ns = self._tuning.reidentification.memory_s * 1e9
        self._gallery = [g for g in self._gallery if now - g.last_seen_ns < memory_ns]
        known = []
        for track in tracks:
            unseen_s = max(now - track.last_seen_ns, 0) / 1e9
            center = snapshot.centers.get(track.track_id, track.center)
            known.append((track.track_id, _candidate(track, center, unseen_s)))
        for gone in self._gallery:
            unseen_s = max(now - gone.last_seen_ns, 0) / 1e9
            expected = gone.candidate.center + gone.velocity_px_s * np.float32(unseen_s)
            known.append((gone.track_id, replace(gone.candidate, unseen_s=unseen_s, expected=expected)))
        return known


def _overlap_then(snapshot: Snapshot, keyframe: PaddedKeyframe, tracks: Sequence[Track]) -> NDArray[np.float32]:
    """Overlap (masks, tracks) in the keyframe: with what a track won there, or with its shape where it was not yet
    known then and has been found there since."""
    count = len(keyframe.masks)
    then = _overlaps_of_layers(keyframe.labels, count, snapshot.composite, lambda owner: owner)

    def column(track: Track) -> NDArray[np.float32]:
        pose = snapshot.poses.get(track.track_id)
        if track.track_id in then or pose is None:
            return then.get(track.track_id, np.zeros(count, np.float32))
        shape = track.model.shape_at(pose, keyframe.size).astype(np.int16)
        return overlaps(keyframe.labels, shape, count, 1)[:, 0]

    return np.array([column(t) for t in tracks], np.float32).reshape(len(tracks), count).T


def _overlap_now(
    snapshot: Snapshot, keyframe: PaddedKeyframe, tracks: Sequence[Track], composite: Composite | None
) -> NDArray[np.float32]:
    """Overlap (masks, tracks) in the newest answer, to which the advected points carry the masks."""
    count = len(keyframe.masks)
    now = _overlaps_of_layers(snapshot.at_grid(keyframe.labels), count, composite, snapshot.at_points)
    columns = [now.get(t.track_id, np.zeros(count, np.float32)) for t in tracks]
    return np.array(columns, np.float32).reshape(len(tracks), count).T


def _overlaps_of_layers(
    labels: NDArray[np.int16],
    count: int,
    composite: Composite | None,
    at: Callable[[NDArray[np.int16]], NDArray[np.int16]],
) -> dict[int, NDArray[np.float32]]:
    """Overlap of `count` labels with what each track won in an answer, by its id; `at` reads at the labels."""
    if composite is None:
        return {}
    values = overlaps(labels, at(composite.owner), count, len(composite.layers))
    return {layer.track.track_id: values[:, number] for number, layer in enumerate(composite.layers)}


def _candidate(track: Track, center: NDArray[np.float32], unseen_s: float) -> Candidate:
    x0, y0, x1, y1 = track.model.box_xyxy
    return Candidate(track.prompts, center, float(max(x1 - x0, y1 - y0)), track.model.histogram, unseen_s)


def _detected(snapshot: Snapshot, keyframe: PaddedKeyframe, index: int, prompts: frozenset[Prompt]) -> Candidate:
    mask = keyframe.masks[index]
    x0, y0, x1, y1 = mask.box_xyxy
    colors = histogram(snapshot.image.color_index[mask.window][mask.inside])
    center = np.array([(x0 + x1) / 2, (y0 + y1) / 2], np.float32)
    return Candidate(prompts, center, float(max(x1 - x0, y1 - y0)), colors)
