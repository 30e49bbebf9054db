"""Where the things of an answer are: masks, depth and calibration of one camera to places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from samlite_ros.errors import PlaceError
from samlite_ros.foreign.words import quoted
from samlite_ros.space.depth_grid import DepthGrid
from samlite_ros.space.frames import IDENTITY, Transform
from samlite_ros.space.measurement import Measurement, measure
from samlite_ros.space.rays import Rays
from samlite_ros.space.smoothing import PlaceFilter, SmoothingCounters
from samlite_ros.space.surface import find_surface
from samlite_ros.types import CameraCalibration, DepthImage, Frame, Instance, Place, Segmentation


@dataclass(frozen=True, eq=False)
class Located:
    """An answer with the places of its things.

    Args:
        answer: The answer.
        frame_id: Frame of all places.
        places: One for each instance of the answer; None = too little of it was measured.
        is_blind: The depth image measured nothing anywhere.
    """

    answer: Segmentation
    frame_id: str
    places: tuple[Place | None, ...]
    is_blind: bool = False


@dataclass
class PlaceCounters:
    """What became of the places of a camera's answers.

    Args:
        located: Answers whose places were found.
        things: Things in them whose place is known.
        unmeasured: Things in them of which too little was measured.
        blind: Answers whose depth image measured nothing anywhere.
        refused: Answers whose depth or calibration does not belong to them.
        last_refusal: Why, the last of them.
    """

    located: int = 0
    things: int = 0
    unmeasured: int = 0
    blind: int = 0
    refused: int = 0
    last_refusal: str = ""

    def count(self, located: Located) -> None:
        """One more answer."""
        known = sum(place is not None for place in located.places)
        self.located += 1
        self.things += known
        self.unmeasured += len(located.places) - known
        self.blind += located.is_blind

    def refuse(self, error: Exception) -> None:
        """One that cannot be located."""
        self.refused += 1
        self.last_refusal = str(error)


@dataclass(frozen=True)
class LocatorOptions:
    """How things are located.

    Args:
        rectified: The images are rectified, so that the calibration's distortion is not in them.
    """

    rectified: bool = False


@dataclass
class Locator:
    """Locates the things of one camera's answers, in the order of their stamps; used from one thread.

    Args:
        options: How.
        doubt: What is odd with the calibration in use, which is used all the same; empty = nothing.
    """

    options: LocatorOptions = field(default_factory=LocatorOptions)
    doubt: str = field(default="", init=False)
    _filter: PlaceFilter = field(default_factory=PlaceFilter, init=False)
    _filter_frame: str = field(default="", init=False)
    _rays: tuple[CameraCalibration, Rays] | None = field(default=None, init=False)

    def locate(self, answer: Segmentation, frame: Frame, target: tuple[str, Transform] | None = None) -> Located:
        """Find the places of an answer's things.

        Args:
            answer: The answer.
            frame: The frame that it answers, with depth and calibration.
            target: Frame in which places are wanted, and what takes points of the camera's optical frame to it; None =
                the optical frame.

        Raises:
            PlaceError: Depth or calibration is missing, or does not belong to the image.
            CalibrationError: The calibration cannot be used.
        """
        depth, rays = self._registered(frame), self._rays_of(frame)
        frame_id, transform = target or (frame.frame_id, IDENTITY)
        grid = DepthGrid(depth, frame.size)
        measured = [_measured(instance, grid, rays, transform) for instance in answer.instances]
        is_blind = not any(measured) and grid.measures_nothing
        return Located(answer, frame_id, self._smoothed(answer, frame_id, measured), is_blind)

    @property
    def smoothing(self) -> SmoothingCounters:
        """What was odd in positions over time."""
        return self._filter.counters

    def clear(self) -> None:
        """Forget what was seen: time jumped."""
        self._filter.clear()

    def _registered(self, frame: Frame) -> DepthImage:
        depth = frame.depth
        if depth is None:
            raise PlaceError("no depth image came for the image")
        if depth.frame_id and frame.frame_id and depth.frame_id != frame.frame_id:
            raise PlaceError(
                f"the depth image is in frame {depth.frame_id!r}, the image in {frame.frame_id!r}: it must be "
                "registered to the image (the driver's align_depth, depth_registration or the like)"
            )
        return depth

    def _rays_of(self, frame: Frame) -> Rays:
        calibration = frame.calibration
        if calibration is None:
            raise PlaceError("no calibration came for the camera")
        self.doubt = _doubt(calibration, frame)
        known = self._rays
        if known is None or known[1].size != frame.size or not _is_same(known[0], calibration):
            effective = calibration.rectified() if self.options.rectified else calibration
            self._rays = known = (calibration, Rays(effective, frame.size))
        return known[1]

    def _smoothed(
        self, answer: Segmentation, frame_id: str, measured: Sequence[Measurement | None]
    ) -> tuple[Place | None, ...]:
        if frame_id != self._filter_frame:
            self._filter.clear()
            self._filter_frame = frame_id
        found = {i.track_id: m for i, m in zip(answer.instances, measured, strict=True) if m is not None and i.track_id}
        means, covariances = self._filter.update(
            answer.stamp_ns,
            list(found),
            np.array([m.position_m for m in found.values()]).reshape(-1, 3),
            np.array([m.covariance_m2 for m in found.values()]).reshape(-1, 3, 3),
        )
        smoothed = dict(zip(found, zip(means, covariances, strict=True), strict=True))
        return tuple(
            None if m is None else _place(answer.stamp_ns, frame_id, m, smoothed.get(instance.track_id))
            for instance, m in zip(answer.instances, measured, strict=True)
        )


def _doubt(calibration: CameraCalibration, frame: Frame) -> str:
    """Names of frames differ by mistake more often than cameras do: it is used, and said."""
    if not calibration.frame_id or not frame.frame_id or calibration.frame_id == frame.frame_id:
        return ""
    return (
        f"the calibration is of {quoted(calibration.frame_id)}, the image of {quoted(frame.frame_id)}: it is used, but "
        "positions are wrong if that is another camera"
    )


def _is_same(one: CameraCalibration, other: CameraCalibration) -> bool:
    """Drivers send it anew with every image."""
    return one is other or (
        one.size == other.size
        and one.distortion_model == other.distortion_model
        and np.array_equal(one.camera_matrix, other.camera_matrix)
        and np.array_equal(one.distortion, other.distortion)
    )


def _measured(instance: Instance, grid: DepthGrid, rays: Rays, transform: Transform) -> Measurement | None:
    surface = find_surface(instance.mask, grid, rays)
    return None if surface is None else measure(surface, rays, transform)


def _place(
    stamp_ns: int, frame_id: str, measured: Measurement, smoothed: tuple[np.ndarray, np.ndarray] | None
) -> Place:
    position, covariance = smoothed or (measured.position_m, measured.covariance_m2)
    surface = measured.surface
    return Place(
        stamp_ns=stamp_ns,
        frame_id=frame_id,
        position_m=position,
        covariance_m2=covariance,
        measured_m=measured.position_m,
        measured_covariance_m2=measured.covariance_m2,
        spread_m=surface.spread_m,
        support=surface.support,
        share=surface.share,
        box_center_m=measured.box_center_m + (position - measured.position_m),
        box_size_m=measured.box_size_m,
        points_m=measured.points_m,
    )
