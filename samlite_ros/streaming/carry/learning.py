"""Learns the models of a keyframe's instances, a few per frame, so that no frame takes long."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.detections import Detection, merge_matches
from samlite_ros.streaming.carry.snapshot import Snapshot
from samlite_ros.streaming.carry.tracks import Track, start_by_color, start_pose, update_from_alignment
from samlite_ros.streaming.image.geometry import Poses, identity, scale_of, transform
from samlite_ros.streaming.image.work_image import WorkImage
from samlite_ros.streaming.model.alignment import Alignment, Covering, align, stack
from samlite_ros.streaming.model.appearance import Former, ObjectModel, PaddedKeyframe, build_model
from samlite_ros.streaming.model.search import find_by_template
from samlite_ros.streaming.tuning import ModelUpdateTuning, Tuning


@dataclass(frozen=True, eq=False)
class Lesson:
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
    detection: Detection
    tuning: Tuning

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """bool (M, N): the grid points of the keyframe that lie on the thing."""
        return self.snapshot.at_grid(self.keyframe.labels) == self.index + 1

    @property
    def cost_px(self) -> int:
        """Work that it takes, about, in pixels of its crop."""
        x0, y0, x1, y1 = self.keyframe.masks[self.index].box_xyxy
        margins = 2 * self.tuning.appearance.margin_px
        return self.tuning.model_update.overhead_px + (x1 - x0 + margins) * (y1 - y0 + margins)

    def joined_with(self, other: Lesson) -> Lesson:
        """This lesson, of a thing that answers to what another one found, too."""
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
        return start_pose(self.snapshot.grid[inside], self.snapshot.points[inside], self.tuning.initial_pose)

    def pose_in(self, later: Snapshot) -> Poses:
        """Where they were in a later keyframe; their present place where that is not known."""
        inside = self.inside
        points = later.points_of.get(self.snapshot.stamp_ns, self.snapshot.points)
        return start_pose(self.snapshot.grid[inside], points[inside], self.tuning.initial_pose)[0]


class LessonQueue:
    """The models still to be learnt; tracks stay on their old models meanwhile."""

    def __init__(self, tuning: ModelUpdateTuning) -> None:
        self._tuning = tuning
        self._lessons: list[Lesson] = []

    def add(self, lessons: Sequence[Lesson], snapshot: Snapshot, urgency: Callable[[int], float]) -> None:
        """Lessons of a keyframe; those of earlier keyframes are dropped.

        A late query may find what its keyframe's first prompts have found and what is not learnt yet: then the mask
        that came first is learnt, and the thing answers to both.

        Args:
            lessons: The lessons.
            snapshot: The keyframe.
            urgency: By track id; small ones are learnt first.
        """
        waiting = [x for x in self._lessons if x.snapshot.stamp_ns >= snapshot.stamp_ns]
        by_id: dict[int, Lesson] = {}
        for lesson in sorted([*waiting, *lessons], key=lambda x: x.snapshot.stamp_ns):
            former = by_id.get(lesson.track_id)
            if former is None:
                by_id[lesson.track_id] = lesson
            elif former.snapshot is lesson.snapshot:
                by_id[lesson.track_id] = former.joined_with(lesson)
            else:
                by_id[lesson.track_id] = lesson.joined_with(former)
        self._lessons = sorted(by_id.values(), key=lambda x: urgency(x.track_id))

    def take(self, known: Container[int]) -> list[Lesson]:
        """The next few: new things first, for these are not to be seen before.

        Args:
            known: Track ids that have a model already.
        """
        new = [x for x in self._lessons if x.track_id not in known]
        taken = _within(new, self._tuning.new_budget_px) or _within(self._lessons, self._tuning.budget_px)
        self._lessons = [x for x in self._lessons if x not in taken]
        return taken


def _within(lessons: Sequence[Lesson], budget_px: int) -> list[Lesson]:
    """As many lessons as the budget pays for, at least one where there is any."""
    total = np.cumsum([x.cost_px for x in lessons])
    count = int(np.searchsorted(total, budget_px, side="right"))
    return list(lessons[: max(count, 1)])


def learn(lesson: Lesson, old: Track | None, background: NDArray[np.float32]) -> Track:
    """A track with the lesson's model, at a first guess of its present pose.

    Args:
        lesson: What to learn.
        old: The track so far; None = a new thing.
        background: Histogram of everything that belongs to no thing.
    """
    snapshot, keyframe = lesson.snapshot, lesson.keyframe
    former_pose = snapshot.poses.get(lesson.track_id)
    former = Former(old.model, former_pose) if old is not None and former_pose is not None else None
    model = build_model(keyframe, lesson.index, lesson.nested, background, lesson.tuning, former)
    pose, fits = lesson.pose_now()
    motion = snapshot.motion_since(old) if old is not None else None
    if model.alignment is None and not fits and motion is not None:  # what can be aligned tries both
        pose = motion
    track = Track(
        track_id=lesson.track_id,
        model=model,
        keyframe_ns=snapshot.stamp_ns,
        keyframe_mask=lesson.detection.mask,
        matches=old.matches if old is not None else lesson.detection.matches,
        tuning=lesson.tuning.tracking,
        pose=pose,
        velocity=np.zeros(2, np.float32),
        inliers=model.alignment.template_weight > 0 if model.alignment is not None else np.zeros(0, bool),
        nested=lesson.nested_ids,
    )
    shift = (track.center - model.center) / np.float32(max(snapshot.frames_since, 1))
    track.velocity = old.velocity if old is not None else shift
    return track


def align_learnt(
    image: WorkImage,
    learnt: Sequence[tuple[Track, Track | None]],
    snapshots: Sequence[Snapshot],
    covering: Callable[[Sequence[Track]], Covering | None],
    tuning: Tuning,
) -> None:
    """Align new models to the current frame, starting from the first guess, from the old track's motion, and from where
    the keyframe shows them where that has not changed: the flow of what passes by may have taken their points along.

    Args:
        image: The current frame.
        learnt: New tracks and those that they replace.
        snapshots: The keyframe of each.
        covering: What covers given tracks.
        tuning: How.
    """
    alignable = [i for i, (new, _) in enumerate(learnt) if new.model.alignment is not None]
    if not alignable:
        return
    new_tracks = [learnt[i][0] for i in alignable]
    guesses = [t.pose for t in new_tracks]
    rows, starts = list(range(len(alignable))), list(guesses)
    for row, index in enumerate(alignable):
        old = learnt[index][1]
        motion = snapshots[index].motion_since(old) if old is not None else None
        rest = None if snapshots[index].has_changed_at(new_tracks[row].model.inner_points) else identity()
        others = [start for start in (motion, rest) if start is not None]
        rows += [row] * len(others)
        starts += others
    found = _align_rows(image, new_tracks, rows, starts, tuning.model_update.iterations, covering, tuning)
    _take_over(new_tracks, found)
    astray = [row for row, t in enumerate(new_tracks) if t.astray or (t.lost and learnt[alignable[row]][1] is None)]
    _look_nearby(image, [(new_tracks[row], guesses[row]) for row in astray], covering, tuning)
    for row in [row for row in astray if new_tracks[row].lost][: tuning.model_update.most_searches]:
        _look_everywhere(image, new_tracks[row], snapshots[alignable[row]], covering, tuning)


def _look_nearby(
    image: WorkImage,
    lost: Sequence[tuple[Track, Poses]],
    covering: Callable[[Sequence[Track]], Covering | None],
    tuning: Tuning,
) -> None:
    """Align lost things also from where their colours are, near a first guess."""
    searched = [(t, start) for t, guess in lost if (start := start_by_color(image, t, guess, tuning)) is not None]
    if searched:
        tracks = [t for t, _ in searched]
        rows = [*range(len(tracks)), *range(len(tracks))]
        starts = [*(t.pose for t in tracks), *(start for _, start in searched)]
        iterations = tuning.model_update.search_iterations
        _take_over(tracks, _align_rows(image, tracks, rows, starts, iterations, covering, tuning))


def _look_everywhere(
    image: WorkImage,
    track: Track,
    snapshot: Snapshot,
    covering: Callable[[Sequence[Track]], Covering | None],
    tuning: Tuning,
) -> None:
    """Align a lost thing from the places in the whole image that look like it, except where nothing has changed."""
    covered = covering([track])
    found = align_anywhere(image, track.model, track.pose, track.cost, snapshot.has_changed_at, covered, tuning)
    if found is not None:
        _take_over([track], found)


def align_anywhere(
    image: WorkImage,
    model: ObjectModel,
    pose: Poses,
    cost: float,
    may_be_at: Callable[[NDArray[np.float32]], bool],
    covering: Covering | None,
    tuning: Tuning,
) -> Alignment | None:
    """Where in the whole image a lost thing is; None = nowhere that fits far better.

    Args:
        image: The image.
        model: The thing; it has alignment points.
        pose: Where it was believed to be, (2, 3).
        cost: How badly it fits there [levels].
        may_be_at: Whether it may be at the points (N, 2) [work px].
        covering: What covers it, one row.
        tuning: How.
    """
    places = find_by_template(image, model, pose, tuning.search)
    starts = [place for place in places if may_be_at(transform(place, model.inner_points))]
    if not starts:
        return None
    rows = [0] * len(starts)
    hidden_by = covering.take(rows) if covering is not None else None
    batch, iterations = stack([model]).take(rows), tuning.model_update.search_iterations
    aligned = align(image, batch, np.stack(starts), iterations, hidden_by, tuning.alignment)
    found = aligned.best_per_object(rows, tuning.alignment)
    is_certain = not found.rejected[0] and found.share[0] >= tuning.tracking.uncertain_share
    return found if is_certain and found.cost[0] < tuning.model_update.far_cost_ratio * cost else None


def _align_rows(
    image: WorkImage,
    tracks: Sequence[Track],
    rows: Sequence[int],
    starts: Sequence[Poses],
    iterations: int,
    covering: Callable[[Sequence[Track]], Covering | None],
    tuning: Tuning,
) -> Alignment:
    """The best alignment of each track over all its starts; `rows` tells whose each start is."""
    batch = stack([t.model for t in tracks]).take(rows)
    hidden_by = covering([tracks[row] for row in rows])
    aligned = align(image, batch, np.stack(starts), iterations, hidden_by, tuning.alignment)
    return aligned.best_per_object(rows, tuning.alignment)


def _take_over(tracks: Sequence[Track], found: Alignment) -> None:
    """First poses of new models: there is nothing to smooth over yet."""
    for row, track in enumerate(tracks):
        velocity = track.velocity
        update_from_alignment(track, found, row)
        track.velocity = velocity
        track.share, track.agreement = float(found.share[row]), float(found.agreement[row])
