"""What diagnostics are made of: what the node knows at one moment, and how fast counts grow."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus

from samlite_ros.live.watchdog import Delay

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
        lost_host: What started the network's process has ended: it runs in the node's.
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
    lost_host: bool = False
    callback_failures: int = 0


Status = tuple[bytes, str, str, Mapping[str, object]]
"""Level, whose it is, message, values by name."""
_LOAD_FAILED = " cannot be loaded: "


def load_failure_in_words(model: str, why: str) -> str:
    """What queries wait for where the model could not be loaded: somebody who changes that."""
    return f"the model {model}{_LOAD_FAILED}{why}"


def is_load_failure(words: str) -> bool:
    """Whether these words are of `load_failure_in_words`."""
    return words.startswith("the model ") and _LOAD_FAILED in words
