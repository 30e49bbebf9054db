"""Whether a track is drawn as its shape was carried, or as its template says."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import numpy as np

from samlite_ros.streaming.carry.compositing import Layer, render_layers, template_claims
from samlite_ros.streaming.carry.model_update import ModelUpdate
from samlite_ros.streaming.carry.reference import Moment
from samlite_ros.streaming.carry.refiner import Refiner, shipped_refiner
from samlite_ros.streaming.carry.shape_carrier import ShapeCarrier
from samlite_ros.streaming.carry.tracks import Track
from samlite_ros.streaming.carry.ways import Claim
from samlite_ros.streaming.image.geometry import scale_of
from samlite_ros.streaming.image.work_image import WorkImage
from samlite_ros.streaming.tuning import Tuning


class CarriedShapes:
    """The shapes of all tracks of one camera; without a refiner tracks are drawn by their templates alone.

    Args:
        tuning: How.
        refiner: The judge of pixels; None = the one that the package ships, if it is enabled and there.
    """

    def __init__(self, tuning: Tuning, refiner: Refiner | None = None) -> None:
        self._tuning = tuning
        if refiner is None and tuning.shapes.enabled:
            refiner = shipped_refiner(tuning.shapes.cells)
        self._carrier = None if refiner is None else ShapeCarrier(refiner, tuning)
        self._by_template: set[int] = set()
        self._asked: tuple[Moment, list[Track], WorkImage] | None = None

    def reset(self) -> None:
        """Forget everything."""
        self._by_template, self._asked = set(), None
        if self._carrier is not None:
            self._carrier.reset()

    def advance(self, image: WorkImage) -> None:
        """Take the next frame."""
        if self._carrier is not None:
            self._carrier.advance(image.camera, image.stamp_ns)

    def submit(self, tracks: Sequence[Track], image: WorkImage) -> Moment | None:
        """The newest frame goes to the network."""
        if self._carrier is None:
            return None
        moment = self._carrier.submit()
        asked = self._carrier.asked_of(moment)
        self._asked = moment, [copy(t) for t in tracks if t.track_id in asked], image
        return moment

    def _tell_templates(self, carrier: ShapeCarrier) -> None:
        """What templates said of the last keyframe, for the record: drawn a frame later, which has less to do."""
        if self._asked is not None:
            moment, tracks, image = self._asked
            carrier.note_templates(moment, template_claims(tracks, image, self._tuning.compositing))
            self._asked = None

    def deliver(self, update: ModelUpdate) -> None:
        """A keyframe showed an object: its shape is carried from there."""
        moment = update.snapshot.moment
        if self._carrier is not None and moment is not None:
            self._carrier.deliver(update.track_id, update.detection.mask.full(), moment)

    @property
    def are_carried(self) -> bool:
        """Whether there is a refiner."""
        return self._carrier is not None

    def settled(self) -> set[int]:
        """The tracks that are drawn as they were carried, by points that agree well: their templates need no search."""
        if self._carrier is None:
            return set()
        known = self._carrier.things.keys() - self._by_template
        return {i for i in known if self._carrier.surety(i) >= self._tuning.shapes.sure}

    def note_learning(self) -> None:
        """Templates are learnt in the newest frame."""
        if self._carrier is not None:
            self._carrier.note_learning()

    def note_answer(self) -> None:
        """A keyframe was answered."""
        if self._carrier is not None:
            self._carrier.note_answer()

    def end(self, track_id: int) -> None:
        """A track ended."""
        if self._carrier is not None:
            self._carrier.end(track_id)

    def forget_before(self, stamp_ns: int) -> None:
        """No keyframe older than this [ns] will be answered."""
        if self._carrier is not None:
            self._carrier.forget_before(stamp_ns)

    def layers(self, tracks: Sequence[Track], image: WorkImage) -> list[Layer]:
        """What each track claims: as its shape was carried, or, where no points tell how it moved and its template
        fits, as that says, and its shape is carried on from there."""
        carrier, compositing = self._carrier, self._tuning.compositing
        if carrier is None:
            return render_layers(tracks, image, compositing)
        self._tell_templates(carrier)
        fitting = {t.track_id for t in tracks if self._fits(t)}
        shapes = carrier.claims(self._by_template & fitting)
        aligned = {
            t.track_id for t in tracks if t.track_id in shapes and self._is_better_aligned(t, shapes[t.track_id], image)
        }
        unseen = {t.track_id for t in tracks if self._is_out_of_sight(t, image)}
        known = {i: claim for i, claim in shapes.items() if i not in aligned | unseen}
        self._by_template = {t.track_id for t in tracks} - known.keys()
        layers = render_layers(tracks, image, compositing, known)
        for layer in layers:
            if layer.track.track_id in aligned:
                carrier.start_from(layer.track.track_id, layer.claim(image))
        return layers

    def _fits(self, track: Track) -> bool:
        """Whether a template tells more than the points can."""
        tuning = self._tuning.shapes
        least = tuning.fitting_share if self._surety(track) >= tuning.no_surety else tuning.unsure_share
        return not track.misses and track.inlier_share >= least

    def _surety(self, track: Track) -> float:
        return 0.0 if self._carrier is None else self._carrier.surety(track.track_id)

    def _is_better_aligned(self, track: Track, claim: Claim, image: WorkImage) -> bool:
        """Whether a template that fits is to be believed: no points tell the motion, or it is elsewhere or larger.

        What was drawn by its template and has no points stays so while something passes in front of it."""
        tuning = self._tuning.shapes
        if not self._fits(track):
            is_hidden = track.track_id in self._by_template and self._surety(track) < tuning.no_surety
            return is_hidden and not track.misses
        if self._surety(track) < tuning.least_surety or track.cost < tuning.fitting_cost:
            return True
        area_px, center = claim.in_image(image.camera_scale[1])
        expected_px = track.model.area_px * float(scale_of(track.pose)) ** 2
        is_far = float(np.hypot(*(center - track.center))) > tuning.most_apart * np.sqrt(expected_px)
        return bool(is_far or area_px < tuning.least_shown * expected_px)

    def _is_out_of_sight(self, track: Track, image: WorkImage) -> bool:
        """No points of it are left, and it went out of the image."""
        (x, y), (height, width) = track.center, image.size
        return self._surety(track) < self._tuning.shapes.no_surety and not (0 <= x < width and 0 <= y < height)
