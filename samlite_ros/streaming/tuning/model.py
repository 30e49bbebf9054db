"""Constants of an object's model: template, alignment, appearance, colours, search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.tuning.group import TuningGroup, bounded

INNER_WEIGHT = 0.9
"""Template points of more weight lie inside the object: those have 1, those outside `ring_weight`, which is less."""


@dataclass(frozen=True)
class TemplateTuning(TuningGroup):
    """The points by which an object is found again.

    Args:
        textured_share: So many of the template points are those of highest gradient, the others are spread evenly. Up:
            more exact on texture, blind to occlusion where there is none.
        candidate_points: Of a large object so many points, evenly spread, are looked at for the best. Up: better
            points, more work per model.
        least_points: Objects with fewer usable points are not aligned but drift with the flow. Up: more of them do.
        least_radius_px: Least distance of the points from the center that counts for rotation and scale [work px].
            Down: small objects turn and grow wildly.
        ring_px: Template points lie at most so far outside the object [fine px]. Up: more contrast at the border, more
            of a background that does not move along.
        ring_weight: Weight of those outside. Up, down: the same.
        outline_band_px: Outline points lie so near to the border [fine px]. Up: a wider basin, less exact.
        outline_softness_px: Softness of the border at the outline points [fine px]. Up: the same.
    """

    textured_share: float = bounded(0.7, 0, 1)
    candidate_points: int = bounded(1200, 96)
    least_points: int = bounded(20, 1, 96)
    least_radius_px: float = bounded(3.0, 0.1)
    ring_px: float = bounded(4.0, 0, 64)
    ring_weight: float = bounded(0.5, 0, 0.89)
    outline_band_px: float = bounded(8.0, 0, 64)
    outline_softness_px: float = bounded(2.5, 0.1)


@dataclass(frozen=True)
class AlignmentTuning(TuningGroup):
    """Finding the pose of an object by Gauss-Newton steps.

    Args:
        occluded_weight: Weight of points that lay under another object in the last answer. Up: occluders pull the
            pose. Down: a wrong owner is never corrected.
        inlier_levels: A template point agrees where its colour differs by less [levels]. Up: other objects pass for it.
            Down: changes of light make it lost.
        most_difference: Larger differences of colour pull no more [levels]. Up: outliers pull harder.
        cost_limit: ... and cost no more [levels]. Up: the same, in the choice between poses.
        residual_scale, least_scale, most_scale: Robust scale of the colour rows: so many times the present cost, and
            its limits [levels]. Up: outliers pull harder. Down: fewer points pull at all.
        outline_amplitude: Weight of the outline rows against the colour rows. 0: plain objects slip. Up: outlines
            that look alike pull the pose.
        outline_scale: Robust scale of the outline rows. Up: outliers of them pull harder.
        outline_cost: Share of the outline rows in the cost [levels]. 0: poses are chosen by the template alone.
        shift_damping, turn_damping: Damping of shifts, and of growth and rotation, over the stiffness. Up: slower, and
            steadier where few points agree.
        least_stiffness: Stiffness added to every direction. Up: plain objects keep their start.
        step_limit_px: Longest shift of one step [work px]. Up: wild steps. Down: fast objects need more steps.
        growth_limit: An alignment that grows or shrinks by more is not believed. Down: approaching objects are lost.
        shift_limit_px: Nor one that shifts farther from its start [work px]. Up: neighbours that look alike are taken.
        least_visible_points: Nor one with fewer template points in sight. Up: objects that leave stop earlier.
        least_inlier_share: Nor one where fewer of the template points agree. Up: hidden objects keep their start.
        rejected_cost: What such an alignment costs in the choice between several [levels]. Not measured.
        support_gain: What one gains where all colours in sight are the object's [levels]. Up: colours decide, not the
            template.
        start_advantage: A later start must be cheaper by this [levels]. Up: the predicted pose is kept.
        unseen_cost: What the colours of an object out of sight are taken to cost [levels]. Down: poses outside the
            image win over poor fits.
        unseen_weight: How much that counts beside those in sight. Up: as for objects half outside.
    """

    occluded_weight: float = bounded(0.05, 0, 1)
    inlier_levels: float = bounded(14.0, 0, 255)
    most_difference: float = bounded(80.0, 0, 255)
    cost_limit: float = bounded(30.0, 0, 255)
    residual_scale: float = bounded(1.2, 0)
    least_scale: float = bounded(5.0, 0.1, 255)
    most_scale: float = bounded(12.0, 0.1, 255)
    outline_amplitude: float = bounded(40.0)
    outline_scale: float = bounded(0.5, 0.01)
    outline_cost: float = bounded(20.0)
    shift_damping: float = bounded(1e-3)
    turn_damping: float = bounded(2e-2)
    least_stiffness: float = bounded(50.0, 1e-3)
    step_limit_px: float = bounded(6.0)
    growth_limit: float = bounded(0.18)
    shift_limit_px: float = bounded(10.0)
    least_visible_points: int = bounded(15, 0, 96)
    least_inlier_share: float = bounded(0.21, 0, 1)
    rejected_cost: float = bounded(10.0)
    support_gain: float = bounded(15.0)
    start_advantage: float = bounded(0.2)
    unseen_cost: float = bounded(10.0)
    unseen_weight: float = bounded(0.02)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect_order("least_scale", "most_scale")

    @cached_property
    def damping(self) -> NDArray[np.float32]:
        """Damping of shift x, shift y, growth and rotation on the diagonal of a matrix, (4, 4)."""
        return np.diag([self.shift_damping, self.shift_damping, self.turn_damping, self.turn_damping]).astype(
            np.float32
        )

    @cached_property
    def stiffness(self) -> NDArray[np.float32]:
        """`least_stiffness` on the diagonal of a matrix, (4, 4)."""
        return np.asarray(self.least_stiffness * np.eye(4, dtype=np.float32), np.float32)


@dataclass(frozen=True)
class AppearanceTuning(TuningGroup):
    """The appearance model: what is learnt of an object from one keyframe.

    Args:
        pad_px: Room around the keyframe for crops that reach over its border [work px]; growth ends 4 px before it.
            Up: large objects may enter by more, and models take longer.
        margin_px: Room around an object inside the image [work px]. Up: may grow more between keyframes, more work.
        border_growth: Room around an object that the image border cuts, as a factor of its size, ... Up: may enter by
            more, and grow into what looks alike.
        border_margin_px: ... and at least [work px]. Up: the same, for small objects.
        least_within: Something occludes a part of an object where so much of what is seen lies within its prior, ...
            Up: a prior at a wrong pose is used less often. Down: more often.
        least_hidden: ... and so much of the prior is missing. inf: what is hidden is forgotten. Down: objects that
            change shape seem hidden.
        border_error_px: By how much the prior's border may be off for that [fine px]. Up: as `least_within` down.
        core_px: The object's own colours are learnt so far inside [fine px], ... Up: fewer, purer pixels.
        least_core_pixels: ... unless there are fewer pixels than this. Not measured.
        ring_near_px, ring_far_px: Its surroundings' colours are learnt in this distance [fine px]. Up: less of its
            border, more of other objects.
        unobserved_px: Unobserved parts farther outside than this are no matter [fine px]. Down: fewer masks may grow.
    """

    pad_px: int = bounded(56, 8, 512)
    margin_px: int = bounded(16, 4, 512)
    border_growth: float = bounded(1.2)
    border_margin_px: int = bounded(28, 0, 508)
    least_within: float = bounded(0.8)
    least_hidden: float = bounded(0.12, 0, math.inf)
    border_error_px: float = bounded(1.5)
    core_px: float = bounded(1.5)
    least_core_pixels: int = bounded(15)
    ring_near_px: float = bounded(2.0)
    ring_far_px: float = bounded(24.0)
    unobserved_px: float = bounded(6.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect_order("margin_px", "pad_px")
        self._expect_order("border_margin_px", "pad_px")
        self._expect_order("ring_near_px", "ring_far_px")

    @cached_property
    def most_growth_px(self) -> int:
        """An object may reach so far beyond its box [work px]: the crop, and what is interpolated, stay in the pad."""
        return self.pad_px - 4


@dataclass(frozen=True)
class ColorTuning(TuningGroup):
    """Which colours speak for an object and which against it.

    Args:
        prior: Share given to every colour beforehand. Up: rare colours say less. Down: colours never seen say much.
        log_odds_limit: Largest log-odds of one pixel's colour. 0: colours say nothing. Up: they overrule the shape.
        ring_share: Share of the surroundings in what colours are compared with, the rest is the background. Up: only
            what is near counts.
        useless, useful: Balanced accuracy of the colours below which they are ignored, above which they are trusted
            fully. Up: less trust.
        steepness: From log-odds to the probability at outline points. Up: surer.
    """

    prior: float = bounded(2e-4, 1e-9, 1)
    log_odds_limit: float = bounded(3.0)
    ring_share: float = bounded(0.5, 0, 1)
    useless: float = bounded(0.6, 0, 0.999)
    useful: float = bounded(0.9, 0.001, 1)
    steepness: float = bounded(1.5, 0, 25)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect_order("useless", "useful")


@dataclass(frozen=True)
class SearchTuning(TuningGroup):
    """Looking for a lost object.

    Args:
        margin_px: Its colours are looked for so far around its box [work px]. Up: farther, and drawn to other objects.
        steps: Steps of mean shift. Up: farther.
        least_window_px: Smaller windows, cut by the image border, are not searched [work px]. Not measured.
        least_evidence: Sum of log-odds in the window below which nothing is found. Up: stays where it is.
        candidates: Places in the whole image that are tried. 0: the whole image is never searched. Up: slower.
        coarse_from_px: Objects of so many pixels are searched at a quarter of the resolution [px of half the work
            image's]. Down: quicker, less exact. Up: slower.
        least_template_px: A template of fewer pixels is found everywhere [px of the searched image]. Down: small
            objects jump to what looks alike.
    """

    margin_px: int = bounded(10, 0, 512)
    steps: int = bounded(3, 0, 100)
    least_window_px: int = bounded(6, 1)
    least_evidence: float = bounded(20.0, 0.01)
    candidates: int = bounded(3, 0, 100)
    coarse_from_px: int = bounded(200)
    least_template_px: int = bounded(12, 1)
