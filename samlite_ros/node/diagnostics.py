"""What /diagnostics says, once a second: state and network of the node, and each camera's stream."""

from __future__ import annotations

import resource
from collections.abc import Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from samlite_ros.live.memory import is_stopped, peak_mib
from samlite_ros.live.network_counters import NetworkCounters
from samlite_ros.live.stream_worker import StreamWorker
from samlite_ros.live.watchdog import Severity
from samlite_ros.messages.fill import RCLPY, header_message
from samlite_ros.node.camera_report import StreamReport
from samlite_ros.node.console import Console
from samlite_ros.node.facts import ERROR, OK, WARN, NodeFacts, Rate, Status, load_failure_in_words
from samlite_ros.node.image_input import ImageInput
from samlite_ros.node.positions import Positions
from samlite_ros.queries import HoldUps
from samlite_ros.segmenter.exported.doing import what_is_done

AWAY = "the network's process has ended and is started again"


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
        self._images, self._computed = 0, 0.0
        self._done, self._failed, self._fails = 0, 0, False

    def hold_up(self, counters: NetworkCounters, facts: NodeFacts) -> str:
        """Why no query of any camera is searched; empty = the network works, or would."""
        done = counters.images_embedded + counters.late_jobs
        if done != self._done or counters.failures != self._failed:
            self._fails = counters.failures != self._failed
            self._done, self._failed = done, counters.failures
        if facts.load_failure:
            return load_failure_in_words(facts.model, facts.load_failure)
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
            "tokens computed [%]": 100 * self._share_computed(counters),
            "tokens kept [MB]": counters.kept_bytes / 1e6,
            "phrases decoded": counters.prompts_decoded,
            "late jobs": counters.late_jobs,
            "keyframes remembered": counters.remembered,
            "remembered [MB]": counters.remembered_bytes / 1e6,
            "looks back": counters.looks_back,
            "failures": counters.failures,
            "last failure": counters.last_failure,
        }
        return (level, "network", message, values)

    def _share_computed(self, counters: NetworkCounters) -> float:
        """Of the images since the last report; 1 where there was none."""
        images, computed = counters.images_embedded - self._images, counters.computed - self._computed
        self._images, self._computed = counters.images_embedded, counters.computed
        return computed / images if images else 1.0

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
        if facts.lost_host:
            oddities.append(
                "what starts the network's process was ended: it runs in the node's, where nothing can end it"
            )
        took_s, limit_s = counters.encode_s + counters.decode_s, facts.mask_age_limit_s
        if took_s > limit_s:
            oddities.append(f"a pass took {took_s:.1f} s: its masks are older than max_mask_age ({limit_s:g} s)")
        found = [(ERROR, fault) for fault in faults if fault] + [(WARN, oddity) for oddity in oddities]
        return found[0] if found else (OK, facts.model_id or _without_model(facts))


def _without_model(facts: NodeFacts) -> str:
    if not facts.loading:
        return f"{facts.state}: the model is loaded when it is configured"
    return what_is_done() or "the model is being loaded"


def _peak_mb(pid: str) -> str:
    """The most resident memory that another process had; empty where there is none."""
    if not pid.isdigit():
        return ""
    try:
        return str(int(peak_mib(int(pid))))
    except OSError:  # it has ended meanwhile
        return ""


class Report:
    """All of it.

    Args:
        node: Full name of the node.
        streams: The cameras' workers.
        inputs: Their subscriptions.
        positions: What locates their things.
        console: Hears of changes.
    """

    def __init__(
        self,
        node: str,
        streams: Sequence[StreamWorker],
        inputs: Sequence[ImageInput],
        positions: Sequence[Positions],
        console: Console,
    ) -> None:
        self._positions = positions
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
            *(self._positions_status(positions, facts) for positions in self._positions),
        ]
        messages = [_message(self._node, status) for status in statuses]
        return DiagnosticArray(header=header_message(RCLPY, now_ns, ""), status=messages)

    def _positions_status(self, positions: Positions, facts: NodeFacts) -> Status:
        """WARN where places are asked for and cannot be told."""
        if facts.state == "active":
            state, line = positions.look(self._console)
        else:
            positions.stop_listening()
            state, line = "", facts.state
        return (WARN if state else OK, positions.name, line, positions.values())
