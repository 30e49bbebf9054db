"""What /diagnostics says, once a second: state and network of the node, and each camera's stream."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from samlite_ros.live.memory import is_stopped, peak_mib
from samlite_ros.live.network_counters import NetworkCounters
from samlite_ros.live.stream_worker import StreamWorker
from samlite_ros.live.watchdog import Delay, Severity
from samlite_ros.messages.fill import RCLPY, header_message
from samlite_ros.node.console import Console
from samlite_ros.node.image_input import REMEDY, ImageInput
from samlite_ros.queries import HoldUps

LOST = "lost"
AWAY = "the network's process has ended and is started again"
LOST_SHARE, FEWEST_LOST = 0.1, 3
"""Many images are lost where it is more than this share of them, and so many at least, between two reports."""
LOSSES_TOLD_S = 10.0
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


class Rate:
    """Events per second between two looks, on a steady clock."""

    def __init__(self) -> None:
        self._count = 0.0
        self._at_s = time.monotonic()

    def update(self, count: float) -> float:
        """The rate since the last look [1/s]; 0 where no time passed."""
        now_s = time.monotonic()
        elapsed_s, gained = now_s - self._at_s, count - self._count
        self._count, self._at_s = count, now_s
        return gained / elapsed_s if elapsed_s > 0 else 0.0


@dataclass(frozen=True)
class NodeFacts:
    """What the node knows at the moment of the report.

    Args:
        state: Lifecycle state.
        model: The parameter.
        model_id: Of the loaded model; empty = none.
        computes: How and where it computes, in words.
        active, pending: Numbers of queries.
        mismatches: A line for each peer whose QoS does not fit.
        load_failure: Why the model could not be loaded; empty = it could, or was not asked to.
        loading: The model is being loaded.
        network_process: Where the network runs: "the node's", or the id of its own process; empty = nowhere now.
        mask_age_limit_s: Older masks are withdrawn [s]; infinite where none are carried.
        delay: What of the network takes too long now; None = nothing.
        callback_failures: Callbacks that raised what nobody expected.
    """

    state: str
    model: str
    model_id: str
    computes: str = ""
    active: int = 0
    pending: int = 0
    mismatches: Sequence[str] = ()
    load_failure: str = ""
    loading: bool = False
    network_process: str = ""
    mask_age_limit_s: float = math.inf
    delay: Delay | None = None
    callback_failures: int = 0


Status = tuple[bytes, str, str, Mapping[str, object]]
"""Level, whose it is, message, values by name."""


def _message(node: str, status: Status) -> DiagnosticStatus:
    """Two nodes of a graph tell apart what is theirs by the node's full name."""
    level, name, message, values = status
    texts = {key: f"{value:.3g}" if isinstance(value, float) else str(value) for key, value in values.items()}
    return DiagnosticStatus(
        level=level,
        name=f"{node.lstrip('/')}: {name}",
        message=message,
        hardware_id=node,
        values=[KeyValue(key=key, value=value) for key, value in texts.items()],
    )


