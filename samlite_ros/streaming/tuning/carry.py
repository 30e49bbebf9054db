"""Constants of carrying masks: tracking, compositing, association, re-identification, model update, track life."""

from __future__ import annotations

import math
from dataclasses import dataclass

from samlite_ros.streaming.tuning.group import TuningGroup, bounded


@dataclass(frozen=True)
class InitialPoseTuning(TuningGroup):
    """The first pose of a new model, from the points that the flow carried from its keyframe to now.

    Args:
        most_points: So many of the points are used. Up: slower.
        least_points: Of fewer only the median shift is used. Up: more objects start without turn and growth.
        inlier_px: A point agrees with a transform when it is off by less [work px]. Up: points that slipped count.
        ransac_iterations: Most transforms tried. Up: slower, rarely better.
        confidence: Probability of a good one at which RANSAC stops. Up: slower.
        least_inlier_share: Share of the points that must agree. Up: the median shift is used more often.
        most_growth: Transforms that grow or shrink by more are not believed. Up: wild poses.
    """

    most_points: int = bounded(120, 3)
    least_points: int = bounded(6, 3)
    inlier_px: float = bounded(1.0, 0.01)
    ransac_iterations: int = bounded(100, 1)
    confidence: float = bounded(0.98, 0.01, 0.999)
    least_inlier_share: float = bounded(0.35, 0, 1)
    most_growth: float = bounded(2.0, 1)


@dataclass(frozen=True)
class TrackingTuning(TuningGroup):
    """Following an object from frame to frame.

    Args:
        iterations: Steps of the alignment per frame. 0: no alignment. Up: slower, follows faster turns.
        iterations_uncertain: The same in frames where tracks are uncertain.
        hidden_share: Where fewer template points agree, the motion is not learnt from the alignment. Up: hidden objects
            coast sooner. Down: they are dragged along by what occludes them.
        uncertain_share: A track is uncertain where fewer agree, ... Up: other poses are tried more often, at a cost.
        uncertain_cost: ... or they differ more [levels]; it is lost where both hold. Up: tried less often.
        mismatch_agreement: What is at its place does not look like a track where fewer of the points in sight agree.
            Up: hidden objects vanish sooner. Down: ghosts.
        most_uncertain: Other starting poses are tried for so many tracks a frame, the worst. 0: never. Up: slower.
        uncertain_priority: A track that few points agree on is so much worse than one that fits badly [levels].
        least_flow_points: The flow is trusted where so many points agreed last time. Up: velocity is used more often.
        least_search_shift_px: Colours less far from a track are no other pose [work px]. Not measured.
        rest_reach_px: An object so near to its place in the keyframe is at rest [work px], ... 0: its border trembles.
            Up: slow motion is drawn as rest, then a jump.
        rest_factor, rest_margin: ... unless it costs so many times as much there, and so much more [levels]. Up: as for
            the reach.
        agreement_gain: Weight of the newest frame in the smoothed shares. Up: quicker to be uncertain, and noisier.
        velocity_gain: The same for the velocity.
    """

    iterations: int = bounded(2, 0, 100)
    iterations_uncertain: int = bounded(4, 0, 100)
    hidden_share: float = bounded(0.35, 0, 1)
    uncertain_share: float = bounded(0.5, 0, 1)
    uncertain_cost: float = bounded(9.0)
    mismatch_agreement: float = bounded(0.25, 0, 1)
    most_uncertain: int = bounded(3)
    uncertain_priority: float = bounded(20.0)
    least_flow_points: int = bounded(10, 1)
    least_search_shift_px: float = bounded(1.5)
    rest_reach_px: float = bounded(1.0)
    rest_factor: float = bounded(1.1)
    rest_margin: float = bounded(0.3)
    agreement_gain: float = bounded(0.5, 0, 1)
    velocity_gain: float = bounded(0.4, 0, 1)


