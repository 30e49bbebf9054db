"""What /diagnostics says, once a second: state and network of the node, and each camera's stream."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from samlite_ros.live.memory import peak_mib
from samlite_ros.live.network_worker import NetworkCounters
from samlite_ros.live.stream_worker import StreamWorker
from samlite_ros.messages.fill import RCLPY, header_message

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
        model_id: Of the loaded model; empty = none.
        active, pending: Numbers of queries.
        mismatches: A line for each peer whose QoS does not fit.
        network_process: Where the network runs: "the node's", or the id of its own process; empty = nowhere now.
        mask_age_limit_s: Older masks are withdrawn [s]; infinite where none are carried.
    """

    state: str
    model_id: str
    active: int
    pending: int
    mismatches: Sequence[str]
    network_process: str = ""
    mask_age_limit_s: float = math.inf


def _status(level: bytes, name: str, message: str, values: Mapping[str, object]) -> DiagnosticStatus:
    texts = {key: f"{value:.3g}" if isinstance(value, float) else str(value) for key, value in values.items()}
    return DiagnosticStatus(
        level=level,
        name=f"samlite: {name}",
        message=message,
        hardware_id="",
        values=[KeyValue(key=key, value=value) for key, value in texts.items()],
    )


class NetworkReport:
    """The network's part."""

    def __init__(self) -> None:
        self._duty, self._failures = Rate(), Rate()

    def status(self, counters: NetworkCounters, facts: NodeFacts) -> DiagnosticStatus:
        """ERROR where jobs failed since the last report, WARN where it is away or a pass outlasts its masks."""
        level, message = OK, facts.model_id or "no model is loaded"
        took_s = counters.encode_s + counters.decode_s
        if self._failures.update(counters.failures) > 0:
            level, message = ERROR, f"failed: {counters.last_failure}"
        elif facts.model_id and not facts.network_process:
            level, message = WARN, "the network's process has ended and is started again"
        elif took_s > facts.mask_age_limit_s:
            level = WARN
            message = (
                f"a pass took {took_s:.1f} s: its masks are older than max_mask_age ({facts.mask_age_limit_s:g} s)"
            )
        values = {
            "model": facts.model_id,
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
        return _status(level, "network", message, values)


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
    """

    def __init__(self, stream: StreamWorker) -> None:
        self._stream = stream
        self._received, self._answered = Rate(), Rate()
        self._rejected, self._failed = Rate(), Rate()
        self._repeated, self._unstamped = Rate(), Rate()
        self._last_count, self._last_image_s = 0, time.monotonic()

    def status(self, facts: NodeFacts, image_timeout_s: float) -> DiagnosticStatus:
        """WARN where no image comes, ERROR where images or answers fail."""
        counters = self._stream.counters
        level, message = self._judge(facts, image_timeout_s)
        values = {
            "images received": counters.received,
            "images received [Hz]": self._received.update(counters.received),
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
        return _status(level, f"camera {self._stream.camera}".rstrip(), message, values)

    def _judge(self, facts: NodeFacts, image_timeout_s: float) -> tuple[bytes, str]:
        counters = self._stream.counters
        repeated, unstamped = (
            self._repeated.update(counters.repeated) > 0,
            self._unstamped.update(counters.unstamped) > 0,
        )
        rejected, failed = self._rejected.update(counters.rejected) > 0, self._failed.update(counters.failures) > 0
        if counters.received != self._last_count or facts.state != "active":
            self._last_count, self._last_image_s = counters.received, time.monotonic()
        silent_s = time.monotonic() - self._last_image_s
        if rejected:
            return ERROR, counters.last_rejection
        if failed:
            return ERROR, "answers fail, see the log"
        if repeated:
            return WARN, "images repeat the stamp of the one before and are not answered: the driver must stamp each"
        if unstamped:
            return WARN, "images carry no stamp: the time of their arrival stands in for it; the driver should set it"
        if silent_s > image_timeout_s:
            return WARN, f"no image for {silent_s:.1f} s"
        return OK, "answering" if facts.active else "no queries"


class Report:
    """All of it.

    Args:
        streams: The cameras' workers.
    """

    def __init__(self, streams: Sequence[StreamWorker]) -> None:
        self._network = NetworkReport()
        self._streams = [StreamReport(stream) for stream in streams]

    def message(
        self, facts: NodeFacts, counters: NetworkCounters, image_timeout_s: float, now_ns: int
    ) -> DiagnosticArray:
        """The array to publish."""
        statuses = [
            _node_status(facts),
            self._network.status(counters, facts),
            *(stream.status(facts, image_timeout_s) for stream in self._streams),
        ]
        return DiagnosticArray(header=header_message(RCLPY, now_ns, ""), status=statuses)


def _node_status(facts: NodeFacts) -> DiagnosticStatus:
    level, message = (ERROR, "; ".join(facts.mismatches)) if facts.mismatches else (OK, facts.state)
    values = {
        "state": facts.state,
        "queries active": facts.active,
        "queries pending": facts.pending,
        "peak memory [MB]": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    return _status(level, "node", message, values)