class NodeReport:
    """The part of the node as a whole."""

    def __init__(self) -> None:
        self._failures = Rate()

    def status(self, facts: NodeFacts) -> Status:
        """ERROR where peers cannot be heard, callbacks fail, or the node cannot get where it wants to."""
        failed = self._failures.update(facts.callback_failures) > 0
        level, message = OK, facts.state
        if facts.mismatches:
            level, message = ERROR, "; ".join(facts.mismatches)
        elif failed:
            level, message = ERROR, "callbacks fail, see the log"
        elif facts.load_failure:
            level, message = ERROR, f"{facts.state}: the model cannot be loaded"
        values = {
            "state": facts.state,
            "queries active": facts.active,
            "queries pending": facts.pending,
            "callbacks failed": facts.callback_failures,
            "peak memory [MB]": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        return (level, "node", message, values)


class NetworkReport:
    """The network's part."""

    def __init__(self) -> None:
        self._duty, self._failures = Rate(), Rate()
        self._done, self._failed, self._fails = 0, 0, False

    def hold_up(self, counters: NetworkCounters, facts: NodeFacts) -> str:
        """Why no query of any camera is searched; empty = the network works, or would."""
        done = counters.images_embedded + counters.late_jobs
        if done != self._done or counters.failures != self._failed:
            self._fails = counters.failures != self._failed
            self._done, self._failed = done, counters.failures
        if facts.load_failure:
            return f"the model {facts.model} cannot be loaded: {facts.load_failure}"
        if not facts.model_id:
            return _without_model(facts)
        if facts.state != "active":
            return f"the node is {facts.state}: images are answered when it is activated"
        if not facts.network_process:
            return counters.reload_failure or AWAY
        if facts.delay is not None:
            return facts.delay.message
        return f"the network fails: {counters.last_failure}" if self._fails else ""

    def status(self, counters: NetworkCounters, facts: NodeFacts) -> Status:
        """ERROR where nothing can be found now, WARN where it takes long or comes too late."""
        level, message = self._judge(counters, facts)
        values = {
            "model": facts.model_id,
            "computes": facts.computes,
            "process": facts.network_process,
            "process peak memory [MB]": _peak_mb(facts.network_process),
            "process restarts": counters.reloads,
            "duty": self._duty.update(counters.busy_s),
            "last encode [s]": counters.encode_s,
            "last decode [s]": counters.decode_s,
            "phrases embedded": counters.prompts_embedded,
            "images embedded": counters.images_embedded,
            "phrases decoded": counters.prompts_decoded,
            "late jobs": counters.late_jobs,
            "failures": counters.failures,
            "last failure": counters.last_failure,
        }
        return (level, "network", message, values)

    def _judge(self, counters: NetworkCounters, facts: NodeFacts) -> tuple[bytes, str]:
        """The worst comes first."""
        failed = self._failures.update(counters.failures) > 0
        faults = [facts.load_failure, counters.reload_failure]
        if is_stopped(facts.network_process):
            faults.append(f"the network's process {facts.network_process} is stopped: SIGCONT lets it go on")
        if facts.delay is not None and facts.delay.severity is Severity.ERROR:
            faults.append(facts.delay.message)
        if failed or (counters.failing and facts.active):
            faults.append(f"failed: {counters.last_failure}")
        oddities = [facts.delay.message] if facts.delay is not None else []
        if facts.model_id and not facts.network_process:
            oddities.append(AWAY)
        took_s, limit_s = counters.encode_s + counters.decode_s, facts.mask_age_limit_s
        if took_s > limit_s:
            oddities.append(f"a pass took {took_s:.1f} s: its masks are older than max_mask_age ({limit_s:g} s)")
        found = [(ERROR, fault) for fault in faults if fault] + [(WARN, oddity) for oddity in oddities]
        return found[0] if found else (OK, facts.model_id or _without_model(facts))


def _without_model(facts: NodeFacts) -> str:
    return "the model is being loaded" if facts.loading else f"{facts.state}: the model is loaded when it is configured"


def _peak_mb(pid: str) -> str:
    """The most resident memory that another process had; empty where there is none."""
    if not pid.isdigit():
        return ""
    try:
        return str(int(peak_mib(int(pid))))
    except OSError:  # it has ended meanwhile
        return ""


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
        self._repeated, self._unstamped, self._idle = Rate(), Rate(), Rate()
        self._last_count, self._last_image_s = 0, time.monotonic()
        self._losses = Losses()
        self._hold_up = self._silence = ""

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
            "images dropped for newer ones": self._stream.dropped,
            "images not wanted": counters.idle,
            "images rejected": counters.rejected,
            "last rejection": counters.last_rejection,
            "images repeated": counters.repeated,
            **{name.replace("_", " "): count for name, count in asdict(self._stream.reuse).items()},
            "answers": counters.answered,
            "answers [Hz]": self._answered.update(counters.answered),
            "age of knowledge [s]": counters.answer_age_ns / 1e9,
            "flushes": counters.flushes,
            "failures": counters.failures,
        }
        return level, name, message, values

    def _judge(self, name: str, facts: NodeFacts, image_timeout_s: float) -> tuple[bytes, str]:
        """Failures come before what is odd; the console has heard of failures elsewhere."""
        self._hold_up = self._silence = ""
        failure = self._failure()
        state, oddity = self._oddity(facts, image_timeout_s)
        idle = self._idle.update(self._stream.counters.idle) > 0
        if idle:
            self._hold_up = "nobody subscribes to a result or to the statuses of queries"
        well = "no queries" if not facts.active else "idle: nobody subscribes to a result" if idle else "answering"
        if facts.state == "active":
            self._console.change(name, state, oddity or "images come as they should", warn=bool(oddity))
            if change := self._input.follow_publishers(losing=state == LOST):
                self._console.note(change)
        if failure:
            self._hold_up = failure
            return ERROR, failure
        return (WARN, oddity) if oddity else (OK, well)

    def _failure(self) -> str:
        counters = self._stream.counters
        rejected, failed = self._rejected.update(counters.rejected) > 0, self._failed.update(counters.failures) > 0
        if rejected:
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
        return (LOST, f"{self._input.topic}: {lost}; {REMEDY}") if lost else ("", "")


class Losses:
    """Whether many images are lost on the way; told on for a while, so that it does not come and go."""

    def __init__(self) -> None:
        self._received, self._lost, self._surely_lost = 0, 0, 0
        self._until_s = 0.0
        self._line = ""

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
            self._line = f"{gone} of {came + gone} images {what}"
            self._until_s = time.monotonic() + LOSSES_TOLD_S
        return self._line if time.monotonic() < self._until_s else ""


class Report:
    """All of it.

    Args:
        node: Full name of the node.
        streams: The cameras' workers.
        inputs: Their subscriptions.
        console: Hears of changes.
    """

    def __init__(
        self, node: str, streams: Sequence[StreamWorker], inputs: Sequence[ImageInput], console: Console
    ) -> None:
        self._node, self._console = node, console
        self._node_report, self._network = NodeReport(), NetworkReport()
        self._streams = [StreamReport(s, i, console) for s, i in zip(streams, inputs, strict=True)]

    def hold_ups(self, facts: NodeFacts, counters: NetworkCounters) -> HoldUps:
        """What keeps queries from being searched; of the cameras as it was at the last message."""
        cameras = {s.camera: s.hold_up() for s in self._streams}
        return HoldUps(self._network.hold_up(counters, facts), cameras)

    def message(
        self, facts: NodeFacts, counters: NetworkCounters, image_timeout_s: float, now_ns: int
    ) -> DiagnosticArray:
        """The array to publish."""
        self._console.once(facts.mismatches)
        statuses = [
            self._node_report.status(facts),
            self._network.status(counters, facts),
            *(stream.status(facts, image_timeout_s) for stream in self._streams),
        ]
        messages = [_message(self._node, status) for status in statuses]
        return DiagnosticArray(header=header_message(RCLPY, now_ns, ""), status=messages)