@dataclass(frozen=True)
class CompositingTuning(TuningGroup):
    """From poses to masks: which pixel belongs to which object.

    Args:
        least_softness_px, most_softness_px: Signed distance that counts as one unit of log-odds [fine px]: for an
            object at rest, and for one seen from elsewhere, ... Up: the frame decides about borders. Down: the keyframe
            does.
        softness_per_px: ... and how it grows with the way of its corners since the keyframe [fine px / work px].
        most_outside, most_inside: Largest log-odds from the shape. Up: what the frame shows cannot overrule them.
        color_factor: How much appearance counts against shape. Up: masks follow colours, also wrong ones.
        edge_factor, edge_factor_per_level, edge_cost: The same at a border that the keyframe showed, how it grows with
            the cost of the alignment [1 / level], and from which cost on [levels]. Up: such borders follow colours.
        edge_px: Such a border reaches so far into the object [fine px].
        disocclusion_log_odds: Colour with which an object goes on where its keyframe showed something else. inf: never.
            Down: objects grow into what looks alike.
        disocclusion_levels: How much else the keyframe showed there [levels]. Down: the same.
        likeness_levels: A pixel that differs by less from the keyframe speaks for the object [levels], ... Up: shadows
            and other objects pass for it.
        likeness_scale: ... by one unit of log-odds for so many levels. Up: the keyframe's looks count less.
        most_like, most_unlike: Largest log-odds of that, for and against. Up: an unknown object in front takes away
            more, and so do highlights.
        least_color_log_odds: Colours that say less leave it to the likeness. Down: objects in front are painted.
        window_margin_px: An object may cover so much around its box [work px]. Up: slower, may grow more a frame.
        least_window_px: Narrower windows, cut by the image border, are not drawn [work px].
        connection_px: Growth must hang on what was seen so far inside [fine px].
        unobserved_log_odds: Where the keyframe does not show whether the object goes on. Up: grows into what looks
            alike. -20: never grows.
        unobserved_slope_border, unobserved_slope_occluded: How it falls with the distance from what was seen, over the
            image border and elsewhere [1 / fine px]. Up: grows less a keyframe.
        missed_limit, missed_penalty: Log-odds of an object that the network missed: at most so much from its shape, and
            so much less. Up (penalty): what was found takes its pixels.
        guess_limit: Limit of the same for an object whose pose is a guess, ... Down: what is certain takes its pixels.
        guess_share: ... because fewer template points agree.
        duplicate_iou: Two tracks that overlap more are of one object. Down: neighbours are merged. Up: duplicates stay.
        certain: Log-odds of the pixels of an object in an unchanged part of the image. Not measured.
        least_support: An object whose template points disagree is drawn where so many of its pixels look like it all
            the same. Up: fewer ghosts, objects vanish in changing light.
        least_remainder: A smaller share of what the keyframe showed is the error of a border: the object has left. Up:
            objects that leave vanish sooner. Down: crumbs.
    """

    least_softness_px: float = bounded(0.5, 0.01)
    most_softness_px: float = bounded(1.5, 0.01)
    softness_per_px: float = bounded(0.15)
    most_outside: float = bounded(8.0)
    most_inside: float = bounded(5.3)
    color_factor: float = bounded(2.0)
    edge_factor: float = bounded(0.15)
    edge_factor_per_level: float = bounded(0.1)
    edge_cost: float = bounded(5.0)
    edge_px: float = bounded(2.0)
    disocclusion_log_odds: float = bounded(1.5, 0, math.inf)
    disocclusion_levels: float = bounded(20.0, 0, 255)
    likeness_levels: float = bounded(14.0, 0, 255)
    likeness_scale: float = bounded(8.0, 0.01)
    most_like: float = bounded(1.0)
    most_unlike: float = bounded(3.0)
    least_color_log_odds: float = bounded(0.3)
    window_margin_px: float = bounded(7.0, 0, 256)
    least_window_px: int = bounded(2, 1)
    connection_px: float = bounded(1.0)
    unobserved_log_odds: float = bounded(-0.5, -100, 100)
    unobserved_slope_border: float = bounded(0.03)
    unobserved_slope_occluded: float = bounded(0.12)
    missed_limit: float = bounded(3.0)
    missed_penalty: float = bounded(1.5)
    guess_limit: float = bounded(3.0)
    guess_share: float = bounded(0.3, 0, 1)
    duplicate_iou: float = bounded(0.4, 0, 1)
    certain: float = bounded(10.0)
    least_support: float = bounded(0.3, 0, 1)
    least_remainder: float = bounded(0.015, 0, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._expect_order("least_softness_px", "most_softness_px")


@dataclass(frozen=True)
class DetectionTuning(TuningGroup):
    """What several prompts found in one keyframe.

    Args:
        same_object_iou: Masks of two prompts that overlap more are one object. Down: a part is merged with the whole.
            Up: one object has two tracks.
        nested_share: Masks that share more of the smaller one's pixels are parts of one another (a shirt on a person)
            and do not compete for pixels. Down: neighbours overlap. Up: parts cut holes.
        most_prompt_misses: A prompt that did not find an object again in so many keyframes is none of its matches any
            more. Up: wrong matches stay longer. Down: one miss ends a match.
    """

    same_object_iou: float = bounded(0.75, 0, 1)
    nested_share: float = bounded(0.3, 0, 1)
    most_prompt_misses: int = bounded(2, 1)


@dataclass(frozen=True)
class AssociationTuning(TuningGroup):
    """Which detection of a keyframe is which track.

    Args:
        same_prompt_bonus: Overlap that a prompt in common is worth. Up: prompts decide between neighbours.
        least_overlap: Least overlap of a track with a detection that have a prompt in common. Up: fast objects get new
            ids. Down: neighbours swap ids.
        least_overlap_other_prompt: The same where they have none.
        least_overlap_now: The same for the masks that the points carried to the newest frame, which slip onto other
            objects.
    """

    same_prompt_bonus: float = bounded(0.2, 0, 1)
    least_overlap: float = bounded(0.1, 0, 1)
    least_overlap_other_prompt: float = bounded(0.3, 0, 1)
    least_overlap_now: float = bounded(0.3, 0, 1)


@dataclass(frozen=True)
class ReidentificationTuning(TuningGroup):
    """Recognising objects that were out of sight.

    Args:
        memory_s: For how long they are recognised [s]. 0: never. Up: other objects get old ids.
        least_similarity: Similarity of colours that is needed (Bhattacharyya coefficient). Up: new ids after changes of
            light. Down: other objects get old ids.
        reach_sizes, reach_px_per_s: How far from where it was expected: in its own sizes, and in addition with the time
            out of sight [work px / s]. Up: other objects get old ids.
        distance_discount: How much less the similarity counts at that distance. Up: the nearest decides.
    """

    memory_s: float = bounded(3.0)
    least_similarity: float = bounded(0.6, 0, 1)
    reach_sizes: float = bounded(1.5)
    reach_px_per_s: float = bounded(40.0)
    distance_discount: float = bounded(0.5, 0, 1)


@dataclass(frozen=True)
class ModelUpdateTuning(TuningGroup):
    """Renewing the models from a keyframe, a few per frame.

    Args:
        budget_px: Work per frame for models that replace others [px of their crops]. Up: newer models, longer frames.
        new_budget_px: The same for objects that have none yet. Up: they appear sooner, longer frames.
        overhead_px: What a model costs, however small [px].
        iterations: Steps of the alignment of a new model. 0: it stays where the flow took it. Up: slower.
        search_iterations: The same from where a lost object was looked for.
        far_cost_ratio: A lost object is believed to be far from where the flow took it only where it costs so much less
            there. Up: jumps to what looks alike. Down: stays lost.
        most_searches: Lost objects that are looked for in the whole image per frame. Up: longer frames.
        partial_head_start_s, uncertain_head_start_s: How much sooner the models of objects seen in part, and of
            uncertain ones, are renewed [s].
        kept_share: An older model is kept where so much more of it agrees with the present frame than the keyframe
            showed, ... Down: what is half hidden is kept whole. Up: what is hidden is forgotten.
        kept_s: ... if it is going to be no older than this [s] when the next one comes.
        background_gain: Weight of the newest keyframe in the background's colours. Not measured.
        still_shift_px: An object in an unchanged part of the image stands still, unless its corners seem to have moved
            more [work px].
    """

    budget_px: int = bounded(50_000, 1, 1e9)
    new_budget_px: int = bounded(150_000, 1, 1e9)
    overhead_px: int = bounded(13_000)
    iterations: int = bounded(2, 0, 100)
    search_iterations: int = bounded(4, 0, 100)
    far_cost_ratio: float = bounded(0.6, 0, 1)
    most_searches: int = bounded(4)
    partial_head_start_s: float = bounded(0.5)
    uncertain_head_start_s: float = bounded(0.3)
    kept_share: float = bounded(0.25, 0, 1)
    kept_s: float = bounded(1.5)
    background_gain: float = bounded(0.5, 0, 1)
    still_shift_px: float = bounded(4.0)


@dataclass(frozen=True)
class TrackLifeTuning(TuningGroup):
    """When a track that the network does not find again ends.

    Args:
        most_misses: After more keyframes in a row. 0: at once. Up: ghosts.
        missed_for_s: After so long [s]: it may be hidden by something that nobody asked for. Up: ghosts. Down: hidden
            objects get new ids.
    """

    most_misses: int = bounded(10)
    missed_for_s: float = bounded(1.0)
