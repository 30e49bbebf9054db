"""Carries the shapes of all things from keyframes to every frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.planes import Carried, planes_of
from samlite_ros.streaming.carry.reference import (
    Moment,
    Reference,
    camera_between,
    colors_of,
    reference_from_logits,
    reference_from_mask,
    unit_of,
    window_of,
)
from samlite_ros.streaming.carry.refiner import Refiner
from samlite_ros.streaming.carry.ways import Claim, Foreseen, Shape, WayRecord, paste
from samlite_ros.streaming.image.frame_images import FrameImages
from samlite_ros.streaming.image.point_pool import CORNER_SHRINK, PointPool
from samlite_ros.streaming.model.thing_colors import ThingColors
from samlite_ros.streaming.tuning import Tuning

NOWHERE = -9.0
"""Log-odds outside of what was drawn."""


@dataclass(eq=False)
class Source:
    """What one keyframe tells of a thing, and the chain that began there.

    Args:
        key: Its shape in the keyframe.
        link: Its shape in a later frame, as refined there.
        colors: Learnt in the keyframe.
        ahead: Frames at which links may still be made before `link` is up to date.
        sure: The motion to the last of these was known well.
    """

    key: Reference
    link: Reference
    colors: ThingColors
    ahead: list[Moment] = field(default_factory=list)
    sure: bool = True


@dataclass(frozen=True, eq=False)
class Drawn:
    """What was drawn of a thing when it was last refined.

    Args:
        moment: The frame.
        claim: What was drawn.
        area_px: Its area [px^2].
        chained, alone: Carried from the newest link, and from the keyframe; None = not looked at.
    """

    moment: Moment
    claim: Claim
    area_px: float
    chained: Shape | None
    alone: Shape | None


@dataclass(eq=False)
class CarriedThing:
    """One thing that is carried.

    Args:
        source: What it is carried from.
        record: How to draw it.
        incoming: What it will be carried from when its chain has caught up.
        foreseen: By number of the frame: what was said of frames that the network is looking at.
        drawn: When it was last refined.
    """

    source: Source
    record: WayRecord
    incoming: Source | None = None
    foreseen: dict[int, Foreseen] = field(default_factory=dict)
    drawn: Drawn | None = None

    def moments(self) -> list[Moment]:
        """Frames whose points are still needed."""
        out = [] if self.drawn is None else [self.drawn.moment]
        for source in (self.source, self.incoming):
            if source is not None:
                out += [source.key.moment, source.link.moment, *source.ahead]
        return out


class ShapeCarrier:
    """All shapes of one camera. For each frame call `advance`, then `claims`.

    Args:
        refiner: The judge of pixels.
        tuning: How.
    """

    def __init__(self, refiner: Refiner, tuning: Tuning) -> None:
        self._refiner, self._all, self._tuning = refiner, tuning, tuning.shapes
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._pool = PointPool(self._tuning)
        self._number = 0
        self._owner: NDArray[np.uint8] | None = None
        self._beats: list[Moment] = []
        self._cameras: dict[tuple[int, int], NDArray[np.float64]] = {}
        self.things: dict[int, CarriedThing] = {}
        self.now: Moment | None = None

    def advance(self, images: FrameImages, stamp_ns: int) -> None:
        """Take the next frame."""
        before = self.now
        if before is not None:
            self._pool.follow(before.images.gray, images.gray)
            self._number += 1
        h, w = images.size
        if self._owner is None:
            self._owner = np.zeros((h // CORNER_SHRINK, w // CORNER_SHRINK), np.uint8)
        if self._number % self._tuning.seed_every == 0:
            self._pool.seed(images.gray, self._owner)
        needed = [m for thing in self.things.values() for m in thing.moments()]
        self._pool.keep_only([m.mark for m in [*self._beats, *needed]])
        self.now = Moment(self._number, stamp_ns, images, self._pool.mark())
        self._cameras = {}
        if self._number % self._tuning.remember_every == 0:
            self._remember(self.now)

    def _remember(self, moment: Moment) -> None:
        """Keep a frame: things of late keyframes are carried over it."""
        if moment not in self._beats:
            self._beats.append(moment)

    def submit(self, templates: Mapping[int, Claim] | None = None) -> Moment:
        """The newest frame goes to the network; what each way says of it is kept for the record.

        Args:
            templates: What things' templates say, by their ids.

        Raises:
            ValueError: There is no frame yet.
        """
        now = self.now
        if now is None:
            raise ValueError("no frame yet: call advance() first")
        self._remember(now)
        budget = self._tuning.foreseen_alone
        for thing_id, thing in self.things.items():
            drawn, source = thing.drawn, thing.source
            if drawn is None or drawn.moment is not now:
                continue
            chained, alone = drawn.chained, drawn.alone
            if alone is None and budget:
                alone, budget = self._shape(source, source.key, now), budget - 1
            template = None if templates is None else templates.get(thing_id)
            thing.foreseen = {**dict(list(thing.foreseen.items())[-2:]), now.number: Foreseen(chained, alone, template)}
        return now

    @property
    def refined_now(self) -> set[int]:
        """The things that were refined in the newest frame."""
        return {i for i, t in self.things.items() if t.drawn is not None and t.drawn.moment is self.now}

    def deliver(self, thing_id: int, mask: NDArray[np.bool_], moment: Moment) -> None:
        """The network's mask (H, W) of a thing in an earlier frame."""
        key = reference_from_mask(moment, mask, self._tuning)
        if key is None:
            return
        source = Source(key, key, colors_of(key, self._all), self._ahead_of(moment))
        thing = self.things.get(thing_id)
        if thing is None:
            self.things[thing_id] = CarriedThing(source, WayRecord(self._tuning))
            return
        foreseen = thing.foreseen.pop(moment.number, None)
        if foreseen is not None:
            thing.record.note(foreseen, key)
        thing.incoming = source
        self._take_over(thing)

    def _ahead_of(self, moment: Moment) -> list[Moment]:
        """Frames at which links are made up between a keyframe and now; none where it is not long ago."""
        if self.now is None or self.now.number - moment.number <= self._tuning.link_every * self._tuning.late:
            return []
        every = self._tuning.remember_every
        return [b for b in self._beats if b.number > moment.number and b.number % every == 0]

    def surety(self, thing_id: int) -> float:
        """How well the motion of a thing was known when it was last refined, 0 to 1."""
        thing = self.things.get(thing_id)
        drawn = None if thing is None else thing.drawn
        shape = None if drawn is None else drawn.chained or drawn.alone
        return 0.0 if shape is None else shape.surety

    def start_from(self, thing_id: int, claim: Claim) -> None:
        """A thing was found in the newest frame by other means: it is carried from there."""
        thing, now = self.things.get(thing_id), self.now
        if thing is None or now is None:
            return
        link = reference_from_logits(now, claim.window, claim.logits, self._tuning)
        if link is not None:
            thing.source.link, thing.source.ahead = link, []

    def end(self, thing_id: int) -> None:
        """A thing is no longer carried."""
        self.things.pop(thing_id, None)

    def forget_before(self, stamp_ns: int) -> None:
        """No keyframe older than this [ns] will be answered."""
        self._beats = [b for b in self._beats if b.stamp_ns >= stamp_ns]

    def claims(self, resting: Collection[int] = ()) -> dict[int, Claim]:
        """What each thing claims in the newest frame; left out are those out of sight, and those that are better drawn
        by their template.

        Args:
            resting: Things that are drawn otherwise: looked at now and then only, and left out else.
        """
        now = self.now
        if now is None:
            return {}
        self._catch_up()
        turn = self._turn(now, resting)
        out = {}
        for thing_id, thing in self.things.items():
            if thing_id in resting and thing_id not in turn:
                continue
            claim = self._refined(thing, now) if thing_id in turn else self._moved(thing, now)
            if claim is not None:
                out[thing_id] = claim
        if (now.number + 1) % self._tuning.seed_every == 0:
            self._paint(out)
        return {i: claim for i, claim in out.items() if not self.things[i].record.chosen().template}

    def _turn(self, now: Moment, resting: Collection[int]) -> set[int]:
        """The things that are refined in this frame: those that waited longest."""
        waited = {i: -1 if t.drawn is None else t.drawn.moment.number for i, t in self.things.items()}
        again = now.number - self._tuning.look_at_resting_every
        waited = {i: number for i, number in waited.items() if i not in resting or number <= again}
        count = self._tuning.refined_per_frame if len(waited) <= self._tuning.few_things else 1
        unseen = sum(number < 0 for number in waited.values())
        return set(sorted(waited, key=lambda i: waited[i])[: max(count, min(unseen, self._tuning.refined_per_frame))])

    def _refined(self, thing: CarriedThing, now: Moment) -> Claim | None:
        """A thing carried and refined; it becomes a link when the last one is old enough."""
        way, source = thing.record.chosen(), thing.source
        age = now.number - source.link.moment.number
        due = not source.ahead and age >= self._tuning.link_every_unsure
        from_link = way.chained or way.template
        chained = self._shape(source, source.link, now) if from_link or due else None
        if source.link is source.key:
            alone = chained if chained is not None else self._shape(source, source.key, now)
        else:
            alone = None if from_link else self._shape(source, source.key, now)
        shape = chained if from_link else alone
        if due and chained is not None and (age >= self._tuning.link_every or self._has_changed(chained)):
            self._link(source, chained, way.trust if way.chained else 1.0, now)
        if shape is None:
            thing.drawn = None
            return None
        claim = shape.claim(1.0 if way.template else way.trust)
        thing.drawn = Drawn(now, claim, source.link.area_px, chained, alone)
        return claim

    def _has_changed(self, shape: Shape) -> bool:
        """Whether a new link is wanted early: the motion is not known well, or the shape looks different by now."""
        return shape.surety < self._tuning.sure or shape.change[1] < self._tuning.changed

    def _moved(self, thing: CarriedThing, now: Moment) -> Claim | None:
        """What was last drawn of a thing, moved to this frame as it is."""
        drawn = thing.drawn
        if drawn is None:
            return None
        n = drawn.claim.logits.shape[0]
        per_px = np.float32(drawn.claim.window.cell_px(n) / self._tuning.base_logit)
        last = Reference(
            drawn.moment, drawn.claim.window, drawn.claim.logits * per_px, drawn.area_px, _outline_of(drawn.claim)
        )
        bend = last.motion_to(now.mark, unit_of(now.images.size), None, replace(self._tuning, bend_points=0))
        window = window_of(last, bend, now.images.size, self._tuning)
        if window is None:
            return None
        to_then = np.vstack([drawn.claim.window.matrix(n), [0, 0, 1]])
        matrix = np.linalg.inv(to_then) @ np.vstack([bend.back, [0, 0, 1]]) @ np.vstack([window.matrix(n), [0, 0, 1]])
        flags, mode = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_CONSTANT
        then = drawn.claim.logits
        logits = cv2.warpAffine(then, matrix[:2], (n, n), flags=flags, borderMode=mode, borderValue=NOWHERE)
        return Claim(window, np.asarray(logits, np.float32))

    def _link(self, source: Source, shape: Shape, trust: float, moment: Moment) -> None:
        """What was refined becomes the start of what follows."""
        claim = shape.claim(trust)
        link = reference_from_logits(moment, claim.window, claim.logits, self._tuning)
        if link is not None:
            source.link = link

    def _catch_up(self) -> None:
        """Make up the links of late keyframes, a few per frame."""
        budget = self._tuning.links_per_frame
        for thing in self.things.values():
            source = thing.incoming if thing.incoming is not None else thing.source
            while source.ahead and budget:
                moment = source.ahead.pop(0)
                age = moment.number - source.link.moment.number
                if source.sure and age + self._tuning.remember_every <= self._tuning.link_every:
                    continue
                budget -= 1
                shape = self._shape(source, source.link, moment)
                if shape is not None:
                    self._link(source, shape, 1.0, moment)
                    source.sure = not self._has_changed(shape)
            self._take_over(thing)

    def _take_over(self, thing: CarriedThing) -> None:
        """A keyframe's source replaces the one before it once its chain has caught up."""
        if thing.incoming is not None and not thing.incoming.ahead:
            thing.source, thing.incoming = thing.incoming, None

    def _shape(self, source: Source, start: Reference, moment: Moment) -> Shape | None:
        """A thing in a frame, carried from `start`; None = out of sight."""
        link = self._carried(start, moment)
        key = link if start is source.key else self._carried(source.key, moment)
        window = window_of(start, link.bend, moment.images.size, self._tuning)
        if window is None:
            return None
        planes = planes_of(moment.images, window, self._tuning.cells, key, link, source.colors, self._tuning)
        shape = Shape(window, planes.distance, self._refiner(planes.values), self._tuning.base_logit, link.bend.surety)
        if shape.change[0] > self._tuning.most_growth:  # it took what is around for the thing
            return replace(shape, correction=np.zeros_like(shape.correction))
        return shape

    def _carried(self, reference: Reference, moment: Moment) -> Carried:
        unit = unit_of(moment.images.size)
        camera = self._camera(reference.moment, moment, unit)
        bend = reference.motion_to(moment.mark, unit, camera, self._tuning)
        return Carried(reference, bend, camera, (moment.stamp_ns - reference.moment.stamp_ns) / 1e9)

    def _camera(self, earlier: Moment, later: Moment, unit: float) -> NDArray[np.float64]:
        between = earlier.number, later.number
        if between not in self._cameras:
            self._cameras[between] = camera_between(earlier, later.mark, self._pool.on_thing, unit, self._tuning)
        return self._cameras[between]

    def _paint(self, claims: dict[int, Claim]) -> None:
        """Note which thing is where, for the next points."""
        owner = self._owner
        if owner is None:
            return
        owner[:] = 0
        for number, claim in enumerate(claims.values(), 1):
            x, y, values = paste(claim, (owner.shape[0], owner.shape[1]), (CORNER_SHRINK, CORNER_SHRINK))
            if values.size:
                owner[y : y + values.shape[0], x : x + values.shape[1]][values > 0] = min(number, 255)


def _outline_of(claim: Claim) -> NDArray[np.float32]:
    """Corners of the box of what is claimed, (4, 2) [px]."""
    x, y, w, h = cv2.boundingRect((claim.logits > 0).view(np.uint8))
    corners = np.array([[x, y], [x + w, y], [x, y + h], [x + w, y + h]], np.float32)
    matrix = claim.window.matrix(claim.logits.shape[0])
    return np.asarray(corners @ matrix[:, :2].T + matrix[:, 2], np.float32)
