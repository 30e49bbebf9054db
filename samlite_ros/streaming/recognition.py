"""Gives the detections of a keyframe their track ids, and remembers things for a while after they are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.appearance import PaddedKeyframe
from samlite_ros.streaming.color_model import histogram
from samlite_ros.streaming.compose import Settlement
from samlite_ros.streaming.detections import Detection
from samlite_ros.streaming.identity import Candidate, match_by_likeness, match_by_overlap, overlaps
from samlite_ros.streaming.snapshot import Snapshot
from samlite_ros.streaming.tracks import Track

MEMORY_S = 3.0
"""Things out of sight are recognised for so long [s]."""


@dataclass(frozen=True, eq=False)
class _Gone:
    """A thing that has ended and may come back."""

    track_id: int
    candidate: Candidate
    last_seen_ns: int
    velocity_px_s: NDArray[np.float32]


class Recogniser:
    """Knows the things that are gone, and hands out ids.

    Args:
        across_phrases: What different phrases find may be one thing.
    """

    def __init__(self, across_phrases: bool) -> None:
        self._across_phrases = across_phrases
        self._next_id = 1
        self._gone: list[_Gone] = []

    def reset(self) -> None:
        """Forget the things that are gone; ids are not used again."""
        self._gone = []

    def remember(self, track: Track, rate_hz: float) -> None:
        """A track ends; `rate_hz` is that of the frames."""
        velocity = track.velocity * np.float32(rate_hz)
        self._gone.append(_Gone(track.track_id, _candidate(track, track.center, 0.0), track.last_seen_ns, velocity))

    def identify(
        self,
        detections: Sequence[Detection],
        keyframe: PaddedKeyframe,
        snapshot: Snapshot,
        tracks: Sequence[Track],
        settlement: Settlement | None,
    ) -> list[int]:
        """Track ids of a keyframe's detections, which are the last of its masks; new ids for new things.

        First by overlap with the carried masks, then, for what was out of sight, by likeness.

        Args:
            detections: What was found.
            keyframe: The keyframe.
            snapshot: The same keyframe's moment.
            tracks: The things that are followed now.
            settlement: Who owns which pixel now.
        """
        first = len(keyframe.masks) - len(detections)
        overlap = _overlaps(snapshot, keyframe, tracks, settlement)[first:]
        phrases = [frozenset(m.phrase for m in d.matches) for d in detections]
        track_phrases = [frozenset(m.phrase for m in t.matches) for t in tracks]
        pairs = match_by_overlap(overlap, phrases, track_phrases, self._across_phrases) if overlap.size else {}
        assigned = {d: tracks[t].track_id for d, t in pairs.items()}
        unknown = [d for d in range(len(detections)) if d not in assigned]
        if unknown:
            known = self._out_of_sight(snapshot, [t for t in tracks if t.track_id not in assigned.values()])
            candidates = [_detected(snapshot, keyframe, first + d, phrases[d]) for d in unknown]
            likely = match_by_likeness(candidates, [c for _, c in known]) if known else {}
            assigned.update({unknown[d]: known[t][0] for d, t in likely.items()})
        ids = [assigned[d] if d in assigned else self._new_id() for d in range(len(detections))]
        self._gone = [g for g in self._gone if g.track_id not in ids]
        return ids

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def _out_of_sight(self, snapshot: Snapshot, tracks: Sequence[Track]) -> list[tuple[int, Candidate]]:
        """Ids and looks of the things that no detection overlaps."""
        now = snapshot.stamp_ns
        self._gone = [g for g in self._gone if now - g.last_seen_ns < MEMORY_S * 1e9]
        known = []
        for track in tracks:
            unseen_s = max(now - track.last_seen_ns, 0) / 1e9
            center = snapshot.centers.get(track.track_id, track.center)
            known.append((track.track_id, _candidate(track, center, unseen_s)))
        for gone in self._gone:
            unseen_s = max(now - gone.last_seen_ns, 0) / 1e9
            expected = gone.candidate.center + gone.velocity_px_s * np.float32(unseen_s)
            known.append((gone.track_id, replace(gone.candidate, unseen_s=unseen_s, expected=expected)))
        return known


def _overlaps(
    snapshot: Snapshot, keyframe: PaddedKeyframe, tracks: Sequence[Track], settlement: Settlement | None
) -> NDArray[np.float32]:
    """Overlap (masks, tracks): in the keyframe, and carried to now by the advected points; the greater counts."""
    out = np.zeros((len(keyframe.masks), len(tracks)), np.float32)
    column = {t.track_id: i for i, t in enumerate(tracks)}

    def enter(labels: NDArray[np.int16], owner: NDArray[np.int16], at: Settlement) -> None:
        values = overlaps(labels, owner, len(keyframe.masks), len(at.evidence))
        for number, claim in enumerate(at.evidence):
            index = column.get(claim.track.track_id)
            if index is not None:
                out[:, index] = np.maximum(out[:, index], values[:, number])

    if snapshot.settlement is not None:
        enter(keyframe.labels, snapshot.settlement.owner, snapshot.settlement)
    if settlement is not None:
        enter(snapshot.at_grid(keyframe.labels), snapshot.at_points(settlement.owner), settlement)
    return out


def _candidate(track: Track, center: NDArray[np.float32], unseen_s: float) -> Candidate:
    x0, y0, x1, y1 = track.model.box_xyxy
    phrases = frozenset(m.phrase for m in track.matches)
    return Candidate(phrases, center, float(max(x1 - x0, y1 - y0)), track.model.histogram, unseen_s)


def _detected(snapshot: Snapshot, keyframe: PaddedKeyframe, index: int, phrases: frozenset[str]) -> Candidate:
    mask = keyframe.masks[index]
    x0, y0, x1, y1 = mask.box_xyxy
    colors = histogram(snapshot.image.color_index[mask.window][mask.inside])
    center = np.array([(x0 + x1) / 2, (y0 + y1) / 2], np.float32)
    return Candidate(phrases, center, float(max(x1 - x0, y1 - y0)), colors)
