"""Carries the shapes of all things from keyframes to every frame, with a bounded number of looks a frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from samlite_ros.streaming.carry.carried_thing import Arrival, CarriedThing, Drawn, Found, Source
from samlite_ros.streaming.carry.moments import Moments, Seeding
from samlite_ros.streaming.carry.moving import move_to
from samlite_ros.streaming.carry.planes import ERROR, Carried, planes_of
from samlite_ros.streaming.carry.reference import (
    Moment,
    Reference,
    colors_of,
    reference_from_logits,
    reference_from_mask,
    unit_of,
    window_of,
)
from samlite_ros.streaming.carry.refiner import Refiner
from samlite_ros.streaming.carry.ways import Claim, Foreseen, Shape, WayRecord
from samlite_ros.streaming.image.frame_images import FrameImages
from samlite_ros.streaming.tuning import Tuning

UNSEEN = np.inf
LOOK, TAKE_IN, LEARNING = 1.0, 0.5, 1.0
"""Work, in looks: at one thing in one frame; to take in a keyframe's mask; of the templates learnt in a frame."""
RARER = 4
"""What has rested for long is looked at so many times more seldom."""
PUT_OFF = 2
"""Where all rest, points are moved to a keyframe so many frames later at the earliest: the first of them takes over the
keyframe before it."""
WANTED_RESTING = 0.2
"""... and new points are looked for only where this share of them is wanted."""


