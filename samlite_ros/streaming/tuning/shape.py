"""Constants of carrying shapes over real footage: points, bend, window, chain of links, choice by record."""

from __future__ import annotations

from dataclasses import dataclass

from samlite_ros.streaming.tuning.group import TuningGroup, bounded

REFERENCE_SIDE_PX = 544.0
"""Longer side of the images that lengths were tuned for [px]."""


@dataclass(frozen=True)
class ShapeTuning(TuningGroup):
    """Shapes carried by points, refined by what each frame shows. Lengths in "ref px" are camera pixels of images whose
    longer side is 544 pixels.

    Args:
        enabled: Carry shapes: half the error on real footage, up to twice the work per frame. False: templates, colours
            and poses alone, as where the refiner's weights are missing.
        most_points: Corner points followed in the whole image. Up: dearer; beyond 800 no better.
        most_points_thing: ... and of these on one object.
        points_on_things: Share of the points kept for objects, where there are any. Up: the camera's motion is told
            less well.
        seed_every: Frames between two looks for new points. Up: cheaper, uncovered parts have no points.
        least_corner: Strength of the weakest corner taken, as a share of the strongest in sight. Up: plain objects
            have no points.
        patch_px: Side of the patch by which a point is followed [px]. Up: dearer, blurs over borders.
        levels: Halvings of such an image in which a point is followed; larger ones are halved more often. Up: follows
            faster motion.
        most_return_px: A point followed forth and back must come so near to where it was [px]. Up: wrong points stay.
        inlier_px: A point agrees with an affine motion that takes it so near [ref px]. Up: bends pass as rigid.
        least_affine, least_similar: Points from which an affine motion is fitted, and a similarity.
        least_scale, most_scale: Change of area of a motion that is believed.
        most_stretch: ... and how much longer it may make one direction than the other; else a similarity is fitted.
        inner_px, most_inner: Points tell a motion only so far inside the border [ref px], for those nearer move with
            what is behind; at most so much of the root of the area.
        bend_reach: Range of one point's bend, as a share of the root of the object's area. Up: stiffer.
        least_bend_reach_px: ... and at least [ref px].
        most_bend: A point farther off the affine motion is an error, as a share of the root of the object's area.
        bend_prior: Weight of "no bend" beside the points'. Up: stiffer.
        bend_points: Points of the bend at most. 0: no bend.
        bend_step: Window cells between two places where the bend is computed. Up: cheaper.
        behind_px: A point that moved as the camera did, so exactly, and was farther off the object's own motion, lies
            behind it [ref px].
        many_points: A motion known from so many points is known well.
        camera_points: Points that tell the camera's motion at most. Up: dearer.
        cells: Cells of a window along either side. The refiner's weights are for 96.
        grow: Size of a window over that of the object's box.
        grow_px: ... and more at least [ref px].
        most_aspect: Longer side of a window over its shorter.
        reference_cells: Cells of the shape kept of a keyframe or of a link of the chain.
        color_margin: Colours around an object are looked at so much farther than its window, as a share of its size.
        base_logit: Log-odds of one cell of signed distance. The refiner's weights are for 0.5.
        link_lean: Log-odds added to what a link is made of, where the refiner is believed: what it refines loses a
            little each time. Up: masks grow.
        link_every: Frames between two links of the chain. Down: drifts where something passes in front.
        link_every_unsure, sure: ... where its motion is known less surely than this, 0 to 1.
        changed: ... or where the refined shape overlaps less with the carried one.
        most_growth: A refined shape that is so many times larger than the carried one is not believed. Up: ghosts.
        remember_every: Frames between two that are kept for making links up when a result comes late.
        late: A keyframe answered after so many times `link_every` frames is carried on by links.
        looks_per_frame: Looks at objects in one frame at most, of one object only one: refining it, or making up a link
            of a late keyframe; learning templates takes one. The others move as they were drawn last. Up: dearer,
            fresher.
        looks_when_new: ... and at most while there is one that was not drawn yet.
        least_change: Objects are looked at in the order of how much each is expected to have changed since: at least by
            this share a frame. Up: more equal turns.
        fresh: An object refined so few frames ago may wait while links are made up. Up: late keyframes are used sooner.
        look_at_resting_every: Frames between two looks at the shape of an object that is drawn by its template.
        follow_resting_every, seed_every_resting: Frames between two to which points are moved, and two looks for new
            ones, while all objects are drawn by their templates.
        calm_px: ... and nine in ten points move no farther than this a frame [ref px]. Up: cheaper; what turns away is
            lost.
        long_rest: After so many frames in which all were drawn so, looks are a quarter as frequent, points are moved at
            every `follow_resting_every`-th however fast, and are fewer. Down: what bends is taken for rigid.
        points_resting: ... namely so many for each object, and as many for all else. Up: dearer.
        foreseen_alone, foreseen_alone_every: Objects that are carried without the chain, too, for the record, in a
            frame that becomes a keyframe; and frames between two such looks.
        foreseen_from: Frames before a keyframe in which an object was refined, that the record may tell of it.
        least_link_area_px: Smaller shapes start no link [ref px^2].
        record_keep: Weight of the past when a keyframe tells how well each way did.
        error_keep: Share of its errors at earlier keyframes that the refiner is told beside that at the newest. Up:
            slow to forget.
        record_bonus: Share of its error by which another way must beat the usual one. Up: seldom changes.
        no_surety: An object that went out of the image and whose motion is known less surely is out of sight.
        least_surety: One whose motion is known less surely is drawn by its template, where that fits.
        fitting_share: Share of template points that agree from which a template fits, ...
        unsure_share: ... and where the motion is known less surely than `no_surety`. Down: what turns or bends and
            has no points is drawn as it was.
        fitting_cost: One that fits and differs so little is drawn by its template [levels]: rigid and matt.
        most_apart, least_shown: ... and so is one whose carried shape is farther from it, as a share of the root of its
            area, or shows less of its area.
    """

    enabled: bool = bounded(True)
    most_points: int = bounded(550, 0, 10_000)
    most_points_thing: int = bounded(350, 0, 10_000)
    points_on_things: float = bounded(0.7, 0, 1)
    seed_every: int = bounded(2, 1, 100)
    least_corner: float = bounded(0.002, 0, 1)
    patch_px: int = bounded(11, 3, 63)
    levels: int = bounded(4, 0, 8)
    most_return_px: float = bounded(2.0, 0.01, 100)
    inlier_px: float = bounded(4.0, 0.01, 100)
    least_affine: int = bounded(12, 3)
    least_similar: int = bounded(5, 2)
    least_scale: float = bounded(0.3, 0.001, 1)
    most_scale: float = bounded(3.0, 1, 1000)
    most_stretch: float = bounded(2.0, 1, 1000)
    inner_px: float = bounded(3.0, 0, 100)
    most_inner: float = bounded(0.05, 0, 1)
    bend_reach: float = bounded(0.12, 0.001, 100)
    least_bend_reach_px: float = bounded(6.0, 0.1, 1000)
    most_bend: float = bounded(0.25, 0, 10)
    bend_prior: float = bounded(0.1, 1e-6)
    bend_points: int = bounded(80, 0, 10_000)
    bend_step: int = bounded(8, 1, 96)
    behind_px: float = bounded(1.5, 0, 100)
    many_points: int = bounded(40, 1, 10_000)
    camera_points: int = bounded(120, 10, 10_000)
    cells: int = bounded(96, 16, 512)
    grow: float = bounded(1.5, 1, 10)
    grow_px: float = bounded(16.0, 0, 1000)
    most_aspect: float = bounded(1.6, 1, 100)
    reference_cells: int = bounded(160, 16, 1024)
    color_margin: float = bounded(0.2, 0, 10)
    base_logit: float = bounded(0.5, 0.01, 100)
    link_lean: float = bounded(0.3, -10, 10)
    link_every: int = bounded(6, 1, 1000)
    link_every_unsure: int = bounded(2, 1, 1000)
    sure: float = bounded(0.8, 0, 1)
    changed: float = bounded(0.8, 0, 1)
    most_growth: float = bounded(2.0, 1)
    remember_every: int = bounded(6, 1, 1000)
    late: float = bounded(1.5, 0, 1000)
    looks_per_frame: int = bounded(2, 1, 1000)
    looks_when_new: int = bounded(3, 1, 1000)
    least_change: float = bounded(0.02, 0, 1)
    fresh: int = bounded(2, 0, 1000)
    look_at_resting_every: int = bounded(10, 1, 1000)
    follow_resting_every: int = bounded(3, 1, 1000)
    seed_every_resting: int = bounded(8, 1, 1000)
    calm_px: float = bounded(1.0, 0, 1000)
    long_rest: int = bounded(12, 1, 1000)
    points_resting: int = bounded(40, 0, 10_000)
    foreseen_alone: int = bounded(1, 0, 1000)
    foreseen_alone_every: int = bounded(10, 1, 1000)
    foreseen_from: int = bounded(3, 0, 1000)
    least_link_area_px: float = bounded(60.0)
    record_keep: float = bounded(0.7, 0, 1)
    error_keep: float = bounded(0.5, 0, 1)
    record_bonus: float = bounded(0.1, 0, 1)
    no_surety: float = bounded(0.1, 0, 1)
    least_surety: float = bounded(0.35, 0, 1)
    fitting_share: float = bounded(0.6, 0, 1)
    unsure_share: float = bounded(0.2, 0, 1)
    fitting_cost: float = bounded(10.0, 0, 255)
    most_apart: float = bounded(0.6, 0, 100)
    least_shown: float = bounded(0.75, 0, 1)
