"""When is a frame worth the network's time?"""

from __future__ import annotations

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.image.change import color_histogram, is_cut
from samlite_ros.streaming.image.work_image import WorkImage
from samlite_ros.streaming.tuning import Tuning


class KeyframeReason(Enum):
    """Why a frame became a keyframe."""

    FIRST = "first frame"
    QUERY = "a query waits"
    CUT = "another scene"
    MOTION = "something moved"
    REFRESH = "knowledge would become too old"


class KeyframeSchedule:
    """Decides which frames the network gets.

    Args:
        period_s: Least time between two keyframes of a moving scene [s].
        max_age_s: Knowledge must not become older [s].
        tuning: How.
    """

    def __init__(self, period_s: float, max_age_s: float, tuning: Tuning) -> None:
        self.period_s, self.max_age_s, self._tuning = period_s, max_age_s, tuning
        self.reset()

    def reset(self) -> None:
        """Forget the last keyframe."""
        self._last_ns: int | None = None
        self._last_colors: NDArray[np.float32] | None = None
        self._latency_s = 0.0

    def due(self, stamp_ns: int, image: WorkImage | None, still: bool, query_waits: bool) -> KeyframeReason | None:
        """Why the network should see this frame; None = it would learn nothing new.

        Args:
            stamp_ns: Stamp of the frame [ns].
            image: The frame; None = not known, then other scenes are not noticed within the period.
            still: It shows what the last keyframe showed.
            query_waits: A prompt was never searched.
        """
        if self._last_ns is None:
            return KeyframeReason.FIRST
        if query_waits:
            return KeyframeReason.QUERY
        age_s = (stamp_ns - self._last_ns) / 1e9
        if age_s >= self.period_s:
            if age_s + self._latency_s + self._tuning.keyframes.refresh_margin_s >= self.max_age_s:
                return KeyframeReason.REFRESH
            if not still:
                return KeyframeReason.MOTION
        return KeyframeReason.CUT if image is not None and self._is_cut(image) else None

    def _is_cut(self, image: WorkImage) -> bool:
        before = self._last_colors
        return before is not None and is_cut(before, color_histogram(image), self._tuning.change)

    def submitted(self, stamp_ns: int, image: WorkImage | None) -> None:
        """The network begins with this frame."""
        self._last_ns = stamp_ns
        self._last_colors = None if image is None else color_histogram(image)

    def delivered(self, latency_s: float) -> None:
        """The network took so long for the last keyframe [s]."""
        gain = self._tuning.keyframes.latency_gain
        self._latency_s = latency_s if self._latency_s == 0 else (1 - gain) * self._latency_s + gain * latency_s