@dataclass(frozen=True, eq=False)
class _Unasked:
    """What a thing's keyframe alone says of a frame that the network is looking at, still to be looked at."""

    thing: CarriedThing
    source: Source
    moment: Moment


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
        self._frames = Moments(self._tuning)
        self._unasked: list[_Unasked] = []
        self._alone_again = 0
        self._left = 0.0
        self._idle = self._busy = self._answered = self._put_off = self._can_wait = False
        self._idle_for = 0
        self.things: dict[int, CarriedThing] = {}

    def advance(self, images: FrameImages, stamp_ns: int) -> None:
        """Take the next frame; while all things are idle, points are moved to it only where they are needed."""
        self._frames.take(images, stamp_ns)
        self._left = float(self._tuning.looks_per_frame)
        self._busy, self._answered = self._answered, False
        self._can_wait = self._idle and (self._rests or self._frames.is_calm)
        put_off = self._frames.promised_ago
        waited = self._frames.waited if put_off is None else put_off - PUT_OFF
        if not self._can_wait or waited >= self._tuning.follow_resting_every:
            self._follow()

    def _catch_up(self) -> None:
        """Move points to the last keyframe, where that was put off and this frame has no other work."""
        put_off, is_free = self._frames.promised_ago, self._left >= self._tuning.looks_per_frame
        if put_off is not None and put_off >= PUT_OFF and self._can_wait and is_free:
            self._frames.keep_promise(self._needed())

    def _follow(self) -> Moment:
        return self._frames.follow(self._needed(), self._seeding)

    def _needed(self) -> list[Moment]:
        """Frames whose points are still needed."""
        needed = [m for thing in self.things.values() for m in thing.moments()]
        return needed + [m for x in self._unasked for m in (x.moment, x.source.key.moment)]

    @property
    def _seeding(self) -> Seeding:
        t = self._tuning
        if not self._idle:
            return Seeding(t.seed_every, t.most_points)
        if not self._rests:
            return Seeding(t.seed_every_resting, t.most_points)
        most = min(t.most_points, t.points_resting * (len(self.things) + 1))
        return Seeding(t.seed_every_resting * (2 if self._busy else 1), most, int(most * WANTED_RESTING))

    @property
    def _rests(self) -> bool:
        """Whether all things have been idle for long."""
        return self._idle_for >= self._tuning.long_rest

    def submit(self) -> Moment:
        """The newest frame goes to the network; what each way says of it is kept for the record.

        Raises:
            ValueError: There is no frame yet.
        """
        now = self._frames.promise() if self._may_put_off() else self._follow()
        self._frames.keep(now)
        room = self._tuning.foreseen_alone if now.number >= self._alone_again else 0
        for thing in self.things.values():
            foreseen = self._foreseen(thing, now)
            if foreseen is None:
                continue
            thing.foreseen = {**dict(list(thing.foreseen.items())[-2:]), now.number: foreseen}
            source = thing.source
            if foreseen.alone is None and source is not None and len(self._unasked) < room:
                self._unasked.append(_Unasked(thing, source, now))
                self._alone_again = now.number + self._tuning.foreseen_alone_every
        return now

    def _may_put_off(self) -> bool:
        """Whether points may be moved to the newest frame later: all things rest, and none was looked at lately."""
        if not self._can_wait or self._frames.followed is not None or self._frames.promised_ago is not None:
            return False
        looked = (t.drawn.moment.number for t in self.things.values() if t.drawn is not None)
        return all(self._frames.number - n > self._tuning.foreseen_from for n in looked)

    def _foreseen(self, thing: CarriedThing, now: Moment) -> Foreseen | None:
        """What was drawn of a thing, or was a few frames ago and moved since; None = it was not looked at lately."""
        drawn = thing.drawn
        if drawn is None or now.number - drawn.moment.number > self._tuning.foreseen_from:
            return None
        if drawn.moment is now:
            return Foreseen(drawn.chained, drawn.alone, None)
        move = move_to(drawn, now, self._tuning)
        if move is None:
            return None
        chained = None if drawn.chained is None else move.shape(drawn.chained)
        is_same = drawn.alone is drawn.chained
        alone = chained if is_same else None if drawn.alone is None else move.shape(drawn.alone)
        return Foreseen(chained, alone, None)

    def asked_of(self, moment: Moment) -> set[int]:
        """The things of which it was said what each way says of a frame that went to the network."""
        return {i for i, t in self.things.items() if moment.number in t.foreseen}

    def note_templates(self, moment: Moment, templates: Mapping[int, Claim]) -> None:
        """What things' templates say of a frame that went to the network, by their ids."""
        for thing_id, claim in templates.items():
            thing = self.things.get(thing_id)
            if thing is not None and moment.number in thing.foreseen:
                thing.foreseen[moment.number] = replace(thing.foreseen[moment.number], template=claim)

    def deliver(self, thing_id: int, mask: NDArray[np.bool_], moment: Moment) -> None:
        """The network's mask (H, W) of a thing in an earlier frame; it is looked at as soon as there is time."""
        if mask.any():
            thing = self.things.setdefault(thing_id, CarriedThing(WayRecord(self._tuning)))
            thing.arrival = Arrival(mask, moment, self._ahead_of(moment))

    def note_learning(self) -> None:
        """Templates are learnt in the newest frame: there is less time for shapes."""
        self._left -= LEARNING
        self._busy = True

    def note_answer(self) -> None:
        """A keyframe was answered: in the next frame, what rests can wait."""
        self._answered = True

    def _ahead_of(self, moment: Moment) -> list[Moment]:
        """Frames at which links are made up between a keyframe and now; none where it is not long ago."""
        if self._frames.number - moment.number <= self._tuning.link_every * self._tuning.late:
            return []
        return self._frames.beats_after(moment)

    def surety(self, thing_id: int) -> float:
        """How well the motion of a thing was known when it was last refined, 0 to 1."""
        thing = self.things.get(thing_id)
        drawn = None if thing is None else thing.drawn
        shape = None if drawn is None else drawn.chained or drawn.alone
        return 0.0 if shape is None else shape.surety

    def start_from(self, thing_id: int, claim: Claim) -> None:
        """A thing was found in the newest frame by other means: it is carried from there."""
        if thing_id in self.things:
            self.things[thing_id].found = Found(self._follow(), claim)

    def end(self, thing_id: int) -> None:
        """A thing is no longer carried."""
        self.things.pop(thing_id, None)

    def forget_before(self, stamp_ns: int) -> None:
        """No keyframe older than this [ns] will be answered."""
        self._frames.forget_before(stamp_ns)

    def claims(self, resting: Collection[int] = ()) -> dict[int, Claim]:
        """What each thing claims in the newest frame; left out are those out of sight, and those that are better drawn
        by their template.

        Args:
            resting: Things that are drawn otherwise: looked at now and then only, and left out else.
        """
        if not self.things:
            return {}
        resting = {i for i, t in self.things.items() if i in resting and t.is_settled}
        self._idle = len(resting) == len(self.things)
        self._idle_for = self._idle_for + 1 if self._idle else 0
        self._catch_up()
        now = self._frames.followed
        if now is None and not self._idle:
            now = self._follow()
        if now is None:
            return {}
        self._look(now, resting)
        out = {}
        for thing_id, thing in self.things.items():
            if thing.drawn is None or (thing_id in resting and thing.drawn.moment is not now):
                continue
            claim = thing.drawn.claim if thing.drawn.moment is now else self._moved(thing.drawn, now)
            if claim is not None:
                out[thing_id] = claim
        if (now.number + 1) % self._tuning.seed_every == 0 or self._idle:
            self._frames.note_owners(out.values())
        return {i: claim for i, claim in out.items() if not self.things[i].record.chosen().template}

    def _look(self, now: Moment, resting: Collection[int]) -> None:
        """Look at as many things as a frame has time for: those that waited longest."""
        needs = {i: self._need(t, now, i in resting) for i, t in self.things.items()}
        waiting = sorted((i for i, need in needs.items() if need > 0), key=lambda i: -needs[i])
        is_new = any(needs[i] == UNSEEN or not self.things[i].is_settled for i in waiting)
        if self._idle:
            self._put_off = self._rests and self._busy and not self._put_off
            self._left = 0.0 if self._put_off else min(self._left, LOOK)
        else:
            self._left = max(self._left, LOOK, is_new * (self._tuning.looks_when_new * LOOK + TAKE_IN))
        for thing_id in waiting:
            thing = self.things[thing_id]
            if thing.arrival is not None and not thing.is_new and self._pays(TAKE_IN):
                self._take_in(thing, thing.arrival, thing_id in resting)
            if self._pays(LOOK):
                self._look_at(thing, now)
        if self._unasked and self._pays(LOOK):
            self._ask(self._unasked.pop())

    def _ask(self, unasked: _Unasked) -> None:
        """Look at what a thing's keyframe alone says of a frame that the network is looking at."""
        foreseen, number = unasked.thing.foreseen, unasked.moment.number
        if number in foreseen:
            alone = self._shape(unasked.source, unasked.source.key, unasked.moment)
            foreseen[number] = replace(foreseen[number], alone=alone)

    def _need(self, thing: CarriedThing, now: Moment, rests: bool) -> float:
        """How much its shape is expected to have changed since the last look, as a share; 0 = no look is needed."""
        t, age = self._tuning, now.number - thing.looked
        if thing.looked < 0:
            return UNSEEN
        if rests:
            return t.least_change if age >= t.look_at_resting_every * (RARER if self._rests else 1) else 0.0
        return max(thing.unrest, t.least_change) * age

    def _pays(self, work: float) -> bool:
        """Whether there is time for so much work left in this frame; then it is taken."""
        if self._left < work:
            return False
        self._left -= work
        return True

    def _take_in(self, thing: CarriedThing, arrival: Arrival, rests: bool) -> None:
        """Look at a keyframe's mask: note how well each way foresaw it; the thing is carried from there."""
        thing.arrival, thing.is_new = None, True
        key = reference_from_mask(arrival.moment, arrival.mask, self._tuning)
        if key is None:
            return
        foreseen = thing.foreseen.pop(arrival.moment.number, None)
        if foreseen is not None:
            thing.record.note(foreseen, key)
            key = foreseen.errors_noted(key, self._tuning.error_keep)
        ahead = [] if rests else arrival.ahead
        thing.incoming = Source(key, key, colors_of(key, self._all), ahead)
        if thing.source is None:
            thing.source = thing.incoming
        self._take_over(thing)

    def _look_at(self, thing: CarriedThing, now: Moment) -> None:
        """Refine a thing, or make up a link of its newest keyframe."""
        drawn, source = thing.drawn, thing.incoming or thing.source
        is_fresh = drawn is None or now.number - drawn.moment.number <= self._tuning.fresh
        thing.looked, thing.is_new = now.number, False
        if source is not None and source.ahead and is_fresh:
            self._make_up(source)
            while drawn is None and source.ahead and self._pays(LOOK):
                self._make_up(source)
            self._take_over(thing)
            return
        if thing.found is not None:
            self._start(thing, thing.found)
        if thing.source is not None:
            thing.drawn = self._refined(thing, thing.source, now)

    def _start(self, thing: CarriedThing, found: Found) -> None:
        """A thing is carried from where it was found."""
        thing.found = None
        source = thing.source
        if source is not None and found.moment.number > source.link.moment.number:
            link = reference_from_logits(found.moment, found.claim.window, found.claim.logits, self._tuning)
            if link is not None:
                source.link, source.link_camera, source.ahead = link, None, []

    def _refined(self, thing: CarriedThing, source: Source, now: Moment) -> Drawn | None:
        """A thing carried and refined; it becomes a link when the last one is old enough."""
        way = thing.record.chosen()
        age = now.number - source.link.moment.number
        due = not source.ahead and age >= self._tuning.link_every_unsure
        from_link = way.chained or way.template
        chained = self._shape(source, source.link, now) if from_link or due else None
        if source.link is source.key:
            alone = chained if chained is not None else self._shape(source, source.key, now)
        else:
            alone = None if from_link else self._shape(source, source.key, now)
        shape = chained if from_link else alone
        if shape is not None:
            start = source.link if from_link else source.key
            thing.note_change((1 - shape.change[1]) / max(now.number - start.moment.number, 1))
        if due and chained is not None and (age >= self._tuning.link_every or self._has_changed(chained)):
            self._link(source, chained, way.trust if way.chained else 1.0, now)
        if shape is None:
            return None
        return Drawn(now, shape.claim(1.0 if way.template else way.trust), source.link.area_px, chained, alone)

    def _has_changed(self, shape: Shape) -> bool:
        """Whether a new link is wanted early: the motion is not known well, or the shape looks different by now."""
        return shape.surety < self._tuning.sure or shape.change[1] < self._tuning.changed

    def _moved(self, drawn: Drawn, now: Moment) -> Claim | None:
        move = move_to(drawn, now, self._tuning)
        return None if move is None else move.claim(drawn.claim)

    def _link(self, source: Source, shape: Shape, trust: float, moment: Moment) -> None:
        """What was refined becomes the start of what follows."""
        claim = shape.claim(trust, trust * self._tuning.link_lean)
        link = reference_from_logits(moment, claim.window, claim.logits, self._tuning)
        if link is not None:
            source.link, source.link_camera = link, self._camera(source, source.key, moment)

    def _make_up(self, source: Source) -> None:
        """Make up the next link of a late keyframe."""
        while source.ahead:
            moment = source.ahead.pop(0)
            age = moment.number - source.link.moment.number
            if source.sure and age + self._tuning.remember_every <= self._tuning.link_every:
                continue
            shape = self._shape(source, source.link, moment)
            if shape is not None:
                self._link(source, shape, 1.0, moment)
                source.sure = not self._has_changed(shape)
            return

    def _take_over(self, thing: CarriedThing) -> None:
        """A keyframe's source replaces the one before it once its chain has caught up."""
        incoming = thing.incoming
        if incoming is not None and (not incoming.ahead or incoming is thing.source):
            thing.source, thing.incoming = thing.incoming, None

    def _shape(self, source: Source, start: Reference, moment: Moment) -> Shape | None:
        """A thing in a frame, carried from `start`; None = out of sight."""
        link = self._carried(source, start, moment)
        key = link if start is source.key else self._carried(source, source.key, moment)
        window = window_of(start, link.bend, moment.images.size, self._tuning)
        if window is None:
            return None
        planes = planes_of(moment.images, window, self._tuning.cells, key, link, source.colors, self._tuning)
        correction, logit = self._refiner(planes.values), self._tuning.base_logit
        shape = Shape(window, planes.distance, correction, logit, link.bend.surety, planes.values[ERROR])
        if shape.change[0] > self._tuning.most_growth:  # it took what is around for the thing
            return replace(shape, correction=np.zeros_like(shape.correction))
        return shape

    def _carried(self, source: Source, reference: Reference, moment: Moment) -> Carried:
        camera = self._camera(source, reference, moment)
        bend = reference.motion_to(moment.mark, unit_of(moment.images.size), camera, self._tuning)
        return Carried(reference, bend, camera, (moment.stamp_ns - reference.moment.stamp_ns) / 1e9)

    def _camera(self, source: Source, start: Reference, later: Moment) -> NDArray[np.float64]:
        """How the camera moved from a frame to one of a thing's references; to its keyframe by way of its last link,
        from which more points are left."""
        if start is source.key and source.link_camera is not None:
            camera = source.link_camera @ self._camera(source, source.link, later)
            return np.asarray(camera / camera[2, 2])
        return self._frames.camera(start.moment, later)
