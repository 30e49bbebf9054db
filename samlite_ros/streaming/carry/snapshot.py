"""The moment of a keyframe, kept while the network works on it and until the next one is answered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.compositing import Composite
from samlite_ros.streaming.carry.detections import KeyframeDetection
from samlite_ros.streaming.carry.reference import Moment
from samlite_ros.streaming.carry.tracks import Track
from samlite_ros.streaming.image.change import change_map, is_still, most_are_in
from samlite_ros.streaming.image.geometry import Poses, compose, invert, transform
from samlite_ros.streaming.image.work_image import GRID_START_PX, DenseFlow, WorkImage, point_grid
from samlite_ros.streaming.tuning import Tuning
from samlite_ros.types import Frame


class Snapshot:
    """A frame given to the network, and points that follow its motion from then on.

    The points are moved with every frame while the network runs: when its result arrives, nothing has to be replayed.

    Args:
        frame: The frame.
        image: The same, prepared.
        tracks: All tracks at that moment.
        composite: Who owned which pixel then; None = nothing known.
        others: Earlier keyframes that are still in use.
        moment: The same frame for carrying shapes; None = they are not carried.
        tuning: How.
    """

    def __init__(
        self,
        frame: Frame,
        image: WorkImage,
        tracks: Sequence[Track],
        composite: Composite | None,
        others: Sequence[Snapshot],
        moment: Moment | None,
        tuning: Tuning,
    ) -> None:
        self._tuning = tuning
        self.frame, self.image, self.composite, self.moment = frame, image, composite, moment
        self.grid = point_grid(image.size, tuning.image)
        self.points = self.grid
        self.poses: dict[int, Poses] = {t.track_id: t.pose for t in tracks}
        self.centers: dict[int, NDArray[np.float32]] = {t.track_id: t.center for t in tracks}
        self.points_of: dict[int, NDArray[np.float32]] = {s.stamp_ns: s.points for s in others}
        self.frames_since = 0
        self.found: list[tuple[int, KeyframeDetection]] = []
        self.changed: NDArray[np.bool_] | None = None

    @property
    def stamp_ns(self) -> int:
        """Stamp of the frame [ns]."""
        return self.image.stamp_ns

    def compare(self, image: WorkImage) -> None:
        """Note where a later frame differs from this one."""
        self.changed = change_map(self.image, image, self._tuning.change)

    def advance(self, flow: DenseFlow | None) -> None:
        """Move the points to the next frame; None = nothing moved."""
        self.frames_since += 1
        if flow is not None:
            self.points = flow.advect(self.points)

    def at_grid(self, values: NDArray[np.int16]) -> NDArray[np.int16]:
        """Values (h, w) of the keyframe at the points' first places, (M, N)."""
        step = self._tuning.image.grid_step_px
        return values[GRID_START_PX::step, GRID_START_PX::step]

    def at_points(self, values: NDArray[np.int16]) -> NDArray[np.int16]:
        """Values (h, w) of the current frame at the points' present places, (M, N); 0 outside the image."""
        x, y = np.rint(self.points[..., 0]).astype(np.intp), np.rint(self.points[..., 1]).astype(np.intp)
        inside = (x >= 0) & (x < values.shape[1]) & (y >= 0) & (y < values.shape[0])
        return np.where(inside, values[np.where(inside, y, 0), np.where(inside, x, 0)], np.int16(0))

    def motion_since(self, track: Track) -> Poses | None:
        """How a track has moved since this keyframe, (2, 3); None = it was not known then."""
        pose = self.poses.get(track.track_id)
        return None if pose is None else compose(track.pose, invert(pose))

    def replace_model(self, track_id: int, motion: Poses, new_pose: Poses) -> None:
        """A track got another model, whose pose is now `new_pose`: rewrite its pose at this keyframe."""
        self.poses[track_id] = compose(invert(motion), new_pose)

    def add_track(self, track: Track, pose: Poses) -> None:
        """A track that was not known then was there, at this pose (2, 3)."""
        self.poses[track.track_id] = pose
        self.centers[track.track_id] = transform(pose, track.model.center[None])[0]

    def is_unchanged(self, box_xyxy: tuple[int, int, int, int]) -> bool:
        """Whether nothing has changed in and around a box [work px] since this keyframe."""
        if self.changed is None:
            return False
        (x0, y0, x1, y1), margin = box_xyxy, self._tuning.change.unchanged_margin_px
        rows = slice(max(y0 // 2 - margin, 0), y1 // 2 + 1 + margin)
        columns = slice(max(x0 // 2 - margin, 0), x1 // 2 + 1 + margin)
        return not self.changed[rows, columns].any()

    @property
    def is_still(self) -> bool:
        """Whether the newest frame shows what this keyframe showed."""
        return self.changed is not None and is_still(self.changed, self._tuning.change)

    def has_changed_at(self, points: NDArray[np.float32]) -> bool:
        """Whether most of the points (N, 2) [work px] that are in sight lie where the image has changed since."""
        return self.changed is None or most_are_in(self.changed, points)
