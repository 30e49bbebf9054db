"""A camera's stream, as the network's worker sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from samlite_ros.streaming.jobs import KeyframeJob
from samlite_ros.streaming.pipeline import KeyframeResult
from samlite_ros.streaming.recall import RecallJob
from samlite_ros.streaming.turns import Stream
from samlite_ros.types import PromptResult


class JobSource(Stream, Protocol):
    """Pokes the worker when it may have a job, or is busy no more."""

    camera: str

    def deliver(self, result: KeyframeResult) -> None:
        """Take a job's result."""
        ...

    def abandon(self, job: KeyframeJob) -> None:
        """The job came to nothing."""
        ...

    def take_recall(self, kept_ns: Sequence[int], most: int) -> RecallJob | None:
        """What to look for in kept keyframes (stamps, newest first [ns]), so many prompts at most; None = nothing."""
        ...

    def recalled(self, job: RecallJob, results: Sequence[PromptResult]) -> None:
        """It was looked for; a prompt without a result in vain."""
        ...
