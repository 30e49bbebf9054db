"""What /diagnostics says of one camera's stream."""

from __future__ import annotations

import math
import time
from dataclasses import asdict

from samlite_ros.live.stream_worker import StreamWorker
from samlite_ros.node.console import Console
from samlite_ros.node.facts import ERROR, OK, WARN, NodeFacts, Rate, Status
from samlite_ros.node.image_input import ImageInput
from samlite_ros.types import Turn

LOST = "lost"
LOST_SHARE, FEWEST_LOST = 0.1, 3
"""Many images are lost where it is more than this share of them, and so many at least, between two reports."""
LOSSES_TOLD_S = 10.0
DEAD_S, DEAD_TIMES = 10.0, 5.0
"""A camera that is silent for so long, and so many times `image_timeout`, is taken for dead."""
BUSY_S = 2.0
"""Nothing that is done with one image takes so long [s]."""
TOLD = ("superseded", "forgotten", "unanswered")
"""Of a stream's counters, those that are told as what became of images."""
NO_TURN = Turn(1, 0.0)
OFTEN_HZ = 2.0
"""What happens once in a while is no fault; so often it is [1/s]."""


class StreamReport:
    """One camera's part.

    Args:
        stream: The camera's worker.
        image_input: Its subscription.
        console: Hears of changes.
    """

    def __init__(self, stream: StreamWorker, image_input: ImageInput, console: Console) -> None:
        self._stream, self._input, self._console = stream, image_input, console
        self._received, self._answered = Rate(), Rate()
        self._rejected, self._failed = Rate(), Rate()
        self._well_before, self._rejected_s = 0, -math.inf
        self._repeated, self._unstamped, self._idle = Rate(), Rate(), Rate()
        self._resized, self._flushed = Rate(), Rate()
        self._last_count, self._last_image_s = 0, time.monotonic()
        self._losses = Losses()
        self._hold_up = self._silence = ""
        self._level = WARN

    @property
    def camera(self) -> str:
        """Its name."""
        return self._stream.camera

    def hold_up(self) -> str:
        """Why nothing is searched in this camera's images; empty = nothing keeps it."""
        received = self._stream.counters.received
        if not received and not self._silence:
            return f"no image has come yet on {self._input.topic}"
        return self._hold_up or (self._silence if received == self._last_count else "")

    def status(self, facts: NodeFacts, image_timeout_s: float) -> Status:
        """WARN where no image comes or many are lost, ERROR where images or answers fail."""
        counters, image_input = self._stream.counters, self._input
        name = f"camera {self._stream.camera}".rstrip()
        level, message = self._judge(name, facts, image_timeout_s)
        values = {
            "topic": image_input.topic,
            "transport": image_input.transport,
            "reliability": image_input.reliability,
            "publishers": image_input.publishers(),
            "images received": counters.received,
            "images received [Hz]": self._received.update(counters.received),
            "images lost on the way": image_input.lost,
            "images without a stamp": counters.unstamped,
            **{f"images {fate}": count for fate, count in self._stream.fates().items()},
            "images at work": self._stream.at_work,
            "last rejection": counters.last_rejection,
            **{name.replace("_", " "): count for name, count in asdict(self._stream.reuse).items() if name not in TOLD},
            "answers [Hz]": self._answered.update(counters.answered),
            "age of knowledge [s]": counters.answer_age_ns / 1e9,
            "flushes": counters.flushes,
            "failures": counters.failures,
            **self._turn_values(),
        }
        return level, name, message, values

    def _turn_values(self) -> dict[str, object]:
        """Where phrases take turns: what is asked of the budget, and how long they wait."""
        load, turns = self._stream.load, self._stream.turns
        if not turns:
            return {}
        longest = max(turns.values(), key=lambda turn: turn.wait_s)
        return {
            "decode budget [ms]": 1e3 * load.budget_s,
            "decoding all takes [ms]": 1e3 * load.all_s,
            "phrases": load.phrases,
            "phrases in every pass": load.always,
            "longest turn [passes]": longest.passes,
            "longest turn [s]": longest.wait_s,
        }

    def _overload(self) -> str:
        """What of the phrases is more than their budget pays for; empty = nothing."""
        turns = self._stream.turns.values()
        return max((turn for turn in turns if turn.overload), key=lambda t: t.wait_s, default=NO_TURN).overload

    def _judge(self, name: str, facts: NodeFacts, image_timeout_s: float) -> tuple[bytes, str]:
        """Failures come before what is odd; the console has heard of failures elsewhere."""
        self._hold_up = self._silence = ""
        failure = self._failure(image_timeout_s)
        state, oddity = self._oddity(facts, image_timeout_s)
        idle = self._idle.update(self._stream.counters.idle) > 0
        if idle:
            self._hold_up = "nobody subscribes to a result or to the statuses of queries"
        well = "no queries" if not facts.active else "idle: nobody subscribes to a result" if idle else "answering"
        if facts.state == "active":
            change = self._input.follow_publishers(losing=state == LOST)
            if change:
                self._console.note(f"{name}: {self._losses.line}; {change}" if state == LOST else f"{name}: {change}")
                self._losses.settle()  # what is lost from now on is another matter
            else:
                self._console.change(name, state, oddity or "images come as they should", warn=bool(oddity))
        if failure:
            self._hold_up = failure
            return ERROR, failure
        return (self._level, oddity) if oddity else (OK, well)

    def _failure(self, image_timeout_s: float) -> str:
        """What fails; a rejected image is told of until a good one comes, or none at all."""
        counters = self._stream.counters
        if (busy_s := self._stream.busy_s) > BUSY_S:
            return f"the node has been at one image for {busy_s:.1f} s"
        rejected, failed = self._rejected.update(counters.rejected) > 0, self._failed.update(counters.failures) > 0
        well = counters.received - counters.rejected
        if rejected:
            self._well_before, self._rejected_s = well, time.monotonic()
        if (well == self._well_before and time.monotonic() - self._rejected_s < image_timeout_s) or rejected:
            return counters.last_rejection
        return "answers fail, see the log" if failed else ""

    def _oddity(self, facts: NodeFacts, image_timeout_s: float) -> tuple[str, str]:
        """A word for the state, and what is odd; both are empty where all is well."""
        counters = self._stream.counters
        repeated = self._repeated.update(counters.repeated) > 0
        unstamped = self._unstamped.update(counters.unstamped) > 0
        lost = self._losses.update(counters.received, self._input.lost, self._input.surely_lost)
        if counters.received != self._last_count or facts.state != "active":
            self._last_count, self._last_image_s = counters.received, time.monotonic()
        silent_s = time.monotonic() - self._last_image_s
        self._level = ERROR if silent_s > max(DEAD_S, DEAD_TIMES * image_timeout_s) else WARN
        wild = self._wild()
        if wild[0]:
            return wild
        if repeated:
            return (
                "repeated",
                "images repeat the stamp of the one before and are not answered: the driver must stamp each",
            )
        if unstamped:
            return (
                "unstamped",
                "images carry no stamp: the time of their arrival stands in for it; the driver should set it",
            )
        if silent_s > image_timeout_s:
            why, remedy = self._input.why_silent()
            self._silence = f"no image comes on {self._input.topic}: {why}"
            advice = f"; {remedy}" if remedy else ""
            return (
                f"silent: {why.partition(';')[0]}",
                f"no image for {silent_s:.1f} s on {self._input.topic}: {why}{advice}",
            )
        if lost:
            return LOST, f"{self._input.topic}: {lost}; {self._input.remedy()}"
        overload = self._overload()
        return ("overloaded", f"more phrases than decode_budget pays for: {overload}") if overload else ("", "")

    def _wild(self) -> tuple[str, str]:
        """What begins anew with every other image: nothing can be carried from one to the next."""
        resized = self._resized.update(self._stream.reuse.resized) >= OFTEN_HZ
        flushed = self._flushed.update(self._stream.counters.flushes) >= OFTEN_HZ
        if resized:
            return "resized", "images of different sizes come in turn, and each begins anew: two cameras on one topic?"
        if flushed:
            words = "stamps go back again and again, and each time all begins anew"
            return "flushed", f"{words}: two cameras on one topic, or a bag of a few frames in a loop?"
        return "", ""


class Losses:
    """Whether many images are lost on the way; told on for a while, so that it does not come and go."""

    def __init__(self) -> None:
        self._received, self._lost, self._surely_lost = 0, 0, 0
        self._until_s = 0.0
        self.line = ""
        """What was lost at the last look that lost many, in words."""

    def settle(self) -> None:
        """Something was done about it."""
        self._until_s = 0.0

    def update(self, received: int, lost: int, surely_lost: int) -> str:
        """Look at the counts.

        Args:
            received: Images that came, in all.
            lost: Images that did not, in all.
            surely_lost: Of these, images that the middleware told of.

        Returns:
            What was lost since the last look that lost many, in words; empty = few.
        """
        came, gone, told = received - self._received, lost - self._lost, surely_lost - self._surely_lost
        self._received, self._lost, self._surely_lost = received, lost, surely_lost
        if gone >= FEWEST_LOST and gone > LOST_SHARE * (came + gone):
            what = (
                "were lost on the way"
                if told
                else "are missing by their stamps: lost on the way, or left out by the camera"
            )
            self.line = f"{gone} of {came + gone} images {what}"
            self._until_s = time.monotonic() + LOSSES_TOLD_S
        return self.line if time.monotonic() < self._until_s else ""
